package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.data.Batch;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * Where the batches of a run are on a backend that records: one place that all steps read, so that a recorded step finds
 * each batch where the first one was, and beside it a landing that the next batch is sent to meanwhile. A copy on the
 * device brings it over, for that costs microseconds, and a second place would have to have recordings of its own.
 *
 * <p>Captions of any length up to the longest are in the same memory, close together: the place serves all layouts.
 */
final class BatchBuffers implements AutoCloseable {
    private static final int LENGTHS = 8; // that captions are padded to, at most
    private static final int UNIT = 8; // tokens

    private final Ops ops;
    private final long seed;
    private final TrainBatch.Layout most;
    private final List<Tensor> made = new ArrayList<>();
    private final TrainBatch.Parts place; // tokens are flat, those of captions of some length come first
    private final TrainBatch.Parts landing;
    private Batch ahead; // in the landing, or on its way there
    private int aheadStep;
    private Runnable arrival;

    /** @param most what all batches have, with captions of the longest kind */
    BatchBuffers(Ops ops, long seed, TrainBatch.Layout most) {
        this.ops = ops;
        this.seed = seed;
        this.most = most;
        try {
            place = parts();
            landing = parts();
        } catch (RuntimeException noMemory) {
            made.forEach(Tensor::close);
            throw noMemory;
        }
    }

    private TrainBatch.Parts parts() {
        int side = most.imageSize();
        return new TrainBatch.Parts(
                kept(DType.F32, most.pairs(), side, side, 3),
                kept(DType.I32, most.pairs()),
                kept(DType.I32, most.pairs() * most.tokens()),
                kept(DType.I32, most.pairs()),
                kept(DType.I32, 1));
    }

    private Tensor kept(DType dtype, int... dims) {
        Tensor tensor = Tensor.allocate(ops.memory(), dtype, Shape.of(dims));
        made.add(tensor);
        return tensor;
    }

    /**
     * What captions of {@code tokens} tokens are padded to: a multiple of 8, or of more where the longest would have more
     * than 8 such lengths, so that there are few kinds of steps to record; never more than the longest.
     */
    static int paddedLength(int tokens, int longest) {
        int unit = Math.max(1, (longest + LENGTHS * UNIT - 1) / (LENGTHS * UNIT)) * UNIT;
        return Math.min(longest, (tokens + unit - 1) / unit * unit);
    }

    /**
     * Sends a batch to the place; it is there for what is given from now on.
     *
     * @return views, good until the place has another batch
     * @throws ShapeException when it does not fit, or an id is outside what steps before were checked for; nothing was
     *     changed
     */
    TrainBatch send(Batch batch, int step) {
        check(batch);
        send(batch, step, place);
        return there(batch, step);
    }

    /** Sends a batch to the landing, beside work; refuses as {@link #send} does. */
    void sendAhead(Batch batch, int step, Ops.Aside aside) {
        check(batch);
        arrival = aside.send(() -> send(batch, step, landing));
        ahead = batch;
        aheadStep = step;
    }

    boolean isAhead() {
        return ahead != null;
    }

    /** Brings what was sent ahead from the landing to the place; as {@link #send} from here on. */
    TrainBatch arrive() {
        Batch batch = ahead;
        settle();
        int ids = batch.tokens().length;
        ops.pointwise().copy(landing.pictures(), place.pictures());
        ops.pointwise().copy(landing.sampleIds(), place.sampleIds());
        ops.pointwise().copy(landing.tokens().rows(0, ids), place.tokens().rows(0, ids));
        ops.pointwise().copy(landing.lengths(), place.lengths());
        ops.pointwise().copy(landing.clock(), place.clock());
        return there(batch, aheadStep);
    }

    private void settle() {
        Runnable once = arrival;
        arrival = null;
        ahead = null;
        once.run();
    }

    private void send(Batch batch, int step, TrainBatch.Parts to) {
        ops.send(batch.pictures(), to.pictures());
        ops.send(batch.sampleIds(), to.sampleIds());
        ops.send(batch.tokens(), to.tokens().rows(0, batch.tokens().length));
        ops.send(batch.lengths(), to.lengths());
        ops.send(new int[] {step}, to.clock());
    }

    private TrainBatch there(Batch batch, int step) {
        place.sampleIds().recordValues(batch.sampleIds());
        place.tokens().recordValues(batch.tokens());
        place.lengths().recordValues(batch.lengths());
        Tensor tokens = place.tokens().rows(0, batch.tokens().length).reshape(batch.pairs(), batch.maxTokens());
        int pairs = batch.pairs();
        return new TrainBatch(
                ops,
                batch,
                seed,
                step,
                new TrainBatch.Parts(
                        place.pictures().rows(0, pairs),
                        place.sampleIds().rows(0, pairs),
                        tokens,
                        place.lengths().rows(0, pairs),
                        place.clock().rows(0, 1)));
    }

    private void check(Batch batch) {
        if (batch.pairs() != most.pairs()
                || batch.imageSize() != most.imageSize()
                || batch.maxTokens() > most.tokens()) {
            throw new ShapeException(
                    "a batch of " + TrainBatch.Layout.of(batch) + " does not fit the place of " + most);
        }
        requireWithin("token", batch.tokens(), 0, place.tokens().requiredEnd());
        requireWithin("length", batch.lengths(), 1, batch.maxTokens() + 1);
    }

    private static void requireWithin(String what, int[] values, int from, int end) {
        for (int value : values) {
            if (value < from || value >= end) {
                throw new ShapeException(what + " " + value + " of the batch, wanted " + from + " to " + (end - 1));
            }
        }
    }

    /** Idempotent. */
    @Override
    public void close() {
        try {
            if (arrival != null) {
                settle();
            }
        } finally {
            made.forEach(Tensor::close);
        }
    }
}
