package org.contrastive4j.internal.sim.exec;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A call that has not returned.
 *
 * @param back where it goes on
 * @param outer the call around it; null in the kernel itself
 * @param result how the returned value comes to the caller; null when there is none
 * @param saved what a recursive call would overwrite; null when the function does not call itself
 */
record Frame(
        int back,
        @Nullable Frame outer,
        @Nullable Result result,
        @Nullable Saved saved) {
    /** Bytes of local memory to copy when the call returns. */
    record Result(long from, long to, int bytes) {}

    /** Registers and parameters of a function at the time it was called again. */
    static final class Saved {
        private final int firstRow;
        private final long[] rows;
        private final int firstPredicate;
        private final int[] predicates;
        private final byte[] local;

        Saved(Warp warp, int firstRow, int rowCount, int firstPredicate, int predicateCount) {
            this.firstRow = firstRow;
            this.firstPredicate = firstPredicate;
            this.rows = Arrays.copyOfRange(warp.r, firstRow, firstRow + rowCount);
            this.predicates = Arrays.copyOfRange(warp.p, firstPredicate, firstPredicate + predicateCount);
            this.local = warp.local().data().clone();
        }

        private void restore(Warp warp, int lanes) {
            for (int i = 0; i < rows.length; i++) {
                if ((lanes >>> i % Warp.LANES & 1) != 0) {
                    warp.r[firstRow + i] = rows[i];
                }
            }
            for (int i = 0; i < predicates.length; i++) {
                Lanewise.set(warp, firstPredicate + i, lanes, predicates[i]);
            }
            int size = local.length / Warp.LANES;
            for (int lane = 0; lane < Warp.LANES; lane++) {
                if ((lanes >>> lane & 1) != 0) {
                    System.arraycopy(local, lane * size, warp.local().data(), lane * size, size);
                }
            }
        }
    }

    /** Gives the result to the caller and restores what the call overwrote. */
    void leave(Warp warp, int lanes) {
        byte[] local = warp.local().data();
        int size = local.length / Warp.LANES;
        byte[][] values = new byte[Warp.LANES][];
        for (int lane = 0; lane < Warp.LANES && result != null; lane++) {
            int from = lane * size + (int) result.from();
            values[lane] = Arrays.copyOfRange(local, from, from + result.bytes());
        }
        if (saved != null) {
            saved.restore(warp, lanes);
        }
        for (int lane = 0; lane < Warp.LANES && result != null; lane++) {
            if ((lanes >>> lane & 1) != 0) {
                System.arraycopy(values[lane], 0, local, lane * size + (int) result.to(), result.bytes());
            }
        }
    }
}
