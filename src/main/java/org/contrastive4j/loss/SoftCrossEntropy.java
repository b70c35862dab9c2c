package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The mean cross-entropy of soft targets along one axis: (1 / n) sum_i [ lse_j S_ij - sum_j q_ij S_ij ], over pairs
 * that are not ignored; along columns S^T takes the place of S.
 *
 * <p>G_ij = (softmax_j S_ij - q_ij) / n. The first part is a term of the tiled engine, the second a product: dx -= e^t
 * q y / n, dy -= e^t q^T x / n, dt -= sum_i &lt;x_i, (q y)_i&gt; e^t / n. Memory: n d for rows, m d for columns.
 *
 * <p>Tested by {@code SoftTargetsTest}.
 */
final class SoftCrossEntropy {
    private static final int BLOCK = 256; // rows whose products are summed at a time

    private final Ops ops;
    private final Pairs pairs;
    private final Axis axis;
    private final SoftTargets targets;
    private final double size;

    SoftCrossEntropy(Ops ops, Pairs pairs, Axis axis, SoftTargets targets) {
        this.ops = ops;
        this.pairs = pairs;
        this.axis = axis;
        this.targets = targets;
        this.size = own().dim(0);
        targets.requireShapes(other(), own());
    }

    private Tensor own() {
        return axis == Axis.ROWS ? pairs.x() : pairs.y();
    }

    private Tensor other() {
        return axis == Axis.ROWS ? pairs.y() : pairs.x();
    }

    private Shift along(double[] shift) {
        return axis == Axis.ROWS ? Shift.rows(shift) : Shift.columns(shift);
    }

    /** What the softmax needs from a pass. */
    Reduction reduction() {
        return Reduction.logSumExp(axis, Of.BOTH, Shift.NONE);
    }

    /** The softmax's part of G, times a weight. */
    Term term(double[] logSums, double weight) {
        double[] shift = Arrays.stream(logSums).map(value -> -value).toArray();
        double[] weights = new double[shift.length];
        Arrays.fill(weights, weight / size);
        return new Term(
                PairFunction.EXP,
                Of.BOTH,
                along(shift),
                axis == Axis.ROWS ? weights : null,
                axis == Axis.ROWS ? null : weights);
    }

    /** Value; adds the targets' part of the gradients, times a weight, to those that are not null. */
    double finish(double[] logSums, PairwiseOps.@Nullable Gradients gradients, double weight) {
        double loss = Arrays.stream(logSums).sum() / size;
        try (Tensor expected = ops.allocateParameter(own().shape())) {
            targets.apply(ops, other(), expected);
            double similarity = pairs.scale() * dot(own(), expected) / size;
            if (gradients != null) {
                double factor = -weight * pairs.scale() / size;
                boolean rows = axis == Axis.ROWS;
                add(factor, expected, rows ? gradients.dx() : gradients.dy());
                addTransposed(factor, rows ? gradients.dy() : gradients.dx());
                Tensor dLogScale = gradients.dLogScale();
                if (dLogScale != null) {
                    dLogScale.set(dLogScale.toDoubles()[0] - weight * similarity);
                }
            }
            return loss - similarity;
        }
    }

    /** The loss of one axis alone, its gradients written. */
    double alone(PairwiseOps.@Nullable Gradients gradients, double weight) {
        double[] logSums =
                ops.pairTiles().reduce(pairs, List.of(reduction())).get().get(0).values();
        if (gradients != null) {
            ops.pairTiles().gradient(pairs, List.of(term(logSums, weight)), gradients, 1);
        }
        return finish(logSums, gradients, weight);
    }

    private void add(double factor, Tensor product, @Nullable Tensor gradient) {
        if (gradient != null) {
            ops.pointwise().axpy(factor, product, gradient);
        }
    }

    private void addTransposed(double factor, @Nullable Tensor gradient) {
        if (gradient != null) {
            try (Tensor product = ops.allocateParameter(gradient.shape())) {
                targets.applyTransposed(ops, own(), product);
                ops.pointwise().axpy(factor, product, gradient);
            }
        }
    }

    /** Sum of all products, in f64. */
    static double dot(Tensor a, Tensor b) {
        double sum = 0;
        for (int from = 0; from < a.dim(0); from += BLOCK) {
            int to = Math.min(a.dim(0), from + BLOCK);
            double[] left = a.rows(from, to).toDoubles();
            double[] right = b.rows(from, to).toDoubles();
            for (int k = 0; k < left.length; k++) {
                sum += left[k] * right[k];
            }
        }
        return sum;
    }
}
