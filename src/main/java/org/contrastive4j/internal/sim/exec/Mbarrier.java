package org.contrastive4j.internal.sim.exec;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A phased barrier in shared memory: a phase ends when all arrivals have come and all announced bytes too.
 *
 * <p>Tested by {@code BarrierConformanceTest}.
 */
final class Mbarrier {
    private static final int MOST = (1 << 20) - 1;

    private final Cta cta;
    private final int address;
    private int count;
    private int pending;
    private long transactions;
    private int phase;

    /** What waiters of one phase hold on to. */
    static final class Phase {
        private final Mbarrier barrier;
        private final int number;
        private boolean done;
        private @Nullable Started started;

        Phase(Mbarrier barrier, int number) {
            this.barrier = barrier;
            this.number = number;
        }

        boolean isDone() {
            return done;
        }

        /** A thread has observed that this phase and all before it are complete. */
        void seen() {
            while (!barrier.owing.isEmpty() && barrier.owing.peekFirst().number <= number) {
                barrier.owing.removeFirst();
            }
        }
    }

    /** Asynchronous work that completes on a phase. */
    private record Started(Warp warp, Step step, int lane) {}

    /** Phases with such work whose completion no thread has observed. */
    private final Deque<Phase> owing = new ArrayDeque<>();

    private Phase current = new Phase(this, 0);
    private Phase previous = new Phase(this, -1);

    Mbarrier(Cta cta, int address, int count) {
        this.cta = cta;
        this.address = address;
        this.count = count;
        this.pending = count;
        previous.done = true;
    }

    Cta cta() {
        return cta;
    }

    int address() {
        return address;
    }

    /** Number of completed phases. */
    int phase() {
        return phase;
    }

    Phase current() {
        return current;
    }

    /** The phase of that parity: the current one, or the one before it, which is done. */
    Phase ofParity(int parity) {
        return (phase & 1) == parity ? current : previous;
    }

    Phase ofState(long state) {
        return (int) (state >>> 32) == phase ? current : previous;
    }

    /** Opaque state: the phase and the pending count. */
    long state() {
        return (long) phase << 32 | pending;
    }

    void arrive(Warp warp, Step step, int lane, int arrivals, boolean drop) {
        if (arrivals < 1 || arrivals > pending) {
            throw warp.fault(
                    Fault.Kind.BARRIER,
                    step,
                    lane,
                    "mbarrier at 0x" + Integer.toHexString(address) + " got "
                            + arrivals + " arrivals, but only " + pending + " of " + count
                            + " are outstanding in phase " + phase);
        }
        pending -= arrivals;
        if (drop) {
            count -= arrivals;
        }
        check();
    }

    /** One more arrival is outstanding in this phase. */
    void expectArrival() {
        pending++;
    }

    void expect(Warp warp, Step step, int lane, long bytes) {
        transactions += bytes;
        if (Math.abs(transactions) > MOST) {
            throw warp.fault(
                    Fault.Kind.BARRIER,
                    step,
                    lane,
                    "mbarrier at 0x" + Integer.toHexString(address) + " expects " + transactions + " bytes, more than "
                            + MOST);
        }
    }

    /** Work was started that completes on the current phase. */
    void owe(Warp warp, Step step, int lane) {
        if (current.started == null) {
            current.started = new Started(warp, step, lane);
            owing.addLast(current);
        }
    }

    /** @throws Fault when the block ends before a thread has observed the completion of all such work */
    void checkEnd() {
        if (!owing.isEmpty()) {
            Phase phase = owing.getFirst();
            Started first = Objects.requireNonNull(phase.started, "a phase owes only what was started");
            first.warp.report(first.warp
                    .fault(
                            Fault.Kind.ASYNC_PENDING,
                            first.step,
                            first.lane,
                            "block " + cta.index()
                                    + " ends and none of its threads has waited for it: it may still write shared "
                                    + "memory; wait for phase "
                                    + phase.number + " (parity " + (phase.number & 1) + ") of the mbarrier at 0x"
                                    + Integer.toHexString(address) + " before the end")
                    .as(Fault.Severity.WARNING));
        }
    }

    void complete(long bytes) {
        transactions -= bytes;
        check();
    }

    private void check() {
        if (pending == 0 && transactions == 0) {
            current.done = true;
            previous = current;
            phase++;
            current = new Phase(this, phase);
            pending = count;
            cta.cluster().progress();
        }
    }

    String describe() {
        return "mbarrier at shared address 0x" + Integer.toHexString(address) + " of block " + cta.index() + " (phase "
                + phase + ", " + pending + " of " + count + " arrivals and " + transactions + " bytes outstanding)";
    }
}
