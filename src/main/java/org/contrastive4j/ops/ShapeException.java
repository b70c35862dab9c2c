package org.contrastive4j.ops;

/** Signals that the arguments of an operation do not fit together; nothing was computed. */
public final class ShapeException extends IllegalArgumentException {
    /**
     * Creates the exception.
     *
     * @param message names the operation, the argument, what was given and what was expected
     */
    public ShapeException(String message) {
        super(message);
    }
}
