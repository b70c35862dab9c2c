package org.contrastive4j.gradcache;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Gradient caching: accumulates the exact gradient of one loss over a whole batch whose samples are encoded in chunks.
 *
 * <ol>
 *   <li>Encode all chunks. Store the representations, and the activations of as many chunks as fit the budget.
 *   <li>Compute the loss over all representations. The gradient by the representations is the cache.
 *   <li>For each chunk, encode again unless its activations were stored, and run backward with its slice of the cache.
 * </ol>
 *
 * <p>Chunks run backward in the same order whether their activations were stored or not, so the result does not depend
 * on the budget. Gradients accumulate over steps until the caller sets them to zero.
 *
 * <p>Memory: 2 n d elements per encoder, the passes of one chunk, and the stored activations.
 *
 * <p>Source: Gao et al., Scaling deep contrastive learning batch size under memory limited setup, RepL4NLP 2021.
 *
 * @param <B> the batch
 * @param <R> result of the loss
 */
public final class GradCache<B, R> implements BatchStep<B, R> {
    private final Ops ops;
    private final List<ChunkEncoder<B>> encoders;
    private final RepresentationLoss<B, R> loss;
    private final ChunkPlanner<B> planner;
    private @Nullable ChunkPlan plan; // of the last batch sizes
    private List<Integer> plannedSamples = List.of();

    private GradCache(Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, R> loss, ChunkPlanner<B> planner) {
        if (encoders.isEmpty()) {
            throw new IllegalArgumentException("expected at least one encoder, got none");
        }
        this.ops = ops;
        this.encoders = List.copyOf(encoders);
        this.loss = loss;
        this.planner = planner;
    }

    /**
     * Creates a step with fixed chunk sizes that keeps no activations: it uses the least memory and encodes every chunk
     * twice.
     *
     * @param ops backend
     * @param encoders of the step
     * @param loss over their representations
     * @param chunks chunk size of each encoder, at least 1 and at most the batch
     * @param <B> the batch
     * @param <R> result of the loss
     * @return the step
     */
    public static <B, R> GradCache<B, R> ofChunks(
            Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, R> loss, List<Integer> chunks) {
        return new GradCache<>(ops, encoders, loss, ChunkPlanner.fixed(ops, chunks, Long.MIN_VALUE));
    }

    /**
     * Creates a step with fixed chunk sizes that keeps activations as far as the budget allows.
     *
     * @param ops backend
     * @param encoders of the step
     * @param loss over their representations
     * @param chunks chunk size of each encoder, at least 1 and at most the batch
     * @param budget maximum planned peak of live bytes
     * @param <B> the batch
     * @param <R> result of the loss
     * @return the step
     */
    public static <B, R> GradCache<B, R> ofChunks(
            Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, R> loss, List<Integer> chunks, long budget) {
        return new GradCache<>(ops, encoders, loss, ChunkPlanner.fixed(ops, chunks, budget));
    }

    /**
     * Creates a step that chooses the chunk sizes and the number of kept chunks within a budget.
     *
     * @param ops backend
     * @param encoders of the step
     * @param loss over their representations
     * @param budget maximum planned peak of live bytes
     * @param <B> the batch
     * @param <R> result of the loss
     * @return the step
     */
    public static <B, R> GradCache<B, R> ofBudget(
            Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, R> loss, long budget) {
        return new GradCache<>(ops, encoders, loss, ChunkPlanner.choosing(ops, encoders.size(), budget));
    }

    /**
     * Returns an equal step for use in a {@link CapturedStep}: its plan reserves memory for the fragmentation of the
     * arena.
     *
     * @return a new step
     */
    public GradCache<B, R> forCapture() {
        return new GradCache<>(ops, encoders, loss, planner.forCapture());
    }

