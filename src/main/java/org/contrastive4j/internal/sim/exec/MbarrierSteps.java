package org.contrastive4j.internal.sim.exec;

import java.util.Map;
import java.util.Objects;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * mbarrier objects: arrivals, announced bytes, waits for phases.
 *
 * <p>Tested by {@code BarrierConformanceTest}.
 */
final class MbarrierSteps {
    static final Map<String, Decoder> FAMILY = Map.of("mbarrier", MbarrierSteps::decode);

    private static final int BYTES = 8;

    private MbarrierSteps() {}

    /** What to do for one lane. */
    private interface Action {
        void run(Warp warp, Step step, int lane, Mbarrier barrier);
    }

    private static @Nullable Step decode(Instruction in, Operands o) {
        if (in.has(".init")) {
            return initialise(in, o);
        }
        if (in.has(".inval")) {
            return each(
                    in,
                    o.address(0),
                    (warp, step, lane, barrier) -> barrier.cta().invalidate(barrier.address()));
        }
        if (in.has(".try_wait") || in.has(".test_wait")) {
            return wait(in, o);
        }
        if (in.has(".expect_tx") && !in.has(".arrive") && !in.has(".arrive_drop")) {
            Operands.Address at = o.address(0);
            int bytes = o.source(1, Type.U32);
            return each(in, at, (warp, step, lane, barrier) -> barrier.expect(warp, step, lane, warp.r[bytes + lane]));
        }
        if (in.has(".complete_tx")) {
            Operands.Address at = o.address(0);
            int bytes = o.source(1, Type.U32);
            return each(in, at, (warp, step, lane, barrier) -> barrier.complete(warp.r[bytes + lane]));
        }
        if (in.has(".pending_count")) {
            return Lanewise.one(o.destination(0), o.source(1, Type.B64), state -> state & 0xFFFFF);
        }
        return in.has(".arrive") || in.has(".arrive_drop") ? arrive(in, o) : null;
    }

    private static AddressResolver.Space space(Instruction in) {
        return in.modifiers().stream().anyMatch(modifier -> modifier.startsWith(".shared"))
                ? AddressResolver.Space.SHARED
                : AddressResolver.Space.GENERIC;
    }

    /** Finds the barrier of each lane, in whichever block of the cluster. */
    static Mbarrier find(Warp warp, Step step, int lane, AddressResolver.Space space, long address) {
        AddressResolver.resolve(warp, step, lane, space, address, BYTES, BYTES, warp.access);
        Region block = warp.access.blocks[lane];
        for (Cta cta : warp.cta.cluster().ctas()) {
            if (cta.shared() == block) {
                return cta.mbarrier(warp, step, lane, warp.access.offsets[lane] + Cta.SHARED_BASE);
            }
        }
        throw warp.fault(
                Fault.Kind.BARRIER,
                step,
                lane,
                "an mbarrier is in shared memory, 0x" + Long.toHexString(address) + " is not");
    }

