package org.contrastive4j.train;

import org.contrastive4j.data.Batch;
import org.contrastive4j.data.BatchLoader;
import org.contrastive4j.ops.Ops;

/**
 * The batches of a run as tensors, in order. Where the backend has a queue the next one is on its way to the device
 * while a step runs; elsewhere there is one at a time.
 */
final class BatchFeed implements AutoCloseable {
    private final Ops ops;
    private final BatchLoader loader;
    private final long seed;
    private int step;
    private Batch current; // until a step has used it
    private Batch following;
    private TrainBatch ahead; // the following one, on its way

    /** @param step of the loader's first batch; the loader is closed with this */
    BatchFeed(Ops ops, BatchLoader loader, long seed, int step) {
        this.ops = ops;
        this.loader = loader;
        this.seed = seed;
        this.step = step;
    }

    /**
     * The batch of the coming step, the same one until it is {@link #used}; the caller closes it. To be asked for before
     * work of that step is given.
     */
    TrainBatch next() {
        TrainBatch now = ahead;
        if (current == null) {
            current = following != null ? following : loader.next();
            following = null;
            ahead = null;
        } else {
            now = null; // the step failed, and is made again
        }
        if (now == null) {
            now = TrainBatch.ahead(ops, current, seed, step);
        }
        try {
            sendFollowing();
            now.arrive();
            return now;
        } catch (RuntimeException failure) {
            now.close();
            throw failure;
        }
    }

    private void sendFollowing() {
        if (ops.canRecord() && following == null && loader.hasNext()) {
            following = loader.next();
        }
        if (following != null && ahead == null) {
            ahead = TrainBatch.ahead(ops, following, seed, step + 1);
        }
    }

    /** A step was made with the current batch. */
    void used() {
        current = null;
        step++;
    }

    @Override
    public void close() {
        loader.close();
        if (ahead != null) {
            ahead.arrive();
            ahead.close();
            ahead = null;
        }
    }
}
