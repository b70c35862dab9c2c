package org.contrastive4j.loss;

/** Thrown when a representation or the loss is NaN or infinite. */
public final class NonFiniteException extends ArithmeticException {
    /** Row in the batch; -1 if only the loss is not finite. */
    private final int row;

    /**
     * Creates an exception.
     *
     * @param message names the side and the row
     * @param row of the first representation that is not finite; -1 if only the loss is not finite
     */
    public NonFiniteException(String message, int row) {
        super(message);
        this.row = row;
    }

    /**
     * Returns the row of the first representation that is not finite.
     *
     * @return row in the batch; -1 if only the loss is not finite
     */
    public int row() {
        return row;
    }
}
