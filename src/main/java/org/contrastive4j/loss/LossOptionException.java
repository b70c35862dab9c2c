package org.contrastive4j.loss;

/** A setting of a loss is out of its range, or does not go with another; nothing was computed. */
public final class LossOptionException extends IllegalArgumentException {
    public LossOptionException(String message) {
        super(message);
    }

    /** {@code value}, for a check before a constructor has made anything. */
    static <T> T checked(T value, boolean holds, String message) {
        require(holds, message);
        return value;
    }

    static void require(boolean holds, String message) {
        if (!holds) {
            throw new LossOptionException(message);
        }
    }
}
