package org.contrastive4j.internal.sim.exec;

/** Asynchronous work that has been started and not yet done. */
final class PendingWork {
    private final Runnable work;
    private boolean done;

    PendingWork(Runnable work) {
        this.work = work;
    }

    boolean isDone() {
        return done;
    }

    void complete() {
        if (!done) {
            done = true;
            work.run();
        }
    }
}
