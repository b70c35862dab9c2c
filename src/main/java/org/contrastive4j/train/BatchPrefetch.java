package org.contrastive4j.train;

import org.contrastive4j.data.Batch;
import org.contrastive4j.data.BatchLoader;
import org.contrastive4j.ops.Ops;

/**
 * The batches of a run as tensors, in order. Where the backend records they are in a {@link BatchBuffers}, and the next one
 * is made and sent while a step runs; elsewhere each has tensors of its own.
 */
final class BatchPrefetch implements AutoCloseable {
    private final Ops ops;
    private final BatchLoader loader;
    private final long seed;
    private final TrainBatch.Layout most;
    private int step;
    private BatchBuffers place; // null until it is needed, and where nothing records
    private Batch current; // until a step has used it
    private Batch following;
    private Ops.Aside aside; // before the work of the current step, until the following batch is sent from there

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
     * The batch of the coming step, the same one until it is {@link #used}; the caller closes it. To be asked for before
     * work of that step is given.
     */
    TrainBatch next() {
        if (!ops.canCapture()) {
            current = current != null ? current : loader.next();
            return new TrainBatch(ops, current, seed, step);
        }
        TrainBatch batch = inPlace();
        if (aside == null && !place.isAhead() && (following != null || loader.hasNext())) {
            aside = ops.aside();
        }
        return batch;
    }

    private TrainBatch inPlace() {
        BatchBuffers at = place();
        if (current == null && following != null) {
            current = following;
            following = null;
            if (at.isAhead()) {
                return at.arrive();
            }
        }
        current = current != null ? current : load();
        return at.send(current, step); // the first one, or the step failed and is made again
    }

    private Batch load() {
        Batch batch = loader.next();
        return batch.padded(BatchBuffers.paddedLength(batch.maxTokens(), most.tokens()));
    }

    private BatchBuffers place() {
        if (place == null) {
            place = new BatchBuffers(ops, seed, most);
        }
        return place;
    }

    /**
     * Sends the batch after this one on its way, where the backend can do that beside work: best called when the work of
     * the step was given and before its results are waited for. Does nothing when it was called already.
     */
    void sendFollowing() {
        if (aside == null) {
            return;
        }
        following = following != null ? following : load();
        place.sendAhead(following, step + 1, sends -> forgottenAside().send(sends));
    }

    /** It can be used once, whether that succeeds or not. */
    private Ops.Aside forgottenAside() {
        Ops.Aside once = aside;
        aside = null;
        return once;
    }

    /** As large as batches get, where the next one will be: to plan with. The caller closes it, before {@link #next}. */
    TrainBatch largest() {
        Batch batch = Batch.largest(most.pairs(), most.imageSize(), most.tokens());
        return ops.canCapture() ? place().send(batch, step) : new TrainBatch(ops, batch, seed, step);
    }

    /** A step was made with the current batch. */
    void used() {
        current = null;
        step++;
    }

    @Override
    public void close() {
        try {
            loader.close();
            if (aside != null) {
                forgottenAside().send(() -> {}).run();
            }
        } finally {
            if (place != null) {
                place.close();
                place = null;
            }
        }
    }
}
