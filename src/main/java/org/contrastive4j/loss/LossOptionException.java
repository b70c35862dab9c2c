package org.contrastive4j.loss;

/** A setting of a loss is out of its range, or does not go with another; nothing was computed. */
public final class LossOptionException extends IllegalArgumentException {
    public LossOptionException(String message) {
        super(message);
    }

    static void require(boolean holds, String message) {
        if (!holds) {
            throw new LossOptionException(message);
        }
    }
}
