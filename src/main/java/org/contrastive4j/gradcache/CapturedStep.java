package org.contrastive4j.gradcache;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.memory.Storage;
import org.contrastive4j.ops.CapturedGraph;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A step that is captured as a CUDA graph once for each shape of batch and replayed: one graph launch takes the place
 * of thousands of kernel launches.
 *
 * <p>The first step of a shape runs eagerly, which loads its kernels and measures its memory. The second one captures
 * and launches the graph, all later ones launch it. All give the same bits. A batch must be in the same tensors each
 * time; their contents may change, the step number for dropout included. The gradient scale is a constant of the graph,
 * so a step of another scale has another shape: when the loss scale of 16-bit training changes, every few hundred
 * steps, one step runs eagerly and one is captured.
 *
 * <p>Tensors of a step - representations, their gradients, activations, workspaces - lie in one arena that all graphs
 * share, because one runs after the other. The arena is as large as the largest step, plus room for its fragmentation.
 * An eager step has its tensors outside the arena: before the first step of a shape, and where the arena must grow,
 * arena and graphs are freed and made again when they are next needed. So a step never holds its memory twice.
 *
 * <p>At most 16 shapes are kept; the least recently used one is dropped. A step whose arena does not fit the budget
 * always runs eagerly; one whose arena the memory had no room for runs eagerly for 64 steps. A warning reports both.
 *
 * <p>The step must not synchronise with the host: its results are {@link Deferred}. A step that does is refused, when
 * it is captured, with the backend's exception that names the operation.
 *
 * @param <B> the batch
 * @param <R> what the step reports
 */
public final class CapturedStep<B, R> implements BatchStep<B, R>, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(CapturedStep.class);
    private static final int MAX_SHAPES = 16;
    private static final int FRAGMENTATION_SHARE = 16; // one part in so many of the arena
    private static final long MIN_FRAGMENTATION = 64 << 10; // tensors are aligned to 256 bytes
    private static final int EAGER_STEPS = 64; // after memory ran out, before capture is tried again
    private static final int MAX_GROWTHS = 32; // by one FRAGMENTATION_SHARE each: to some 7 times the size

    private record Key(Object shape, double gradientScale) {}

    /** State of one shape; without a graph at first. */
    private static final class ShapeState<R> {
        private final long peak;
        private @Nullable CapturedGraph graph;
        private @Nullable Deferred<R> result;
        private int eagerSteps; // until capture is tried again
        private boolean warned;

        ShapeState(long peak) {
            this.peak = peak;
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
     * @param step what is captured
     * @param shape equal for batches on which the same operations on the same tensors are correct
     */
    public CapturedStep(Ops ops, BatchStep<B, R> step, Function<B, Object> shape) {
        this(ops, step, shape, Long.MAX_VALUE);
    }

    /**
     * Creates a captured step within a budget.
     *
     * @param ops backend that can capture
     * @param step what is captured
     * @param shape equal for batches on which the same operations on the same tensors are correct
     * @param budget most live bytes of the backend, the arena included
     * @throws UnsupportedOperationException when the backend cannot capture
     */
    public CapturedStep(Ops ops, BatchStep<B, R> step, Function<B, Object> shape, long budget) {
        if (!ops.canCapture()) {
            throw new UnsupportedOperationException(
                    "backend " + ops.name() + " cannot capture a step as a graph; run the step itself");
        }
        this.ops = ops;
        this.step = step;
        this.shape = shape;
        this.budget = budget;
    }

    /** {@inheritDoc} The result is that of this step until the next one. */
    @Override
    public Deferred<R> step(B batch, double gradientScale) {
        Key key = new Key(shape.apply(batch), gradientScale);
        ShapeState<R> known = shapes.get(key);
        if (known == null) {
            close();
            return runEagerly(key, batch);
        }
        if (known.graph != null || known.eagerSteps == 0 && capture(known, batch, gradientScale)) {
            known.graph.run();
            return known.result;
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
            close(); // there may be less memory than was measured: a retry gets all of it
            throw failed;
        }
    }

    private Deferred<R> runEagerly(Key key, B batch) {
        Memory memory = ops.memory();
        try (Memory.Meter meter = memory.meter()) {
            Deferred<R> result = step.step(batch, key.gradientScale);
            // what stays live is no part of a step, such as gradients of parameters after the first one
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
     * Returns the size that an arena has at first.
     *
     * @param peak most bytes that a step has live
     * @return bytes, fragmentation included
     */
    public static long arenaFor(long peak) {
        return peak + peak / FRAGMENTATION_SHARE + MIN_FRAGMENTATION;
    }

    /**
     * Returns the inverse of {@link #arenaFor}.
     *
     * @param arena bytes of an arena
     * @return the most live bytes of a step that has an arena of at most this size at first
     */
    public static long largestStep(long arena) {
        return Math.max(0, arena - MIN_FRAGMENTATION) / (FRAGMENTATION_SHARE + 1) * FRAGMENTATION_SHARE;
    }

    /** Whether the step was captured; otherwise it runs eagerly from now on. */
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
                fits = outOfMemory(failed).limit() == arena.bytes(); // else the device had no room for the graph
                bytes = fits ? arenaFor(arena.bytes()) : bytes; // more fragmentation than expected
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

    /** Whether the arena has at least so many bytes now; the budget or the memory may have no room for it. */
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

    /** Whether the budget has room for an arena of so many bytes instead of the present one. */
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

    /** Frees graphs and arena; a later step makes them again. */
    @Override
    public void close() {
        shapes.values().forEach(ShapeState::drop);
        if (arena != null) {
            arena.close();
            arena = null;
        }
    }
}
