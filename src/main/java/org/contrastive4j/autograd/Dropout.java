package org.contrastive4j.autograd;

import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.Tensor;

/**
 * y = x / (1 - p) where the mask of (key, sample id) keeps an element, else 0. Backward: the same mask on dy.
 *
 * <p>The mask is computed again and never stored, and does not depend on the chunk a sample is in.
 */
final class Dropout extends Function {
    private final double p;
    private final Tensor sampleIds;
    private final RandomKey key;

    /** @param sampleIds [samples] I32; stays the caller's, must be open until backward is done */
    Dropout(double p, Tensor sampleIds, RandomKey key) {
        super("dropout");
        this.p = p;
        this.sampleIds = sampleIds;
        this.key = key;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor y = f.allocateLike(0);
        f.ops().pointwise().dropout(f.input(0), sampleIds, p, key, y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        b.ops().pointwise().dropout(b.outputGradient(0), sampleIds, p, key, dx);
        b.accumulate(0, dx);
    }
}
