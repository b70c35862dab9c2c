package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Factors;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The difference of a teacher's targets from hard ones: D_ij = softmax_j(T_ij) - h_ij with T_ij = scale &lt;a_i,
 * b_j&gt; and h_ij = 1 / |P_i| for the positives P_i of row i; along columns T^T takes the place of T. Of several axes
 * it is the mean.
 *
 * <p>Cross-entropy against q = (1 - alpha) h + alpha softmax(T) is that against h less alpha sum_ij D_ij S_ij / n.
 *
 * <p>Numerics: once a teacher has solved its pairs, softmax and h nearly cancel. D is therefore never formed as their
 * difference: for a row with one positive it is softmax_ij for negatives and minus their sum for the positive, all
 * small numbers of full relative accuracy.
 *
 * <p>Tested by {@code NearlySolvedPairsTest}.
 */
final class TeacherDifference {
    private final PairTileOps tiles;
    private final Pairs teacher;
    private final List<Term> terms = new ArrayList<>();

    /**
     * Computes the log-sum-exps of the teacher. Cost: one pass.
     *
     * @param scope of the scalars; stays open as long as products are computed
     * @param teacher unit rows of the teacher, each with a positive along every axis
     * @param axes of the softmax
     * @param weight of D
     */
    TeacherDifference(Ops ops, Scalars.Scope scope, Pairs teacher, List<Axis> axes, Scalars weight) {
        this.tiles = ops.pairTiles();
        this.teacher = teacher;
        List<Reduced> reduced = scope.reduce(
                teacher,
                axes.stream()
                        .flatMap(axis -> List.of(
                                Reduction.logSumExp(axis, Of.NEGATIVES, Shift.NONE),
                                Reduction.logSumExp(axis, Of.POSITIVES, Shift.NONE),
                                Reduction.sum(PairFunction.ONE, axis, Of.POSITIVES, Shift.NONE, null))
                                .stream())
                        .toList());
        Scalars ofAxis = weight.times(1.0 / axes.size());
        for (int k = 0; k < axes.size(); k++) {
            Scalars negative = reduced.get(3 * k).scalars();
            Scalars positive = reduced.get(3 * k + 1).scalars();
            Scalars count = reduced.get(3 * k + 2).scalars();
            Scalars all = positive.plus(negative.minus(positive).softplus());
            Scalars ofNegatives = negative.minus(all).exp();
            Scalars ofPositives = positive.times(-1);
            Axis axis = axes.get(k);
            add(axis, PairFunction.EXP, Of.NEGATIVES, all.times(-1), ofAxis);
            add(axis, PairFunction.EXP, Of.POSITIVES, ofPositives, ofAxis);
            add(axis, PairFunction.ONE, Of.POSITIVES, null, ofAxis.times(-1).over(count)); // cancels one positive
            add(
                    axis,
                    PairFunction.EXP,
                    Of.POSITIVES,
                    ofPositives,
                    ofAxis.times(-1).times(ofNegatives));
        }
    }

    private void add(Axis axis, PairFunction function, Of of, @Nullable Scalars shift, Scalars weight) {
        boolean rows = axis == Axis.ROWS;
        Shift along = shift == null ? Shift.NONE : rows ? Shift.rows(shift) : Shift.columns(shift);
        terms.add(new Term(function, of, along, rows ? weight : null, rows ? null : weight));
    }

    /**
     * Computes products with the weight times scale of the teacher: dx = D columns, dy = D^T rows.
     *
     * @param factors rows and columns; read
     * @param dx like the rows, or null; written
     * @param dy like the columns, or null; written
     */
    void products(Factors factors, @Nullable Tensor dx, @Nullable Tensor dy) {
        tiles.products(teacher, terms, factors, dx, dy, 1);
    }
}
