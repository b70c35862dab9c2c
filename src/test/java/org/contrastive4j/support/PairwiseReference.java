package org.contrastive4j.support;

import org.contrastive4j.ops.PairwiseOps;

/**
 * InfoNCE by its definition: all logits in one array, exponentials and logarithms of Math.
 */
public final class PairwiseReference {
    public final double loss;
    public final double rowAccuracy;
    public final double columnAccuracy;
    public final double meanPositive;
    public final int[] hardest;
    public final double[] dx;
    public final double[] dy;
    public double dLogScale;
    public double dBias;

    public PairwiseReference(
            int n,
            int m,
            int d,
            double[] x,
            double[] y,
            int[] targets,
            double logScale,
            double bias,
            double rowWeight,
            double columnWeight) {
        double scale = Math.exp(logScale);
        double[][] s = new double[n][m];
        double[][] cosine = new double[n][m];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                for (int k = 0; k < d; k++) {
                    cosine[i][j] += x[i * d + k] * y[j * d + k];
                }
                s[i][j] = scale * cosine[i][j] + bias;
            }
        }
        double[][] g = new double[n][m];
        double total = 0;
        double positives = 0;
        int rows = 0;
        int columns = 0;
        hardest = new int[n];
        for (int i = 0; i < n; i++) {
            int t = targets[i];
            double rowOthers = 0; // sum over the others of exp(S_ij - S_it)
            double columnOthers = 0;
            boolean rowHit = true;
            boolean columnHit = true;
            hardest[i] = -1;
            for (int j = 0; j < m; j++) {
                if (j != t) {
                    rowOthers += Math.exp(s[i][j] - s[i][t]);
                    rowHit &= s[i][t] > s[i][j];
                    hardest[i] = hardest[i] < 0 || s[i][j] > s[i][hardest[i]] ? j : hardest[i];
                }
            }
            for (int k = 0; k < n; k++) {
                if (k != i) {
                    columnOthers += Math.exp(s[k][t] - s[i][t]);
                    columnHit &= s[i][t] > s[k][t];
                }
            }
            total += rowWeight * Math.log1p(rowOthers) + columnWeight * Math.log1p(columnOthers);
            positives += s[i][t];
            rows += rowHit ? 1 : 0;
            columns += columnHit ? 1 : 0;
            for (int j = 0; j < m; j++) {
                g[i][j] += j == t
                        ? -rowWeight * rowOthers / (1 + rowOthers)
                        : rowWeight * Math.exp(s[i][j] - s[i][t]) / (1 + rowOthers);
            }
            for (int k = 0; k < n; k++) {
                g[k][t] += k == i
                        ? -columnWeight * columnOthers / (1 + columnOthers)
                        : columnWeight * Math.exp(s[k][t] - s[i][t]) / (1 + columnOthers);
            }
        }
        loss = total / n;
        meanPositive = positives / n;
        rowAccuracy = (double) rows / n;
        columnAccuracy = (double) columns / n;
        dx = new double[n * d];
        dy = new double[m * d];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                double gradient = g[i][j] / n;
                dLogScale += gradient * scale * cosine[i][j];
                dBias += gradient;
                for (int k = 0; k < d; k++) {
                    dx[i * d + k] += scale * gradient * y[j * d + k];
                    dy[j * d + k] += scale * gradient * x[i * d + k];
                }
            }
        }
    }

    public PairwiseOps.Result result() {
        return new PairwiseOps.Result(loss, rowAccuracy, columnAccuracy, meanPositive);
    }
}
