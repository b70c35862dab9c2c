package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.ops.PairwiseOps;

/**
 * The statistics of each row and column that the forward pass computes. Negatives are kept apart from positives: a
 * small loss is log(1 + e) of a small e, and adding the positive first would leave only its rounding error.
 *
 * <p>Tested by {@code CpuPairwiseOpsTest}.
 */
final class InfoNceStatistics {
    /** Stands for minus infinity where differences are taken: finite, and below every logit. */
    static final float LOWEST = -3e38f;

    private final int n;
    private final int m;
    private final double rowWeight;
    private final double columnWeight;
    private final boolean direct;
    final int[] targets;

    final float[] positive; // logit of row i and its target, without bias
    final float[] rowLargest; // of the other logits of row i
    final double[] rowSum; // of exp(logit - rowLargest), or when direct of exp(logit), over the other logits
    private final int[] hardest;
    final float[] columnLargest; // of the logits of column j in rows that do not belong to it
    final float[] columnSum; // of exp(logit - columnLargest), or when direct of exp(logit), in those rows
    private double[] columnPositive = {}; // log-sum-exp of the logits of column j in rows that do, -infinity for none
    private int[] belonging = {}; // number of such rows

    /** @param direct whether sums are of exp(logit) without a shift */
    InfoNceStatistics(int n, int m, int[] targets, double rowWeight, double columnWeight, boolean direct) {
        this.direct = direct;
        this.n = n;
        this.m = m;
        this.targets = targets;
        this.rowWeight = rowWeight;
        this.columnWeight = columnWeight;
        positive = new float[n];
        rowLargest = new float[n];
        rowSum = new double[n];
        hardest = new int[n];
        columnLargest = new float[m];
        columnSum = new float[m];
        Arrays.fill(rowLargest, LOWEST);
        Arrays.fill(hardest, -1);
        Arrays.fill(columnLargest, LOWEST);
    }

    /** Merges the statistics of one tile into row i; tiles of a row come in the order of their columns. */
    void addToRow(int i, float largest, float sum, int at) {
        if (largest > rowLargest[i]) {
            rowSum[i] = rowSum[i] * (direct ? 1 : Math.exp((double) rowLargest[i] - largest)) + sum;
            rowLargest[i] = largest;
            hardest[i] = at;
        } else {
            rowSum[i] += sum * (direct ? 1 : Math.exp((double) largest - rowLargest[i]));
            if (hardest[i] < 0 && at >= 0) {
                hardest[i] = at;
            }
        }
    }

    /**
     * Returns whether the largest logit of every row and column is in [-limit, limit], so that sums of exp(logit) are
     * valid.
     */
    boolean within(float limit) {
        return within(rowLargest, limit) && within(columnLargest, limit) && within(positive, limit);
    }

    private static boolean within(float[] logits, float limit) {
        for (float logit : logits) {
            if (!(Math.abs(logit) <= limit || logit == LOWEST)) {
                return false;
            }
        }
        return true;
    }

    boolean isDirect() {
        return direct;
    }

    int[] hardest() {
        return hardest;
    }

    private double rowNegative(int i) {
        return rowSum[i] == 0 ? Double.NEGATIVE_INFINITY : (direct ? 0 : rowLargest[i]) + Math.log(rowSum[i]);
    }

    private double columnNegative(int j) {
        return columnSum[j] == 0 ? Double.NEGATIVE_INFINITY : (direct ? 0 : columnLargest[j]) + Math.log(columnSum[j]);
    }

    /** Computes the log-sum-exp of the positives of each column; called once, when all positives are known. */
    private void mergePositives() {
        columnPositive = new double[m];
        belonging = new int[m];
        double[] sum = new double[m];
        Arrays.fill(columnPositive, Double.NEGATIVE_INFINITY);
        for (int i = 0; i < n; i++) {
            columnPositive[targets[i]] = Math.max(columnPositive[targets[i]], positive[i]);
            belonging[targets[i]]++;
        }
        for (int i = 0; i < n; i++) {
            sum[targets[i]] += Math.exp(positive[i] - columnPositive[targets[i]]);
        }
        for (int j = 0; j < m; j++) {
            columnPositive[j] += belonging[j] == 0 ? 0 : Math.log(sum[j]);
        }
    }

    PairwiseOps.Result result(double bias) {
        mergePositives();
        float[] best = new float[m];
        int[] bestCount = new int[m];
        System.arraycopy(columnLargest, 0, best, 0, m);
        for (int i = 0; i < n; i++) {
            int t = targets[i];
            if (positive[i] > best[t]) {
                best[t] = positive[i];
                bestCount[t] = 1;
            } else if (positive[i] == best[t]) {
                bestCount[t]++;
            }
        }
        double loss = 0;
        double positives = 0;
        int rowHits = 0;
        int columnHits = 0;
        for (int i = 0; i < n; i++) {
            int t = targets[i];
            double ofRow = softplus(rowNegative(i) - positive[i]);
            double ofColumn = softplus(columnNegative(t) - columnPositive[t]) + (columnPositive[t] - positive[i]);
            loss += (rowWeight == 0 ? 0 : rowWeight * ofRow) + (columnWeight == 0 ? 0 : columnWeight * ofColumn);
            positives += positive[i];
            rowHits += positive[i] > rowLargest[i] ? 1 : 0;
            columnHits += positive[i] > columnLargest[t] && positive[i] == best[t] && bestCount[t] == 1 ? 1 : 0;
        }
        return new PairwiseOps.Result(loss / n, (double) rowHits / n, (double) columnHits / n, positives / n + bias);
    }

    /** Log-sum-exp of all logits of row i. */
    double rowLogSumExp(int i) {
        return positive[i] + softplus(rowNegative(i) - positive[i]);
    }

    /**
     * Log-sum-exp of all logits of column j, or infinity for a column that no row belongs to: it has no cross-entropy.
     */
    double columnLogSumExp(int j) {
        return belonging[j] == 0
                ? Double.POSITIVE_INFINITY
                : columnPositive[j] + softplus(columnNegative(j) - columnPositive[j]);
    }

    int belonging(int j) {
        return belonging[j];
    }

    double rowWeight() {
        return rowWeight;
    }

    double columnWeight() {
        return columnWeight;
    }

    /** Gradient of n times the loss with respect to the logit of row i and its target. */
    double positiveGradient(int i) {
        int t = targets[i];
        double ofRow = -sigmoid(rowNegative(i) - positive[i]);
        double negative = columnNegative(t) - columnPositive[t];
        double ofColumn = belonging[t] == 1
                ? -sigmoid(negative)
                : belonging[t] * Math.exp(positive[i] - columnPositive[t] - softplus(negative)) - 1;
        return (rowWeight == 0 ? 0 : rowWeight * ofRow) + (columnWeight == 0 ? 0 : columnWeight * ofColumn);
    }

    /** log(1 + exp(z)). */
    private static double softplus(double z) {
        return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
    }

    private static double sigmoid(double z) {
        return z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
    }
}
