package org.contrastive4j.loss;

import java.util.List;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The mean cross-entropy of soft targets along one axis: (1 / n) sum_i [ lse_j S_ij - sum_j q_ij S_ij ], over pairs
 * that are not ignored; along columns S^T takes the place of S.
 *
 * <p>G_ij = (p_ij - q_ij) / n with p_i = softmax_j S_ij. The pair engine computes p y, the targets compute q y.
 *
 * <p>Numerics: for n = m both p and q are replaced by their differences from hard targets on the diagonal, and lse_j
 * S_ij by lse_j S_ij - S_ii. When the pairs are nearly solved and the targets nearly hard, these differences are small
 * numbers of full relative accuracy, while p y and q y would cancel.
 *
 * <p>Memory: n d for rows, m d for columns.
 *
 * <p>Tested by {@code SoftTargetsTest}.
 */
final class SoftCrossEntropy {
    private final Ops ops;
    private final Pairs pairs;
    private final Axis axis;
    private final SoftTargets targets;
    private final double size;
    private final boolean isSquare;

    SoftCrossEntropy(Ops ops, Pairs pairs, Axis axis, SoftTargets targets) {
        this.ops = ops;
        this.pairs = pairs;
        this.axis = axis;
        this.targets = targets;
        this.size = own().dim(0);
        this.isSquare = own().dim(0) == other().dim(0);
        targets.requireShapes(other(), own());
    }

    private Tensor own() {
        return axis == Axis.ROWS ? pairs.x() : pairs.y();
    }

    private Tensor other() {
        return axis == Axis.ROWS ? pairs.y() : pairs.x();
    }

    /** Returns the two reductions that {@link #terms} and {@link #finish} need. */
    List<Reduction> reductions() {
        return List.of(
                Reduction.logSumExp(axis, isSquare ? Of.NEGATIVES : Of.BOTH, Shift.NONE),
                Reduction.logSumExp(axis, Of.POSITIVES, Shift.NONE));
    }

    private Term term(PairFunction function, Of of, @Nullable Scalars shift, Scalars weight) {
        boolean rows = axis == Axis.ROWS;
        Shift along = shift == null ? Shift.NONE : rows ? Shift.rows(shift) : Shift.columns(shift);
        return new Term(function, of, along, rows ? weight : null, rows ? null : weight);
    }

    /** Returns the terms of p, or of its difference from the diagonal, times a weight. */
    List<Term> terms(List<Reduced> reduced, double weight) {
        Scalars first = reduced.get(0).scalars();
        Scalars ofEach = Scalars.of(weight / size);
        if (!isSquare) {
            return List.of(term(PairFunction.EXP, Of.BOTH, first.times(-1), ofEach));
        }
        Scalars all = reduced.get(1).scalars().plus(gap(reduced));
        Scalars ofNegatives = first.minus(all).exp();
        return List.of(
                term(PairFunction.EXP, Of.NEGATIVES, all.times(-1), ofEach),
                term(PairFunction.ONE, Of.POSITIVES, null, ofNegatives.times(-weight / size)));
    }

    /** Returns lse_j S_ij - S_ii. */
    private static Scalars gap(List<Reduced> reduced) {
        return reduced.get(0).scalars().minus(reduced.get(1).scalars()).softplus();
    }

    /** Returns the loss; adds the gradients of the targets' part, times a weight, to those that are not null. */
    double finish(List<Reduced> reduced, PairwiseOps.@Nullable Gradients gradients, double weight) {
        Scalars ofEach = isSquare ? gap(reduced) : reduced.get(0).scalars();
        double loss = ofEach.sum().at(0) / size;
        try (Tensor product = ops.allocateParameter(own().shape())) {
            if (isSquare) {
                targets.applyDifference(ops, other(), product);
            } else {
                targets.apply(ops, other(), product);
            }
            double dot =
                    ops.pairTiles().hostScope().products(own(), product).sum().at(0);
            double similarity = pairs.scale().at(0) * dot / size;
            if (gradients != null) {
                double factor = -weight * pairs.scale().at(0) / size;
                boolean rows = axis == Axis.ROWS;
                add(factor, product, rows ? gradients.dx() : gradients.dy());
                addTransposed(factor, rows ? gradients.dy() : gradients.dx());
                Tensor dLogScale = gradients.dLogScale();
                if (dLogScale != null) {
                    dLogScale.set(dLogScale.toDoubles()[0] - weight * similarity);
                }
            }
            return loss - similarity;
        }
    }

    private void add(double factor, Tensor product, @Nullable Tensor gradient) {
        if (gradient != null) {
            ops.pointwise().axpy(factor, product, gradient);
        }
    }

    private void addTransposed(double factor, @Nullable Tensor gradient) {
        if (gradient != null) {
            try (Tensor product = ops.allocateParameter(gradient.shape())) {
                if (isSquare) {
                    targets.applyDifferenceTransposed(ops, own(), product);
                } else {
                    targets.applyTransposed(ops, own(), product);
                }
                ops.pointwise().axpy(factor, product, gradient);
            }
        }
    }
}
