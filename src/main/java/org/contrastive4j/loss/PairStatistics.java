package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.COLUMNS;
import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.List;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairwiseOps;

/** What the first pass of every loss measures in addition: logits of positives and the hardest negatives. */
final class PairStatistics {
    /** What it is made of, in this order. */
    static final List<Reduction> REDUCTIONS = List.of(
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
    private final Reduced rowPositive;
    private final Reduced columnPositive;

    /** @param reduced results of {@link #REDUCTIONS} */
    PairStatistics(List<Reduced> reduced) {
        positives = reduced.get(0).values();
        positiveSum = reduced.get(1).values();
        rowPositive = reduced.get(2);
        rowNegative = reduced.get(3);
        columnPositive = reduced.get(4);
        columnNegative = reduced.get(5);
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
}
