package org.contrastive4j.internal.ptx;

import java.util.Arrays;
import org.contrastive4j.tensor.Precision;

/**
 * A straightforward implementation of symmetric InfoNCE in one type: it stores the n x m logits and rounds them, the
 * operands and the gradients to that type; sums, softmax and logarithms are f32. The errors of the kernels are
 * compared with its errors.
 */
final class NaiveInfoNce {
    /** Loss scale in f16, so that small gradients are not lost. */
    private static final float LOSS_SCALE = 1024;

    final float[] x;
    final float[] y;
    double loss;
    final double[] dx;
    final double[] dy;
    double dLogScale;
    double dBias;
    private final Precision precision;

    NaiveInfoNce(Precision precision, int n, int m, int d, float[] u, float[] v, int[] targets, float logScale) {
        this.precision = precision;
        x = unit(u, d);
        y = unit(v, d);
        dx = new double[n * d];
        dy = new double[m * d];
        float scale = (float) Math.exp(logScale);
        float[][] s = new float[n][m];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                float sum = 0;
                for (int k = 0; k < d; k++) {
                    sum += x[i * d + k] * y[j * d + k];
                }
                s[i][j] = stored(scale * sum);
            }
        }
        float[][] g = gradients(s, targets);
        float lossScale = precision == Precision.F16 ? LOSS_SCALE : 1;
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                dLogScale += g[i][j] * s[i][j];
                dBias += g[i][j];
                g[i][j] = round(scale * lossScale * g[i][j]);
            }
        }
        for (int k = 0; k < d; k++) {
            for (int i = 0; i < n; i++) {
                float sum = 0;
                for (int j = 0; j < m; j++) {
                    sum += g[i][j] * y[j * d + k];
                }
                dx[i * d + k] = stored(sum) / lossScale;
            }
            for (int j = 0; j < m; j++) {
                float sum = 0;
                for (int i = 0; i < n; i++) {
                    sum += g[i][j] * x[i * d + k];
                }
                dy[j * d + k] = stored(sum) / lossScale;
            }
        }
    }

    /** Returns dL/dS and sums up the loss. */
    private float[][] gradients(float[][] s, int[] targets) {
        int n = s.length;
        int m = s[0].length;
        float[][] g = new float[n][m];
        float total = 0;
        for (int i = 0; i < n; i++) {
            float lse = logSum(s[i]);
            total += 0.5f * (lse - s[i][targets[i]]);
            for (int j = 0; j < m; j++) {
                g[i][j] += 0.5f * ((float) Math.exp(s[i][j] - lse) - (j == targets[i] ? 1 : 0)) / n;
            }
            float[] column = new float[n];
            for (int k = 0; k < n; k++) {
                column[k] = s[k][targets[i]];
            }
            lse = logSum(column);
            total += 0.5f * (lse - column[i]);
            for (int k = 0; k < n; k++) {
                g[k][targets[i]] += 0.5f * ((float) Math.exp(column[k] - lse) - (k == i ? 1 : 0)) / n;
            }
        }
        loss = total / n;
        return g;
    }

    private static float logSum(float[] values) {
        float largest = Float.NEGATIVE_INFINITY;
        for (float value : values) {
            largest = Math.max(largest, value);
        }
        float sum = 0;
        for (float value : values) {
            sum += (float) Math.exp(value - largest);
        }
        return largest + (float) Math.log(sum);
    }

    private float[] unit(float[] rows, int d) {
        float[] units = Arrays.copyOf(rows, rows.length);
        for (int i = 0; i < rows.length; i += d) {
            float squares = 0;
            for (int k = 0; k < d; k++) {
                squares += rows[i + k] * rows[i + k];
            }
            for (int k = 0; k < d; k++) {
                units[i + k] = round(rows[i + k] / (float) Math.sqrt(squares));
            }
        }
        return units;
    }

    /** Rounds a result; tf32 applies to operands only. */
    private float stored(float value) {
        return precision == Precision.TF32 ? value : round(value);
    }

    private float round(float value) {
        return (float) round(value, precision);
    }

    /** Returns the nearest value of a type; ties to even, in tf32 away from 0. */
    static double round(double value, Precision precision) {
        if (precision == Precision.F32 || value == 0) {
            return (float) value;
        }
        int least = precision == Precision.F16 ? -14 : -126;
        int bits = precision == Precision.BF16 ? 7 : 10;
        double unit = Math.scalb(1.0, Math.max(Math.getExponent(value), least) - bits);
        double units = value / unit;
        return unit
                * (precision == Precision.TF32
                        ? Math.copySign(Math.floor(Math.abs(units) + 0.5), units)
                        : Math.rint(units));
    }
}
