package org.contrastive4j.gradcache;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.ToIntFunction;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.jspecify.annotations.Nullable;

/**
 * A training step with gradient caching for two encoders and a loss: sets the gradients to zero and computes the loss
 * of the whole batch and its exact gradient, in the memory of a chunk.
 *
 * <pre>{@code
 * try (CachedStep<MyBatch> step = CachedStep.infoNce(ops, MyBatch::size)
 *         .encoder("image", imageParameters, this::encodeImages)
 *         .encoder("text", textParameters, this::encodeTexts)
 *         .memoryBudget(2L << 30)
 *         .build()) {
 *     double loss = step.run(batch).get().loss();
 *     optimizer.step(step.parameters());
 * }
 * }</pre>
 *
 * <p>The first run encodes one sample with each encoder to find the width of its representations. {@link GradCache} is
 * the same computation for any number of encoders, any loss, and gradients that accumulate.
 *
 * @param <B> the batch
 */
public final class CachedStep<B> implements AutoCloseable {
    private final Builder<B> settings;
    private final List<Parameter> parameters;
    private @Nullable GradCache<B, PairwiseOps.Result> cache; // null until the first run
    private int cachedChunk;
    private @Nullable Deferred<PairwiseOps.Result> last; // null until the first run and once its scale was clamped
    private boolean closed;

    private CachedStep(Builder<B> settings) {
        this.settings = settings;
        Set<Parameter> all = new LinkedHashSet<>(); // encoders may share parameters
        settings.encoders.forEach(encoder -> all.addAll(encoder.parameters));
        all.addAll(settings.loss.parameters());
        parameters = List.copyOf(all);
    }

    /**
     * Begins a step with symmetric InfoNCE and CLIP's initial scale, in which sample i of one encoder belongs to sample
     * i of the other. The step owns the loss.
     *
     * @param ops backend
     * @param samples number of pairs in a batch
     * @param <B> the batch
     * @return a builder
     */
    public static <B> Builder<B> infoNce(Ops ops, ToIntFunction<B> samples) {
        return new Builder<>(ops, samples, InfoNce.symmetric(ops), true);
    }

    /**
     * Begins a step with another loss, in which sample i of one encoder belongs to sample i of the other.
     *
     * @param ops backend
     * @param samples number of pairs in a batch
     * @param loss of two encoders; stays the caller's
     * @param <B> the batch
     * @return a builder
     */
    public static <B> Builder<B> of(Ops ops, ToIntFunction<B> samples, ContrastiveLoss loss) {
        return new Builder<>(ops, samples, loss, false);
    }

    /**
     * Returns the parameters of both encoders, each once, and those of the loss: what an optimiser updates.
     *
     * @return the parameters
     */
    public List<Parameter> parameters() {
        return parameters;
    }

    /**
     * Sets the gradients to zero and computes the loss of the whole batch and its gradient.
     *
     * <p>Before that, clamps the log-scale of the loss as after the optimiser step that followed the previous run
     * ({@link ContrastiveLoss#afterStep}).
     *
     * @param batch to encode
     * @return loss and accuracies
     * @throws ShapeException if a representation has another shape than [samples, width], or a chunk size does not fit
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException if even chunks of one sample exceed the memory
     *     budget
     * @throws IllegalStateException after {@link #close}
     */
    public Deferred<PairwiseOps.Result> run(B batch) {
        if (closed) {
            throw new IllegalStateException("step was used after close");
        }
        clampScale();
        GradCache<B, PairwiseOps.Result> current = cache(batch);
        if (settings.zeroes) {
            parameters.forEach(Parameter::zeroGradient);
        }
        Deferred<PairwiseOps.Result> result = current.step(batch, settings.gradientScale);
        last = result;
        return result;
    }

    private void clampScale() {
        if (last != null && settings.clamps) {
            settings.loss.afterStep(last.get());
        }
        last = null;
    }

    /**
     * Returns the plan of the chunks and of the memory for batches of this size.
     *
     * @param batch of the size in question
     * @return the plan
     */
    public GradCache.ChunkPlan plan(B batch) {
        return cache(batch).plan(batch);
    }

    /**
     * Compares the gradients of a batch in chunks with those of the whole batch. They differ if an encoder lets samples
     * of a chunk depend on each other, or draws random numbers that the sample does not determine.
     *
     * @param batch of a few samples
     * @param chunks chunk size of each encoder
     * @return the differences, and the layer where they begin
     */
    public EquivalenceCheck.Report check(B batch, List<Integer> chunks) {
        return new EquivalenceCheck<>(
                        settings.ops, settings.open(batch), LossOverEncoders.<B>of(settings.loss), parameters)
                .run(batch, chunks);
    }

    private GradCache<B, PairwiseOps.Result> cache(B batch) {
        int chunk = Math.min(settings.chunk, settings.samples.applyAsInt(batch)); // 0 where the budget decides
        GradCache<B, PairwiseOps.Result> current = cache;
        if (current == null || chunk != cachedChunk) {
            current = settings.cache(batch, chunk);
            cache = current;
            cachedChunk = chunk;
        }
        return current;
    }

