package org.contrastive4j.train;

/** A checkpoint cannot be written or read; the message names the file, what is wrong and what to do. Nothing was changed. */
public final class CheckpointException extends RuntimeException {
    public CheckpointException(String message) {
        super(message);
    }

    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
