package org.contrastive4j.ops.cpu;

import java.util.Arrays;

/**
 * One head of one sample. Scores are kept as [keys, tokens], a column per query: maxima and sums over keys are then sums
 * of rows, which vectorise, and every product reads its operands in place but for one transposed copy.
 */
final class AttentionHead {
    private final int tokens;
    private final int keys;
    private final int width;
    private final int size; // of this head
    private final int query; // first column of this head in rows of out and of qkv, where keys and values follow
    private final int lseAt;
    private final float scale;
    private final boolean causal;

    AttentionHead(int head, int heads, int tokens, int keys, int width, boolean causal) {
        this.tokens = tokens;
        this.keys = keys;
        this.width = width;
        this.size = width / heads;
        this.query = head * size;
        this.lseAt = head * tokens;
        this.scale = (float) (1 / Math.sqrt(size));
        this.causal = causal;
    }

    /** Writes this head's columns of result [tokens, width] and its row of lse [heads, tokens]. */
    void forward(float[] in, float[] result, float[] lse) {
        float[] p = Scratch.floats(5, keys * tokens);
        scores(in, p);
        softmax(p, lse);
        product(p, 0, 1, tokens, in, query + 2 * width, 3 * width, result, query, width, tokens, keys, size);
    }

    /** Writes this head's columns of dIn [tokens, 3 width], keys and values below {@code keys} only. */
    void backward(float[] in, float[] result, float[] lse, float[] dResult, float[] dIn) {
        int row = 3 * width;
        int key = query + width;
        int value = query + 2 * width;
        float[] p = Scratch.floats(5, keys * tokens);
        scores(in, p);
        for (int j = 0; j < keys; j++) {
            for (int i = 0; i < tokens; i++) {
                p[j * tokens + i] -= lse[lseAt + i];
            }
        }
        exp(p, keys * tokens);
        mask(p, 0);
        product(p, 0, tokens, 1, dResult, query, width, dIn, value, row, keys, tokens, size);

        float[] ds = Scratch.floats(6, keys * tokens);
        float[] dResultT = Scratch.floats(7, size * tokens);
        transpose(dResult, width, dResultT, 1);
        product(in, value, row, 1, dResultT, 0, tokens, ds, 0, tokens, keys, size, tokens);
        float[] average = Scratch.floats(7, tokens);
        for (int i = 0; i < tokens; i++) {
            float sum = 0;
            for (int c = 0; c < size; c++) {
                sum += result[i * width + query + c] * dResult[i * width + query + c];
            }
            average[i] = sum;
        }
        for (int j = 0; j < keys; j++) {
            for (int i = 0; i < tokens; i++) {
                int at = j * tokens + i;
                ds[at] = scale * p[at] * (ds[at] - average[i]);
            }
        }
        product(ds, 0, 1, tokens, in, key, row, dIn, query, row, tokens, keys, size);
        product(ds, 0, tokens, 1, in, query, row, dIn, key, row, keys, tokens, size);
    }

    /** s[j][i] = scale &lt;q_i, k_j&gt;. */
    private void scores(float[] in, float[] s) {
        float[] queries = Scratch.floats(7, size * tokens);
        transpose(in, 3 * width, queries, scale);
        product(in, query + width, 3 * width, 1, queries, 0, tokens, s, 0, tokens, keys, size, tokens);
    }

    private void transpose(float[] rows, int stride, float[] columns, float factor) {
        for (int i = 0; i < tokens; i++) {
            for (int c = 0; c < size; c++) {
                columns[c * tokens + i] = factor * rows[i * stride + query + c];
            }
        }
    }

    /** Over the keys of every query, in place. */
    private void softmax(float[] s, float[] lse) {
        float[] largest = Scratch.floats(7, 2 * tokens);
        mask(s, Float.NEGATIVE_INFINITY);
        Arrays.fill(largest, 0, tokens, Float.NEGATIVE_INFINITY);
        for (int j = 0; j < keys; j++) {
            for (int i = 0; i < tokens; i++) {
                largest[i] = Math.max(largest[i], s[j * tokens + i]);
            }
        }
        for (int j = 0; j < keys; j++) {
            for (int i = 0; i < tokens; i++) {
                s[j * tokens + i] -= largest[i];
            }
        }
        exp(s, keys * tokens);
        mask(s, 0);
        Arrays.fill(largest, tokens, 2 * tokens, 0);
        for (int j = 0; j < keys; j++) {
            for (int i = 0; i < tokens; i++) {
                largest[tokens + i] += s[j * tokens + i];
            }
        }
        for (int i = 0; i < tokens; i++) {
            lse[lseAt + i] = largest[i] + (float) Math.log(largest[tokens + i]);
            largest[i] = 1 / largest[tokens + i];
        }
        for (int j = 0; j < keys; j++) {
            for (int i = 0; i < tokens; i++) {
                s[j * tokens + i] *= largest[i];
            }
        }
    }

    /** Sets what a causal mask forbids: query i sees keys up to i. */
    private void mask(float[] s, float value) {
        if (causal) {
            for (int j = 1; j < keys; j++) {
                Arrays.fill(s, j * tokens, j * tokens + j, value);
            }
        }
    }

    private static void exp(float[] x, int count) {
        for (int i = 0; i < count; i++) {
            x[i] = (float) Math.exp(x[i]);
        }
    }

    /** c[r][0, width) = sum over k of a[r, k] b[k][0, width), where a lies at atA + r rowStep + k innerStep. */
    private static void product(float[] a, int atA, int rowStep, int innerStep, float[] b, int atB, int bStep,
            float[] c, int atC, int cStep, int rows, int inner, int width) {
        for (int r = 0; r < rows; r++) {
            int to = atC + r * cStep;
            int at = atA + r * rowStep;
            int from = atB;
            Arrays.fill(c, to, to + width, 0);
            int k = 0;
            for (; k + 4 <= inner; k += 4) {
                float a0 = a[at];
                float a1 = a[at + innerStep];
                float a2 = a[at + 2 * innerStep];
                float a3 = a[at + 3 * innerStep];
                int from1 = from + bStep;
                int from2 = from1 + bStep;
                int from3 = from2 + bStep;
                for (int i = 0; i < width; i++) {
                    c[to + i] += a0 * b[from + i] + a1 * b[from1 + i] + a2 * b[from2 + i] + a3 * b[from3 + i];
                }
                at += 4 * innerStep;
                from += 4 * bStep;
            }
            for (; k < inner; k++) {
                float a0 = a[at];
                for (int i = 0; i < width; i++) {
                    c[to + i] += a0 * b[from + i];
                }
                at += innerStep;
                from += bStep;
            }
        }
    }
}
