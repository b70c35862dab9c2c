package org.contrastive4j.optim;

import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;

/** Computes the norm of all gradients together, for clipping. */
public final class GlobalNorm {
    /** Signals that a gradient is NaN or infinite. */
    public static final class NonFiniteGradientException extends ArithmeticException {
        NonFiniteGradientException(String message) {
            super(message);
        }
    }

    private GlobalNorm() {}

    /**
     * Returns the square root of the sum of squares of the gradients of all parameters that are not frozen, in f64 in
     * the order of the parameters.
     *
     * @param ops backend of the parameters
     * @param parameters whose gradients are read
     * @return the norm
     * @throws NonFiniteGradientException naming the first parameter whose gradient is not finite
     */
    public static double of(Ops ops, List<Parameter> parameters) {
        return deferred(ops, parameters).get();
    }

    /**
     * Returns {@link #of}, deferred: the reductions are enqueued now and read by get().
     *
     * @param ops backend of the parameters
     * @param parameters whose gradients are read
     * @return the norm; get() throws what {@link #of} throws
     */
    public static Deferred<Double> deferred(Ops ops, List<Parameter> parameters) {
        List<Parameter> trained =
                parameters.stream().filter(parameter -> !parameter.isFrozen()).toList();
        Deferred<double[]> squares = ops.update()
                .sumsOfSquares(trained.stream().map(Parameter::gradient).toList());
        return () -> root(trained, squares.get()); // not map: what is not finite is reported by get(), on all backends
    }

    private static double root(List<Parameter> trained, double[] squares) {
        double sum = 0;
        for (int k = 0; k < squares.length; k++) {
            if (!Double.isFinite(squares[k])) {
                throw new NonFiniteGradientException(
                        "the gradient of " + trained.get(k).name() + " is not finite");
            }
            sum += squares[k];
        }
        return Math.sqrt(sum);
    }

    /**
     * Returns the factor of the gradients that limits their norm: min(1, largest / norm).
     *
     * @param norm from {@link #of}
     * @param largest the limit; 0 turns clipping off
     * @return the factor
     */
    public static double clip(double norm, double largest) {
        return largest == 0 || norm <= largest ? 1 : largest / norm;
    }
}
