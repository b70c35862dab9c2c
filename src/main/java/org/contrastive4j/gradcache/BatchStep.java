package org.contrastive4j.gradcache;

import org.contrastive4j.ops.Deferred;

/**
 * A way to accumulate the gradient of one loss over a whole batch.
 *
 * @param <B> the batch
 * @param <R> what the loss reports
 */
@FunctionalInterface
public interface BatchStep<B, R> {
    /**
     * Computes the loss over the whole batch and accumulates gradients into the parameters.
     *
     * @param batch to encode
     * @param gradientScale multiplied into every gradient
     * @return what the loss reports
     */
    Deferred<R> step(B batch, double gradientScale);
}
