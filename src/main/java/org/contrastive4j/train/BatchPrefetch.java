package org.contrastive4j.train;

import org.contrastive4j.data.Batch;
import org.contrastive4j.data.BatchLoader;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.ops.Ops;
import org.jspecify.annotations.Nullable;

/**
 * The batches of a run as tensors, in order. On a backend that captures they lie in {@link BatchBuffers}, and the next
 * one is loaded and copied on the prefetch stream while a step runs; elsewhere each has tensors of its own.
 */
final class BatchPrefetch implements AutoCloseable {
    private final Ops ops;
    private final BatchLoader loader;
    private final long seed;
    private final TrainBatch.Layout most;
    private int step;
    private @Nullable BatchBuffers buffers; // null until it is needed, and on a backend without a queue
    private @Nullable Batch current; // until a step has used it
    private @Nullable Batch following;
    private Ops.@Nullable PrefetchStream prefetch; // marked before the current step, until used

    /**
     * @param step of the loader's first batch; the loader is closed with this
     * @param most what batches have, with captions of the longest kind
     */
    BatchPrefetch(Ops ops, BatchLoader loader, long seed, int step, TrainBatch.Layout most) {
        this.ops = ops;
        this.loader = loader;
        this.seed = seed;
        this.step = step;
        this.most = most;
    }

    /**
     * Returns the batch of the coming step, the same one until it is {@link #used}; the caller closes it. To be called
     * before work of that step is issued.
     */
    TrainBatch next() {
        if (!ops.canCapture()) {
            current = current != null ? current : loader.next();
            return new TrainBatch(ops, current, seed, step);
        }
        TrainBatch batch = inBuffers();
        if (prefetch == null && !buffers.isPrefetched() && (following != null || loader.hasNext())) {
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
        return at.send(current, step); // the first one, or the step failed and is repeated
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
     * Loads the next batch and copies it on the prefetch stream: best called when the work of the step was issued and
     * before the host synchronises with it. Does nothing when it was called already.
     */
    void sendFollowing() {
        if (prefetch == null) {
            return;
        }
        following = following != null ? following : load();
        buffers.prefetch(following, step + 1, sends -> takePrefetch().send(sends));
    }

    /** A prefetch stream is used once, whether that succeeds or not. */
    private Ops.PrefetchStream takePrefetch() {
        Ops.PrefetchStream once = prefetch;
        prefetch = null;
        return once;
    }

    /** Returns a batch as large as they get, for planning. The caller closes it, before {@link #next}. */
    TrainBatch largest() {
        Batch batch = Batch.largest(most.pairs(), most.imageSize(), most.tokens());
        return ops.canCapture() ? buffers().send(batch, step) : new TrainBatch(ops, batch, seed, step);
    }

    /** Tells that a step was made with the current batch. */
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
