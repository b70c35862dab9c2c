package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * InfoNCE over all pairs of rows, tile by tile: the n x m logit matrix is never stored.
 *
 * <p>Tested by {@code CpuPairwiseOpsTest}.
 */
public abstract class PairwiseOps {
    /**
     * Inputs of InfoNCE over unit rows: logits S_ij = exp(logScale) &lt;x_i, y_j&gt; + bias.
     *
     * @param x [n, d] unit (or zero) rows; read
     * @param y [m, d] unit (or zero) rows; read
     * @param targets [n] I32, the column that row i belongs to, or null: row i belongs to column i, then m &gt;= n
     * @param logScale [1], ln of the logit scale; read
     * @param bias [1] or null for none; read
     * @param rowWeight of the cross-entropy of rows over columns, 0.5 for the symmetric loss
     * @param columnWeight of the cross-entropy of target columns over rows, 0.5 for the symmetric loss
     */
    public record InfoNce(
            Tensor x,
            Tensor y,
            @Nullable Tensor targets,
            Tensor logScale,
            @Nullable Tensor bias,
            double rowWeight,
            double columnWeight) {}

    /**
     * Gradients to compute; a null is left out.
     *
     * @param dx [n, d], of the unit rows; written
     * @param dy [m, d], of the unit rows; written
     * @param dLogScale [1]; accumulated
     * @param dBias [1]; accumulated
     */
    public record Gradients(
            @Nullable Tensor dx,
            @Nullable Tensor dy,
            @Nullable Tensor dLogScale,
            @Nullable Tensor dBias) {}

    /**
     * Value and statistics of one pass; accuracies are shares of the n rows.
     *
     * @param loss mean over the n rows of rowWeight (lse_row(i) - S_it) + columnWeight (lse_column(t) -
     *     S_it), t the target of i
     * @param rowAccuracy share of rows whose target's logit is larger than every other logit of the row
     * @param columnAccuracy share of rows whose logit is larger than every other logit in the column of their target
     * @param meanPositive mean of S_it
     */
    public record Result(double loss, double rowAccuracy, double columnAccuracy, double meanPositive) {}

    private final DType dtype;

    /**
     * Creates the family.
     *
     * @param dtype type of representations, scales and gradients
     */
    protected PairwiseOps(DType dtype) {
        this.dtype = dtype;
    }

