package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.data.Batch;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Device buffers for the batches of a run whose steps are captured as CUDA graphs. A graph reads fixed addresses, so
 * all batches use the same buffers. The next batch is copied to staging buffers while a step runs, and a device copy
 * then moves it to the buffers. The device copy takes microseconds; alternating between two sets of buffers would need
 * two graphs.
 *
 * <p>The buffers hold captions of any padded length up to the longest one.
 */
final class BatchBuffers implements AutoCloseable {
    private static final int LENGTHS = 8; // largest number of padded lengths
    private static final int UNIT = 8; // padded lengths are a multiple of this

    private final Ops ops;
    private final long seed;
    private final TrainBatch.Layout most;
    private final List<Tensor> made = new ArrayList<>();
    private final TrainBatch.Parts buffers; // tokens are flat
    private final TrainBatch.Parts staging;
    private @Nullable Batch prefetched; // in the staging buffers, or being copied to them
    private int prefetchedStep;
    private @Nullable Runnable arrival;

    /** @param most layout of the batches with the longest captions */
    BatchBuffers(Ops ops, long seed, TrainBatch.Layout most) {
        this.ops = ops;
        this.seed = seed;
        this.most = most;
        try {
            buffers = parts();
            staging = parts();
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
     * Returns the length that captions of {@code tokens} tokens are padded to. It is a multiple of 8, or of a larger
     * unit that leaves at most 8 different lengths, because each length needs a graph of its own. It never exceeds the
     * longest length.
     */
    static int paddedLength(int tokens, int longest) {
        int unit = Math.max(1, (longest + LENGTHS * UNIT - 1) / (LENGTHS * UNIT)) * UNIT;
        return Math.min(longest, (tokens + unit - 1) / unit * unit);
    }

    /**
     * Copies a batch to the buffers. Work that is issued afterwards reads it.
     *
     * @return views, valid until the buffers hold another batch
     * @throws ShapeException when the batch does not fit, or an id is out of the range that captured steps were checked
     *     for; the buffers are then unchanged
     */
    TrainBatch send(Batch batch, int step) {
        check(batch);
        send(batch, step, buffers);
        return there(batch, step);
    }

    /**
     * Copies a batch to the staging buffers on the prefetch stream.
     *
     * @throws ShapeException as {@link #send} does
     */
    void prefetch(Batch batch, int step, Ops.PrefetchStream stream) {
        check(batch);
        arrival = stream.send(() -> send(batch, step, staging));
        prefetched = batch;
        prefetchedStep = step;
    }

    boolean isPrefetched() {
        return prefetched != null;
    }

    /** Moves the prefetched batch from the staging buffers to the buffers; see {@link #send}. */
    TrainBatch arrive() {
        Batch batch = Objects.requireNonNull(prefetched, "no batch was prefetched");
        settle();
        int ids = batch.tokens().length;
        ops.pointwise().copy(staging.pictures(), buffers.pictures());
        ops.pointwise().copy(staging.sampleIds(), buffers.sampleIds());
        ops.pointwise().copy(staging.tokens().rows(0, ids), buffers.tokens().rows(0, ids));
        ops.pointwise().copy(staging.lengths(), buffers.lengths());
        ops.pointwise().copy(staging.clock(), buffers.clock());
        return there(batch, prefetchedStep);
    }

    private void settle() {
        Runnable once = Objects.requireNonNull(arrival);
        arrival = null;
        prefetched = null;
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
        buffers.sampleIds().recordValues(batch.sampleIds());
        buffers.tokens().recordValues(batch.tokens());
        buffers.lengths().recordValues(batch.lengths());
        Tensor tokens = buffers.tokens().rows(0, batch.tokens().length).reshape(batch.pairs(), batch.maxTokens());
        int pairs = batch.pairs();
        return new TrainBatch(
                ops,
                batch,
                seed,
                step,
                new TrainBatch.Parts(
                        buffers.pictures().rows(0, pairs),
                        buffers.sampleIds().rows(0, pairs),
                        tokens,
                        buffers.lengths().rows(0, pairs),
                        buffers.clock().rows(0, 1)));
    }

    private void check(Batch batch) {
        if (batch.pairs() != most.pairs()
                || batch.imageSize() != most.imageSize()
                || batch.maxTokens() > most.tokens()) {
            throw new ShapeException("a batch of " + TrainBatch.Layout.of(batch) + " does not fit buffers of " + most);
        }
        requireWithin("token", batch.tokens(), 0, buffers.tokens().requiredEnd());
        requireWithin("length", batch.lengths(), 1, batch.maxTokens() + 1);
    }

    private static void requireWithin(String what, int[] values, int from, int end) {
        for (int value : values) {
            if (value < from || value >= end) {
                throw new ShapeException(what + " " + value + " of the batch, expected " + from + " to " + (end - 1));
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
