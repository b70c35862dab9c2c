package org.contrastive4j.internal.ptx;

import java.util.Arrays;
import org.contrastive4j.tensor.Precision;

/**
 * Straightforward implementations of matrix products and attention in f32, in the order of the formulas. The errors
 * of the kernels are compared with their errors. In 16 bits attention rounds scores, weights and their gradients
 * between its products.
 */
final class NaiveProducts {
    private NaiveProducts() {}

    /** Computes c [m, n] = op(a) op(b) with a [m, k], or [k, m] if transA, and b [k, n], or [n, k] if transB. */
    static double[] gemm(float[] a, float[] b, boolean transA, boolean transB, int m, int n, int k) {
        double[] c = new double[m * n];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                float sum = 0;
                for (int l = 0; l < k; l++) {
                    sum += a[transA ? l * m + i : i * k + l] * b[transB ? j * k + l : l * n + j];
                }
                c[i * n + j] = sum;
            }
        }
        return c;
    }

    /** Results of attention over qkv [t, 3 w] of one sample, and its gradients for dOut [t, w]. */
    record Attention(double[] out, double[] lse, double[] dQkv) {
        static Attention of(
                Precision precision, float[] qkv, float[] dOut, int tokens, int heads, int size, boolean causal) {
            Attention all = new Attention(
                    new double[tokens * heads * size],
                    new double[heads * tokens],
                    new double[tokens * 3 * heads * size]);
            for (int head = 0; head < heads; head++) {
                new Head(precision, qkv, dOut, tokens, heads * size, head * size, size, causal).put(all, head);
            }
            Arrays.setAll(all.dQkv, i -> NaiveInfoNce.round(all.dQkv[i], precision));
            return all;
        }
    }

    private record Head(
            Precision precision,
            float[] qkv,
            float[] dOut,
            int tokens,
            int width,
            int first,
            int size,
            boolean causal) {
        private float round(float value) {
            return (float) NaiveInfoNce.round(value, precision);
        }

        float q(int i, int k) {
            return qkv[i * 3 * width + first + k];
        }

        float key(int j, int k) {
            return qkv[(i3(j) + 1) * width + first + k];
        }

        float v(int j, int k) {
            return qkv[(i3(j) + 2) * width + first + k];
        }

        private static int i3(int row) {
            return 3 * row;
        }

        void put(Attention all, int head) {
            float factor = 1 / (float) Math.sqrt(size);
            float[] gradients = new float[tokens * 3 * width];
            for (int i = 0; i < tokens; i++) {
                int keys = causal ? i + 1 : tokens;
                float[] p = new float[keys];
                float largest = Float.NEGATIVE_INFINITY;
                for (int j = 0; j < keys; j++) {
                    for (int k = 0; k < size; k++) {
                        p[j] += q(i, k) * key(j, k);
                    }
                    p[j] = round(p[j] * factor);
                    largest = Math.max(largest, p[j]);
                }
                float sum = 0;
                for (int j = 0; j < keys; j++) {
                    p[j] = (float) Math.exp(p[j] - largest);
                    sum += p[j];
                }
                all.lse[head * tokens + i] = largest + (float) Math.log(sum);
                float[] out = new float[size];
                for (int j = 0; j < keys; j++) {
                    p[j] = round(p[j] / sum);
                    for (int k = 0; k < size; k++) {
                        out[k] += p[j] * v(j, k);
                    }
                }
                for (int k = 0; k < size; k++) {
                    out[k] = round(out[k]);
                    all.out[i * width + first + k] = out[k];
                }
                back(i, p, out, factor, gradients);
            }
            for (int i = 0; i < gradients.length; i++) {
                all.dQkv[i] += gradients[i]; // heads have columns of their own
            }
        }

        private void back(int i, float[] p, float[] out, float factor, float[] gradients) {
            float dot = 0;
            for (int k = 0; k < size; k++) {
                dot += out[k] * dOut[i * width + first + k];
            }
            for (int j = 0; j < p.length; j++) {
                float dp = 0;
                for (int k = 0; k < size; k++) {
                    dp += v(j, k) * dOut[i * width + first + k];
                    gradients[(i3(j) + 2) * width + first + k] += p[j] * dOut[i * width + first + k];
                }
                float ds = round(p[j] * (round(dp) - dot) * factor);
                for (int k = 0; k < size; k++) {
                    gradients[i3(i) * width + first + k] += ds * key(j, k);
                    gradients[(i3(j) + 1) * width + first + k] += ds * q(i, k);
                }
            }
        }
    }
}