    /**
     * Computes the value and, where asked for, gradients of InfoNCE over all pairs: loss = mean_i [ rowWeight (lse_j
     * S_ij - S_it) + columnWeight (lse_k S_kt - S_it) ], t = target of row i.
     *
     * <p>With p = softmax of rows, q = softmax of columns and c_j = number of rows whose target is j: G_ij = (rowWeight
     * (p_ij - [j = t_i]) + columnWeight (c_j q_ij - [j = t_i])) / n, dx = s G y, dy = s G^T x, dLogScale = s sum G_ij
     * &lt;x_i, y_j&gt;, dBias = sum G_ij.
     *
     * <p>Memory: a workspace of {@link #workspaceBytes}, no more.
     *
     * <p>Cost: 2 n m d flops and 2 n m exponentials for the value, 8 n m d flops with gradients. Bytes: x and y are
     * read once for each tile of rows and columns, dx and dy written once; nothing of size n m.
     *
     * <p>Numerics: sums leave the target out, so that a loss of 1e-3 keeps full relative accuracy; finite for any scale
     * at which S is finite.
     *
     * <p>Source: Radford et al., Learning transferable visual models, 2021, figure 3.
     *
     * @param inputs unit rows, targets, scale and weights
     * @param gradients null for the value alone
     * @param gradientScale multiplied into all gradients (loss scaling)
     * @param hardestNegative [n] I32, the column other than the target with the largest logit (the first such), -1 when
     *     m = 1; or null
     * @return value and statistics
     * @throws ShapeException when sizes do not fit, a target is outside [0, m), a weight is below 0 or a weight or the
     *     gradient scale is not finite
     */
    public final Deferred<Result> infoNce(
            InfoNce inputs, @Nullable Gradients gradients, double gradientScale, @Nullable Tensor hardestNegative) {
        Checks.rank("infoNce", "x", inputs.x(), dtype, 2);
        int n = inputs.x().dim(0);
        int d = inputs.x().dim(1);
        Checks.rank("infoNce", "y", inputs.y(), dtype, 2);
        int m = inputs.y().dim(0);
        Checks.that(inputs.y().dim(1) == d, "infoNce", "widths differ: x is " + inputs.x() + ", y is " + inputs.y());
        Checks.that(
                n >= 1 && m >= 1 && d >= 1,
                "infoNce",
                "expected at least one row and one column, got x " + inputs.x() + " and y " + inputs.y());
        checkTargets(inputs.targets(), n, m);
        Checks.shape("infoNce", "logScale", inputs.logScale(), dtype, 1);
        if (inputs.bias() != null) {
            Checks.shape("infoNce", "bias", inputs.bias(), dtype, 1);
        }
        Checks.that(
                isWeight(inputs.rowWeight()) && isWeight(inputs.columnWeight()),
                "infoNce",
                "expected finite weights of 0 or more, got " + inputs.rowWeight() + " and " + inputs.columnWeight());
        if (gradients != null) {
            Checks.that(
                    Double.isFinite(gradientScale),
                    "infoNce",
                    "expected a finite gradient scale, got " + gradientScale);
            checkGradients(inputs, gradients);
        }
        if (hardestNegative != null) {
            Checks.shape("infoNce", "hardestNegative", hardestNegative, DType.I32, n);
            hardestNegative.invalidateValues();
        }
        return infoNceUnchecked(n, m, d, inputs, gradients, gradientScale, hardestNegative);
    }

    /**
     * Computes {@link #infoNce} on arguments that were checked.
     *
     * @param n rows of x, at least 1
     * @param m rows of y, at least 1
     * @param d width of both, at least 1
     * @param inputs unit rows, targets, scale and weights; read
     * @param gradients tensors to write and accumulate; null for the value alone
     * @param gradientScale factor of all gradients, finite
     * @param hardestNegative [n] I32; written; null to leave it out
     * @return value and statistics
     */
    protected abstract Deferred<Result> infoNceUnchecked(
            int n,
            int m,
            int d,
            InfoNce inputs,
            @Nullable Gradients gradients,
            double gradientScale,
            @Nullable Tensor hardestNegative);

    /**
     * Returns the bytes that {@link #infoNce} allocates while it runs.
     *
     * @param n rows of x
     * @param m rows of y
     * @param d width of both
     * @param withGradients whether there are gradients
     * @return bytes, those of the arguments not included
     */
    public abstract long workspaceBytes(int n, int m, int d, boolean withGradients);

    private static boolean isWeight(double weight) {
        return weight >= 0 && Double.isFinite(weight);
    }

    private static void checkTargets(@Nullable Tensor targets, int n, int m) {
        if (targets == null) {
            Checks.that(
                    m >= n,
                    "infoNce",
                    n + " rows but only " + m + " columns; give targets, or at least as many columns as rows");
            return;
        }
        Checks.shape("infoNce", "targets", targets, DType.I32, n);
    }

    private void checkGradients(InfoNce inputs, Gradients gradients) {
        if (gradients.dx() != null) {
            Checks.like("infoNce", "dx", gradients.dx(), inputs.x());
        }
        if (gradients.dy() != null) {
            Checks.like("infoNce", "dy", gradients.dy(), inputs.y());
        }
        if (gradients.dLogScale() != null) {
            Checks.shape("infoNce", "dLogScale", gradients.dLogScale(), dtype, 1);
        }
        if (gradients.dBias() != null) {
            Checks.shape("infoNce", "dBias", gradients.dBias(), dtype, 1);
        }
    }
}
