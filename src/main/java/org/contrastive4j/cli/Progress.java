package org.contrastive4j.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.contrastive4j.train.Trainer;

/**
 * Shows the progress of training: one line that is rewritten on a terminal, or twenty plain lines for each run.
 *
 * <p>On a terminal it shows the most important fields that fit, and a bar in the remaining columns.
 */
final class Progress implements AutoCloseable {
    private static final int LINES = 20; // of a whole run, if the output is not a terminal
    private static final long REDRAW_NANOS = 200_000_000;
    private static final String GAP = "  ";
    private static final int SMALLEST_BAR = 10;
    private static final int LARGEST_BAR = 42;

    /**
     * A part of the line.
     *
     * @param rank priority: fields of a large rank are dropped first
     * @param text of the field
     */
    private record Field(int rank, String text) {}

    private final StatusLine line;
    private final int firstStep;
    private final int steps;
    private final int batch;
    private final long start = System.nanoTime();
    private final Map<String, Double> recalls = new LinkedHashMap<>();
    private long drawn;

    /**
     * @param firstStep steps of the run before this process
     * @param steps of the whole run
     * @param batch pairs in a batch
     */
    Progress(StatusLine line, int firstStep, int steps, int batch) {
        this.line = line;
        this.firstStep = firstStep;
        this.steps = steps;
        this.batch = batch;
    }

    /** Shows a recall at 1 until the next measurement. */
    void recall(String split, double share) {
        recalls.put(split, share);
    }

    /** Shows a step. */
    void step(Trainer.Step step) {
        double seconds = (System.nanoTime() - start) / 1e9;
        boolean last = step.step() == steps;
        if (line.isTerminal()) {
            if (last || drawn == 0 || System.nanoTime() - drawn > REDRAW_NANOS) {
                line.show(fitted(fields(step, seconds), step.step(), line.width()));
                drawn = System.nanoTime();
            }
        } else if (last || step.step() % Math.max(1, steps / LINES) == 0 || step.step() == firstStep + 1) {
            System.out.println(
                    "step " + fields(step, seconds).stream().map(Field::text).collect(Collectors.joining(", ")));
        }
    }

    /** Returns all fields in the order of the line. */
    private List<Field> fields(Trainer.Step step, double seconds) {
        int made = step.step() - firstStep;
        double left = (steps - step.step()) * seconds / Math.max(1, made);
        List<Field> fields = new ArrayList<>();
        fields.add(new Field(0, step.step() + "/" + steps));
        fields.add(new Field(2, clock(left) + " left"));
        fields.add(new Field(1, String.format(Locale.ROOT, "loss %.3f", step.loss())));
        int rank = 3;
        for (Map.Entry<String, Double> recall : recalls.entrySet()) {
            fields.add(new Field(
                    rank, String.format(Locale.ROOT, "%s R@1 %.0f%%", recall.getKey(), 100 * recall.getValue())));
            rank = rank == 3 ? 8 : rank + 1;
        }
        fields.add(new Field(
                7,
                String.format(Locale.ROOT, "in-batch R@1 %.0f%%", 50 * (step.rowAccuracy() + step.columnAccuracy()))));
        Double scale = step.details().get("lossScale");
        if (scale != null) {
            double skipped = step.details().getOrDefault("skippedSteps", 0.0);
            fields.add(new Field(5, String.format(Locale.ROOT, "loss scale %.0f, %.0f steps skipped", scale, skipped)));
        }
        fields.add(new Field(4, String.format(Locale.ROOT, "%,.0f pairs/s", made * (double) batch / seconds)));
        return fields;
    }

    /** Joins the fields that fit into a width. A bar of at least ten columns takes precedence over ranks above 5. */
    private String fitted(List<Field> fields, int step, int width) {
        List<Field> kept = new ArrayList<>();
        int used = 0;
        int bar = 0;
        List<Field> byRank =
                fields.stream().sorted(Comparator.comparingInt(Field::rank)).toList();
        for (Field field : byRank) {
            if (field.rank() > 5 && bar == 0) {
                bar = SMALLEST_BAR + GAP.length() <= width - used ? SMALLEST_BAR : -1;
                used += bar < 0 ? 0 : bar + GAP.length();
            }
            int more = field.text().length() + (kept.isEmpty() ? 0 : GAP.length());
            if (used + more > width) {
                break;
            }
            kept.add(field);
            used += more;
        }
        if (bar > 0) {
            bar = Math.min(LARGEST_BAR, bar + width - used);
        }
        List<String> parts = new ArrayList<>(
                fields.stream().filter(kept::contains).map(Field::text).toList());
        if (bar > 0) {
            parts.add(1, bar(bar, (double) step / steps));
        }
        return String.join(GAP, parts);
    }

    private static String bar(int columns, double share) {
        int filled = (int) Math.round((columns - 2) * share);
        return "[" + "#".repeat(filled) + ".".repeat(columns - 2 - filled) + "]";
    }

    private static String clock(double seconds) {
        long all = Math.round(seconds);
        return all < 3600
                ? String.format(Locale.ROOT, "%d:%02d", all / 60, all % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d", all / 3600, all / 60 % 60, all % 60);
    }

    /** Keeps the last line on the terminal. */
    @Override
    public void close() {
        line.keep();
    }
}
