package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.contrastive4j.data.Batch;
import org.contrastive4j.nn.Randomness;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * A batch as tensors of a backend, with what dropout needs; closing frees them.
 *
 * <p>Where operations can be recorded all of it is sent at once, with captions as the batch has them padded. Elsewhere
 * captions come chunk by chunk, each padded to the longest of its chunk.
 */
public final class TrainBatch implements AutoCloseable {
    /**
     * What two batches must have in common for the same operations to be right for both.
     *
     * @param tokens that captions are padded to
     */
    public record Layout(int pairs, int imageSize, int tokens) {
        static Layout of(Batch batch) {
            return new Layout(batch.pairs(), batch.imageSize(), batch.maxTokens());
        }
    }

    /** What a batch is on a backend that records. */
    record Parts(Tensor pictures, Tensor sampleIds, Tensor tokens, Tensor lengths, Tensor clock) {}

    private final Ops ops;
    private final long seed;
    private final Tensor pictures;
    private final Tensor sampleIds;
    private final Tensor tokens; // of all captions, null where captions come chunk by chunk
    private final Tensor lengths;
    private final Tensor clock;
    private final Batch batch;
    private final int step;

    /** @param step of the optimiser; negative for evaluation, which drops nothing */
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

    /** @param parts with the batch in them */
    TrainBatch(Ops ops, Batch batch, long seed, int step, Parts parts) {
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

    /** Of its tensors; those that come chunk by chunk are not counted. */
    long bytes() {
        return Stream.of(pictures, sampleIds, tokens, lengths, clock)
                .filter(Objects::nonNull)
                .mapToLong(Tensor::bytes)
                .sum();
    }

    public Layout layout() {
        return Layout.of(batch);
    }

    public int pairs() {
        return batch.pairs();
    }

    /** Of the optimiser; negative for evaluation. */
    public int step() {
        return step;
    }

    public int[] sampleIds() {
        return batch.sampleIds();
    }

    Tensor pictures(int from, int to) {
        return pictures.rows(from, to);
    }

    /** Null for evaluation. */
    Randomness randomness(int from, int to) {
        return step < 0 ? null : new Randomness(seed, step, sampleIds.rows(from, to), clock);
    }

    /** Token ids of captions [from, to), padded; the caller closes the tensor. */
    Tensor tokens(int from, int to) {
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

    /** Lengths of captions [from, to); the caller closes the tensor. */
    Tensor lengths(int from, int to) {
        return lengths != null
                ? lengths.rows(from, to)
                : ops.ints(Shape.of(to - from), Arrays.copyOfRange(batch.lengths(), from, to));
    }

    @Override
    public void close() {
        pictures.close();
        sampleIds.close();
        if (tokens != null) {
            tokens.close();
            lengths.close();
            clock.close();
        }
    }
}
