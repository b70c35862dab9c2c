package org.contrastive4j.optim;

import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;

/** The norm of all gradients together, and clipping by it. */
public final class GlobalNorm {
    /** A gradient is NaN or infinite. */
    public static final class NonFiniteGradientException extends ArithmeticException {
        NonFiniteGradientException(String message) {
            super(message);
        }
    }

    private GlobalNorm() {}

    /**
     * sqrt of the sum of squares of all gradients that are not frozen, in f64 in the order of the parameters.
     *
     * @throws NonFiniteGradientException naming the first parameter whose gradient is not finite
     */
    public static double of(Ops ops, List<Parameter> parameters) {
        return deferred(ops, parameters).get();
    }

    /** Returns {@link #of}, deferred; get() throws what {@link #of} throws. */
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
     * min(1, largest / norm): what to multiply gradients with; 1 when {@code largest} is 0, which turns clipping off.
     */
    public static double clip(double norm, double largest) {
        return largest == 0 || norm <= largest ? 1 : largest / norm;
    }
}
