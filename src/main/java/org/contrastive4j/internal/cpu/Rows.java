package org.contrastive4j.internal.cpu;

import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.tensor.Tensor;

/**
 * Processes blocks of rows that fit in the cache: load into arrays, loop, store.
 *
 * <p>Block edges depend only on the sizes of the problem, so that results do not depend on the number of threads.
 *
 * <p>Tested by {@code BackendAgreementTest}.
 */
final class Rows {
    static final int BLOCK_ELEMENTS = 1 << 13;
    private static final int SMALL = 1 << 14; // elements below which waking a thread costs more than it saves

    private Rows() {}

    /** Work on rows [from, to). */
    @FunctionalInterface
    interface Body {
        void accept(int from, int to);
    }

    /** Work on rows [from, to) that also adds to sums of its block. */
    @FunctionalInterface
    interface Summing {
        void accept(int from, int to, float[][] sums);
    }

    static int rowsPerBlock(int width) {
        return Math.max(1, BLOCK_ELEMENTS / Math.max(1, width));
    }

    /** Calls the body for all blocks of rows. */
    static void run(int rows, int width, Body body) {
        int step = rowsPerBlock(width);
        int blocks = (rows + step - 1) / step;
        if ((long) rows * width < SMALL) {
            for (int block = 0; block < blocks; block++) {
                body.accept(block * step, Math.min(rows, (block + 1) * step));
            }
        } else {
            Workers.run(blocks, block -> body.accept(block * step, Math.min(rows, (block + 1) * step)));
        }
    }

    /**
     * Calls the body for all blocks of rows, each with {@code count} rows of sums that start at zero; returns their
     * total in block order.
     */
    static float[][] sum(int rows, int width, int count, Summing body) {
        int step = rowsPerBlock(width);
        float[][][] partial = new float[(rows + step - 1) / step][][];
        run(rows, width, (from, to) -> {
            float[][] sums = new float[count][width];
            body.accept(from, to, sums);
            partial[from / step] = sums;
        });
        float[][] total = new float[count][width];
        for (float[][] sums : partial) {
            for (int k = 0; k < count; k++) {
                add(sums[k], total[k], width);
            }
        }
        return total;
    }

    static void add(float[] x, float[] y, int count) {
        for (int j = 0; j < count; j++) {
            y[j] += x[j];
        }
    }

    /** Calls the body for all blocks of at most BLOCK_ELEMENTS elements. */
    static void elements(long size, Elements body) {
        int blocks = Math.toIntExact((size + BLOCK_ELEMENTS - 1) / BLOCK_ELEMENTS);
        run(blocks, BLOCK_ELEMENTS, (from, to) -> {
            for (int block = from; block < to; block++) {
                long at = (long) block * BLOCK_ELEMENTS;
                body.accept(at, (int) Math.min(BLOCK_ELEMENTS, size - at));
            }
        });
    }

    /** Work on elements [at, at + count). */
    @FunctionalInterface
    interface Elements {
        void accept(long at, int count);
    }

    /** Returns scratch array {@code slot} filled with elements [at, at + count) of a tensor. */
    static float[] load(Tensor tensor, long at, int count, int slot) {
        float[] block = Scratch.floats(slot, count);
        ((HostStorage) tensor.storage()).load(tensor.offset() + at, block, 0, count);
        return block;
    }

    static void store(Tensor tensor, long at, int count, float[] block) {
        ((HostStorage) tensor.storage()).store(tensor.offset() + at, block, 0, count);
    }

    /** Returns a copy of a whole small tensor. */
    static float[] all(Tensor tensor) {
        float[] values = new float[Math.toIntExact(tensor.size())];
        ((HostStorage) tensor.storage()).load(tensor.offset(), values, 0, values.length);
        return values;
    }

    /** Computes tensor += sums, for a whole small tensor. */
    static void accumulate(Tensor tensor, float[] sums) {
        float[] values = all(tensor);
        for (int j = 0; j < values.length; j++) {
            values[j] += sums[j];
        }
        store(tensor, 0, values.length, values);
    }
}
