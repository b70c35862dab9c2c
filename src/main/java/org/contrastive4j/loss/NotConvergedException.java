package org.contrastive4j.loss;

/** Thrown when an iteration does not reach its tolerance. No gradient was written. */
public final class NotConvergedException extends ArithmeticException {
    /**
     * Creates an exception.
     *
     * @param message tolerance, error and number of iterations
     */
    public NotConvergedException(String message) {
        super(message);
    }
}
