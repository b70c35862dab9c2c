package org.contrastive4j.support;

/** Values of the losses by their definitions, with whole matrices and the functions of Math. */
public final class LossReference {
    public static final int POSITIVE = 1;
    public static final int NEGATIVE = 0;
    public static final int IGNORED = -1;

    private LossReference() {}

    /** Returns the logits of raw rows. */
    public static double[][] logits(double[] u, double[] v, int n, int m, int d, double scale, double bias) {
        double[][] s = new double[n][m];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                double dot = 0;
                double ofU = 0;
                double ofV = 0;
                for (int k = 0; k < d; k++) {
                    dot += u[i * d + k] * v[j * d + k];
                    ofU += u[i * d + k] * u[i * d + k];
                    ofV += v[j * d + k] * v[j * d + k];
                }
                s[i][j] = (ofU == 0 || ofV == 0 ? 0 : scale * dot / Math.sqrt(ofU) / Math.sqrt(ofV)) + bias;
            }
        }
        return s;
    }

    public static double[][] transposed(double[][] s) {
        double[][] t = new double[s[0].length][s.length];
        for (int i = 0; i < s.length; i++) {
            for (int j = 0; j < t.length; j++) {
                t[j][i] = s[i][j];
            }
        }
        return t;
    }

    public static int[][] transposed(int[][] s) {
        int[][] t = new int[s[0].length][s.length];
        for (int i = 0; i < s.length; i++) {
            for (int j = 0; j < t.length; j++) {
                t[j][i] = s[i][j];
            }
        }
        return t;
    }

    /**
     * Returns the mean, over rows that have a positive (counted once, or once per positive), of the cross-entropy
     * against smoothed targets.
     */
    public static double crossEntropy(double[][] s, int[][] classes, double smoothing, boolean once) {
        double total = 0;
        double weights = 0;
        for (int i = 0; i < s.length; i++) {
            int positives = 0;
            int all = 0;
            double sum = 0;
            double largest = Double.NEGATIVE_INFINITY;
            for (int j = 0; j < s[i].length; j++) {
                positives += classes[i][j] == POSITIVE ? 1 : 0;
                all += classes[i][j] == IGNORED ? 0 : 1;
                largest = classes[i][j] == IGNORED ? largest : Math.max(largest, s[i][j]);
            }
            for (int j = 0; j < s[i].length; j++) {
                sum += classes[i][j] == IGNORED ? 0 : Math.exp(s[i][j] - largest);
            }
            double entropy = 0;
            for (int j = 0; j < s[i].length; j++) {
                double q = (classes[i][j] == POSITIVE ? (1 - smoothing) / positives : 0)
                        + (classes[i][j] == IGNORED ? 0 : smoothing / all);
                entropy -= q == 0 ? 0 : q * (s[i][j] - largest - Math.log(sum));
            }
            double weight = once ? Math.min(positives, 1) : positives;
            total += weight == 0 ? 0 : weight * entropy;
            weights += weight;
        }
        return weights == 0 ? 0 : total / weights;
    }

    /** Returns the sum of ln(1 + e^-S) over positives and weight ln(1 + e^S) over negatives. */
    public static double binary(double[][] s, int[][] classes, double weight) {
        double total = 0;
        for (int i = 0; i < s.length; i++) {
            for (int j = 0; j < s[i].length; j++) {
                if (classes[i][j] == POSITIVE) {
                    total += softplus(-s[i][j]);
                } else if (classes[i][j] == NEGATIVE) {
                    total += weight * softplus(s[i][j]);
                }
            }
        }
        return total;
    }

    public static int pairs(int[][] classes) {
        int count = 0;
        for (int[] row : classes) {
            for (int of : row) {
                count += of == IGNORED ? 0 : 1;
            }
        }
        return count;
    }

    private static double softplus(double z) {
        return z > 30 ? z + Math.exp(-z) : Math.log1p(Math.exp(z));
    }

    /** Returns the sum, over rows that have a positive, of the hinges of all, the hardest or the semi-hard negative. */
    public static double triplets(double[][] s, int[][] classes, double margin, String negatives) {
        double total = 0;
        for (int i = 0; i < s.length; i++) {
            double positive = Double.NaN;
            for (int j = 0; j < s[i].length; j++) {
                positive = classes[i][j] == POSITIVE ? s[i][j] : positive;
            }
            double hardest = Double.NEGATIVE_INFINITY;
            double below = Double.NEGATIVE_INFINITY;
            double least = Double.POSITIVE_INFINITY;
            for (int j = 0; j < s[i].length && !Double.isNaN(positive); j++) {
                if (classes[i][j] == NEGATIVE) {
                    total += negatives.equals("ALL") ? Math.max(0, margin + s[i][j] - positive) : 0;
                    hardest = Math.max(hardest, s[i][j]);
                    below = s[i][j] < positive ? Math.max(below, s[i][j]) : below;
                    least = Math.min(least, s[i][j]);
                }
            }
            if (hardest > Double.NEGATIVE_INFINITY && !negatives.equals("ALL")) {
                double semiHard = below > Double.NEGATIVE_INFINITY ? below : least;
                total += Math.max(0, margin + (negatives.equals("HARDEST") ? hardest : semiHard) - positive);
            }
        }
        return total;
    }

    /**
     * Returns the mean, over rows that have a positive, of the mean of -ln(n P) at the positives; P is e^S after rows
     * and columns were rescaled in turn.
     */
    public static double sinkhorn(double[][] s, int[][] classes, int iterations) {
        int n = s.length;
        int m = s[0].length;
        double[][] p = new double[n][m];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                p[i][j] = classes[i][j] == IGNORED ? 0 : Math.exp(s[i][j]);
            }
        }
        for (int k = 0; k < iterations; k++) {
            for (int i = 0; i < n; i++) {
                double sum = 0;
                for (int j = 0; j < m; j++) {
                    sum += p[i][j];
                }
                for (int j = 0; j < m; j++) {
                    p[i][j] /= sum == 0 ? 1 : sum;
                }
            }
            for (int j = 0; j < m; j++) {
                double sum = 0;
                for (int i = 0; i < n; i++) {
                    sum += p[i][j];
                }
                for (int i = 0; i < n; i++) {
                    p[i][j] *= sum == 0 ? 1 : (double) n / m / sum;
                }
            }
        }
        double total = 0;
        int rows = 0;
        for (int i = 0; i < n; i++) {
            int positives = 0;
            double logs = 0;
            for (int j = 0; j < m; j++) {
                if (classes[i][j] == POSITIVE) {
                    positives++;
                    logs += Math.log(p[i][j]);
                }
            }
            rows += positives > 0 ? 1 : 0;
            total -= positives > 0 ? logs / positives : 0;
        }
        return rows == 0 ? 0 : total / rows;
    }
}
