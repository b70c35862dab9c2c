package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Of.BOTH;
import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;

/**
 * The cross-entropies of a field of pairs as {@link InfoNce} defines them, rows and columns each with a weight.
 *
 * <p>Tested by {@code ContrastiveLossTest}.
 *
 * @param smoothing of labels, in [0, 1)
 */
record CrossEntropy(double rowWeight, double columnWeight, double smoothing) {
    private static final Scalars NONE = Scalars.of(0);

    /** Reductions along an axis; the last two are for label smoothing alone. */
    private static List<Reduction> reductions(Axis axis) {
        return List.of(
                Reduction.logSumExp(axis, NEGATIVES, Shift.NONE),
                Reduction.logSumExp(axis, POSITIVES, Shift.NONE),
                Reduction.sum(PairFunction.ONE, axis, POSITIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.IDENTITY, axis, POSITIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.ONE, axis, NEGATIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.IDENTITY, axis, NEGATIVES, Shift.NONE, null));
    }

    /** Returns value and terms of the directions that have a weight. */
    ContrastiveLoss.Evaluation evaluate(PairField field) {
        List<Axis> axes =
                Arrays.stream(Axis.values()).filter(axis -> weight(axis) > 0).toList();
        int each = smoothing > 0 ? 6 : 4;
        List<Reduced> reduced = field.reduce(axes.stream()
                .flatMap(axis -> reductions(axis).subList(0, each).stream())
                .toList());
        List<Term> terms = new ArrayList<>();
        Scalars loss = NONE;
        for (int k = 0; k < axes.size(); k++) {
            Axis axis = axes.get(k);
            boolean once = field.pairing().sameIsPositive() || axis == Axis.ROWS;
            loss = loss.plus(direction(axis, reduced.subList(k * each, (k + 1) * each), once, terms));
        }
        return new ContrastiveLoss.Evaluation(loss, terms);
    }

    private double weight(Axis axis) {
        return axis == Axis.ROWS ? rowWeight : columnWeight;
    }

    /**
     * Returns the loss of one direction and adds its terms. A row or column with a positive counts once, or once for
     * each positive; the others do not count.
     */
    private Scalars direction(Axis axis, List<Reduced> reduced, boolean once, List<Term> terms) {
        Scalars negative = reduced.get(0).scalars();
        Scalars positive = reduced.get(1).scalars();
        Scalars count = reduced.get(2).scalars();
        Scalars sum = reduced.get(3).scalars();
        Scalars times = once ? count.min(Scalars.of(1)) : count;
        Scalars weight = count.choose(times.times(weight(axis)).over(times.sum()), NONE);
        Scalars gap = negative.minus(positive).softplus(); // keeps a small loss exact
        Scalars mean = sum.over(count);
        Scalars value = gap.plus(positive.minus(mean));
        boolean rows = axis == Axis.ROWS;
        Scalars shift = count.choose(positive.plus(gap).times(-1), Scalars.of(Double.NEGATIVE_INFINITY));
        terms.add(new Term(
                PairFunction.EXP,
                BOTH,
                rows ? Shift.rows(shift) : Shift.columns(shift),
                rows ? weight : null,
                rows ? null : weight));
        terms.add(constant(
                POSITIVES, rows, count.choose(weight.times(smoothing - 1).over(count), NONE)));
        if (smoothing > 0) {
            Scalars all = count.plus(reduced.get(4).scalars());
            Scalars meanOfAll = sum.plus(reduced.get(5).scalars()).over(all);
            value = value.plus(mean.minus(meanOfAll).times(smoothing));
            terms.add(constant(BOTH, rows, count.choose(weight.times(-smoothing).over(all), NONE)));
        }
        return count.choose(weight.times(value), NONE).sum();
    }

    private static Term constant(Of of, boolean rows, Scalars weights) {
        return new Term(PairFunction.ONE, of, Shift.NONE, rows ? weights : null, rows ? null : weights);
    }
}
