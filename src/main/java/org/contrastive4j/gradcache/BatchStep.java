package org.contrastive4j.gradcache;

import org.contrastive4j.ops.Deferred;

/**
 * Computes one loss over a whole batch and accumulates its gradient.
 *
 * @param <B> the batch
 * @param <R> result of the loss
 */
@FunctionalInterface
public interface BatchStep<B, R> {
    /**
     * Computes the loss over the whole batch and accumulates gradients into the parameters.
     *
     * @param batch to encode
     * @param gradientScale multiplied into every gradient
     * @return result of the loss
     */
    Deferred<R> step(B batch, double gradientScale);
}
