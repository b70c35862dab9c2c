package org.contrastive4j.autograd;

import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A trainable leaf variable. Its gradient accumulates over backward passes until {@link #zeroGradient} is called.
 *
 * <p>A parameter owns its value and its gradient and can be used with any number of tapes.
 */
public final class Parameter extends Variable implements AutoCloseable {
    private final Ops ops;
    private final boolean decays;
    private boolean frozen;
    private @Nullable Tensor accumulated; // null before the first call of gradient()

    /**
     * Creates a parameter.
     *
     * @param ops backend of the value
     * @param name unique within a model, e.g. {@code text.block1.attention.weight}; used by checkpoints and errors
     * @param value initial value; the parameter takes ownership
     * @param decays whether weight decay applies; false for norms, biases and the logit scale
     */
    public Parameter(Ops ops, String name, Tensor value, boolean decays) {
        super(name, value, false, true);
        this.ops = ops;
        this.decays = decays;
    }

    /**
     * Whether weight decay applies to this parameter.
     *
     * @return true for weights
     */
    public boolean decays() {
        return decays;
    }

    /**
     * Freezes or unfreezes this parameter. Backward computes no gradient of a frozen parameter, and forward saves
     * nothing for it.
     *
     * @param freeze true to freeze
     */
    public void freeze(boolean freeze) {
        frozen = freeze;
    }

    /**
     * Whether this parameter is frozen.
     *
     * @return true if it gets no gradient
     */
    public boolean isFrozen() {
        return frozen;
    }

    @Override
    public boolean requiresGradient() {
        return !frozen;
    }

    /**
     * Returns the accumulated gradient; the first call allocates it and fills it with zeros.
     *
     * @return the gradient, of the shape and type of the value; the parameter owns it
     */
    public Tensor gradient() {
        if (accumulated == null) {
            accumulated = ops.zeroParameter(shape());
        }
        return accumulated;
    }

    /** Sets the accumulated gradient to zero. */
    public void zeroGradient() {
        if (accumulated != null) {
            ops.pointwise().fill(accumulated, 0);
        }
    }

    /** Frees the value and the gradient. */
    @Override
    public void close() {
        value().close();
        if (accumulated != null) {
            accumulated.close();
            accumulated = null;
        }
    }
}
