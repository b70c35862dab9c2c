package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.COLUMNS;
import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.PairFunction;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairwiseOps;

/**
 * What every loss takes from its first pass beside its own reductions: the logits of positives and the hardest
 * negatives.
 */
final class PairStatistics {
    private static final List<Reduction> WANTED = List.of(
            Reduction.sum(PairFunction.ONE, ROWS, POSITIVES, Shift.NONE, null),
            Reduction.sum(PairFunction.IDENTITY, ROWS, POSITIVES, Shift.NONE, null),
            Reduction.max(ROWS, POSITIVES, Shift.NONE),
            Reduction.max(ROWS, NEGATIVES, Shift.NONE),
            Reduction.max(COLUMNS, POSITIVES, Shift.NONE),
            Reduction.max(COLUMNS, NEGATIVES, Shift.NONE));

    /** Number of positives of each row. */
    final double[] positives;
    /** Sum of their logits, without bias. */
    final double[] positiveSum;

    final Reduced rowNegative;
    final Reduced columnNegative;
    /** What the loss's own reductions came to. */
    final List<Reduced> own;

    private final Reduced rowPositive;
    private final Reduced columnPositive;

    private PairStatistics(List<Reduced> all) {
        positives = all.get(0).values();
        positiveSum = all.get(1).values();
        rowPositive = all.get(2);
        rowNegative = all.get(3);
        columnPositive = all.get(4);
        columnNegative = all.get(5);
        own = all.subList(WANTED.size(), all.size());
    }

    static PairStatistics of(PairField field, List<Reduction> own) {
        List<Reduction> all = new ArrayList<>(WANTED);
        all.addAll(own);
        return new PairStatistics(field.reduce(all));
    }

    /** Number of rows that have a positive. */
    int rowsWithPositive() {
        int count = 0;
        for (double of : positives) {
            count += of > 0 ? 1 : 0;
        }
        return count;
    }

    /**
     * Accuracies are shares of the rows (columns) with a positive whose largest positive is larger than every negative;
     * the mean positive is over all positive pairs, with the bias.
     */
    PairwiseOps.Result result(double loss, double bias) {
        double sum = 0;
        double count = 0;
        for (int i = 0; i < positives.length; i++) {
            sum += positiveSum[i];
            count += positives[i];
        }
        return new PairwiseOps.Result(
                loss,
                share(rowPositive, rowNegative),
                share(columnPositive, columnNegative),
                count == 0 ? 0 : sum / count + bias);
    }

    /** The same where the first {@code n} rows of the field are rows and the others columns, each against all. */
    PairwiseOps.Result joinedResult(double loss, int n) {
        PairwiseOps.Result whole = result(loss, 0);
        return new PairwiseOps.Result(
                loss,
                share(rowPositive, rowNegative, 0, n),
                share(rowPositive, rowNegative, n, positives.length),
                whole.meanPositive());
    }

    private static double share(Reduced positive, Reduced negative) {
        return share(positive, negative, 0, positive.values().length);
    }

    private static double share(Reduced positive, Reduced negative, int from, int to) {
        int hits = 0;
        int all = 0;
        for (int i = from; i < to; i++) {
            if (positive.counts()[i] > 0) {
                all++;
                hits += positive.values()[i] > negative.values()[i] ? 1 : 0;
            }
        }
        return all == 0 ? 0 : (double) hits / all;
    }

    /**
     * A loss's value and the terms of its gradient.
     *
     * @param slope derivative by the loss's second parameter, unless that is the bias
     */
    record Outcome(double loss, List<PairTileOps.Term> terms, PairStatistics statistics, double slope) {
        Outcome(double loss, List<PairTileOps.Term> terms, PairStatistics statistics) {
            this(loss, terms, statistics, 0);
        }
    }
}
