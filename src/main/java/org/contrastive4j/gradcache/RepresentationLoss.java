package org.contrastive4j.gradcache;

import java.util.List;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A loss over all representations of a batch.
 *
 * @param <B> the batch, for targets and ids
 * @param <R> result of the loss: its value and statistics
 */
public interface RepresentationLoss<B, R> {
    /**
     * Computes the value, and the gradient with respect to every representation.
     *
     * @param batch whose samples were encoded
     * @param representations one [samples, d] per encoder; read
     * @param gradients of the shape of each encoder's representations, null for a frozen encoder; written
     * @param gradientScale multiplied into all gradients; those of the loss's own parameters are accumulated
     * @return value and statistics
     */
    Deferred<R> valueAndGradient(
            B batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale);

    /**
     * Returns the bytes that {@link #valueAndGradient} allocates while it runs.
     *
     * @param batch whose samples are encoded
     * @param representations of the shapes of the step; their contents are undefined
     * @return bytes
     */
    long workspaceBytes(B batch, List<Tensor> representations);

    /**
     * Whether {@link #valueAndGradient} runs without host synchronisation and reads the batch only through tensors, so
     * that a step can be captured as a CUDA graph.
     *
     * @return false unless an implementation says otherwise
     */
    default boolean isCapturable() {
        return false;
    }
}
