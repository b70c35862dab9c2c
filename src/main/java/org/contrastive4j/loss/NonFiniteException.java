package org.contrastive4j.loss;

/** A representation or the loss is NaN or infinite; no gradient was computed. */
public final class NonFiniteException extends ArithmeticException {
    private final int row;

    /** @param row of the first bad representation, -1 when only the loss is bad */
    public NonFiniteException(String what, int row) {
        super(what);
        this.row = row;
    }

    /** Row of the first bad representation in the batch, -1 when only the loss is bad. */
    public int row() {
        return row;
    }
}
