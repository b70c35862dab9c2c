package org.contrastive4j.data;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Gives training batches in order while the next ones are made in the background; the batches are the same for any
 * number of threads and wherever the run was resumed.
 */
public final class BatchLoader implements AutoCloseable {
    private final BatchPlan plan;
    private final BatchMaker maker;
    private final Augmentation augmentation;
    private final int last;
    private final int ahead;
    private final ExecutorService threads;
    private final Deque<Future<Batch>> pending = new ArrayDeque<>();
    private int next;
    private boolean closed;

    /**
     * @param firstStep number of the first batch to give, counted over all epochs
     * @param steps number of the last batch, exclusive
     * @param threadCount background threads
     * @param ahead batches made in advance
     */
    public BatchLoader(
            BatchPlan plan,
            BatchMaker maker,
            Augmentation augmentation,
            int firstStep,
            int steps,
            int threadCount,
            int ahead) {
        if (threadCount < 1 || ahead < 1) {
            throw new IllegalArgumentException(
                    "loader with " + threadCount + " threads, " + ahead + " batches ahead: wanted 1 or more");
        }
        this.plan = plan;
        this.maker = maker;
        this.augmentation = augmentation;
        this.next = firstStep;
        this.last = steps;
        this.ahead = ahead;
        this.threads = Executors.newFixedThreadPool(threadCount, task -> {
            Thread thread = new Thread(task, "contrastive4j-loader");
            thread.setDaemon(true);
            return thread;
        });
        fill();
    }

    private void fill() {
        while (pending.size() < ahead && next < last) {
            int step = next++;
            pending.add(threads.submit(() -> {
                int epoch = step / plan.batchesPerEpoch();
                return maker.make(plan.batch(epoch, step % plan.batchesPerEpoch()), augmentation, epoch);
            }));
        }
    }

    public boolean hasNext() {
        return !pending.isEmpty();
    }

    /**
     * The next batch; waits for it when it is not ready.
     *
     * @throws DataException when making it failed
     * @throws IllegalStateException after {@link #close}, or when there is none
     */
    public Batch next() {
        if (closed || pending.isEmpty()) {
            throw new IllegalStateException(closed ? "loader was used after close" : "no batch is left");
        }
        Future<Batch> batch = pending.poll();
        fill();
        try {
            return batch.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof DataException data) {
                throw data;
            }
            throw new DataException("making a batch failed: " + e.getCause(), e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new DataException("interrupted while waiting for a batch", e);
        }
    }

    /** Stops the background threads; idempotent. */
    @Override
    public void close() {
        closed = true;
        threads.shutdownNow();
        pending.clear();
    }
}
