package org.contrastive4j.autograd;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A value in the graph of a {@link Tape}: the output of a function, or a leaf.
 *
 * <p>The tape frees the value of an output after its scope has ended and every recorded function that saved it has run
 * backward.
 */
public sealed class Variable permits Parameter {
    private final String name;
    private final Tensor value;
    private final boolean owned;
    private final boolean requiresGradient;
    private int holds;
    private boolean released;

    @Nullable
    Tensor gradient;

    boolean gradientBorrowed; // the caller of backward owns the gradient

    Variable(String name, Tensor value, boolean owned, boolean requiresGradient) {
        this.name = name;
        this.value = value;
        this.owned = owned;
        this.requiresGradient = requiresGradient;
    }

    /**
     * Returns the path of scopes and function that produced this variable, e.g. {@code text/block1/attention}.
     *
     * @return the path; the name of the parameter or constant for a leaf
     */
    public final String name() {
        return name;
    }

    /**
     * Returns the value.
     *
     * @return the tensor, which the tape or the owner of the leaf closes
     * @throws IllegalStateException when the tape has freed it
     */
    public final Tensor value() {
        if (released) {
            throw new IllegalStateException(
                    name + " was freed when its scope ended; return it from the scope to keep it");
        }
        return value;
    }

    /**
     * Returns the shape of the value and of its gradient.
     *
     * @return the shape; also available after the value was freed
     */
    public final Shape shape() {
        return value.shape();
    }

    /**
     * Returns the element type of the value and of its gradient.
     *
     * @return the type
     */
    public final DType dtype() {
        return value.dtype();
    }

    /**
     * Whether backward computes a gradient of this variable.
     *
     * @return false for constants, frozen parameters and everything computed from these alone
     */
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
