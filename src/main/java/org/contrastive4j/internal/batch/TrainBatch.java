package org.contrastive4j.internal.batch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.contrastive4j.data.Batch;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Holds a batch as tensors of a backend, and the seeds of its dropout. {@link #close} frees the tensors.
 *
 * <p>A backend that captures CUDA graphs receives the whole batch at once, with captions padded to the length of the
 * batch. Other backends receive captions chunk by chunk, padded to the longest caption of the chunk.
 *
 * <p>Tested by {@code EncodersTest}.
 */
public final class TrainBatch implements AutoCloseable {
    /**
     * The dimensions of a batch. Batches of equal layout can use the same captured graph.
     *
     * @param pairs number of pairs
     * @param imageSize side of a picture in pixels
     * @param tokens length that captions are padded to
     */
    public record Layout(int pairs, int imageSize, int tokens) {
        /** Returns the layout of a batch. */
        public static Layout of(Batch batch) {
            return new Layout(batch.pairs(), batch.imageSize(), batch.maxTokens());
        }
    }

    /** The tensors of a batch on a backend that captures graphs. */
    public record Parts(Tensor pictures, Tensor sampleIds, Tensor tokens, Tensor lengths, Tensor clock) {}

    private final Ops ops;
    private final long seed;
    private final Tensor pictures;
    private final Tensor sampleIds;
    // of all captions; null if captions are sent chunk by chunk
    private final @Nullable Tensor tokens;
    private final @Nullable Tensor lengths;
    private final @Nullable Tensor clock;
    private final Batch batch;
    private final int step;

    /**
     * Copies a batch to the backend.
     *
     * @param ops backend
     * @param batch copied
     * @param seed of dropout
     * @param step of the optimiser; negative for evaluation, which has no dropout
     */
    public TrainBatch(Ops ops, Batch batch, long seed, int step) {
        this.ops = ops;
        this.batch = batch;
        this.seed = seed;
        this.step = step;
        List<Tensor> made = new ArrayList<>();
        try {
            this.pictures = kept(made, ops.allocateParameter(batch.pairs(), batch.imageSize(), batch.imageSize(), 3));
            ops.send(batch.pictures(), pictures);
            this.sampleIds = kept(made, ops.ints(Shape.of(batch.pairs()), batch.sampleIds()));
            boolean atOnce = ops.canCapture();
            this.tokens =
                    atOnce ? kept(made, ops.ints(Shape.of(batch.pairs(), batch.maxTokens()), batch.tokens())) : null;
            this.lengths = atOnce ? kept(made, ops.ints(Shape.of(batch.pairs()), batch.lengths())) : null;
            this.clock = atOnce ? kept(made, ops.ints(Shape.of(1), step)) : null;
        } catch (RuntimeException noMemory) {
            made.forEach(Tensor::close);
            throw noMemory;
        }
    }

    /**
     * Wraps tensors that hold the batch already.
     *
     * @param parts tensors of the batch; closed by {@link #close}
     */
    public TrainBatch(Ops ops, Batch batch, long seed, int step, Parts parts) {
        this.ops = ops;
        this.batch = batch;
        this.seed = seed;
        this.step = step;
        this.pictures = parts.pictures;
        this.sampleIds = parts.sampleIds;
        this.tokens = parts.tokens;
        this.lengths = parts.lengths;
        this.clock = parts.clock;
    }

    private static Tensor kept(List<Tensor> made, Tensor tensor) {
        made.add(tensor);
        return tensor;
    }

    /** Returns the bytes of its tensors, without captions that are sent chunk by chunk. */
    public long bytes() {
        return Stream.of(pictures, sampleIds, tokens, lengths, clock)
                .filter(Objects::nonNull)
                .mapToLong(Tensor::bytes)
                .sum();
    }

    /** Returns the dimensions of the batch. */
    public Layout layout() {
        return Layout.of(batch);
    }

    /** Returns the number of pairs. */
    public int pairs() {
        return batch.pairs();
    }

    /** Returns the step as a tensor, [1] I32, on a backend that captures graphs. */
    public Tensor clock() {
        return Objects.requireNonNull(clock, "a backend that captures");
    }

    /** Returns the step of the optimiser; negative for evaluation. */
    public int step() {
        return step;
    }

    /** Returns the ids of the samples. */
    public int[] sampleIds() {
        return batch.sampleIds();
    }

    /** Returns a view of pictures [from, to). */
    public Tensor pictures(int from, int to) {
        return pictures.rows(from, to);
    }

    /** Returns the seeds of dropout for samples [from, to); null for evaluation. */
    public @Nullable Randomness randomness(int from, int to) {
        return step < 0 ? null : new Randomness(seed, step, sampleIds.rows(from, to), clock);
    }

    /** Returns the token ids of captions [from, to), padded; the caller closes the tensor. */
    public Tensor tokens(int from, int to) {
        if (tokens != null) {
            return tokens.rows(from, to);
        }
        int longest = 1;
        for (int k = from; k < to; k++) {
            longest = Math.max(longest, batch.lengths()[k]);
        }
        int[] ids = new int[(to - from) * longest];
        for (int k = from; k < to; k++) {
            System.arraycopy(batch.tokens(), k * batch.maxTokens(), ids, (k - from) * longest, longest);
        }
        return ops.ints(Shape.of(to - from, longest), ids);
    }

    /** Returns the lengths of captions [from, to); the caller closes the tensor. */
    public Tensor lengths(int from, int to) {
        return lengths != null
                ? lengths.rows(from, to)
                : ops.ints(Shape.of(to - from), Arrays.copyOfRange(batch.lengths(), from, to));
    }

    @Override
    public void close() {
        pictures.close();
        sampleIds.close();
        for (Tensor tensor : Arrays.asList(tokens, lengths, clock)) {
            if (tensor != null) {
                tensor.close();
            }
        }
    }
}
