package org.contrastive4j.pretrained;

/** A checkpoint folder, adapter or tokenizer cannot be used; the message says what was found and what was expected. */
public final class PretrainedException extends RuntimeException {
    /**
     * Creates an exception.
     *
     * @param message what was found, what was expected, and what to do
     */
    PretrainedException(String message) {
        super(message);
    }

    /**
     * Creates an exception with a cause.
     *
     * @param message what was found, what was expected, and what to do
     * @param cause of the failure
     */
    PretrainedException(String message, Throwable cause) {
        super(message, cause);
    }
}
