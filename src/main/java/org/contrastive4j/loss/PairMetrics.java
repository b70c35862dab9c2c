package org.contrastive4j.loss;

import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairwiseOps;

/**
 * How the cosines of a batch's pairs lie. Quantiles come from {@link #BINS} equal bins over [-1, 1] and are right to
 * half a bin.
 *
 * @param rowAccuracy share of rows whose largest positive is larger than every negative
 * @param columnAccuracy share of columns, likewise
 * @param positives distribution over positive pairs
 * @param negatives distribution over negative pairs
 * @param ignoredShare ignored pairs over all pairs that are not positive; 0 when all are positive
 */
public record PairMetrics(
        double rowAccuracy,
        double columnAccuracy,
        Distribution positives,
        Distribution negatives,
        double ignoredShare) {
    /** Bins of the histograms. */
    public static final int BINS = 2000;

    /**
     * Cosines of a class of pairs; NaN when it has none.
     *
     * @param p05 the 5% quantile; and so on
     */
    public record Distribution(long count, double mean, double p05, double p50, double p95) {
        static Distribution of(long[] bins) {
            long count = 0;
            double sum = 0;
            for (int k = 0; k < bins.length; k++) {
                count += bins[k];
                sum += bins[k] * centre(k, bins.length);
            }
            return count == 0
                    ? new Distribution(0, Double.NaN, Double.NaN, Double.NaN, Double.NaN)
                    : new Distribution(
                            count,
                            sum / count,
                            quantile(bins, 0.05 * count),
                            quantile(bins, 0.5 * count),
                            quantile(bins, 0.95 * count));
        }

        private static double centre(int bin, int bins) {
            return (2.0 * bin + 1) / bins - 1;
        }

        private static double quantile(long[] bins, double rank) {
            long seen = 0;
            int k = 0;
            while (k < bins.length - 1 && (seen += bins[k]) < rank) {
                k++;
            }
            return centre(k, bins.length);
        }
    }

    /** Of the pairs of both. */
    static PairTileOps.Histogram joined(PairTileOps.Histogram a, PairTileOps.Histogram b) {
        long[] positives = a.positives().clone();
        long[] negatives = a.negatives().clone();
        for (int k = 0; k < positives.length; k++) {
            positives[k] += b.positives()[k];
            negatives[k] += b.negatives()[k];
        }
        return new PairTileOps.Histogram(positives, negatives, a.ignored() + b.ignored());
    }

    static PairMetrics of(PairwiseOps.Result accuracies, PairTileOps.Histogram histogram) {
        Distribution positives = Distribution.of(histogram.positives());
        Distribution negatives = Distribution.of(histogram.negatives());
        long others = histogram.ignored() + negatives.count();
        return new PairMetrics(
                accuracies.rowAccuracy(),
                accuracies.columnAccuracy(),
                positives,
                negatives,
                others == 0 ? 0 : (double) histogram.ignored() / others);
    }
}
