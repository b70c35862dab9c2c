package org.contrastive4j.gradcache;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.memory.Storage;
import org.contrastive4j.ops.CapturedGraph;
import org.contrastive4j.ops.Ops;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A step that is recorded once for each shape of batch and run again as one piece: the host gives the device one order
 * where it gave thousands.
 *
 * <p>The first step of a shape is done directly, which loads what it needs and measures its memory; the second records
 * it and runs the recording, and so do all later ones. All give the same bits. A batch must be in the same tensors
 * each time; what changes is in them, the step for dropout included. The gradient scale is part of a recording: a step
 * of another scale is another shape. That costs a direct step and a recording when the loss scale of 16-bit training
 * moves, every few hundred steps: less than a second way to give it to every kernel of a loss would be worth.
 *
 * <p>Tensors of a step - representations, the cache, activations, workspaces - are in one scratch memory that all
 * recordings share, since one runs after the other. It is as large as the largest step needs, and the gaps between
 * tensors of different lives. A direct step has its tensors beside it: before the first one of a shape, and where the
 * scratch is to grow, scratch and recordings are dropped, and made again when they are next wanted. So a step never has
 * memory twice.
 *
 * <p>At most 16 shapes are known; the least recently used one is forgotten. A step whose scratch does not fit the budget
 * is done directly each time, one that the memory had no room for is for a while, and so a warning says; recordings of
 * others are dropped for it where there is no room for it beside them.
 *
 * <p>The step may not wait for its result: its loss gives it {@link org.contrastive4j.ops.Later}. A step that waits is
 * refused, when it is recorded, with the exception of the backend that says what it did.
 *
 * @param <B> the batch
 * @param <R> what the step reports, in some {@link org.contrastive4j.ops.Later}
 */
