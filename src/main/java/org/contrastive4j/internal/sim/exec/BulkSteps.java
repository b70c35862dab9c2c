package org.contrastive4j.internal.sim.exec;

import java.util.List;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * cp.async.bulk and cp.reduce.async.bulk along one dimension: from and to global memory, between blocks, to several
 * blocks.
 *
 * <p>Tested by {@code AsyncCopyConformanceTest}.
 */
final class BulkSteps {
    private static final int UNIT = 16;

    private BulkSteps() {}

    static @Nullable Step decode(Instruction in, Operands o) {
        if (in.has(".commit_group")) {
            return CopySteps.commit(Async.Group.BULK);
        }
        if (in.has(".wait_group")) {
            return CopySteps.waitGroup(in.has(".read") ? Async.Group.BULK_READ : Async.Group.BULK, o.natural(0));
        }
        if (in.has(".prefetch")) {
            o.address(0);
            o.source(1, Type.U32);
            return ControlSteps.nothing();
        }
        boolean load = in.has(".global") && in.modifiers().indexOf(".global") > firstShared(in);
        boolean store = in.has(".bulk_group");
        boolean reduce = in.has(".reduce");
        Operands.Address to = o.address(0);
        Operands.Address from = o.address(1);
        int size = o.source(2, Type.U32);
        Operands.Address barrier = store ? null : o.address(3);
        boolean multicast = in.has(".multicast::cluster");
        int blocks = multicast ? o.source(4, Type.B16) : -1;
        if (in.has(".L2::cache_hint")) {
            o.source(o.count() - 1, Type.B64);
        }
        Type type = reduce ? Decoder.type(in) : Type.B8;
        Lanewise.Three f = reduce ? reduction(in, type) : null;
        if (reduce && f == null || !load && !store && firstShared(in) < 0) {
            return null;
        }
        if (reduce && store) {
            o.linker().communicatesAcrossBlocks(); // sums of f32 depend on their order
        }
        Plan plan = new Plan(
                to,
                from,
                size,
                barrier,
                blocks,
                store ? AddressResolver.Space.GLOBAL : AddressResolver.Space.SHARED,
                load ? AddressResolver.Space.GLOBAL : AddressResolver.Space.SHARED,
                f,
                type.bytes());
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    plan.start(warp, this, Integer.numberOfTrailingZeros(left));
                }
            }
        };
    }

    private static int firstShared(Instruction in) {
        List<String> modifiers = in.modifiers();
        for (int i = 0; i < modifiers.size(); i++) {
            if (modifiers.get(i).startsWith(".shared")) {
                return i;
            }
        }
        return -1;
    }

    /** Returns the operation of a reduction; null for one that is not known. */
    static Lanewise.@Nullable Three reduction(Instruction in, Type type) {
        int n = type.bytes();
        if (in.has(".add")) {
            return AtomicSteps.sum(type);
        }
        if (in.has(".min") || in.has(".max")) {
            boolean min = in.has(".min");
            return type.isFloat()
                    ? AtomicSteps.extreme(type, min)
                    : (a, b, c) -> (type.isSigned()
                                            ? Numbers.signed(a, n) < Numbers.signed(b, n)
                                            : Long.compareUnsigned(a, b) < 0)
                                    == min
                            ? a
                            : b;
        }
        return in.has(".and")
                ? (a, b, c) -> a & b
                : in.has(".or") ? (a, b, c) -> a | b : in.has(".xor") ? (a, b, c) -> a ^ b : null;
    }

    /** A decoded copy; it completes on an mbarrier or, without one, in the bulk group of the thread. */
    private record Plan(
            Operands.Address to,
            Operands.Address from,
            int size,
            Operands.@Nullable Address barrier,
            int blocks,
            AddressResolver.Space toSpace,
            AddressResolver.Space fromSpace,
            Lanewise.@Nullable Three f,
            int element) {
        void start(Warp warp, Step step, int lane) {
            int bytes = (int) warp.r[size + lane];
            if (bytes <= 0 || bytes % UNIT != 0) {
                throw warp.fault(
                        bytes <= 0 ? Fault.Kind.ILLEGAL : Fault.Kind.MISALIGNED,
                        step,
                        lane,
                        "size " + bytes + " is not a positive multiple of " + UNIT);
            }
            Access access = warp.access;
            AddressResolver.resolve(
                    warp, step, lane, fromSpace, warp.r[from.row() + lane] + from.offset(), bytes, UNIT, access);
            Region source = access.blocks[lane];
            int sourceAt = access.offsets[lane];
            long target = warp.r[to.row() + lane] + to.offset();
            if (barrier == null) {
                startStore(warp, step, lane, bytes, source, sourceAt, target);
                return;
            }
            long signal = warp.r[barrier.row() + lane] + barrier.offset();
            int ranks = blocks < 0 ? 0 : (int) warp.r[blocks + lane] & 0xFFFF;
            if (blocks < 0) {
                startLoad(warp, step, lane, bytes, source, sourceAt, target, signal);
            }
            for (int rank = 0; rank < 16 && ranks != 0; rank++) {
                if ((ranks >>> rank & 1) != 0) {
                    if (rank >= warp.cta.cluster().ctas().size()) {
                        throw warp.fault(
                                Fault.Kind.ILLEGAL,
                                step,
                                lane,
                                "multicast to block " + rank + " of a cluster of "
                                        + warp.cta.cluster().ctas().size());
                    }
                    startLoad(
                            warp,
                            step,
                            lane,
                            bytes,
                            source,
                            sourceAt,
                            Windows.inBlock(target, rank),
                            Windows.inBlock(signal, rank));
                }
            }
        }

        private void startLoad(
                Warp warp, Step step, int lane, int bytes, Region source, int sourceAt, long target, long signal) {
            Mbarrier barrierThere = MbarrierSteps.find(warp, step, lane, AddressResolver.Space.SHARED, signal);
            Async async = new Async(Async.Group.MBARRIER, barrierThere.phase(), barrierThere.current(), barrierThere);
            Access access = warp.access;
            access.blocks[lane] = source;
            access.offsets[lane] = sourceAt;
            CopySteps.notifyObservers(warp, step, 1 << lane, bytes, Access.Kind.READ, async);
            AddressResolver.resolve(warp, step, lane, toSpace, target, bytes, UNIT, access);
            CopySteps.notifyObservers(
                    warp, step, 1 << lane, bytes, f == null ? Access.Kind.WRITE : Access.Kind.ATOMIC, async);
            Region there = access.blocks[lane];
            int at = access.offsets[lane];
            if (barrierThere.cta().shared() != there) {
                throw warp.fault(Fault.Kind.ILLEGAL, step, lane, "the mbarrier is not in the block that is written to");
            }
            barrierThere.owe(warp, step, lane);
            warp.cta.cluster().start(() -> {
                move(source, sourceAt, there, at, bytes);
                barrierThere.complete(bytes);
            });
        }

        private void startStore(Warp warp, Step step, int lane, int bytes, Region source, int sourceAt, long target) {
            Groups groups = warp.groups;
            Access access = warp.access;
            CopySteps.notifyObservers(
                    warp,
                    step,
                    1 << lane,
                    bytes,
                    Access.Kind.READ,
                    new Async(Async.Group.BULK_READ, groups.next(Async.Group.BULK_READ), null, null));
            AddressResolver.resolve(warp, step, lane, toSpace, target, bytes, UNIT, access);
            CopySteps.notifyObservers(
                    warp,
                    step,
                    1 << lane,
                    bytes,
                    f == null ? Access.Kind.WRITE : Access.Kind.ATOMIC,
                    new Async(Async.Group.BULK, groups.next(Async.Group.BULK), null, null));
            Region there = access.blocks[lane];
            int at = access.offsets[lane];
            byte[] buffer = new byte[bytes];
            PendingWork read =
                    warp.cta.cluster().start(() -> System.arraycopy(source.data(), sourceAt, buffer, 0, bytes));
            PendingWork write = warp.cta.cluster().start(() -> {
                read.complete();
                Region staged = new Region(Region.Space.SHARED, "staging", 0, bytes);
                System.arraycopy(buffer, 0, staged.data(), 0, bytes);
                move(staged, 0, there, at, bytes);
            });
            groups.add(Async.Group.BULK_READ, step, 1 << lane, read);
            groups.add(Async.Group.BULK, step, 1 << lane, write);
        }

        private void move(Region source, int sourceAt, Region target, int at, int bytes) {
            if (f == null) {
                System.arraycopy(source.data(), sourceAt, target.data(), at, bytes);
                return;
            }
            for (int k = 0; k < bytes; k += element) {
                target.store(
                        at + k, element, f.of(target.load(at + k, element), source.load(sourceAt + k, element), 0));
            }
        }
    }
}
