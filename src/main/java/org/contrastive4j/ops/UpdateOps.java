package org.contrastive4j.ops;

import java.util.List;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Optimiser updates and reductions over gradients; all tensors have the type of parameters.
 *
 * <p>The public methods check their arguments; a backend implements the unchecked counterparts. In the costs, N is the
 * number of elements and e the number of bytes of one.
 *
 * <p>Tested by {@code OptimTest}.
 */
public abstract class UpdateOps {
    /**
     * The settings of one AdamW update.
     *
     * @param learningRate learning rate
     * @param beta1 decay of the mean of gradients
     * @param beta2 decay of the mean of squared gradients
     * @param epsilon added to the denominator
     * @param weightDecay decoupled weight decay
     * @param gradientScale factor of the gradient (clipping, 1 / loss scale)
     * @param step number of this update, 1 for the first
     * @param scalars [4] f32 holding {@link #scalarValues}, or null. A captured update reads the tensor and ignores
     *     the other settings
     */
    public record AdamW(
            double learningRate,
            double beta1,
            double beta2,
            double epsilon,
            double weightDecay,
            double gradientScale,
            int step,
            @Nullable Tensor scalars) {
        /**
         * Creates settings whose scalars are passed by value.
         *
         * @param learningRate learning rate
         * @param beta1 decay of the mean of gradients
         * @param beta2 decay of the mean of squared gradients
         * @param epsilon added to the denominator
         * @param weightDecay decoupled weight decay
         * @param gradientScale factor of the gradient
         * @param step number of this update, 1 for the first
         */
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
         * Returns the scalars that change from step to step: the gradient scale, the factor of the parameter that
         * remains after weight decay, the bias-corrected learning rate, and the bias correction of sqrt(v).
         *
         * @return the four scalars in this order, in f32
         */
        public float[] scalarValues() {
            return new float[] {
                (float) gradientScale,
                (float) (1 - learningRate * weightDecay),
                (float) (learningRate / (1 - Math.pow(beta1, step))),
                (float) (1 / Math.sqrt(1 - Math.pow(beta2, step)))
            };
        }
    }

    private final DType dtype;

    /**
     * Creates the family.
     *
     * @param dtype type of activations
     */
    protected UpdateOps(DType dtype) {
        this.dtype = Ops.parameterDtype(dtype);
    }

    /**
     * Applies AdamW. With g = gradientScale gradient: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
     * parameter = (1 - learningRate weightDecay) parameter - learningRate (m / (1 - beta1^step)) / (sqrt(v / (1 -
     * beta2^step)) + epsilon).
     *
     * <p>Cost: 14 flops, one square root and one division an element; 7 N e bytes, three tensors updated in place and
     * the gradient read.
     *
     * <p>Numerics: in the type of parameters; the corrections 1 - beta^step are computed in f64 on the host.
     *
     * <p>Source: Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2.
     *
     * @param settings of this update
     * @param parameter any shape; updated
     * @param gradient like parameter; read
     * @param m like parameter, running mean of gradients; updated
     * @param v like parameter, running mean of squared gradients; updated
     * @throws ShapeException if types or shapes do not fit, or the step is less than 1
     */
    public final void adamW(AdamW settings, Tensor parameter, Tensor gradient, Tensor m, Tensor v) {
        Checks.require("adamW", "parameter", parameter);
        Checks.that(parameter.dtype() == dtype, "adamW", "parameter is " + parameter + ", expected " + dtype);
        Checks.like("adamW", "gradient", gradient, parameter);
        Checks.like("adamW", "m", m, parameter);
        Checks.like("adamW", "v", v, parameter);
        Checks.that(settings.step() >= 1, "adamW", "step is " + settings.step() + ", expected at least 1");
        adamWUnchecked(settings, parameter, gradient, m, v);
    }

    /**
     * Computes {@link #adamW} on arguments that were checked.
     *
     * @param settings of this update
     * @param parameter any shape; updated
     * @param gradient like parameter; read
     * @param m like parameter, running mean of gradients; updated
     * @param v like parameter, running mean of squared gradients; updated
     */
    protected abstract void adamWUnchecked(AdamW settings, Tensor parameter, Tensor gradient, Tensor m, Tensor v);

    /**
     * Returns the sum of the squares of all elements, accumulated in f64 by fixed blocks.
     *
     * <p>Cost: 2 N flops; N e bytes. NaN and infinity propagate.
     *
     * @param x of the type of parameters; read
     * @return the sum
     * @throws ShapeException when x is of another type
     */
    public final Deferred<Double> sumOfSquares(Tensor x) {
        return sumsOfSquares(List.of(x)).map(sums -> sums[0]);
    }

    /**
     * Returns {@link #sumOfSquares} of each tensor, with one synchronisation for all of them on a backend with a
     * queue.
     *
     * <p>Cost: 2 N flops; N e bytes, N over all tensors.
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

    /**
     * Computes {@link #sumsOfSquares} on arguments that were checked.
     *
     * @param xs of the type of parameters; read
     * @return one sum for each
     */
    protected abstract Deferred<double[]> sumsOfSquaresUnchecked(List<Tensor> xs);

    /**
     * Returns the index of the first element that is NaN or infinite, -1 when all are finite.
     *
     * <p>Cost: N e bytes.
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

    /**
     * Computes {@link #firstNonFinite} on arguments that were checked.
     *
     * @param x of the type of parameters; read
     * @return the index
     */
    protected abstract Deferred<Long> firstNonFiniteUnchecked(Tensor x);
}
