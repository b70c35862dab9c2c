package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * st.async and red.async: a value is stored to the shared memory of a block of the cluster and completes on an mbarrier
 * of its bytes.
 */
final class StoreAsync {
    private StoreAsync() {}

    /** @param f combines the old value and the new; null stores */
    static @Nullable Step decode(Instruction in, Operands o, Lanewise.@Nullable Three f) {
        Type type = Decoder.type(in);
        int n = type.bytes();
        Operands.Address to = o.address(0);
        int[] values = o.sources(1, type);
        Operands.Address signal = o.address(2);
        int bytes = n * values.length;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    start(warp, lane);
                }
            }

            private void start(Warp warp, int lane) {
                Mbarrier barrier = MbarrierSteps.find(
                        warp, this, lane, AddressResolver.Space.SHARED, warp.r[signal.row() + lane] + signal.offset());
                AddressResolver.resolve(
                        warp,
                        this,
                        lane,
                        AddressResolver.Space.SHARED,
                        warp.r[to.row() + lane] + to.offset(),
                        bytes,
                        bytes,
                        warp.access);
                Region block = warp.access.blocks[lane];
                int at = warp.access.offsets[lane];
                if (barrier.cta().shared() != block) {
                    throw warp.fault(
                            Fault.Kind.ILLEGAL, this, lane, "the mbarrier is not in the block that is written to");
                }
                CopySteps.notifyObservers(
                        warp,
                        this,
                        1 << lane,
                        bytes,
                        f == null ? Access.Kind.WRITE : Access.Kind.ATOMIC,
                        new Async(Async.Group.STORE, barrier.phase(), barrier.current(), barrier));
                long[] given = new long[values.length];
                for (int k = 0; k < values.length; k++) {
                    given[k] = warp.r[values[k] + lane];
                }
                barrier.owe(warp, this, lane);
                warp.cta.cluster().start(() -> {
                    for (int k = 0; k < given.length; k++) {
                        int location = at + k * n;
                        block.store(location, n, f == null ? given[k] : f.of(block.load(location, n), given[k], 0));
                    }
                    barrier.complete(bytes);
                });
            }
        };
    }
}
