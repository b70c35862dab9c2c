package org.contrastive4j.autograd;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * A tensor on a tape, or a leaf that came from outside.
 *
 * <p>The tape frees the value when nobody needs it any more: the scope it was made in has ended and every recorded
 * function that saved it has run backward.
 */
public sealed class Variable permits Parameter {
    private final String name;
    private final Tensor value;
    private final boolean owned;
    private final boolean requiresGradient;
    private int holds;
    private boolean released;
    Tensor gradient;
    boolean gradientBorrowed;

    Variable(String name, Tensor value, boolean owned, boolean requiresGradient) {
        this.name = name;
        this.value = value;
        this.owned = owned;
        this.requiresGradient = requiresGradient;
    }

    /** Path of scopes and the function that made it, e.g. {@code text/block1/attention}. */
    public final String name() {
        return name;
    }

    /** @throws IllegalStateException when the tape has freed it */
    public final Tensor value() {
        if (released) {
            throw new IllegalStateException(
                    name + " was freed when its scope ended; return it from the scope to keep it");
        }
        return value;
    }

    public final Shape shape() {
        return value.shape();
    }

    /** Type of the value and of its gradient. */
    public final DType dtype() {
        return value.dtype();
    }

    /** Whether a gradient flows into this variable. */
    public boolean requiresGradient() {
        return requiresGradient;
    }

    final void hold() {
        holds++;
    }

    final void drop() {
        if (--holds == 0 && owned) {
            released = true;
            value.close();
        }
    }

    @Override
    public String toString() {
        return name + " " + value;
    }
}
