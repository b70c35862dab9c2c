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

    /** Sum of the squares of all elements, accumulated in f64 by fixed blocks; waits for the result. */
    public final double sumOfSquares(Tensor x) {
        Checks.require("sumOfSquares", "x", x);
        Checks.that(x.dtype() == dtype, "sumOfSquares", "x is " + x + ", wanted " + dtype);
        return sumOfSquaresUnchecked(x);
    }

    protected abstract double sumOfSquaresUnchecked(Tensor x);

    /** {@link #sumOfSquares} of each tensor; does not wait for the results, where the backend has a queue. */
    public final Deferred<double[]> sumsOfSquares(List<Tensor> xs) {
        for (Tensor x : xs) {
            Checks.require("sumsOfSquares", "x", x);
            Checks.that(x.dtype() == dtype, "sumsOfSquares", "x is " + x + ", wanted " + dtype);
        }
        return sumsOfSquaresUnchecked(xs);
    }

    /** What a backend with a queue overrides. */
    protected Deferred<double[]> sumsOfSquaresUnchecked(List<Tensor> xs) {
        double[] sums = xs.stream().mapToDouble(this::sumOfSquaresUnchecked).toArray();
        return () -> sums;
    }

    /** Index of the first element that is NaN or infinite, -1 when all are finite; waits for the result. */
    public final long firstNonFinite(Tensor x) {
        Checks.require("firstNonFinite", "x", x);
        Checks.that(x.dtype() == dtype, "firstNonFinite", "x is " + x + ", wanted " + dtype);
        return firstNonFiniteUnchecked(x);
    }

    protected abstract long firstNonFiniteUnchecked(Tensor x);

    /** {@link #firstNonFinite} without waiting for the result, where the backend has a queue. */
    public final Deferred<Long> firstNonFiniteLater(Tensor x) {
        Checks.require("firstNonFinite", "x", x);
        Checks.that(x.dtype() == dtype, "firstNonFinite", "x is " + x + ", wanted " + dtype);
        return firstNonFiniteLaterUnchecked(x);
    }

    /** What a backend with a queue overrides. */
    protected Deferred<Long> firstNonFiniteLaterUnchecked(Tensor x) {
        long first = firstNonFiniteUnchecked(x);
        return () -> first;
    }
}
