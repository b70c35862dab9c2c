package org.contrastive4j.gradcache;

import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;

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

    /**
     * Returns the step of open_clip's {@code --accum-freq}: the loss is computed once for each of k micro-batches, and
     * only the representations of that micro-batch are differentiated. For comparison; prefer {@link GradCache}.
     *
     * <p>Encoders get the gradient of {@link GradCache}, equal to the last bit when the chunks have the same bounds.
     * The step throws {@link org.contrastive4j.tensor.Shape.ShapeException} if there are more micro-batches than
     * samples, before anything is encoded.
     *
     * <p>Cost: k evaluations of the loss; {@link GradCache} needs one. Memory: 2 n d elements per encoder and the
     * activations of one micro-batch, as for {@link GradCache}.
     *
     * <p>Source: Ilharco et al., OpenCLIP, 2021, {@code train_one_epoch}.
     *
     * @param ops backend
     * @param encoders of the step
     * @param loss over their representations
     * @param countedOnce parameters of the loss whose gradient is accumulated for one micro-batch only; all other
     *     parameters of the loss are accumulated k times, as in open_clip
     * @param microBatches k, at least 1; the samples of every encoder are split into k parts whose sizes differ by at
     *     most one
     * @param <B> the batch
     * @param <R> result of the loss
     * @return the step
     * @throws IllegalArgumentException when there is no encoder or no micro-batch
     */
    static <B, R> BatchStep<B, R> accumulatingFeatures(
            Ops ops,
            List<ChunkEncoder<B>> encoders,
            RepresentationLoss<B, R> loss,
            List<Parameter> countedOnce,
            int microBatches) {
        return new AccumulatedFeatures<>(ops, encoders, loss, countedOnce, microBatches);
    }
}
