package org.contrastive4j.loss;

/** An iteration did not get as close as it was asked to; no gradient was written. */
public final class NotConvergedException extends ArithmeticException {
    public NotConvergedException(String message) {
        super(message);
    }
}
