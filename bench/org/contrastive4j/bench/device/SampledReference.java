package org.contrastive4j.bench.device;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * One direction of InfoNCE for some of the rows in f64, against all rows of the other side: the
 * gradients of those rows.
 *
 * @param gradients of the mean of all losses by the unit row x_i: s / n (sum_j p_ij y_j - y_i)
 */
record SampledReference(double[][] gradients) {
    private static final int CHUNK = 256;

    static SampledReference of(float[][] own, float[][] other, int[] samples, double scale) {
        int n = other.length;
        int d = other[0].length;
        double[][] x = Arrays.stream(samples).mapToObj(i -> unit(own[i])).toArray(double[][]::new);
        double[][] logits = new double[samples.length][n];
        IntStream.range(0, n).parallel().forEach(j -> {
            double[] y = unit(other[j]);
            for (int s = 0; s < x.length; s++) {
                logits[s][j] = scale * dot(x[s], y);
            }
        });
        double[] losses = new double[samples.length];
        for (int s = 0; s < samples.length; s++) {
            double positive = logits[s][samples[s]];
            double largest = Arrays.stream(logits[s]).max().orElseThrow();
            double sum = Arrays.stream(logits[s])
                    .map(logit -> Math.exp(logit - largest))
                    .sum();
            double logSum = largest + Math.log(sum);
            losses[s] = logSum - positive;
        }
        return new SampledReference(gradients(x, other, samples, scale, losses, d));
    }

    /** p_ij = exp(s_ij - s_ii - loss_i), computed when needed instead of stored. */
    private static double[][] gradients(
            double[][] x, float[][] other, int[] samples, double scale, double[] losses, int d) {
        int n = other.length;
        double[] positives = new double[x.length];
        for (int s = 0; s < x.length; s++) {
            positives[s] = scale * dot(x[s], unit(other[samples[s]]));
        }
        double[][][] parts = IntStream.range(0, (n + CHUNK - 1) / CHUNK)
                .parallel()
                .mapToObj(chunk -> {
                    double[][] part = new double[x.length][d];
                    for (int j = chunk * CHUNK; j < Math.min(n, (chunk + 1) * CHUNK); j++) {
                        double[] y = unit(other[j]);
                        for (int s = 0; s < x.length; s++) {
                            double p = Math.exp(scale * dot(x[s], y) - positives[s] - losses[s])
                                    - (j == samples[s] ? 1 : 0);
                            for (int k = 0; k < d; k++) {
                                part[s][k] += scale / n * p * y[k];
                            }
                        }
                    }
                    return part;
                })
                .toArray(double[][][]::new);
        double[][] sum = new double[x.length][d];
        for (double[][] part : parts) {
            for (int s = 0; s < x.length; s++) {
                for (int k = 0; k < d; k++) {
                    sum[s][k] += part[s][k];
                }
            }
        }
        return sum;
    }

    private static double[] unit(float[] row) {
        double[] unit = new double[row.length];
        for (int k = 0; k < row.length; k++) {
            unit[k] = row[k];
        }
        double norm = Math.sqrt(dot(unit, unit));
        for (int k = 0; k < row.length; k++) {
            unit[k] /= norm;
        }
        return unit;
    }

    private static double dot(double[] a, double[] b) {
        double even = 0;
        double odd = 0;
        int k = 0;
        for (; k + 1 < a.length; k += 2) {
            even += a[k] * b[k];
            odd += a[k + 1] * b[k + 1];
        }
        return k < a.length ? even + odd + a[k] * b[k] : even + odd;
    }

    /** |a - b| / |b| over all elements; NaN when one is. */
    static double difference(double[][] a, double[][] b) {
        double error = 0;
        double size = 0;
        for (int i = 0; i < a.length; i++) {
            for (int k = 0; k < a[i].length; k++) {
                error += (a[i][k] - b[i][k]) * (a[i][k] - b[i][k]);
                size += b[i][k] * b[i][k];
            }
        }
        return Math.sqrt(error / size);
    }
}
