package org.contrastive4j.internal.cpu;

import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Attention of one sample. The scores of all heads are stored side by side as [keys, heads x tokens], one column for
 * each head and query. Maxima and sums over keys are then taken row by row, in long loops that vectorise, and
 * OpenBLAS reads queries, keys and values in place.
 *
 * <p>Tested by {@code AttentionOpsTest}.
 *
 * @param keys admitted by the length of the sample, at least 1
 * @param width of all heads together
 */
record AttentionSample(int heads, int tokens, int keys, int width, boolean causal) {
    private int size() {
        return width / heads;
    }

    private int columns() {
        return heads * tokens;
    }

    private int scoreCount() {
        return Math.multiplyExact(keys, columns());
    }

    private float scale() {
        return (float) (1 / Math.sqrt(size()));
    }

    /** Computes out [tokens, width] and logSumExp [heads, tokens] from qkv [tokens, 3 width]. */
    void forward(long qkv, long out, float[] logSumExp) {
        Scratch.OffHeap p = Scratch.offHeap(0, scoreCount());
        scores(qkv, p.address());
        softmax(p.floats(), logSumExp);
        for (int h = 0; h < heads; h++) {
            Blas.sgemm(
                    true,
                    false,
                    tokens,
                    size(),
                    keys,
                    1,
                    column(p, h),
                    columns(),
                    part(qkv, 2, h),
                    3 * width,
                    0,
                    part(out, 0, h),
                    width);
        }
    }

    /** Computes dQkv [tokens, 3 width]; of keys and values only the first {@code keys} rows are written. */
    void backward(long qkv, float[] logSumExp, long dOut, long dQkv) {
        Scratch.OffHeap p = Scratch.offHeap(0, scoreCount());
        Scratch.OffHeap ds = Scratch.offHeap(1, scoreCount());
        int row = 3 * width;
        scores(qkv, p.address());
        for (int h = 0; h < heads; h++) {
            Blas.sgemm(
                    false,
                    true,
                    keys,
                    tokens,
                    size(),
                    1,
                    part(qkv, 2, h),
                    row,
                    part(dOut, 0, h),
                    width,
                    0,
                    column(ds, h),
                    columns());
        }
        softmaxBackward(p.floats(), logSumExp, ds.floats());
        for (int h = 0; h < heads; h++) {
            Blas.sgemm(
                    true,
                    false,
                    tokens,
                    size(),
                    keys,
                    1,
                    column(ds, h),
                    columns(),
                    part(qkv, 1, h),
                    row,
                    0,
                    part(dQkv, 0, h),
                    row);
            Blas.sgemm(
                    false,
                    false,
                    keys,
                    size(),
                    tokens,
                    1,
                    column(ds, h),
                    columns(),
                    part(qkv, 0, h),
                    row,
                    0,
                    part(dQkv, 1, h),
                    row);
            Blas.sgemm(
                    false,
                    false,
                    keys,
                    size(),
                    tokens,
                    1,
                    column(p, h),
                    columns(),
                    part(dOut, 0, h),
                    width,
                    0,
                    part(dQkv, 2, h),
                    row);
        }
    }

    /**
     * Returns the address of the queries (0), keys (1) or values (2) of a head; part 0 of out gives its columns
     * there.
     */
    private long part(long rows, int part, int head) {
        return rows + Float.BYTES * (long) (part * width + head * size());
    }

    private long column(Scratch.OffHeap scores, int head) {
        return scores.address() + Float.BYTES * (long) (head * tokens);
    }

    /** Computes scores[j][h, i] = scale &lt;q_i, k_j&gt;. */
    private void scores(long qkv, long scores) {
        for (int h = 0; h < heads; h++) {
            Blas.sgemm(
                    false,
                    true,
                    keys,
                    tokens,
                    size(),
                    scale(),
                    part(qkv, 1, h),
                    3 * width,
                    part(qkv, 0, h),
                    3 * width,
                    0,
                    scores + Float.BYTES * (long) (h * tokens),
                    columns());
        }
    }

    /** Turns scores into probabilities in place. */
    private void softmax(FloatBuffer scores, float[] logSumExp) {
        int columns = columns();
        float[] row = Scratch.floats(0, columns);
        float[] largest = Scratch.floats(1, columns);
        float[] sum = Scratch.floats(2, columns);
        Arrays.fill(largest, 0, columns, Float.NEGATIVE_INFINITY);
        Arrays.fill(sum, 0, columns, 0);
        for (int j = 0; j < keys; j++) {
            scores.get(j * columns, row, 0, columns);
            mask(row, j, Float.NEGATIVE_INFINITY);
            for (int i = 0; i < columns; i++) {
                largest[i] = Math.max(largest[i], row[i]);
            }
        }
        for (int j = 0; j < keys; j++) {
            scores.get(j * columns, row, 0, columns);
            exponentials(row, largest, j);
            for (int i = 0; i < columns; i++) {
                sum[i] += row[i];
            }
            scores.put(j * columns, row, 0, columns);
        }
        for (int i = 0; i < columns; i++) {
            logSumExp[i] = largest[i] + (float) Math.log(sum[i]);
            sum[i] = 1 / sum[i];
        }
        for (int j = 0; j < keys; j++) {
            scores.get(j * columns, row, 0, columns);
            for (int i = 0; i < columns; i++) {
                row[i] *= sum[i];
            }
            scores.put(j * columns, row, 0, columns);
        }
    }

    /** Computes row = exp(row - shift) where key j is admitted, else 0. */
    private void exponentials(float[] row, float[] shift, int j) {
        int columns = columns();
        for (int i = 0; i < columns; i++) {
            row[i] -= shift[i];
        }
        VectorExp.exp(row, 0, columns);
        mask(row, j, 0);
    }

    /** Writes a value to the queries before key j, which a causal mask excludes. */
    private void mask(float[] row, int j, float value) {
        for (int h = 0; h < heads && causal; h++) {
            Arrays.fill(row, h * tokens, h * tokens + j, value);
        }
    }

    /**
     * Turns scores into probabilities p, and their gradients dp into those of the unscaled scores, scale p (dp - sum
     * over keys of p dp), both in place. The sum is &lt;out, dOut&gt;.
     */
    private void softmaxBackward(FloatBuffer scores, float[] logSumExp, FloatBuffer gradients) {
        int columns = columns();
        float scale = scale();
        float[] p = Scratch.floats(0, columns);
        float[] dp = Scratch.floats(1, columns);
        float[] average = Scratch.floats(2, columns);
        Arrays.fill(average, 0, columns, 0);
        for (int j = 0; j < keys; j++) {
            scores.get(j * columns, p, 0, columns);
            gradients.get(j * columns, dp, 0, columns);
            exponentials(p, logSumExp, j);
            for (int i = 0; i < columns; i++) {
                average[i] = Math.fma(p[i], dp[i], average[i]);
            }
            scores.put(j * columns, p, 0, columns);
        }
        for (int j = 0; j < keys; j++) {
            scores.get(j * columns, p, 0, columns);
            gradients.get(j * columns, dp, 0, columns);
            for (int i = 0; i < columns; i++) {
                dp[i] = scale * p[i] * (dp[i] - average[i]);
            }
            gradients.put(j * columns, dp, 0, columns);
        }
    }
}
