package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.data.Batch;
import org.contrastive4j.nn.Randomness;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * A batch as tensors of a backend, with what dropout needs; closing frees them.
 *
 * <p>Where operations can be recorded, all of it is sent at once, captions padded to the longest of the batch, and
 * {@link #refill} brings another batch to the same place. Elsewhere captions come chunk by chunk, each padded to the
 * longest of its chunk.
 */
public final class TrainBatch implements AutoCloseable {
    /**
     * What two batches must have in common to be in the same tensors.
     *
     * @param tokens of the longest caption
     */
    public record Layout(int pairs, int imageSize, int tokens) {
        static Layout of(Batch batch) {
            return new Layout(batch.pairs(), batch.imageSize(), batch.maxTokens());
        }
    }

    private final Ops ops;
    private final long seed;
    private final Tensor pictures;
    private final Tensor sampleIds;
    private final Tensor tokens; // of all captions, null where captions come chunk by chunk
    private final Tensor lengths;
    private final Tensor clock;
    private Runnable arrival = () -> {};
    private Batch batch;
    private int step;

    /** @param step of the optimiser; negative for evaluation, which drops nothing */
    public TrainBatch(Ops ops, Batch batch, long seed, int step) {
        this.ops = ops;
        this.batch = batch;
        this.seed = seed;
        this.step = step;
        List<Tensor> made = new ArrayList<>();
        try {
            this.pictures = kept(made,
                    ops.allocateParameter(batch.pairs(), batch.imageSize(), batch.imageSize(), 3));
            ops.send(batch.pictures(), pictures);
            this.sampleIds = kept(made, ops.ints(Shape.of(batch.pairs()), batch.sampleIds()));
            boolean atOnce = ops.canRecord();
            this.tokens = atOnce
                    ? kept(made, ops.ints(Shape.of(batch.pairs(), batch.maxTokens()), batch.tokens())) : null;
            this.lengths = atOnce ? kept(made, ops.ints(Shape.of(batch.pairs()), batch.lengths())) : null;
            this.clock = atOnce ? kept(made, ops.ints(Shape.of(1), step)) : null;
        } catch (RuntimeException noMemory) {
            made.forEach(Tensor::close);
            throw noMemory;
        }
    }

    /** A batch that is sent beside the work of the step before; {@link #arrive} comes before its first use. */
    static TrainBatch ahead(Ops ops, Batch batch, long seed, int step) {
        TrainBatch[] made = new TrainBatch[1];
        Runnable arrival = ops.sendAhead(() -> made[0] = new TrainBatch(ops, batch, seed, step));
        made[0].arrival = arrival;
        return made[0];
    }

    /** Work given from now on finds the batch there. */
    void arrive() {
        arrival.run();
        arrival = () -> {};
    }

    private static Tensor kept(List<Tensor> made, Tensor tensor) {
        made.add(tensor);
        return tensor;
    }

    /**
     * Makes this the batch of another step; the tensors stay where they are. Only where operations can be recorded.
     *
     * @throws ShapeException when its {@link #layout} is another, or an id or a length is outside what operations on
     *     the batches before were checked for; nothing was changed
     */
    public void refill(Batch next, int nextStep) {
        if (tokens == null || !Layout.of(next).equals(layout())) {
            throw new ShapeException("a batch of " + Layout.of(next) + " cannot be put in the place of " + layout()
                    + " on backend " + ops.name());
        }
        requireBelow("token", next.tokens(), tokens.reliedEnd());
        requireBelow("length", next.lengths(), lengths.reliedEnd());
        batch = next;
        step = nextStep;
        ops.send(next.pictures(), pictures);
        ops.send(next.sampleIds(), sampleIds);
        ops.send(next.tokens(), tokens);
        ops.send(next.lengths(), lengths);
        ops.send(new int[] {nextStep}, clock);
    }

    private static void requireBelow(String what, int[] values, int end) {
        for (int value : values) {
            if (value < 0 || value >= end) {
                throw new ShapeException(what + " " + value + " of the batch, wanted 0 to " + (end - 1));
            }
        }
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
        return lengths != null ? lengths.rows(from, to)
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
