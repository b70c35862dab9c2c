package org.contrastive4j.loss;

/** Thrown when a setting of a loss is out of range or conflicts with another setting. Nothing was computed. */
public final class LossOptionException extends IllegalArgumentException {
    /**
     * Creates an exception.
     *
     * @param message expected and actual setting
     */
    public LossOptionException(String message) {
        super(message);
    }

    /** Returns {@code value} if the condition holds; for checks in the arguments of a super constructor call. */
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
