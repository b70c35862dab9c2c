package org.contrastive4j.gradcache;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Accumulates the gradient of one loss over a whole batch in the way of open_clip's {@code --accum-freq}: the loss is
 * computed once for each of k micro-batches, and only the representations of that micro-batch are differentiated.
 *
 * <ol>
 *   <li>Encode all micro-batches and store their representations.
 *   <li>For each micro-batch, encode again, compute the loss over all representations, and run backward with the
 *       gradient of the rows of the micro-batch.
 * </ol>
 *
 * <p>Each row is differentiated once, so encoders get the gradient of {@link GradCache}, equal to the last bit when the
 * chunks have the same bounds. Log-scale and bias of the loss are differentiated k times: in open_clip, their gradient
 * is k times too large. Here, the parameters given to the constructor are counted once.
 *
 * <p>Cost: k evaluations of the loss; {@link GradCache} needs one. Memory: 2 n d elements per encoder and the
 * activations of one micro-batch, as for {@link GradCache}. This class exists for comparison; prefer {@link GradCache}.
 *
 * <p>Source: Ilharco et al., OpenCLIP, 2021, {@code train_one_epoch}.
 *
 * <p>Tested by {@code LossOverEncodersTest}.
 *
 * @param <B> the batch
 * @param <R> result of the loss
 */
final class AccumulatedFeatures<B, R> implements BatchStep<B, R> {
    private final Ops ops;
    private final List<ChunkEncoder<B>> encoders;
    private final RepresentationLoss<B, R> loss;
    private final List<Parameter> countedOnce;
    private final int microBatches;

    /**
     * Creates a step.
     *
     * @param ops backend
     * @param encoders of the step
     * @param loss over their representations
     * @param countedOnce parameters of the loss whose gradient is accumulated for one micro-batch only; all other
     *     parameters of the loss are accumulated k times
     * @param microBatches k, at least 1; the samples of every encoder are split into k parts whose sizes differ by at
     *     most one
     */
    AccumulatedFeatures(
            Ops ops,
            List<ChunkEncoder<B>> encoders,
            RepresentationLoss<B, R> loss,
            List<Parameter> countedOnce,
            int microBatches) {
        if (encoders.isEmpty() || microBatches < 1) {
            throw new IllegalArgumentException("expected at least one encoder and one micro-batch, got "
                    + encoders.size() + " and " + microBatches);
        }
        this.ops = ops;
        this.encoders = List.copyOf(encoders);
        this.loss = loss;
        this.countedOnce = List.copyOf(countedOnce);
        this.microBatches = microBatches;
    }

    /**
     * {@inheritDoc}
     *
     * @throws ShapeException when there are more micro-batches than samples, before anything is encoded
     */
    @Override
    public Deferred<R> step(B batch, double gradientScale) {
        for (ChunkEncoder<B> encoder : encoders) {
            if (encoder.samples(batch) < microBatches) {
                throw new ShapeException(
                        "expected at most as many micro-batches as samples, got " + microBatches + " for the "
                                + encoder.samples(batch) + " samples of encoder " + encoder.name()
                                + "; use fewer micro-batches");
            }
        }
        List<Parameter> heldBack =
                countedOnce.stream().filter(parameter -> !parameter.isFrozen()).toList();
        try (Step step = new Step(batch)) {
            step.encode();
            Deferred<R> result = step.differentiate(0, gradientScale);
            heldBack.forEach(parameter -> parameter.freeze(true));
            for (int c = 1; c < microBatches; c++) {
                step.differentiate(c, gradientScale);
            }
            return result;
        } finally {
            heldBack.forEach(parameter -> parameter.freeze(false));
        }
    }

    /** The tensors of one step; closing frees them, also after a failure. */
    private final class Step implements AutoCloseable {
        private final B batch;
        private final List<Tensor> representations = new ArrayList<>();
        private final List<@Nullable Tensor> gradients = new ArrayList<>();

        Step(B batch) {
            this.batch = batch;
        }

        private int bound(int e, int c) {
            return (int) ((long) c * representations.get(e).dim(0) / microBatches);
        }

        void encode() {
            for (int e = 0; e < encoders.size(); e++) {
                ChunkEncoder<B> encoder = encoders.get(e);
                Tensor all = ops.allocateParameter(encoder.samples(batch), encoder.width());
                representations.add(all);
                gradients.add(encoder.isTrainable() ? ops.allocateParameter(all.shape()) : null);
                for (int c = 0; c < microBatches; c++) {
                    encoder.encode(batch, bound(e, c), bound(e, c + 1), all.rows(bound(e, c), bound(e, c + 1)));
                }
            }
        }

        /** Computes the loss with micro-batch c recorded and runs backward with the gradient of its rows. */
        Deferred<R> differentiate(int c, double gradientScale) {
            List<ChunkEncoder.@Nullable Pass> passes = new ArrayList<>();
            try {
                for (int e = 0; e < encoders.size(); e++) {
                    passes.add(
                            gradients.get(e) == null
                                    ? null
                                    : encoders.get(e)
                                            .encodeForBackward(
                                                    batch,
                                                    bound(e, c),
                                                    bound(e, c + 1),
                                                    representations.get(e).rows(bound(e, c), bound(e, c + 1))));
                }
                Deferred<R> result = loss.valueAndGradient(batch, representations, gradients, gradientScale);
                for (int e = 0; e < encoders.size(); e++) {
                    if (passes.get(e) != null) {
                        passes.get(e).backward(gradients.get(e).rows(bound(e, c), bound(e, c + 1)));
                    }
                }
                return result;
            } finally {
                passes.stream().filter(pass -> pass != null).forEach(ChunkEncoder.Pass::close);
            }
        }

        @Override
        public void close() {
            representations.forEach(Tensor::close);
            gradients.stream().filter(gradient -> gradient != null).forEach(Tensor::close);
        }
    }
}
