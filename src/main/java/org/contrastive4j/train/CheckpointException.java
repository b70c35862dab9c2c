package org.contrastive4j.train;

/** A checkpoint cannot be written or read, and nothing was changed: names the file, what is wrong and what to do. */
public final class CheckpointException extends RuntimeException {
    public CheckpointException(String message) {
        super(message);
    }

    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
