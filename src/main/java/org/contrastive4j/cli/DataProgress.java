package org.contrastive4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.contrastive4j.data.DataException;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.train.TrainConfig;
import org.jspecify.annotations.Nullable;

/** Opens data sets and shows the share of pictures that are decoded, which takes long for thousands of pictures. */
final class DataProgress implements PairDataset.OpenProgress {
    private static final long REDRAW_NANOS = 100_000_000;
    private static final String MOVED = "; if the data were moved, name their new path with --data";
    private static final long LINE_NANOS = 10_000_000_000L; // between plain lines, if the output is not a terminal

    private final StatusLine line;
    private long next = System.nanoTime();
    private boolean begun;

    private DataProgress(StatusLine line) {
        this.line = line;
    }

    /** Opens a data set; see {@link PairDataset#open}. */
    static PairDataset open(StatusLine line, Path path, boolean strict) {
        PairDataset data = PairDataset.open(path, strict, new DataProgress(line));
        line.clear();
        return data;
    }

    /**
     * Opens the data of a run.
     *
     * @throws DataException with a hint at --data when they are no longer there
     */
    static PairDataset ofRun(StatusLine line, TrainConfig config) {
        Path path = Path.of(config.data());
        try {
            return open(line, path, config.strict());
        } catch (DataException missing) {
            throw Files.exists(path) ? missing : new DataException(missing.getMessage() + MOVED, missing);
        }
    }

    /**
     * Opens pairs for the model of a run.
     *
     * @param data pairs that a user named; null for the pairs of the run
     */
    static PairDataset of(TrainConfig config, @Nullable Path data) {
        try (StatusLine line = StatusLine.open()) {
            return data == null ? ofRun(line, config) : open(line, data, config.strict());
        }
    }

    @Override
    public synchronized void decoded(int decoded, int total) {
        long now = System.nanoTime();
        if (now < next) {
            return;
        }
        if (line.isTerminal()) {
            line.show(String.format(Locale.ROOT, "decoding %,d pictures: %,d%%", total, 100L * decoded / total));
            next = now + REDRAW_NANOS;
            return;
        }
        if (begun) {
            System.out.printf(Locale.ROOT, "decoding %,d pictures: %d%%%n", total, 100L * decoded / total);
        } else {
            System.out.printf(Locale.ROOT, "decoding %,d pictures%n", total);
        }
        begun = true;
        next = now + LINE_NANOS;
    }
}
