package org.contrastive4j.data;

/** Data that cannot be used; the message names the file and line, what is wrong and what to do. */
public final class DataException extends RuntimeException {
    public DataException(String message) {
        super(message);
    }

    public DataException(String message, Throwable cause) {
        super(message, cause);
    }
}
