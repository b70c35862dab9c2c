package org.contrastive4j.ops;

import java.util.List;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** What an optimiser needs: the update itself and reductions over gradients; all of the type of parameters. */
public abstract class UpdateOps {
    /**
     * Settings of one AdamW update.
     *
     * @param gradientScale multiplied into the gradient first (clipping, 1 / loss scale)
     * @param step 1 for the first update
     * @param numbers [4] f32 with {@link #changing} in it, or null: recorded updates look there, whatever the settings
     *     were when they were recorded
     */
    public record AdamW(
            double learningRate,
            double beta1,
            double beta2,
            double epsilon,
            double weightDecay,
            double gradientScale,
            int step,
            Tensor numbers) {
        /** Without numbers in a tensor. */
        public AdamW(
                double learningRate,
                double beta1,
                double beta2,
                double epsilon,
                double weightDecay,
                double gradientScale,
                int step) {
            this(learningRate, beta1, beta2, epsilon, weightDecay, gradientScale, step, null);
        }

        /**
         * What changes from step to step: gradientScale, what decay leaves, the rate, and the correction of sqrt(v).
         */
        public float[] changing() {
            return new float[] {
                (float) gradientScale,
                (float) (1 - learningRate * weightDecay),
                (float) (learningRate / (1 - Math.pow(beta1, step))),
                (float) (1 / Math.sqrt(1 - Math.pow(beta2, step)))
            };
        }
    }

    private final DType dtype;

    /** @param dtype of activations */
    protected UpdateOps(DType dtype) {
        this.dtype = Ops.parameterDtype(dtype);
    }

    /**
     * With g = gradientScale gradient: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; parameter = (1 -
     * learningRate weightDecay) parameter - learningRate (m / (1 - beta1^step)) / (sqrt(v / (1 -
     * beta2^step)) + epsilon).
     *
     * <p>All four tensors of one shape; gradient read, the others updated. Source: Loshchilov and Hutter, Decoupled
     * weight decay regularization, ICLR 2019, algorithm 2.
     */
    public final void adamW(AdamW settings, Tensor parameter, Tensor gradient, Tensor m, Tensor v) {
        Checks.require("adamW", "parameter", parameter);
        Checks.that(parameter.dtype() == dtype, "adamW", "parameter is " + parameter + ", wanted " + dtype);
        Checks.like("adamW", "gradient", gradient, parameter);
        Checks.like("adamW", "m", m, parameter);
        Checks.like("adamW", "v", v, parameter);
        Checks.that(settings.step() >= 1, "adamW", "step is " + settings.step() + ", wanted 1 or more");
        adamWUnchecked(settings, parameter, gradient, m, v);
    }

    protected abstract void adamWUnchecked(AdamW settings, Tensor parameter, Tensor gradient, Tensor m, Tensor v);

    /**
     * Returns the sum of the squares of all elements, accumulated in f64 by fixed blocks.
     *
     * @param x of the type of parameters; read
     * @return the sum
     * @throws ShapeException when x is of another type
     */
    public final Deferred<Double> sumOfSquares(Tensor x) {
        return sumsOfSquares(List.of(x)).map(sums -> sums[0]);
    }

    /**
     * Returns {@link #sumOfSquares} of each tensor.
     *
     * @param xs of the type of parameters; read
     * @return one sum for each
     * @throws ShapeException when one is of another type
     */
    public final Deferred<double[]> sumsOfSquares(List<Tensor> xs) {
        for (Tensor x : xs) {
            Checks.require("sumsOfSquares", "x", x);
            Checks.that(x.dtype() == dtype, "sumsOfSquares", "expected x of " + dtype + ", got " + x);
        }
        return sumsOfSquaresUnchecked(xs);
    }

    protected abstract Deferred<double[]> sumsOfSquaresUnchecked(List<Tensor> xs);

    /**
     * Returns the index of the first element that is NaN or infinite, -1 when all are finite.
     *
     * @param x of the type of parameters; read
     * @return the index
     * @throws ShapeException when x is of another type
     */
    public final Deferred<Long> firstNonFinite(Tensor x) {
        Checks.require("firstNonFinite", "x", x);
        Checks.that(x.dtype() == dtype, "firstNonFinite", "expected x of " + dtype + ", got " + x);
        return firstNonFiniteUnchecked(x);
    }

    protected abstract Deferred<Long> firstNonFiniteUnchecked(Tensor x);
}