    private static Step each(Instruction in, Operands.Address at, Action action) {
        AddressResolver.Space space = space(in);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    action.run(warp, this, lane, find(warp, this, lane, space, warp.r[at.row() + lane] + at.offset()));
                }
            }
        };
    }

    private static Step initialise(Instruction in, Operands o) {
        Operands.Address at = o.address(0);
        int count = o.source(1, Type.U32);
        AddressResolver.Space space = space(in);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    AddressResolver.resolve(
                            warp, this, lane, space, warp.r[at.row() + lane] + at.offset(), BYTES, BYTES, warp.access);
                    long arrivals = warp.r[count + lane];
                    if (arrivals < 1 || arrivals >= 1 << 20) {
                        throw warp.fault(
                                Fault.Kind.BARRIER,
                                this,
                                lane,
                                "mbarrier for " + arrivals + " arrivals, expected 1 to 2^20 - 1");
                    }
                    warp.cta.initialise(warp.access.offsets[lane] + Cta.SHARED_BASE, (int) arrivals);
                }
                MemorySteps.notifyObservers(warp, this, mask, BYTES, Access.Kind.WRITE, true);
            }
        };
    }

    private static Step arrive(Instruction in, Operands o) {
        int first = o.at(0) instanceof Operand.Mem ? 0 : 1;
        Operands.Address at = o.address(first);
        int d = first == 1 ? o.destination(0) : o.linker().scratch();
        boolean expects = in.has(".expect_tx");
        boolean counts = !expects && o.count() > first + 1;
        int number = expects || counts ? o.source(first + 1, Type.U32) : -1;
        boolean drop = in.has(".arrive_drop");
        boolean relaxed = in.has(".relaxed");
        boolean mayNotComplete = in.has(".noComplete");
        return each(in, at, (warp, step, lane, barrier) -> {
            warp.r[d + lane] = barrier.state();
            if (!relaxed) {
                MemoryOrder.release(warp, 1 << lane, barrier.current());
            }
            if (expects) {
                barrier.expect(warp, step, lane, warp.r[number + lane]);
            }
            int phase = barrier.phase();
            barrier.arrive(warp, step, lane, counts ? (int) warp.r[number + lane] : 1, drop);
            if (mayNotComplete && barrier.phase() != phase) {
                throw warp.fault(
                        Fault.Kind.BARRIER, step, lane, "an arrival with .noComplete completed phase " + phase);
            }
        });
    }

    /** True when the phase is done. A try_wait may time out at any time, a test_wait returns at once. */
    private static Step wait(Instruction in, Operands o) {
        int p = o.predicateDestination(o.at(0));
        Operands.Address at = o.address(1);
        boolean parity = in.has(".parity");
        int which = o.source(2, parity ? Type.U32 : Type.B64);
        boolean tries = in.has(".try_wait");
        boolean relaxed = in.has(".relaxed");
        AddressResolver.Space space = space(in);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                Mbarrier.Phase[] phases = new Mbarrier.Phase[Warp.LANES];
                Mbarrier last = null;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    Mbarrier barrier = find(warp, this, lane, space, warp.r[at.row() + lane] + at.offset());
                    last = barrier;
                    if (barrier.cta() != warp.cta) {
                        throw warp.fault(
                                Fault.Kind.BARRIER, this, lane, "an mbarrier can only be waited for in its own block");
                    }
                    long value = warp.r[which + lane];
                    phases[lane] = parity ? barrier.ofParity((int) value & 1) : barrier.ofState(value);
                }
                Mbarrier barrier = Objects.requireNonNull(last, "the mask is not empty");
                PhaseWait wait = new PhaseWait(warp, mask, phases, p, relaxed, barrier);
                boolean gives = !tries || warp.cta.cluster().random().nextInt(4) == 0;
                if (wait.isReady() || tries && !gives) {
                    warp.block(wait);
                } else {
                    wait.finish(false);
                    warp.block(new Pause(warp.cta.cluster(), barrier));
                }
            }
        };
    }

    /** Lanes that wait for phases. */
    private record PhaseWait(
            Warp warp, int mask, Mbarrier.Phase[] phases, int predicate, boolean relaxed, Mbarrier barrier)
            implements Wait {
        @Override
        public boolean isReady() {
            for (int left = mask; left != 0; left &= left - 1) {
                if (!phases[Integer.numberOfTrailingZeros(left)].isDone()) {
                    return false;
                }
            }
            return true;
        }

        @Override
        public void finish(boolean inTime) {
            for (int left = mask; left != 0; left &= left - 1) {
                int lane = Integer.numberOfTrailingZeros(left);
                Lanewise.set(warp, predicate, 1 << lane, phases[lane].isDone() ? -1 : 0);
                if (phases[lane].isDone()) {
                    phases[lane].seen();
                }
            }
            int left = relaxed ? 0 : mask;
            while (left != 0) {
                Mbarrier.Phase phase = phases[Integer.numberOfTrailingZeros(left)];
                int same = 0;
                for (int others = left; others != 0; others &= others - 1) {
                    int lane = Integer.numberOfTrailingZeros(others);
                    same |= phases[lane] == phase ? 1 << lane : 0;
                }
                left &= ~same;
                if (phase.isDone()) {
                    MemoryOrder.acquire(warp, same, phase);
                }
            }
        }

        @Override
        public boolean mayTimeOut() {
            return true;
        }

        @Override
        public String describe() {
            return barrier.describe();
        }
    }

    /** A warp whose wait timed out pauses until some other warp makes progress, or none can. */
    private static final class Pause implements Wait {
        private final Cluster cluster;
        private final Mbarrier barrier;
        private final long since;

        Pause(Cluster cluster, Mbarrier barrier) {
            this.cluster = cluster;
            this.barrier = barrier;
            this.since = cluster.progressCount();
        }

        @Override
        public boolean isReady() {
            return cluster.progressCount() != since;
        }

        @Override
        public boolean mayTimeOut() {
            return true;
        }

        @Override
        public String describe() {
            return barrier.describe();
        }
    }
}
