package org.contrastive4j.gradcache;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.memory.Storage;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Recording;

/**
 * A step that is recorded once for each shape of batch and run again as one piece: the host gives the device one order
 * where it gave thousands.
 *
 * <p>The first step of a shape is done directly, which loads what it needs and measures its memory; the second records
 * it and runs the recording, and so do all later ones. All give the same bits. A batch must be in the same tensors
 * each time; what changes is in them, the step for dropout included. The gradient scale is part of a recording: a step
 * of another scale is another shape.
 *
 * <p>Tensors of a step - representations, the cache, activations, workspaces - are in one scratch memory that all
 * recordings share, since one runs after the other. It is as large as the largest step needs. Where that grows, the
 * recordings made so far are dropped and made again when they are next wanted.
 *
 * <p>The step may not wait for its result: its loss gives it {@link org.contrastive4j.ops.Later}. A step that waits is
 * refused, when it is recorded, with the exception of the backend that says what it did.
 *
 * @param <B> the batch
 * @param <R> what the step reports, in some {@link org.contrastive4j.ops.Later}
 */
public final class RecordedStep<B, R> implements BatchStep<B, R>, AutoCloseable {
    private static final long UNIT = 1 << 10;
    private static final long MOST_SLACK = 1 << 20; // of tensors smaller than what memory is handed out in

    private record Key(Object shape, double gradientScale) {}

    /** What is known of a shape; nothing is recorded at first. */
    private static final class Known<R> {
        private final long peak;
        private Recording recording;
        private R result;

        Known(long peak) {
            this.peak = peak;
        }
    }

    private final Ops ops;
    private final BatchStep<B, R> step;
    private final Function<B, Object> shape;
    private final Map<Key, Known<R>> shapes = new HashMap<>();
    private Storage scratch;

    /**
     * @param ops must be able to record
     * @param shape equal for batches that the same operations on the same tensors are right for
     */
    public RecordedStep(Ops ops, BatchStep<B, R> step, Function<B, Object> shape) {
        if (!ops.canRecord()) {
            throw new UnsupportedOperationException("backend " + ops.name() + " records nothing; use the step itself");
        }
        this.ops = ops;
        this.step = step;
        this.shape = shape;
    }

    /** {@inheritDoc} The result is that of this step until the next one. */
    @Override
    public R step(B batch, double gradientScale) {
        Key key = new Key(shape.apply(batch), gradientScale);
        Known<R> known = shapes.get(key);
        if (known == null) {
            return direct(key, batch);
        }
        if (known.recording == null) {
            record(known, batch, gradientScale);
        }
        known.recording.run();
        return known.result;
    }

    private R direct(Key key, B batch) {
        Memory memory = ops.memory();
        try (Memory.Meter meter = memory.meter()) {
            R result = step.step(batch, key.gradientScale);
            // what stays is no part of a step, such as gradients of parameters after the first one
            shapes.put(key, new Known<>(Math.max(0, meter.peakBytes() - memory.currentBytes())));
            return result;
        }
    }

    private void record(Known<R> known, B batch, double gradientScale) {
        long bytes = (known.peak / UNIT + 1) * UNIT;
        while (true) {
            grow(bytes);
            try {
                known.recording = ops.record(() -> known.result = step.step(batch, gradientScale), scratch);
                return;
            } catch (OutOfBudgetException tooSmall) { // gaps between pieces, or the peak came before what stays
                if (scratch.bytes() > 4 * known.peak + MOST_SLACK) {
                    throw tooSmall;
                }
                bytes = scratch.bytes() + (scratch.bytes() / 4 / UNIT + 1) * UNIT;
            }
        }
    }

    private void grow(long bytes) {
        if (scratch == null || scratch.bytes() < bytes) {
            close();
            scratch = ops.memory().allocate(bytes);
        }
    }

    /** Operations of the device in the recording of steps like this one; 0 when there is none yet. */
    public int operations(B batch, double gradientScale) {
        Known<R> known = shapes.get(new Key(shape.apply(batch), gradientScale));
        return known == null || known.recording == null ? 0 : known.recording.operations();
    }

    /** Bytes of the scratch memory; 0 before anything is recorded. */
    public long scratchBytes() {
        return scratch == null ? 0 : scratch.bytes();
    }

    /** Drops the recordings and their memory; a later step makes them again. */
    @Override
    public void close() {
        for (Known<R> known : shapes.values()) {
            if (known.recording != null) {
                known.recording.close();
                known.recording = null;
                known.result = null;
            }
        }
        if (scratch != null) {
            scratch.close();
            scratch = null;
        }
    }
}
