package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Handles Ctrl-C and SIGTERM during a training run: says what is saved, and waits until the current step is saved. */
final class Interruption implements AutoCloseable {
    private static final int SECONDS_TO_SAVE = 600;

    /** What the command does. */
    private enum Phase {
        PREPARING,
        TRAINING,
        MEASURING
    }

    private final Path out;
    private final Thread hook = new Thread(this::interrupted, "save-on-interrupt");
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile Phase phase = Phase.PREPARING;
    private volatile StatusLine line = StatusLine.none();
    private volatile boolean requested;

    private Interruption(Path out) {
        this.out = out;
    }

    /** Begins to handle interrupts of a run. */
    static Interruption handle(Path out) {
        Interruption interruption = new Interruption(out);
        Runtime.getRuntime().addShutdownHook(interruption.hook);
        return interruption;
    }

    /** Sets the line that a message replaces. */
    void replaces(StatusLine shown) {
        line = shown;
    }

    /** From now on an interrupt waits for the step and the checkpoint after it. */
    void trains() {
        phase = Phase.TRAINING;
    }

    /** From now on everything is saved; only measurements would be lost. */
    void measures() {
        phase = Phase.MEASURING;
    }

    /** Returns whether the run should stop after its step. */
    boolean isRequested() {
        return requested;
    }

    /** Reports an interrupt; in training, returns after {@link #close}. */
    void interrupted() {
        requested = true;
        Phase at = phase;
        line.keep();
        switch (at) {
            case PREPARING -> System.err.println("interrupted before the first step: nothing was trained or saved");
            case MEASURING ->
                System.err.println("interrupted while measuring recall; all steps are saved, measure again with: "
                        + "train --resume --out " + out);
            case TRAINING -> {
                System.err.println("interrupted: saving after this step");
                awaitSave();
            }
        }
    }

    private void awaitSave() {
        try {
            if (!ended.await(SECONDS_TO_SAVE, TimeUnit.SECONDS)) {
                System.err.println("the step did not end within " + SECONDS_TO_SAVE
                        + " s: nothing was saved after the last checkpoint");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        ended.countDown();
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException shuttingDown) {
            // the hook is running already; it ends because the latch is open
        }
    }
}
