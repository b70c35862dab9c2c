package org.contrastive4j.ops;

/** Signals that a backend does not compute in the requested precision; the message lists those it supports. */
public final class UnsupportedPrecisionException extends IllegalArgumentException {
    /**
     * Creates the exception.
     *
     * @param message names the backend and the supported precisions
     */
    public UnsupportedPrecisionException(String message) {
        super(message);
    }
}
