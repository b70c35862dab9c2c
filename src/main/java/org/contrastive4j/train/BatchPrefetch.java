package org.contrastive4j.train;

import java.util.Objects;
import org.contrastive4j.data.Batch;
import org.contrastive4j.data.BatchLoader;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.BatchOrder;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.ops.Ops;
import org.jspecify.annotations.Nullable;

/**
 * Provides the batches of a run as tensors, in order. On a backend that captures graphs, batches use {@link
 * BatchBuffers}, and the next batch is loaded and copied on the prefetch stream while a step runs. On other backends
 * each batch has tensors of its own.
 */
final class BatchPrefetch implements AutoCloseable {
    private static final int BATCHES_AHEAD = 2; // loaded by threads of the host

    private final Ops ops;
    private final BatchLoader loader;
    private final long seed;
    private final TrainBatch.Layout most;
    private int step;
    private @Nullable BatchBuffers buffers; // created on first use
    private @Nullable Batch current; // null after a step has used it
    private @Nullable Batch following;
    private Ops.@Nullable PrefetchStream prefetch; // marked before the current step, until used

    /**
     * @param loader closed by {@link #close}
     * @param step of the loader's first batch
     * @param most layout of the batches with the longest captions
     */
    BatchPrefetch(Ops ops, BatchLoader loader, long seed, int step, TrainBatch.Layout most) {
        this.ops = ops;
        this.loader = loader;
        this.seed = seed;
        this.step = step;
        this.most = most;
    }

    /**
     * Creates the batches of a run from a step on.
     *
     * @param position of that step; null to find it from the number
     */
    static BatchPrefetch of(
            Ops ops,
            TrainConfig config,
            BatchOrder order,
            BatchMaker maker,
            int step,
            BatchOrder.@Nullable Position position) {
        BatchLoader loader = new BatchLoader(
                order,
                maker,
                config.augmentation(),
                step,
                position,
                config.steps(),
                BatchLoader.defaultThreads(),
                BATCHES_AHEAD);
        TrainBatch.Layout most = new TrainBatch.Layout(
                config.batch(),
                config.model().image().imageSize(),
                config.model().text().maxTokens());
        return new BatchPrefetch(ops, loader, config.seed(), step, most);
    }

    /**
     * Returns the batch of the next step, the same batch until {@link #used} is called. The caller closes it. Call this
     * before work of that step is issued.
     */
    TrainBatch next() {
        if (!ops.canCapture()) {
            current = current != null ? current : loader.next();
            return new TrainBatch(ops, current, seed, step);
        }
        TrainBatch batch = inBuffers();
        if (prefetch == null && !buffers().isPrefetched() && (following != null || loader.hasNext())) {
            prefetch = ops.prefetchStream();
        }
        return batch;
    }

    private TrainBatch inBuffers() {
        BatchBuffers at = buffers();
        if (current == null && following != null) {
            current = following;
            following = null;
            if (at.isPrefetched()) {
                return at.arrive();
            }
        }
        current = current != null ? current : load();
        return at.send(current, step); // the first batch, or a repeated step after a failure
    }

    private Batch load() {
        Batch batch = loader.next();
        return batch.padded(BatchBuffers.paddedLength(batch.maxTokens(), most.tokens()));
    }

    private BatchBuffers buffers() {
        if (buffers == null) {
            buffers = new BatchBuffers(ops, seed, most);
        }
        return buffers;
    }

    /**
     * Loads the next batch and copies it on the prefetch stream. Copy and step overlap best if this is called after the
     * work of the step was issued and before the host synchronises. A second call does nothing.
     */
    void sendFollowing() {
        if (prefetch == null) {
            return;
        }
        following = following != null ? following : load();
        buffers().prefetch(following, step + 1, sends -> takePrefetch().send(sends));
    }

    /** Returns the prefetch stream and forgets it: it is used once, even if the copy fails. */
    private Ops.PrefetchStream takePrefetch() {
        Ops.PrefetchStream once = Objects.requireNonNull(prefetch);
        prefetch = null;
        return once;
    }

    /** Returns a batch of the largest layout, for planning. The caller closes it before {@link #next}. */
    TrainBatch largest() {
        Batch batch = Batch.largest(most.pairs(), most.imageSize(), most.tokens());
        return ops.canCapture() ? buffers().send(batch, step) : new TrainBatch(ops, batch, seed, step);
    }

    /** Returns where the batch of a step begins; null where the number of the step says it. */
    BatchOrder.@Nullable Position position(int ofStep) {
        return loader.position(ofStep);
    }

    /** Returns the time that steps have waited for batches. */
    long waitedNanos() {
        return loader.waitedNanos();
    }

    /** Advances to the next step. */
    void used() {
        current = null;
        step++;
    }

    @Override
    public void close() {
        try {
            loader.close();
            if (prefetch != null) {
                takePrefetch().send(() -> {}).run();
            }
        } finally {
            if (buffers != null) {
                buffers.close();
                buffers = null;
            }
        }
    }
}
