package org.contrastive4j.internal.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntConsumer;
import org.contrastive4j.internal.config.SystemProperties;
import org.jspecify.annotations.Nullable;

/**
 * Runs numbered tasks on all cores. The thread that runs a task is unspecified, and the result of a task must not
 * depend on it: the division into tasks depends on the sizes of the problem, never on the number of threads.
 *
 * <p>Regions are often shorter than the time to wake a sleeping thread, and follow one another quickly. Therefore
 * threads spin for a short time before they sleep.
 *
 * <p>Tested by {@code VectorFunctionsTest}.
 */
public final class Workers {
    private static final long SPIN_NANOS = 200_000;

    private static final int MAX_THREADS = SystemProperties.threads();
    private static final ReentrantLock REGION = new ReentrantLock();
    private static final Helper[] HELPERS = new Helper[Math.max(0, MAX_THREADS - 1)];
    private static volatile Region latest = new Region(0, task -> {});
    private static volatile int threads = MAX_THREADS;

    static {
        for (int h = 0; h < HELPERS.length; h++) {
            HELPERS[h] = new Helper(h);
            HELPERS[h].start();
        }
    }

    private Workers() {}

    /**
     * Returns the number of threads in use, including the caller: -Dcontrastive4j.threads, by default all processors.
     */
    public static int threads() {
        return threads;
    }

    /**
     * Sets the number of threads, for tests that show that results do not depend on it; between 1 and the number
     * started.
     */
    static void useThreads(int count) {
        threads = Math.max(1, Math.min(count, MAX_THREADS));
    }

    /** Calls body(0) ... body(tasks - 1), each once, in any order; returns when all are done. */
    public static void run(int tasks, IntConsumer body) {
        if (tasks <= 1 || threads == 1 || Thread.currentThread() instanceof Helper || !REGION.tryLock()) {
            inline(tasks, body);
            return;
        }
        try {
            if (REGION.getHoldCount() > 1) { // nested in a task
                inline(tasks, body);
                return;
            }
            Region region = new Region(tasks, body);
            latest = region;
            for (int h = 0; h < Math.min(tasks, threads) - 1; h++) {
                HELPERS[h].wakeIfAsleep();
            }
            region.drain();
            region.awaitAll();
            region.rethrow();
        } finally {
            REGION.unlock();
        }
    }

    private static void inline(int tasks, IntConsumer body) {
        for (int task = 0; task < tasks; task++) {
            body.accept(task);
        }
    }

    /** One call of {@link #run}. */
    private static final class Region {
        private final int tasks;
        private final IntConsumer body;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger done = new AtomicInteger();
        private final AtomicReference<Throwable> failure = new AtomicReference<>();

        Region(int tasks, IntConsumer body) {
            this.tasks = tasks;
            this.body = body;
        }

        void drain() {
            for (int task = next.getAndIncrement(); task < tasks; task = next.getAndIncrement()) {
                try {
                    if (failure.get() == null) {
                        body.accept(task);
                    }
                } catch (Throwable thrown) {
                    failure.compareAndSet(null, thrown);
                } finally {
                    done.getAndIncrement();
                }
            }
        }

        void awaitAll() {
            for (int looks = 0; done.get() < tasks; looks++) {
                if (looks < 10_000) {
                    Thread.onSpinWait();
                } else {
                    Thread.yield();
                }
            }
        }

        void rethrow() {
            if (failure.get() instanceof RuntimeException e) {
                throw e;
            }
            if (failure.get() instanceof Error e) {
                throw e;
            }
        }
    }

    private static final class Helper extends Thread {
        private final int index;
        private volatile boolean asleep;

        Helper(int index) {
            super("contrastive4j-worker-" + index);
            this.index = index;
            setDaemon(true);
        }

        void wakeIfAsleep() {
            if (asleep) {
                LockSupport.unpark(this);
            }
        }

        @Override
        public void run() {
            Region seen = null;
            while (true) {
                Region region = await(seen);
                if (index < threads - 1) {
                    region.drain();
                }
                seen = region;
            }
        }

        private Region await(@Nullable Region seen) {
            long from = System.nanoTime();
            for (int looks = 0; latest == seen; looks++) {
                Thread.onSpinWait();
                if ((looks & 63) == 63 && System.nanoTime() - from > SPIN_NANOS) {
                    asleep = true; // latest is read again after this is visible, so that no region is missed
                    if (latest == seen) {
                        LockSupport.park(this);
                    }
                    asleep = false;
                }
            }
            return latest;
        }
    }
}
