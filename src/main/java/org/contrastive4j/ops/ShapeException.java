package org.contrastive4j.ops;

/** Arguments of an operation do not fit together; nothing was computed. */
public final class ShapeException extends IllegalArgumentException {
    public ShapeException(String message) {
        super(message);
    }
}
