package org.contrastive4j.gradcache;

/**
 * A way to accumulate the gradient of one loss over a whole batch.
 *
 * @param <B> the batch
 * @param <R> what the loss reports
 */
@FunctionalInterface
public interface BatchStep<B, R> {
    /**
     * Value of the loss over the whole batch; gradients are accumulated into the parameters.
     *
     * @param gradientScale multiplied into every gradient
     */
    R step(B batch, double gradientScale);
}