public final class CapturedStep<B, R> implements BatchStep<B, R>, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(CapturedStep.class);
    private static final int MOST_SHAPES = 16;
    private static final int SHARE = 16; // of the scratch, for gaps
    private static final long LEAST_GAPS = 64 << 10; // tensors begin at multiples of 256 bytes
    private static final int TRY_AGAIN = 64; // steps after memory was out: it may be there again
    private static final int MOST_ROUNDS = 32; // of growth by a SHARE: to some 7 times the size

    private record Key(Object shape, double gradientScale) {}

    /** What is known of a shape; nothing is recorded at first. */
    private static final class Known<R> {
        private final long peak;
        private CapturedGraph recording;
        private R result;
        private int direct; // steps before recording is tried again
        private boolean warned;

        Known(long peak) {
            this.peak = peak;
        }

        void drop() {
            if (recording != null) {
                recording.close();
                recording = null;
                result = null;
            }
        }
    }

    private final Ops ops;
    private final BatchStep<B, R> step;
    private final Function<B, Object> shape;
    private final long budget;
    private final Map<Key, Known<R>> shapes = new LinkedHashMap<>(16, 0.75f, true);
    private Storage scratch;

    /** Without a budget: whatever memory there is. */
    public CapturedStep(Ops ops, BatchStep<B, R> step, Function<B, Object> shape) {
        this(ops, step, shape, Long.MAX_VALUE);
    }

    /**
     * @param ops must be able to record
     * @param shape equal for batches that the same operations on the same tensors are right for
     * @param budget most live bytes of the backend, the scratch and everything else
     */
    public CapturedStep(Ops ops, BatchStep<B, R> step, Function<B, Object> shape, long budget) {
        if (!ops.canCapture()) {
            throw new UnsupportedOperationException("backend " + ops.name() + " records nothing; use the step itself");
        }
        this.ops = ops;
        this.step = step;
        this.shape = shape;
        this.budget = budget;
    }

    /** {@inheritDoc} The result is that of this step until the next one. */
    @Override
    public R step(B batch, double gradientScale) {
        Key key = new Key(shape.apply(batch), gradientScale);
        Known<R> known = shapes.get(key);
        if (known == null) {
            close();
            return direct(key, batch);
        }
        if (known.recording != null || known.direct == 0 && record(known, batch, gradientScale)) {
            known.recording.run();
            return known.result;
        }
        if (known.direct < Integer.MAX_VALUE) {
            known.direct--;
        }
        if (known.peak
                > Math.min(budget, ops.memory().limitBytes()) - ops.memory().currentBytes()) {
            close();
        }
        try {
            return direct(key, batch);
        } catch (RuntimeException | Error failed) {
            close(); // there may be less memory than was thought: who tries again has all of it
            throw failed;
        }
    }

    private R direct(Key key, B batch) {
        Memory memory = ops.memory();
        try (Memory.Meter meter = memory.meter()) {
            R result = step.step(batch, key.gradientScale);
            // what stays is no part of a step, such as gradients of parameters after the first one
            shapes.putIfAbsent(key, new Known<>(Math.max(0, meter.peakBytes() - memory.currentBytes())));
            forgetOldest();
            return result;
        }
    }

    private void forgetOldest() {
        Iterator<Known<R>> oldest = shapes.values().iterator();
        while (shapes.size() > MOST_SHAPES) {
            oldest.next().drop();
            oldest.remove();
        }
    }

    /** What a scratch is made for at first, for steps that have so many bytes live at most. */
    public static long scratchFor(long peak) {
        return peak + peak / SHARE + LEAST_GAPS;
    }

    /** The most bytes of a step for which a scratch is made with so many at first. */
    public static long largestStep(long scratch) {
        return Math.max(0, scratch - LEAST_GAPS) / (SHARE + 1) * SHARE;
    }

    /** Whether it was recorded; otherwise it is to be done directly from now on. */
    private boolean record(Known<R> known, B batch, double gradientScale) {
        long forAll = scratchFor(shapes.values().stream()
                .filter(other -> other.direct == 0)
                .mapToLong(other -> other.peak)
                .max()
                .orElse(0));
        long bytes = scratchFor(known.peak);
        boolean there = grow(forAll) || grow(bytes);
        for (int round = 0; round < MOST_ROUNDS && there; round++) {
            try {
                known.recording = ops.capture(() -> known.result = step.step(batch, gradientScale), scratch);
                return true;
            } catch (RuntimeException failed) {
                there = outOfMemory(failed).limit() == scratch.bytes(); // not the device's own, for the recording
                bytes = there ? scratchFor(scratch.bytes()) : bytes; // for the gaps
                there = there && grow(bytes);
            }
        }
        known.direct = fits(bytes) ? TRY_AGAIN : Integer.MAX_VALUE;
        if (known.warned) {
            return false;
        }
        known.warned = true;
        LOG.warn(
                "steps of {} are done directly: there is no room to record them with {} bytes of scratch, of a budget "
                        + "of {}; give it more, or use a smaller batch or chunk",
                shape.apply(batch),
                bytes,
                budget);
        return false;
    }

    /** What says that memory was out; a tape may have wrapped it. Throws on what failed for another reason. */
    private static OutOfBudgetException outOfMemory(RuntimeException failed) {
        for (Throwable cause = failed; cause != null; cause = cause.getCause()) {
            if (cause instanceof OutOfBudgetException out) {
                return out;
            }
        }
        throw failed;
    }

    /** Whether the scratch has so many bytes now, or more; the budget or the memory may have no room for it. */
    private boolean grow(long bytes) {
        if (scratch == null || scratch.bytes() < bytes) {
            if (!fits(bytes)) {
                return false;
            }
            close();
            try {
                scratch = ops.memory().allocate(bytes);
            } catch (OutOfBudgetException less) {
                return false;
            }
        }
        return true;
    }

    /** Whether the budget has room for a scratch of so many bytes in the place of the one there is. */
    private boolean fits(long bytes) {
        return bytes <= budget - (ops.memory().currentBytes() - scratchBytes());
    }

    /** Operations of the device in the recording of steps like this one; 0 when there is none now. */
    public int operations(B batch, double gradientScale) {
        Known<R> known = shapes.get(new Key(shape.apply(batch), gradientScale));
        return known == null || known.recording == null ? 0 : known.recording.operations();
    }

    /** Recordings there are now. */
    public int recordings() {
        return (int) shapes.values().stream()
                .filter(known -> known.recording != null)
                .count();
    }

    /** Bytes of the scratch memory; 0 before anything is recorded. */
    public long scratchBytes() {
        return scratch == null ? 0 : scratch.bytes();
    }

    /** Drops the recordings and their memory; a later step makes them again. */
    @Override
    public void close() {
        shapes.values().forEach(Known::drop);
        if (scratch != null) {
            scratch.close();
            scratch = null;
        }
    }
}
