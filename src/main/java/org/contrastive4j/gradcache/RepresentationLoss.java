package org.contrastive4j.gradcache;

import java.util.List;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A loss over all representations of a batch.
 *
 * @param <B> the batch, for targets and ids
 * @param <R> what the loss reports: its value and statistics
 */
public interface RepresentationLoss<B, R> {
    /**
     * Computes the value, and the gradient with respect to every representation.
     *
     * @param batch whose samples were encoded
     * @param representations one [samples, d] per encoder; read
     * @param gradients the same shapes, null for an encoder that is frozen; written
     * @param gradientScale multiplied into all gradients; those of the loss's own parameters are accumulated
     * @return value and statistics
     */
    Deferred<R> valueAndGradient(
            B batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale);

    /**
     * Returns the bytes that {@link #valueAndGradient} allocates while it runs.
     *
     * @param batch whose samples are encoded
     * @param representations of the sizes to come; their values are undefined
     * @return bytes
     */
    long workspaceBytes(B batch, List<Tensor> representations);

    /**
     * Whether {@link #valueAndGradient} runs without host synchronisation and reads nothing of the batch but tensors,
     * so that a step with it can be captured as a CUDA graph.
     *
     * @return false unless an implementation says otherwise
     */
    default boolean isCapturable() {
        return false;
    }
}
