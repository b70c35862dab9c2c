package org.contrastive4j.data;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * Returns training batches in order while the next ones are made on other threads. The batches are the same for any
 * number of threads and wherever the run was resumed.
 *
 * <p>Tested by {@code BatchesTest}.
 */
public final class BatchLoader implements AutoCloseable {
    private static final int KEPT_POSITIONS = 4; // of batches that were returned

    private final BatchOrder order;
    private final BatchMaker maker;
    private final Augmentation augmentation;
    private final int last;
    private final int ahead;
    private final ExecutorService planner;
    private final ForkJoinPool workers;
    private final Deque<Future<Batch>> pending = new ArrayDeque<>();
    private final Map<Integer, Future<BatchOrder.@Nullable Position>> positions = new HashMap<>();
    private final BatchOrder.Batches planned;
    private int next;
    private long waitedNanos;
    private boolean closed;

    /**
     * Starts to make batches.
     *
     * @param order which pairs form each batch
     * @param maker decodes and tokenises
     * @param augmentation of pictures and captions
     * @param firstStep number of the first batch, counted over all epochs
     * @param steps number of the last batch, exclusive
     * @param threadCount threads that decode the pictures of a batch
     * @param ahead batches made in advance
     */
    public BatchLoader(
            BatchOrder order,
            BatchMaker maker,
            Augmentation augmentation,
            int firstStep,
            int steps,
            int threadCount,
            int ahead) {
        this(order, maker, augmentation, firstStep, null, steps, threadCount, ahead);
    }

    /**
     * Starts to make batches at a position.
     *
     * @param order which pairs form each batch
     * @param maker decodes and tokenises
     * @param augmentation of pictures and captions
     * @param firstStep number of the first batch, counted over all epochs
     * @param position of the first batch, from {@link #position}; null to find it from the number
     * @param steps number of the last batch, exclusive
     * @param threadCount threads that decode the pictures of a batch
     * @param ahead batches made in advance
     */
    public BatchLoader(
            BatchOrder order,
            BatchMaker maker,
            Augmentation augmentation,
            int firstStep,
            BatchOrder.@Nullable Position position,
            int steps,
            int threadCount,
            int ahead) {
        if (threadCount < 1 || ahead < 1) {
            throw new IllegalArgumentException(
                    "loader with " + threadCount + " threads, " + ahead + " batches ahead: expected 1 or more of each");
        }
        this.order = order;
        this.maker = maker;
        this.augmentation = augmentation;
        this.next = firstStep;
        this.last = steps;
        this.ahead = ahead;
        this.workers = new ForkJoinPool(threadCount);
        this.planner = Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task, "contrastive4j-loader");
            thread.setDaemon(true);
            return thread;
        });
        this.planned = this.order.from(firstStep, position);
        fill();
    }

    /**
     * Returns how many threads decode pictures by default.
     *
     * @return one fewer than there are cores, at least 1
     */
    public static int defaultThreads() {
        return Math.max(1, Runtime.getRuntime().availableProcessors() - 1);
    }

    private void fill() {
        while (pending.size() < ahead && next < last) {
            positions.put(next, planner.submit(planned::position));
            positions.remove(next - ahead - KEPT_POSITIONS);
            next++;
            pending.add(planner.submit(() -> {
                BatchOrder.Planned samples = planned.next();
                return workers.submit(() -> maker.make(samples, augmentation)).get();
            }));
        }
    }

    /**
     * Returns where a batch begins, so that another loader can continue there.
     *
     * @param step number of a batch: of one that was not returned yet, or of one of the last that were
     * @return null where the number of the batch says it
     */
    public BatchOrder.@Nullable Position position(int step) {
        Future<BatchOrder.@Nullable Position> position = positions.get(step);
        if (position == null && step == next && !closed) {
            position = planner.submit(planned::position);
        }
        if (position == null) {
            throw new IllegalArgumentException(
                    "the position of step " + step + " is not known; the next batch is that of step " + next);
        }
        return result(position);
    }

    /**
     * Returns whether a batch is left.
     *
     * @return false after the last one
     */
    public boolean hasNext() {
        return !pending.isEmpty();
    }

    /**
     * Returns the next batch; waits for it when it is not ready.
     *
     * @return the batch
     * @throws DataException when making it failed
     * @throws IllegalStateException after {@link #close}, or when there is none
     */
    public Batch next() {
        if (closed || pending.isEmpty()) {
            throw new IllegalStateException(closed ? "loader was used after close" : "no batch is left");
        }
        Future<Batch> batch = pending.remove();
        fill();
        long before = System.nanoTime();
        try {
            return result(batch);
        } finally {
            waitedNanos += System.nanoTime() - before;
        }
    }

    /**
     * Returns how long {@link #next} has waited for batches.
     *
     * @return nanoseconds, over all batches that were returned
     */
    public long waitedNanos() {
        return waitedNanos;
    }

    private static <T extends @Nullable Object> T result(Future<T> work) {
        try {
            return work.get();
        } catch (ExecutionException e) {
            throw failure(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new DataException("interrupted while waiting for a batch", e);
        }
    }

    private static DataException failure(ExecutionException e) {
        Throwable cause = e;
        while (cause.getCause() != null && !(cause instanceof DataException)) {
            cause = cause.getCause();
        }
        return cause instanceof DataException data
                ? data
                : new DataException("making a batch failed: " + cause, e.getCause() == null ? e : e.getCause());
    }

    /** Stops the other threads; further calls have no effect. */
    @Override
    public void close() {
        closed = true;
        planner.shutdownNow();
        workers.shutdownNow();
        pending.clear();
    }
}
