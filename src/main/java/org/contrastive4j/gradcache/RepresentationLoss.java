package org.contrastive4j.gradcache;

import java.util.List;
import org.contrastive4j.tensor.Tensor;

/**
 * A loss over all representations of a batch.
 *
 * @param <B> the batch, for targets and ids
 * @param <R> what it reports: the value and its statistics
 */
public interface RepresentationLoss<B, R> {
    /**
     * Computes the value, and the gradient with respect to every representation.
     *
     * @param representations one [samples, d] per encoder; read
     * @param gradients the same shapes, null for an encoder that is frozen; written
     * @param gradientScale multiplied into all gradients; those of the loss's own parameters are accumulated
     */
    R valueAndGradient(B batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale);

    /** Bytes that {@link #valueAndGradient} allocates while it runs, for encoders of these sizes. */
    long workspaceBytes(List<Tensor> representations);
}
