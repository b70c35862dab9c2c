package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * InfoNCE over all pairs of raw representations: u and v are L2-normalised, logits are S_ij = exp(t) &lt;x_i, y_j&gt; +
 * b with a learnable log-scale t and an optional bias b, and the loss is the mean over rows of the cross-entropy of S,
 * both ways for the symmetric form.
 *
 * <p>Reduction: mean over the n rows of u. Gradients are exact for u, v, t and b, whatever the chunking above.
 * Memory: unit copies of u and v plus the workspace of {@link PairwiseOps#infoNce}; never n x m. Cost: 8 n m d flops
 * for value and gradient.
 *
 * <p>Source: Radford et al., Learning transferable visual models from natural language supervision, 2021, section 2.3;
 * van den Oord et al., Representation learning with contrastive predictive coding, 2018.
 */
public final class InfoNce implements AutoCloseable {
    /** ln(1 / 0.07), where CLIP starts. */
    public static final double INITIAL_LOG_SCALE = Math.log(1 / 0.07);

    /** ln 100, where CLIP clamps. */
    public static final double MAX_LOG_SCALE = Math.log(100);

    /** Which cross-entropies are averaged. */
    public enum Direction {
        /** Rows over columns and columns over rows, half each. */
        SYMMETRIC(0.5, 0.5),
        /** Each row over all columns: queries with hard negatives. */
        ROWS(1, 0),
        /** Each target column over all rows. */
        COLUMNS(0, 1);

        private final double rowWeight;
        private final double columnWeight;

        Direction(double rowWeight, double columnWeight) {
            this.rowWeight = rowWeight;
            this.columnWeight = columnWeight;
        }

        double rowWeight() {
            return rowWeight;
        }

        double columnWeight() {
            return columnWeight;
        }
    }

    private final Ops ops;
    private final Direction direction;
    private final Parameter logScale;
    private final Parameter bias;

    private InfoNce(Ops ops, Direction direction, double initialLogScale, Double initialBias) {
        this.ops = ops;
        this.direction = direction;
        this.logScale = new Parameter(ops, "loss.log_scale", ops.parameterTensor(Shape.of(1), initialLogScale), false);
        this.bias = initialBias == null
                ? null
                : new Parameter(ops, "loss.bias", ops.parameterTensor(Shape.of(1), initialBias), false);
        clamp();
    }

    /** The symmetric loss with CLIP's initial scale and no bias. */
    public static InfoNce symmetric(Ops ops) {
        return new InfoNce(ops, Direction.SYMMETRIC, INITIAL_LOG_SCALE, null);
    }

    /** @param initialBias null for a loss without bias */
    public static InfoNce of(Ops ops, Direction direction, double initialLogScale, Double initialBias) {
        return new InfoNce(ops, direction, initialLogScale, initialBias);
    }

    /** Log-scale, and bias where there is one. */
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(logScale));
        if (bias != null) {
            all.add(bias);
        }
        return all;
    }

    public Parameter logScale() {
        return logScale;
    }

    /** Puts the log-scale back into [0, ln 100]; to be called after each optimiser step. */
    public void clamp() {
        ops.pointwise().clamp(0, MAX_LOG_SCALE, logScale.value());
    }

    /** Value and statistics alone; arguments as for {@link #valueAndGradient}. */
    public PairwiseOps.Result value(Tensor u, Tensor v, Tensor targets, Tensor hardestNegative) {
        return compute(u, v, targets, null, 1, hardestNegative);
    }

    /**
     * Value, statistics, and gradients times {@code gradientScale}.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param targets [n] I32, the row of v that each row of u belongs to, or null when row i belongs to row
     *     i (m &gt;= n); read
     * @param du [n, d], null when not wanted; written, may be u
     * @param dv [m, d], null when not wanted; written, may be v
     * @param gradientScale multiplied into every gradient, those of log-scale and bias too, which are accumulated
     * @param hardestNegative [n] I32, see {@link PairwiseOps#infoNce}, or null; written
     * @throws NonFiniteException when a representation or the loss is not finite; log-scale and bias
     *     keep their gradients
     */
    public PairwiseOps.Result valueAndGradient(
            Tensor u, Tensor v, Tensor targets, Tensor du, Tensor dv, double gradientScale, Tensor hardestNegative) {
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1));
                Tensor dBias = bias == null ? null : ops.zeroParameter(Shape.of(1))) {
            PairwiseOps.Gradients gradients = new PairwiseOps.Gradients(du, dv, dLogScale, dBias);
            PairwiseOps.Result result = compute(u, v, targets, gradients, gradientScale, hardestNegative);
            accumulate(logScale, dLogScale);
            accumulate(bias, dBias);
            return result;
        }
    }

    /**
     * {@link #valueAndGradient} without waiting for its result, where the backend has a queue: nothing is looked at on
     * the way, so that the operations can be recorded.
     *
     * <p>What is not finite is found when the result is asked for: get() throws {@link NonFiniteException}, and by then
     * the gradients of log-scale and bias have been accumulated.
     */
    public Deferred<PairwiseOps.Result> valueAndGradientLater(
            Tensor u, Tensor v, Tensor targets, Tensor du, Tensor dv, double gradientScale) {
        Deferred<Long> badU = ops.update().firstNonFinite(u);
        Deferred<Long> badV = ops.update().firstNonFinite(v);
        int width = u.dim(1);
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1));
                Tensor dBias = bias == null ? null : ops.zeroParameter(Shape.of(1))) {
            Deferred<PairwiseOps.Result> result =
                    begin(u, v, targets, new PairwiseOps.Gradients(du, dv, dLogScale, dBias), gradientScale, null);
            accumulate(logScale, dLogScale);
            accumulate(bias, dBias);
            return () -> {
                requireFinite("u", badU.get(), width);
                requireFinite("v", badV.get(), width);
                return finite(result.get());
            };
        }
    }

    /** Bytes allocated by {@link #valueAndGradient} while it runs. */
    public long workspaceBytes(int n, int m, int d) {
        long element = ops.parameterDtype().bytes();
        return (n + m) * (d + 1L) * element
                + parameters().size() * element
                + ops.pairwise().workspaceBytes(n, m, d, true);
    }

    /** Gradients go where the caller says, none when null; du and dv with respect to the raw representations. */
    PairwiseOps.Result compute(
            Tensor u,
            Tensor v,
            Tensor targets,
            PairwiseOps.Gradients gradients,
            double gradientScale,
            Tensor hardestNegative) {
        requireFinite("u", ops.update().firstNonFinite(u).get(), u.dim(-1));
        requireFinite("v", ops.update().firstNonFinite(v).get(), v.dim(-1));
        return finite(
                begin(u, v, targets, gradients, gradientScale, hardestNegative).get());
    }

    private Deferred<PairwiseOps.Result> begin(
            Tensor u,
            Tensor v,
            Tensor targets,
            PairwiseOps.Gradients gradients,
            double gradientScale,
            Tensor hardestNegative) {
        try (Tensor x = ops.allocateParameter(u.shape());
                Tensor y = ops.allocateParameter(v.shape());
                Tensor xInverse = ops.allocateParameter(u.dim(0));
                Tensor yInverse = ops.allocateParameter(v.dim(0))) {
            ops.norm().l2Normalize(u, x, xInverse);
            ops.norm().l2Normalize(v, y, yInverse);
            PairwiseOps.InfoNce inputs = new PairwiseOps.InfoNce(
                    x,
                    y,
                    targets,
                    logScale.value(),
                    bias == null ? null : bias.value(),
                    direction.rowWeight,
                    direction.columnWeight);
            Deferred<PairwiseOps.Result> result =
                    ops.pairwise().infoNce(inputs, gradients, gradientScale, hardestNegative);
            if (gradients != null) {
                throughNormalisation(x, xInverse, gradients.dx());
                throughNormalisation(y, yInverse, gradients.dy());
            }
            return result;
        }
    }

    private PairwiseOps.Result finite(PairwiseOps.Result result) {
        if (!Double.isFinite(result.loss())) {
            throw new NonFiniteException(
                    "the loss is " + result.loss() + " at log-scale "
                            + logScale.value().toDoubles()[0],
                    -1);
        }
        return result;
    }

    private void accumulate(Parameter parameter, Tensor gradient) {
        if (parameter != null && !parameter.isFrozen()) {
            ops.pointwise().axpy(1, gradient, parameter.gradient());
        }
    }

    private void throughNormalisation(Tensor unit, Tensor inverseNorm, Tensor gradient) {
        if (gradient != null) {
            ops.norm().l2NormalizeBackward(unit, inverseNorm, gradient, gradient);
        }
    }

    private static void requireFinite(String side, long bad, int width) {
        if (bad >= 0) {
            int row = (int) (bad / width);
            throw new NonFiniteException(
                    "representation " + row + " of " + side + " is not finite (element " + bad % width + ")", row);
        }
    }

    @Override
    public void close() {
        parameters().forEach(Parameter::close);
    }
}
