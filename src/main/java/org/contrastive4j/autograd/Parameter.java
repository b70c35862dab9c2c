package org.contrastive4j.autograd;

import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/**
 * A leaf that outlives tapes: its value is trained, its gradient accumulates over backward passes until
 * {@link #zeroGradient}.
 *
 * <p>Owns its value and gradient.
 */
public final class Parameter extends Variable implements AutoCloseable {
    private final Ops ops;
    private final boolean decays;
    private boolean frozen;
    private Tensor accumulated;

    /**
     * @param name unique within a model, e.g. {@code text.block1.attention.weight}: checkpoints and errors use it
     * @param value owned from now on
     * @param decays whether weight decay applies: not to norms, biases and the logit scale
     */
    public Parameter(Ops ops, String name, Tensor value, boolean decays) {
        super(name, value, false, true);
        this.ops = ops;
        this.decays = decays;
    }

    public boolean decays() {
        return decays;
    }

    /** A frozen parameter gets no gradient, and nothing is recorded that only it would need. */
    public void freeze(boolean freeze) {
        frozen = freeze;
    }

    public boolean isFrozen() {
        return frozen;
    }

    @Override
    public boolean requiresGradient() {
        return !frozen;
    }

    /** The accumulated gradient, zeros at first; allocated by the first call. */
    public Tensor gradient() {
        if (accumulated == null) {
            accumulated = ops.zeroParameter(shape());
        }
        return accumulated;
    }

    /** gradient = 0. */
    public void zeroGradient() {
        if (accumulated != null) {
            ops.pointwise().fill(accumulated, 0);
        }
    }

    @Override
    public void close() {
        value().close();
        if (accumulated != null) {
            accumulated.close();
            accumulated = null;
        }
    }
}
