package org.contrastive4j.gradcache;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Accumulates the gradient of one loss over a whole batch as open_clip's {@code --accum-freq} does: the loss is taken
 * once for each of k micro-batches, whose representations are live while all others are cached numbers.
 *
 * <ol>
 *   <li>Encode every micro-batch, keep representations only.
 *   <li>Micro-batch by micro-batch: encode again, take the loss over all representations, and push back the gradient of
 *       the live rows.
 * </ol>
 *
 * <p>Each row is live once, so encoders get the gradient of {@link GradCache}, bit for bit with chunks of the same
 * bounds. The loss's own parameters, log-scale and bias, are live every time: the sum over micro-batches would be k
 * times their gradient, as it is in open_clip. Those that are named here are counted once. Cost: k losses where {@link
 * GradCache} takes one; memory 2 n d per encoder and one micro-batch, as there. It is here to be compared with; there
 * is no other reason to prefer it.
 *
 * <p>Source: Ilharco et al., OpenCLIP, 2021, {@code train_one_epoch}.
 *
 * @param <B> the batch
 * @param <R> what the loss reports
 */
public final class AccumulatedFeatures<B, R> implements BatchStep<B, R> {
    private final Ops ops;
    private final List<ChunkEncoder<B>> encoders;
    private final RepresentationLoss<B, R> loss;
    private final List<Parameter> countedOnce;
    private final int microBatches;

    /**
     * @param countedOnce parameters of the loss whose gradient is counted once; one that is not named is counted once
     *     for each micro-batch
     * @param microBatches into which every encoder's samples are split, at least 1; sizes differ by at most one
     */
    public AccumulatedFeatures(
            Ops ops,
            List<ChunkEncoder<B>> encoders,
            RepresentationLoss<B, R> loss,
            List<Parameter> countedOnce,
            int microBatches) {
        if (encoders.isEmpty() || microBatches < 1) {
            throw new IllegalArgumentException(encoders.size() + " encoders and " + microBatches
                    + " micro-batches, expected at least one of each");
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
                throw new ShapeException(microBatches + " micro-batches of the " + encoder.samples(batch)
                        + " samples of encoder " + encoder.name() + "; choose at most as many as samples");
            }
        }
        List<Parameter> heldBack =
                countedOnce.stream().filter(parameter -> !parameter.isFrozen()).toList();
        try (Step step = new Step(batch)) {
            step.encode();
            Deferred<R> result = step.live(0, gradientScale);
            heldBack.forEach(parameter -> parameter.freeze(true));
            for (int c = 1; c < microBatches; c++) {
                step.live(c, gradientScale);
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
        private final List<Tensor> gradients = new ArrayList<>();

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

        /** One loss with micro-batch c live, and its rows' gradient pushed back. */
        Deferred<R> live(int c, double gradientScale) {
            List<ChunkEncoder.Pass> passes = new ArrayList<>();
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
