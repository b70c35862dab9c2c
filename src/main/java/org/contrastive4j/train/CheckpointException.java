package org.contrastive4j.train;

/** Thrown when a checkpoint cannot be written or read. The message names the file, the error and a remedy. */
public final class CheckpointException extends RuntimeException {
    /**
     * Creates an exception.
     *
     * @param message names the file, the error and a remedy
     */
    public CheckpointException(String message) {
        super(message);
    }

    /**
     * Creates an exception with a cause.
     *
     * @param message names the file, the error and a remedy
     * @param cause of the failure
     */
    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
