package org.contrastive4j.ops;

/** A backend does not compute in the precision that was asked for; the message says in which it does. */
public final class UnsupportedPrecisionException extends IllegalArgumentException {
    public UnsupportedPrecisionException(String message) {
        super(message);
    }
}
