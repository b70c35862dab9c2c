package org.contrastive4j.optim;

import java.util.List;
import org.contrastive4j.autograd.Parameter;
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
        double sum = 0;
        for (Parameter parameter : parameters) {
            if (!parameter.isFrozen()) {
                double squares = ops.update().sumOfSquares(parameter.gradient());
                if (!Double.isFinite(squares)) {
                    throw new NonFiniteGradientException("the gradient of " + parameter.name() + " is not finite");
                }
                sum += squares;
            }
        }
        return Math.sqrt(sum);
    }

    /** min(1, largest / norm): what to multiply gradients with; 1 when {@code largest} is 0, which turns clipping off. */
    public static double clip(double norm, double largest) {
        return largest == 0 || norm <= largest ? 1 : largest / norm;
    }
}
