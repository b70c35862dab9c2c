package org.contrastive4j.ops.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;

/**
 * Runs numbered tasks on all cores. Which thread runs a task is left open, what a task computes must not depend on it:
 * the split into tasks is fixed by the sizes of the problem, never by the number of threads.
 */
public final class Workers {
    private static final int THREADS =
            Integer.getInteger("contrastive4j.threads", Runtime.getRuntime().availableProcessors());
    private static final ExecutorService POOL = Executors.newFixedThreadPool(Math.max(1, THREADS - 1), task -> {
        Thread thread = new Thread(task, "contrastive4j-worker");
        thread.setDaemon(true);
        return thread;
    });
    private static final ThreadLocal<Boolean> INSIDE = ThreadLocal.withInitial(() -> false);

    private Workers() {}

    public static int threads() {
        return THREADS;
    }

    /** Calls body(0) ... body(tasks - 1), each once, in any order; returns when all are done. */
    public static void run(int tasks, IntConsumer body) {
        int helpers = Math.min(THREADS, tasks) - 1;
        if (helpers <= 0 || INSIDE.get()) {
            for (int task = 0; task < tasks; task++) {
                body.accept(task);
            }
            return;
        }
        AtomicInteger next = new AtomicInteger();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        CountDownLatch done = new CountDownLatch(helpers);
        Runnable drain = () -> {
            INSIDE.set(true);
            try {
                for (int task = next.getAndIncrement(); task < tasks && failure.get() == null;
                        task = next.getAndIncrement()) {
                    body.accept(task);
                }
            } catch (Throwable thrown) {
                failure.compareAndSet(null, thrown);
            } finally {
                INSIDE.set(false);
            }
        };
        for (int h = 0; h < helpers; h++) {
            POOL.execute(() -> {
                drain.run();
                done.countDown();
            });
        }
        drain.run();
        awaitUninterruptibly(done);
        rethrow(failure.get());
    }

    private static void awaitUninterruptibly(CountDownLatch done) {
        boolean interrupted = false;
        while (true) {
            try {
                done.await();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static void rethrow(Throwable failure) {
        if (failure instanceof RuntimeException e) {
            throw e;
        }
        if (failure instanceof Error e) {
            throw e;
        }
    }
}