    /**
     * Returns the plan for batches of the same sizes as this one. The plan is computed once for each change of the
     * numbers of samples: a few samples run forward and, with a zero gradient, backward to measure memory. If samples
     * differ in length, call this method first with a batch of the longest samples.
     *
     * @param batch of the sizes to plan for
     * @return the plan
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when even the smallest chunk does not fit the
     *     budget; no state was changed
     * @throws ShapeException when a chunk size does not fit the batch
     */
    public ChunkPlan plan(B batch) {
        List<Integer> samples =
                encoders.stream().map(encoder -> encoder.samples(batch)).toList();
        ChunkPlan current = plan;
        if (current == null || !samples.equals(plannedSamples)) {
            current = planner.plan(encoders, batch, loss);
            plan = current;
            plannedSamples = samples;
        }
        return current;
    }

    /**
     * Computes the loss over the whole batch and accumulates the gradients of the parameters.
     *
     * @param batch to encode
     * @param gradientScale multiplied into every gradient: 1 / k to average k steps, or the loss scale of 16-bit
     *     training
     * @return result of the loss
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
     * Returns the number of encoder calls of one step, first and second pass together.
     *
     * @param batch of the sizes in question
     * @return number of chunks encoded, counting a chunk twice if it is encoded twice
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

    /** The tensors and recorded passes of one step; closing frees them, also after a failure. */
    private final class Step implements AutoCloseable {
        private final B batch;
        private final ChunkPlan current;
        private final List<Tensor> representations = new ArrayList<>();
        private final List<@Nullable Tensor> gradients = new ArrayList<>();
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

    /**
     * The chunks of a step with gradient caching, and the bytes that each stage of the step is planned to use.
     *
     * @param base bytes live before the step: parameters, optimiser state, the batch
     * @param representations bytes of the representations of all encoders and of their gradients
     * @param lossWorkspace bytes that the loss allocates while it runs
     * @param encoders plan of each encoder
     */
    public record ChunkPlan(long base, long representations, long lossWorkspace, List<EncoderPlan> encoders) {
        /**
         * The chunks of one encoder.
         *
         * @param name of the encoder
         * @param samples in the batch
         * @param chunk samples encoded at a time; the last chunk may be smaller
         * @param kept number of chunks whose activations are kept after the first pass, so that they are encoded only
         *     once
         * @param chunkActivations bytes of the activations of one chunk; 0 if not measured
         * @param chunkPeak peak bytes of forward and backward of one chunk; 0 if not measured
         */
        public record EncoderPlan(
                String name, int samples, int chunk, int kept, long chunkActivations, long chunkPeak) {
            /**
             * Returns the number of chunks.
             *
             * @return samples / chunk, rounded up
             */
            public int chunks() {
                return (samples + chunk - 1) / chunk;
            }

            long keptBytes() {
                return kept * chunkActivations;
            }
        }

        /**
         * Returns the planned peak of live bytes: base, representations, kept activations, and the larger of the
         * workspace of the loss and the peak of one chunk.
         *
         * @return bytes
         */
        public long peak() {
            long kept = encoders.stream().mapToLong(EncoderPlan::keptBytes).sum();
            long chunk =
                    encoders.stream().mapToLong(EncoderPlan::chunkPeak).max().orElse(0);
            return base + representations + kept + Math.max(lossWorkspace, chunk);
        }

        /** Returns a table with one line per stage. */
        @Override
        public String toString() {
            StringBuilder text = new StringBuilder();
            line(text, "before the step", base);
            line(text, "representations and their gradients", representations);
            line(text, "loss workspace", lossWorkspace);
            for (EncoderPlan encoder : encoders) {
                line(
                        text,
                        encoder.name() + ": " + encoder.chunks() + " chunks of " + encoder.chunk()
                                + ", passes of one chunk",
                        encoder.chunkPeak());
                line(text, encoder.name() + ": activations of " + encoder.kept() + " kept chunks", encoder.keptBytes());
            }
            line(text, "peak", peak());
            return text.toString();
        }

        private static void line(StringBuilder text, String stage, long bytes) {
            text.append(String.format(Locale.ROOT, "%-60s %10.1f MiB%n", stage, bytes / 1048576.0));
        }
    }
}
