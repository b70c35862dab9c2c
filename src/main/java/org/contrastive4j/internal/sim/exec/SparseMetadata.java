package org.contrastive4j.internal.sim.exec;

/**
 * Which columns of A the stored elements of a sparse {@code mma.sp} have.
 *
 * <p>Half of the elements of a row are stored: two of four neighbours, one of two for tf32, two pairs of four pairs for
 * 4-bit elements. Four bits of metadata describe such a group. Of each four threads the selector chooses those that
 * hold the metadata of rows g and g + 8, where g = lane / 4: with elements of 16 bits and more both rows share a
 * register, below that they have one each.
 *
 * <p>Source: PTX ISA, section on mma.sp with sparse matrix A.
 */
final class SparseMetadata {
    private static final int ROWS = 16;

    private final Warp warp;
    private final Step step;
    private final int register;
    private final int selector;
    private final int k;
    private final int bits;

    /**
     * @param register row of the metadata operand
     * @param k columns of A, those that are not stored included
     * @param bits of an element
     */
    SparseMetadata(Warp warp, Step step, int register, int selector, int k, int bits) {
        this.warp = warp;
        this.step = step;
        this.register = register;
        this.selector = selector;
        this.k = k;
        this.bits = bits;
    }

    /** Returns the column of every stored element, row after row, k / 2 for each of the 16 rows. */
    int[] columns() {
        int[] columns = new int[ROWS * k / 2];
        int group = bits == 32 ? 2 : bits == 4 ? 8 : 4;
        int stored = group / 2;
        for (int row = 0; row < ROWS; row++) {
            for (int chunk = 0; chunk < k / group; chunk++) {
                int code = code(row, chunk, k / group);
                for (int e = 0; e < stored; e++) {
                    columns[row * k / 2 + chunk * stored + e] = chunk * group + column(code, e, row, chunk);
                }
            }
        }
        return columns;
    }

    /** Returns the four bits of a group. */
    private int code(int row, int chunk, int chunks) {
        boolean wide = bits >= 16;
        int perWord = wide ? 4 : 8;
        int words = Math.max(1, chunks / perWord);
        int word = chunk / perWord;
        int threads = wide ? words : 2 * words;
        int thread = selector * threads + (wide ? word : row / 8 + 2 * word);
        int shift = 4 * (chunk % perWord) + (wide ? 16 * (row / 8) : 0);
        return (int) (warp.r[register + row % 8 * 4 + thread] >>> shift) & 15;
    }

    /** Returns the column of a stored element within its group. */
    private int column(int code, int element, int row, int chunk) {
        if (bits == 32) {
            if (code != 0b1110 && code != 0b0100) {
                throw warp.fault(
                        Fault.Kind.ILLEGAL,
                        step,
                        row % 8 * 4,
                        "metadata of row " + row + ", group " + chunk + " is " + code + ", expected 4 or 14");
            }
            return code == 0b1110 ? 1 : 0;
        }
        int first = code & 3;
        int second = code >>> 2;
        if (first >= second) {
            throw warp.fault(
                    Fault.Kind.ILLEGAL,
                    step,
                    row % 8 * 4,
                    "metadata of row " + row + ", group " + chunk + " has the positions " + first + " and " + second
                            + ", expected increasing ones");
        }
        int pair = bits == 4 ? element / 2 : element;
        int position = pair == 0 ? first : second;
        return bits == 4 ? 2 * position + element % 2 : position;
    }

    /** Returns the largest selector for a shape. */
    static int mostSelector(int k, int bits) {
        int group = bits == 32 ? 2 : bits == 4 ? 8 : 4;
        int words = Math.max(1, k / group / (bits >= 16 ? 4 : 8));
        return 4 / (bits >= 16 ? words : 2 * words) - 1;
    }
}
