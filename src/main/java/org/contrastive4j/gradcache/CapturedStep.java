package org.contrastive4j.gradcache;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Ops.CapturedGraph;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A step that is captured as a CUDA graph once for each shape of batch and replayed: one graph launch takes the place
 * of thousands of kernel launches.
 *
 * <p>The first step of a shape runs eagerly, which loads its kernels and measures its memory. The second one captures
 * and launches the graph, all later ones launch it. All give the same bits. The batches of a shape must lie in the
 * same tensors; the contents of the tensors may change, including the step number for dropout. The gradient scale is a
 * constant of the graph, so each scale has a graph of its own. When the loss scale of 16-bit training changes, every
 * few hundred steps, one step runs eagerly and one is captured.
 *
 * <p>Tensors of a step - representations, their gradients, activations, workspaces - lie in one arena that all graphs
 * share, because one runs after the other. The arena is as large as the largest step, plus a reserve for fragmentation.
 * An eager step allocates its tensors outside the arena. Therefore arena and graphs are freed before the first step of
 * a shape and when the arena must grow, and are created again when next needed. A step never holds its memory twice.
 *
 * <p>At most 16 shapes are kept; the least recently used one is dropped. A step whose arena does not fit the budget
 * always runs eagerly. If allocating the arena or the graph runs out of memory, the step runs eagerly 64 times before
 * the next attempt. A warning reports both cases.
 *
 * <p>The step must not synchronise with the host: its result is {@link Deferred}. Capture of a step that synchronises
 * fails with an exception of the backend that names the operation.
 *
 * <p>Tested by {@code CapturedStepTest}.
 *
 * @param <B> the batch
 * @param <R> result of the step
 */