    /** Clamps the log-scale and closes the loss if the step owns it; idempotent. The parameters stay open. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            clampScale();
            if (settings.ownsLoss) {
                settings.loss.close();
            }
        }
    }

    /**
     * Settings of a step.
     *
     * @param <B> the batch
     */
    public static final class Builder<B> {
        private record Part<B>(String name, List<Parameter> parameters, TapeEncoder.Body<B> body) {}

        private final Ops ops;
        private final ToIntFunction<B> samples;
        private final ContrastiveLoss loss;
        private final boolean ownsLoss;
        private final List<Part<B>> encoders = new ArrayList<>();
        private long budget = Long.MIN_VALUE;
        private int chunk;
        private double gradientScale = 1;
        private boolean zeroes = true;
        private boolean clamps = true;

        private Builder(Ops ops, ToIntFunction<B> samples, ContrastiveLoss loss, boolean ownsLoss) {
            this.ops = ops;
            this.samples = samples;
            this.loss = loss;
            this.ownsLoss = ownsLoss;
        }

        /**
         * Adds an encoder; the first one gives the rows of the loss, the second one its columns.
         *
         * @param name for plans and errors
         * @param parameters all parameters of the forward pass
         * @param forward encodes samples [from, to) of a batch
         * @return this builder
         */
        public Builder<B> encoder(String name, List<Parameter> parameters, TapeEncoder.Body<B> forward) {
            encoders.add(new Part<>(name, List.copyOf(parameters), forward));
            return this;
        }

        /**
         * Sets the limit of live bytes; chunk size and number of chunks with kept activations follow from it.
         *
         * @param bytes planned peak, above 0
         * @return this builder
         * @throws IllegalArgumentException if the limit is not above 0
         */
        public Builder<B> memoryBudget(long bytes) {
            require(bytes > 0, "expected a memory budget above 0 bytes, got " + bytes);
            budget = bytes;
            return this;
        }

        /**
         * Sets the chunk size. Without a memory budget no activations are kept.
         *
         * @param sampleCount samples encoded at a time, at least 1; a smaller batch is one chunk
         * @return this builder
         * @throws IllegalArgumentException if the size is below 1
         */
        public Builder<B> chunk(int sampleCount) {
            require(sampleCount > 0, "expected a chunk size of 1 or more, got " + sampleCount);
            chunk = sampleCount;
            return this;
        }

        /**
         * Leaves zeroing of the gradients to the caller and scales what a run adds to them.
         *
         * @param scale multiplied into every gradient: 1 / k to average k runs
         * @return this builder
         */
        public Builder<B> accumulate(double scale) {
            require(Double.isFinite(scale), "expected a finite gradient scale, got " + scale);
            zeroes = false;
            gradientScale = scale;
            return this;
        }

        /**
         * Leaves clamping of the log-scale ({@link ContrastiveLoss#afterStep}) to the caller.
         *
         * @return this builder
         */
        public Builder<B> withoutClamping() {
            clamps = false;
            return this;
        }

        /**
         * Creates the step.
         *
         * @return the step; the caller closes it
         * @throws IllegalArgumentException if there are not two encoders, or neither chunk size nor memory budget
         */
        public CachedStep<B> build() {
            require(encoders.size() == 2, "expected two encoders, got " + encoders.size());
            require(
                    chunk > 0 || budget > 0,
                    "expected a memory budget or a chunk size, got neither; call memoryBudget or chunk");
            return new CachedStep<>(this);
        }

        private List<ChunkEncoder<B>> open(B batch) {
            List<ChunkEncoder<B>> opened = new ArrayList<>();
            for (Part<B> part : encoders) {
                opened.add(new TapeEncoder<>(ops, part.name, width(part, batch), samples, part.parameters, part.body));
            }
            return opened;
        }

        private GradCache<B, PairwiseOps.Result> cache(B batch, int size) {
            List<ChunkEncoder<B>> opened = open(batch);
            LossOverEncoders<B> overEncoders = LossOverEncoders.of(loss);
            return size == 0
                    ? GradCache.ofBudget(ops, opened, overEncoders, budget)
                    : GradCache.ofChunks(ops, opened, overEncoders, List.of(size, size), budget);
        }

        /** Encodes one sample to find the width of a representation. */
        private int width(Part<B> part, B batch) {
            if (samples.applyAsInt(batch) < 1) {
                throw new ShapeException(
                        "expected at least one sample for encoder " + part.name + ", got an empty batch");
            }
            try (Tape tape = Tape.inference(ops)) {
                return tape.scope(part.name, () -> part.body.encode(tape, batch, 0, 1))
                        .shape()
                        .dim(-1);
            }
        }

        private static void require(boolean condition, String message) {
            if (!condition) {
                throw new IllegalArgumentException(message);
            }
        }
    }
}
