package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * cp.async and its groups; bulk copies are in {@link BulkSteps}.
 *
 * <p>Tested by {@code AsyncCopyConformanceTest}.
 */
final class CopySteps {
    static final Map<String, Decoder> FAMILY = Map.of("cp", CopySteps::decode);

    private CopySteps() {}

    private static @Nullable Step decode(Instruction in, Operands o) {
        if (in.has(".tensor")) {
            return TensorCopySteps.decode(in, o);
        }
        if (in.has(".bulk")) {
            return BulkSteps.decode(in, o);
        }
        if (in.has(".mbarrier")) {
            return arrive(in, o);
        }
        if (in.has(".commit_group")) {
            return commit(Async.Group.CP_ASYNC);
        }
        if (in.has(".wait_group")) {
            return waitGroup(Async.Group.CP_ASYNC, o.natural(0));
        }
        return in.has(".wait_all") ? waitAll() : copy(in, o);
    }

    static Step commit(Async.Group group) {
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                warp.groups.commit(group);
                if (group == Async.Group.BULK) {
                    warp.groups.commit(Async.Group.BULK_READ);
                }
            }
        };
    }

    static Step waitGroup(Async.Group group, int keep) {
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                warp.block(new GroupWait(warp, mask, group, warp.groups.limit(group, keep)));
            }
        };
    }

    private static Step waitAll() {
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                warp.groups.commit(Async.Group.CP_ASYNC);
                warp.block(new GroupWait(warp, mask, Async.Group.CP_ASYNC, warp.groups.next(Async.Group.CP_ASYNC)));
            }
        };
    }

    private static Step copy(Instruction in, Operands o) {
        Operands.Address to = o.address(0);
        Operands.Address from = o.address(1);
        int size = (int) o.integer(2);
        if (size != 4 && size != 8 && size != 16) {
            throw in.error("cp.async copies 4, 8 or 16 bytes, not " + size);
        }
        boolean ignores = o.isPredicate(3);
        int ignore = ignores ? o.predicate(3) : 0;
        boolean sized = !ignores && o.count() > 3 && !(in.has(".L2::cache_hint") && o.count() == 4);
        int bytes = sized ? o.source(3, Type.U32) : -1;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int[] reads = new int[Warp.LANES];
                Access access = warp.access;
                int skip = ignores ? Lanewise.test(warp, ignore) : 0;
                int reading = 0;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    reads[lane] = (skip >>> lane & 1) != 0
                            ? 0
                            : bytes < 0 ? size : (int) Math.min(size, warp.r[bytes + lane]);
                    if (bytes >= 0 && warp.r[bytes + lane] > size) {
                        throw warp.fault(
                                Fault.Kind.ILLEGAL,
                                this,
                                lane,
                                "source size " + warp.r[bytes + lane] + " is above " + size);
                    }
                    if (reads[lane] > 0) {
                        reading |= 1 << lane;
                        AddressResolver.resolve(
                                warp,
                                this,
                                lane,
                                AddressResolver.Space.GLOBAL,
                                warp.r[from.row() + lane] + from.offset(),
                                reads[lane],
                                size,
                                access);
                    }
                }
                Region[] sources = access.blocks.clone();
                int[] sourceOffsets = access.offsets.clone();
                Async async = new Async(Async.Group.CP_ASYNC, warp.groups.next(Async.Group.CP_ASYNC), null, null);
                announceSources(warp, this, reading, reads, async);
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    AddressResolver.resolve(
                            warp,
                            this,
                            lane,
                            AddressResolver.Space.SHARED,
                            warp.r[to.row() + lane] + to.offset(),
                            size,
                            size,
                            access);
                }
                notifyObservers(warp, this, mask, size, Access.Kind.WRITE, async);
                Region[] targets = access.blocks.clone();
                int[] targetOffsets = access.offsets.clone();
                warp.groups.add(
                        Async.Group.CP_ASYNC, this, mask, warp.cta.cluster().start(() -> {
                            for (int left = mask; left != 0; left &= left - 1) {
                                int lane = Integer.numberOfTrailingZeros(left);
                                byte[] target = targets[lane].data();
                                for (int k = 0; k < size; k++) {
                                    target[targetOffsets[lane] + k] =
                                            k < reads[lane] ? sources[lane].data()[sourceOffsets[lane] + k] : 0;
                                }
                            }
                        }));
            }
        };
    }

    /** Lanes may read different numbers of bytes. */
    private static void announceSources(Warp warp, Step step, int reading, int[] reads, Async async) {
        int left = reading;
        while (left != 0) {
            int bytes = reads[Integer.numberOfTrailingZeros(left)];
            int same = 0;
            for (int others = left; others != 0; others &= others - 1) {
                int lane = Integer.numberOfTrailingZeros(others);
                same |= reads[lane] == bytes ? 1 << lane : 0;
            }
            notifyObservers(warp, step, same, bytes, Access.Kind.READ, async);
            left &= ~same;
        }
    }

    static void notifyObservers(Warp warp, Step step, int mask, int bytes, Access.Kind kind, Async async) {
        Access access = warp.access;
        access.bytes = bytes;
        access.kind = kind;
        access.strong = kind == Access.Kind.ATOMIC; // bulk reductions are relaxed atomics
        access.blockScope = false;
        access.async = async;
        access.measure(mask);
        for (Observer observer : warp.accessObservers) {
            observer.access(warp, step, mask, access);
        }
        access.async = null;
    }

    /** An mbarrier gets an arrival when the copies that the lane started before are done. */
    private static Step arrive(Instruction in, Operands o) {
        Operands.Address at = o.address(0);
        boolean counted = in.has(".noinc");
        AddressResolver.Space space = in.modifiers().stream().anyMatch(modifier -> modifier.startsWith(".shared"))
                ? AddressResolver.Space.SHARED
                : AddressResolver.Space.GENERIC;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                List<Mbarrier> barriers = new ArrayList<>();
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    Mbarrier barrier =
                            MbarrierSteps.find(warp, this, lane, space, warp.r[at.row() + lane] + at.offset());
                    if (!counted) {
                        barrier.expectArrival();
                    }
                    barriers.add(barrier);
                    if (warp.groups.owes(Async.Group.CP_ASYNC, 1 << lane)) {
                        barrier.owe(warp, this, lane);
                        warp.groups.waited(Async.Group.CP_ASYNC, 1 << lane, warp.groups.next(Async.Group.CP_ASYNC));
                    }
                    for (Observer observer : warp.cta.cluster().observers()) {
                        observer.arrives(
                                warp,
                                1 << lane,
                                barrier.current(),
                                Async.Group.CP_ASYNC,
                                warp.groups.next(Async.Group.CP_ASYNC));
                    }
                }
                warp.cta.cluster().start(() -> {
                    warp.groups.complete(Async.Group.CP_ASYNC, mask);
                    for (Mbarrier barrier : barriers) {
                        barrier.arrive(warp, this, Integer.numberOfTrailingZeros(mask), 1, false);
                    }
                });
            }
        };
    }

    static boolean isMemory(Operands o, int index) {
        return index < o.count() && o.at(index) instanceof Operand.Mem;
    }
}
