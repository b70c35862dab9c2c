package org.contrastive4j.data;

/** Data that cannot be used; the message names the file and line, what is wrong and what to do. */
public final class DataException extends RuntimeException {
    /**
     * Creates an exception without a cause.
     *
     * @param message names the file and line, what is wrong and what to do
     */
    public DataException(String message) {
        super(message);
    }

    /**
     * Creates an exception with a cause.
     *
     * @param message names the file and line, what is wrong and what to do
     * @param cause the failure of the file system or of a decoder
     */
    public DataException(String message, Throwable cause) {
        super(message, cause);
    }
}
