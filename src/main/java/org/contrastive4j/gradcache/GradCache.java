package org.contrastive4j.gradcache;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Accumulates the exact gradient of one loss over a whole batch, encoding it in chunks.
 *
 * <ol>
 *   <li>Encode every chunk; keep the representations, and the activations of as many chunks as the budget has room for.
 *   <li>One loss over all representations; its gradient is the cache.
 *   <li>Chunk by chunk: encode again unless kept, and push the chunk's slice of the cache back.
 * </ol>
 *
 * <p>Chunks go backward in their order whether kept or not, so the budget does not change a bit of the result. Several
 * steps accumulate until the caller zeroes the gradients. Memory: 2 n d per encoder beyond what one chunk needs and
 * what is kept.
 *
 * <p>Source: Gao et al., Scaling deep contrastive learning batch size under memory limited setup, RepL4NLP 2021.
 *
 * @param <B> the batch
 * @param <R> what the loss reports
 */
public final class GradCache<B, R> implements BatchStep<B, R> {
    private final Ops ops;
    private final List<ChunkEncoder<B>> encoders;
    private final RepresentationLoss<B, R> loss;
    private final ChunkPlanner<B> planner;
    private ChunkPlan plan;
    private List<Integer> plannedSamples;

    private GradCache(Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, R> loss, ChunkPlanner<B> planner) {
        if (encoders.isEmpty()) {
            throw new IllegalArgumentException("a cached step needs at least one encoder");
        }
        this.ops = ops;
        this.encoders = List.copyOf(encoders);
        this.loss = loss;
        this.planner = planner;
    }

    /**
     * Fixed chunk sizes, nothing kept: the least memory, every chunk encoded twice.
     *
     * @param chunks one size per encoder, each at least 1 and at most the batch
     */
    public static <B, R> GradCache<B, R> ofChunks(
            Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, R> loss, List<Integer> chunks) {
        return new GradCache<>(ops, encoders, loss, ChunkPlanner.fixed(ops, chunks, Long.MIN_VALUE));
    }

    /** Fixed chunk sizes; activations are kept while the planned peak stays within {@code budget} live bytes. */
    public static <B, R> GradCache<B, R> ofChunks(
            Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, R> loss, List<Integer> chunks, long budget) {
        return new GradCache<>(ops, encoders, loss, ChunkPlanner.fixed(ops, chunks, budget));
    }

    /** Chunk sizes and kept chunks chosen so that the planned peak of live bytes stays within {@code budget}. */
    public static <B, R> GradCache<B, R> ofBudget(
            Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, R> loss, long budget) {
        return new GradCache<>(ops, encoders, loss, ChunkPlanner.choosing(ops, encoders.size(), budget));
    }

    /**
     * Returns the same step planned for use in a {@link CapturedStep}: its budget includes the fragmentation of the
     * arena.
     *
     * @return a step with a plan of its own
     */
    public GradCache<B, R> forCapture() {
        return new GradCache<>(ops, encoders, loss, planner.forCapture());
    }

    /**
     * The plan for batches like this one; measured once per set of sizes by passing a few samples forward and, with a
     * gradient of zero, backward. Sizes are numbers of samples: where samples differ in length, ask first with a batch
     * of the longest.
     *
     * @throws org.contrastive4j.memory.OutOfBudgetException when not even the smallest chunk fits; nothing was changed
     */
    public ChunkPlan plan(B batch) {
        List<Integer> samples =
                encoders.stream().map(encoder -> encoder.samples(batch)).toList();
        if (plan == null || !samples.equals(plannedSamples)) {
            plan = planner.plan(encoders, batch, loss);
            plannedSamples = samples;
        }
        return plan;
    }

    /**
     * Value of the loss over the whole batch; gradients are accumulated into the parameters.
     *
     * @param gradientScale multiplied into every gradient: 1 / k when k steps are accumulated, the loss scale of 16-bit
     *     training
     * @throws ShapeException when a chunk size does not fit the batch, before anything is encoded
     */
    @Override
    public Deferred<R> step(B batch, double gradientScale) {
        ChunkPlan current = plan(batch);
        try (Step step = new Step(batch, current)) {
            step.encode();
            Deferred<R> result = step.loss(gradientScale);
            step.backward();
            return result;
        }
    }

    /**
     * Chunk encodings of one step at this plan, first and second pass together: the cost of caching in encoder calls.
     */
    public int encodings(B batch) {
        int count = 0;
        ChunkPlan current = plan(batch);
        for (int e = 0; e < encoders.size(); e++) {
            ChunkPlan.EncoderPlan sizes = current.encoders().get(e);
            count += sizes.chunks() + (encoders.get(e).isTrainable() ? sizes.chunks() - sizes.kept() : 0);
        }
        return count;
    }

    /** The tensors and remembered passes of one step; closing frees them, also after a failure. */
    private final class Step implements AutoCloseable {
        private final B batch;
        private final ChunkPlan current;
        private final List<Tensor> representations = new ArrayList<>();
        private final List<Tensor> gradients = new ArrayList<>();
        private final List<ChunkEncoder.Pass[]> kept = new ArrayList<>();

        Step(B batch, ChunkPlan current) {
            this.batch = batch;
            this.current = current;
        }

        void encode() {
            for (int e = 0; e < encoders.size(); e++) {
                ChunkEncoder<B> encoder = encoders.get(e);
                ChunkPlan.EncoderPlan sizes = current.encoders().get(e);
                Tensor all = ops.allocateParameter(sizes.samples(), encoder.width());
                representations.add(all);
                ChunkEncoder.Pass[] passes = new ChunkEncoder.Pass[sizes.chunks()];
                kept.add(passes);
                for (int c = 0; c < passes.length; c++) {
                    int from = c * sizes.chunk();
                    int to = Math.min(from + sizes.chunk(), sizes.samples());
                    if (c < sizes.kept()) {
                        passes[c] = encoder.encodeForBackward(batch, from, to, all.rows(from, to));
                    } else {
                        encoder.encode(batch, from, to, all.rows(from, to));
                    }
                }
            }
        }

        Deferred<R> loss(double gradientScale) {
            for (int e = 0; e < encoders.size(); e++) {
                boolean trainable = encoders.get(e).isTrainable();
                gradients.add(
                        trainable ? ops.allocateParameter(representations.get(e).shape()) : null);
            }
            return loss.valueAndGradient(batch, representations, gradients, gradientScale);
        }

        void backward() {
            for (int e = 0; e < encoders.size(); e++) {
                if (gradients.get(e) == null) {
                    continue;
                }
                ChunkPlan.EncoderPlan sizes = current.encoders().get(e);
                for (int c = 0; c < sizes.chunks(); c++) {
                    int from = c * sizes.chunk();
                    int to = Math.min(from + sizes.chunk(), sizes.samples());
                    backward(e, c, from, to);
                }
            }
        }

        private void backward(int e, int c, int from, int to) {
            ChunkEncoder.Pass first = kept.get(e)[c];
            Tensor slice = representations.get(e).rows(from, to);
            try (ChunkEncoder.Pass pass =
                    first != null ? first : encoders.get(e).encodeForBackward(batch, from, to, slice)) {
                pass.backward(gradients.get(e).rows(from, to));
            }
        }

        @Override
        public void close() {
            for (ChunkEncoder.Pass[] passes : kept) {
                for (ChunkEncoder.Pass pass : passes) {
                    if (pass != null) {
                        pass.close();
                    }
                }
            }
            representations.forEach(Tensor::close);
            gradients.stream().filter(gradient -> gradient != null).forEach(Tensor::close);
        }
    }
}
