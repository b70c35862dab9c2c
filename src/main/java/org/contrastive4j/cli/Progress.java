package org.contrastive4j.cli;

import java.io.Console;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.contrastive4j.train.Trainer;

/** Shows how training goes: a bar on a terminal, a plain line now and then elsewhere. */
final class Progress implements AutoCloseable {
    private static final int LINES = 20; // of a whole run, when not on a terminal

    private final ProgressBar bar;
    private final int firstStep;
    private final int steps;
    private final int batch;
    private final long start = System.nanoTime();
    private String recall = "";

    Progress(int firstStep, int steps, int batch) {
        this.firstStep = firstStep;
        this.steps = steps;
        this.batch = batch;
        this.bar = !isTerminal()
                ? null
                : new ProgressBarBuilder()
                        .setTaskName("train")
                        .setInitialMax(steps)
                        .startsFrom(firstStep, Duration.ZERO)
                        .setStyle(ProgressBarStyle.ASCII)
                        .setUpdateIntervalMillis(250)
                        .build();
    }

    /** From JDK 22 on there is a console without a terminal too, and a method that tells them apart. */
    private static boolean isTerminal() {
        Console console = System.console();
        if (console == null || Runtime.version().feature() < 22) {
            return console != null;
        }
        try {
            return (boolean) Console.class.getMethod("isTerminal").invoke(console);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("JDK " + Runtime.version() + " has no Console.isTerminal", e);
        }
    }

    /** A short text that stays until the next one, e.g. the last recall measured. */
    void recall(String text) {
        recall = text;
    }

    void step(Trainer.Step step) {
        double seconds = (System.nanoTime() - start) / 1e9;
        double perSecond = (step.step() - firstStep) * (double) batch / seconds;
        String text = String.format(
                Locale.ROOT,
                "loss %.3f, in-batch R@1 %.0f%%%s%s, %.0f pairs/s",
                step.loss(),
                50 * (step.rowAccuracy() + step.columnAccuracy()),
                recall,
                scale(step),
                perSecond);
        if (bar != null) {
            bar.setExtraMessage(" " + text);
            bar.stepTo(step.step());
        } else if (step.step() % Math.max(1, steps / LINES) == 0
                || step.step() == steps
                || step.step() == firstStep + 1) {
            double left = (steps - step.step()) * seconds / Math.max(1, step.step() - firstStep);
            System.out.printf(Locale.ROOT, "step %d of %d: %s, %.0f s left%n", step.step(), steps, text, left);
        }
    }

    private static String scale(Trainer.Step step) {
        Double scale = step.details().get("lossScale");
        return scale == null
                ? ""
                : String.format(
                        Locale.ROOT,
                        ", loss scale %.0f, %.0f steps skipped",
                        scale,
                        step.details().get("skippedSteps"));
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