public final class CapturedStep<B, R> implements BatchStep<B, R>, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(CapturedStep.class);
    private static final int MAX_SHAPES = 16;
    private static final int FRAGMENTATION_SHARE = 16; // reserve for fragmentation: 1 / 16 of the peak
    private static final long MIN_FRAGMENTATION = 64 << 10; // tensors are aligned to 256 bytes
    private static final int EAGER_STEPS = 64; // after memory ran out, before capture is tried again
    private static final int MAX_GROWTHS = 32; // by 1 / 16 each, to about 7 times the initial size

    private record Key(Object shape, double gradientScale) {}

    /** State of one shape; it has no graph until its second step. */
    private static final class ShapeState<R> {
        private final long peak;
        private @Nullable CapturedGraph graph;
        private @Nullable Deferred<R> result;
        private int eagerSteps; // until capture is tried again
        private boolean warned;

        ShapeState(long peak) {
            this.peak = peak;
        }

        /** Launches the graph, which must exist. */
        Deferred<R> replay() {
            Objects.requireNonNull(graph, "graph").run();
            return Objects.requireNonNull(result, "result");
        }

        void drop() {
            if (graph != null) {
                graph.close();
                graph = null;
                result = null;
            }
        }
    }

    private final Ops ops;
    private final BatchStep<B, R> step;
    private final Function<B, Object> shape;
    private final long budget;
    private final Map<Key, ShapeState<R>> shapes = new LinkedHashMap<>(16, 0.75f, true);
    private @Nullable Storage arena;

    /**
     * Creates a captured step whose only budget is the memory of the backend.
     *
     * @param ops backend that can capture
     * @param step to capture
     * @param shape returns equal objects for batches that one graph is valid for: the same operations on the same
     *     tensors
     */
    public CapturedStep(Ops ops, BatchStep<B, R> step, Function<B, Object> shape) {
        this(ops, step, shape, Long.MAX_VALUE);
    }

    /**
     * Creates a captured step within a budget.
     *
     * @param ops backend that can capture
     * @param step to capture
     * @param shape returns equal objects for batches that one graph is valid for: the same operations on the same
     *     tensors
     * @param budget maximum live bytes of the backend, including the arena
     * @throws UnsupportedOperationException when the backend cannot capture
     */
    public CapturedStep(Ops ops, BatchStep<B, R> step, Function<B, Object> shape, long budget) {
        if (!ops.canCapture()) {
            throw new UnsupportedOperationException(
                    "backend " + ops.name() + " cannot capture a step as a graph; run the step eagerly");
        }
        this.ops = ops;
        this.step = step;
        this.shape = shape;
        this.budget = budget;
    }

    /** {@inheritDoc} The result is valid until the next step. */
    @Override
    public Deferred<R> step(B batch, double gradientScale) {
        Key key = new Key(shape.apply(batch), gradientScale);
        ShapeState<R> known = shapes.get(key);
        if (known == null) {
            close();
            return runEagerly(key, batch);
        }
        if (known.graph != null || known.eagerSteps == 0 && capture(known, batch, gradientScale)) {
            return known.replay();
        }
        if (known.eagerSteps < Integer.MAX_VALUE) {
            known.eagerSteps--;
        }
        if (known.peak
                > Math.min(budget, ops.memory().limitBytes()) - ops.memory().currentBytes()) {
            close();
        }
        try {
            return runEagerly(key, batch);
        } catch (RuntimeException | Error failed) {
            close(); // frees memory for a retry: the step may need more than was measured
            throw failed;
        }
    }

    private Deferred<R> runEagerly(Key key, B batch) {
        Memory memory = ops.memory();
        try (Memory.Meter meter = memory.meter()) {
            Deferred<R> result = step.step(batch, key.gradientScale);
            // bytes still live are not part of a step, such as gradients of parameters that the first step allocates
            shapes.putIfAbsent(key, new ShapeState<>(Math.max(0, meter.peakBytes() - memory.currentBytes())));
            dropOldest();
            return result;
        }
    }

    private void dropOldest() {
        Iterator<ShapeState<R>> oldest = shapes.values().iterator();
        while (shapes.size() > MAX_SHAPES) {
            oldest.next().drop();
            oldest.remove();
        }
    }

    /**
     * Returns the initial size of an arena.
     *
     * @param peak maximum live bytes of the step
     * @return bytes, including the reserve for fragmentation
     */
    public static long arenaFor(long peak) {
        return peak + peak / FRAGMENTATION_SHARE + MIN_FRAGMENTATION;
    }

    /**
     * Returns the inverse of {@link #arenaFor}.
     *
     * @param arena bytes of an arena
     * @return maximum live bytes of a step whose initial arena is at most this size
     */
    public static long largestStep(long arena) {
        return Math.max(0, arena - MIN_FRAGMENTATION) / (FRAGMENTATION_SHARE + 1) * FRAGMENTATION_SHARE;
    }

    /** Captures the step; returns false if it must run eagerly. */
    private boolean capture(ShapeState<R> known, B batch, double gradientScale) {
        long forAll = arenaFor(shapes.values().stream()
                .filter(other -> other.eagerSteps == 0)
                .mapToLong(other -> other.peak)
                .max()
                .orElse(0));
        long bytes = arenaFor(known.peak);
        boolean fits = grow(forAll) || grow(bytes);
        for (int growth = 0; growth < MAX_GROWTHS && fits; growth++) {
            try {
                known.graph = ops.capture(() -> known.result = step.step(batch, gradientScale), arena);
                return true;
            } catch (RuntimeException failed) {
                fits = outOfMemory(failed).limit()
                        == arenaBytes(); // otherwise the device ran out of memory for the graph
                bytes = fits ? arenaFor(arenaBytes()) : bytes; // more fragmentation than expected
                fits = fits && grow(bytes);
            }
        }
        known.eagerSteps = fits(bytes) ? EAGER_STEPS : Integer.MAX_VALUE;
        if (known.warned) {
            return false;
        }
        known.warned = true;
        LOG.warn(
                "steps of {} run eagerly: an arena of {} bytes to capture them does not fit a budget of {}; raise the "
                        + "budget, or use a smaller batch or chunk",
                shape.apply(batch),
                bytes,
                budget);
        return false;
    }

    /** The out-of-memory exception among the causes, which a tape may have wrapped; rethrows any other failure. */
    private static OutOfBudgetException outOfMemory(RuntimeException failed) {
        for (Throwable cause = failed; cause != null; cause = cause.getCause()) {
            if (cause instanceof OutOfBudgetException out) {
                return out;
            }
        }
        throw failed;
    }

    /**
     * Ensures that the arena has at least {@code bytes}; returns false if they exceed the budget or the free memory.
     */
    private boolean grow(long bytes) {
        if (arena == null || arena.bytes() < bytes) {
            if (!fits(bytes)) {
                return false;
            }
            close();
            try {
                arena = ops.memory().allocate(bytes);
            } catch (OutOfBudgetException less) {
                return false;
            }
        }
        return true;
    }

    /** Whether an arena of {@code bytes} in place of the present one is within the budget. */
    private boolean fits(long bytes) {
        return bytes <= budget - (ops.memory().currentBytes() - arenaBytes());
    }

    /**
     * Returns the number of nodes of the graph for steps like this one.
     *
     * @param batch of the shape in question
     * @param gradientScale of the step
     * @return nodes; 0 while there is no graph
     */
    public int nodes(B batch, double gradientScale) {
        ShapeState<R> known = shapes.get(new Key(shape.apply(batch), gradientScale));
        return known == null || known.graph == null ? 0 : known.graph.operations();
    }

    /**
     * Returns the number of graphs.
     *
     * @return graphs that exist now
     */
    public int graphs() {
        return (int)
                shapes.values().stream().filter(known -> known.graph != null).count();
    }

    /**
     * Returns the size of the arena.
     *
     * @return bytes; 0 before anything is captured
     */
    public long arenaBytes() {
        return arena == null ? 0 : arena.bytes();
    }

    /** Frees graphs and arena; a later step creates them again. */
    @Override
    public void close() {
        shapes.values().forEach(ShapeState::drop);
        if (arena != null) {
            arena.close();
            arena = null;
        }
    }
}
