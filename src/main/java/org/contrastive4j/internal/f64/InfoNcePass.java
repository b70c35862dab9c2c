package org.contrastive4j.internal.f64;

import java.util.Arrays;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One evaluation of InfoNCE. Sums over negatives are kept apart from positives: a small loss is log(1 + e) of a small
 * e, and adding the positive first would leave only its rounding error.
 *
 * <p>Tested by {@code F64GradientsTest}.
 */
final class InfoNcePass {
    private final int n;
    private final int m;
    private final int d;
    private final double[] x;
    private final double[] y;
    private final int[] targets;
    private final double scale;
    private final double bias;
    private final double rowWeight;
    private final double columnWeight;

    private final double[] positive; // logit of row i and its target
    private final double[] rowNegative; // log-sum-exp of the other logits of row i
    private final int[] hardest;
    private final LogSumExps columnNegative; // of the logits of column j in rows that do not belong to it
    private final LogSumExps columnPositive; // of the logits of column j in rows that do
    private final double[] columnLargest;
    private final int[] columnLargestCount;
    private final int[] columnTargets; // rows that belong to column j
    private int rowHits;

    /** The log-sum-exp of each column, extended by one logit at a time. */
    private static final class LogSumExps {
        private final double[] largest;
        private final double[] sum;

        LogSumExps(int count) {
            largest = new double[count];
            sum = new double[count];
            Arrays.fill(largest, Double.NEGATIVE_INFINITY);
        }

        void add(int j, double logit) {
            if (logit > largest[j]) {
                sum[j] = sum[j] * Math.exp(largest[j] - logit) + 1;
                largest[j] = logit;
            } else {
                sum[j] += Math.exp(logit - largest[j]);
            }
        }

        double get(int j) {
            return largest[j] + Math.log(sum[j]);
        }
    }

    InfoNcePass(
            int n,
            int m,
            int d,
            double[] x,
            double[] y,
            int[] targets,
            double scale,
            double bias,
            double rowWeight,
            double columnWeight) {
        this.n = n;
        this.m = m;
        this.d = d;
        this.x = x;
        this.y = y;
        this.targets = targets;
        this.scale = scale;
        this.bias = bias;
        this.rowWeight = rowWeight;
        this.columnWeight = columnWeight;
        positive = new double[n];
        rowNegative = new double[n];
        hardest = new int[n];
        columnNegative = new LogSumExps(m);
        columnPositive = new LogSumExps(m);
        columnLargest = new double[m];
        Arrays.fill(columnLargest, Double.NEGATIVE_INFINITY);
        columnLargestCount = new int[m];
        columnTargets = new int[m];
    }

    private double cosine(int i, int j) {
        return Doubles.dot(x, i * d, y, j * d, d);
    }

    void forward() {
        LogSumExps row = new LogSumExps(n);
        for (int i = 0; i < n; i++) {
            int target = targets[i];
            columnTargets[target]++;
            hardest[i] = -1;
            double hardestLogit = Double.NEGATIVE_INFINITY;
            for (int j = 0; j < m; j++) {
                double logit = scale * cosine(i, j) + bias;
                if (j == target) {
                    positive[i] = logit;
                    columnPositive.add(j, logit);
                } else {
                    row.add(i, logit);
                    columnNegative.add(j, logit);
                    if (hardest[i] < 0 || logit > hardestLogit) {
                        hardest[i] = j;
                        hardestLogit = logit;
                    }
                }
                countLargest(j, logit);
            }
            rowNegative[i] = row.get(i);
            rowHits += positive[i] > hardestLogit || m == 1 ? 1 : 0;
        }
    }

    private void countLargest(int j, double logit) {
        if (logit > columnLargest[j]) {
            columnLargest[j] = logit;
            columnLargestCount[j] = 0;
        }
        if (logit == columnLargest[j]) {
            columnLargestCount[j]++;
        }
    }

    int[] hardest() {
        return hardest;
    }

    PairwiseOps.Result result() {
        double loss = 0;
        double positives = 0;
        int columnHits = 0;
        for (int i = 0; i < n; i++) {
            int t = targets[i];
            double ofRow = softplus(rowNegative[i] - positive[i]);
            double ofColumn =
                    softplus(columnNegative.get(t) - columnPositive.get(t)) + (columnPositive.get(t) - positive[i]);
            loss += (rowWeight * ofRow + columnWeight * ofColumn) / n;
            positives += positive[i] / n;
            columnHits += positive[i] == columnLargest[t] && columnLargestCount[t] == 1 ? 1 : 0;
        }
        return new PairwiseOps.Result(loss, (double) rowHits / n, (double) columnHits / n, positives);
    }

    void backward(double gradientScale, PairwiseOps.Gradients gradients) {
        double[] dx = new double[n * d];
        double[] dy = new double[m * d];
        double[] column = new double[m];
        for (int j = 0; j < m; j++) {
            double gap = columnPositive.get(j) - columnNegative.get(j);
            column[j] = columnTargets[j] == 0 ? Double.NaN : columnPositive.get(j) + softplus(-gap);
        }
        double dLogScale = 0;
        double dBias = 0;
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                double cosine = cosine(i, j);
                double g = gradientScale * gradient(i, j, scale * cosine + bias, column[j]);
                dLogScale += g * scale * cosine;
                dBias += g;
                Doubles.axpy(g * scale, y, j * d, dx, i * d, d);
                Doubles.axpy(g * scale, x, i * d, dy, j * d, d);
            }
        }
        store(dx, gradients.dx());
        store(dy, gradients.dy());
        accumulate(dLogScale, gradients.dLogScale());
        accumulate(dBias, gradients.dBias());
    }

    /**
     * Returns the gradient of the loss with respect to one logit; {@code column} is the log-sum-exp of the whole
     * column.
     */
    private double gradient(int i, int j, double logit, double column) {
        int belonging = columnTargets[j];
        if (j != targets[i]) {
            double p = Math.exp(logit - positive[i] - softplus(rowNegative[i] - positive[i]));
            double q = belonging == 0 ? 0 : belonging * Math.exp(logit - column);
            return (rowWeight * p + columnWeight * q) / n;
        }
        double ofRow = -sigmoid(rowNegative[i] - logit);
        double ofColumn =
                belonging == 1 ? -sigmoid(columnNegative.get(j) - logit) : belonging * Math.exp(logit - column) - 1;
        return (rowWeight * ofRow + columnWeight * ofColumn) / n;
    }

    private static void store(double[] values, @Nullable Tensor target) {
        if (target != null) {
            Doubles.store(values, target);
        }
    }

    private static void accumulate(double value, @Nullable Tensor target) {
        if (target != null) {
            Doubles.store(new double[] {Doubles.load(target)[0] + value}, target);
        }
    }

    /** Returns log(1 + exp(z)). */
    private static double softplus(double z) {
        return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
    }

    private static double sigmoid(double z) {
        return z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
    }
}
