package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.COLUMNS;
import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.List;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;

/** Statistics that the first pass of every loss computes in addition: logits of positives and hardest negatives. */
final class PairStatistics {
    /** The reductions that it needs, in this order. */
    static final List<Reduction> REDUCTIONS = List.of(
            Reduction.sum(PairFunction.ONE, ROWS, POSITIVES, Shift.NONE, null),
            Reduction.sum(PairFunction.IDENTITY, ROWS, POSITIVES, Shift.NONE, null),
            Reduction.max(ROWS, POSITIVES, Shift.NONE),
            Reduction.max(ROWS, NEGATIVES, Shift.NONE),
            Reduction.max(COLUMNS, POSITIVES, Shift.NONE),
            Reduction.max(COLUMNS, NEGATIVES, Shift.NONE));

    /** Number of positives of each row. */
    final Scalars positives;
    /** Sum of their logits, without bias. */
    final Scalars positiveSum;

    final Reduced rowNegative;
    final Reduced columnNegative;
    private final Reduced rowPositive;
    private final Reduced columnPositive;

    /** @param reduced results of {@link #REDUCTIONS} */
    PairStatistics(List<Reduced> reduced) {
        positives = reduced.get(0).scalars();
        positiveSum = reduced.get(1).scalars();
        rowPositive = reduced.get(2);
        rowNegative = reduced.get(3);
        columnPositive = reduced.get(4);
        columnNegative = reduced.get(5);
    }

    /**
     * Accuracies are shares of the rows (columns) with a positive whose largest positive is larger than every negative;
     * the mean positive is over all positive pairs, with the bias.
     */
    Deferred<PairwiseOps.Result> result(Scalars loss, Scalars bias) {
        return result(loss, share(hits(rowPositive, rowNegative)), share(hits(columnPositive, columnNegative)), bias);
    }

    /**
     * Computes the result where the first {@code n} rows of the field are rows and the others columns, each against
     * all.
     */
    Deferred<PairwiseOps.Result> joinedResult(Scalars loss, int n) {
        Hits hits = hits(rowPositive, rowNegative);
        int all = hits.has.size();
        return result(loss, share(hits.slice(0, n)), share(hits.slice(n, all)), Scalars.of(0));
    }

    private Deferred<PairwiseOps.Result> result(Scalars loss, Scalars ofRows, Scalars ofColumns, Scalars bias) {
        Scalars count = positives.sum();
        Scalars mean = count.choose(positiveSum.sum().over(count).plus(bias), Scalars.of(0));
        Deferred<double[]> ofLoss = loss.values();
        Deferred<double[]> rowAccuracy = ofRows.values();
        Deferred<double[]> columnAccuracy = ofColumns.values();
        return mean.values()
                .map(meanPositive -> new PairwiseOps.Result(
                        ofLoss.get()[0], rowAccuracy.get()[0], columnAccuracy.get()[0], meanPositive[0]));
    }

    /** For each row or column, 1 or 0: whether it has a positive, and whether that is above all negatives. */
    private record Hits(Scalars has, Scalars isAbove) {
        Hits slice(int from, int to) {
            return new Hits(has.slice(from, to), isAbove.slice(from, to));
        }
    }

    private static Hits hits(Reduced positive, Reduced negative) {
        Scalars none = Scalars.of(0);
        Scalars has = positive.requireTies().min(Scalars.of(1));
        Scalars isAbove = positive.scalars().minus(negative.scalars()).choose(has, none);
        return new Hits(has, has.choose(isAbove, none));
    }

    private static Scalars share(Hits hits) {
        Scalars all = hits.has.sum();
        return all.choose(hits.isAbove.sum().over(all), Scalars.of(0));
    }
}
