package org.contrastive4j.train;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The files of one run: {@code config.json}, {@code metrics.jsonl}, {@code checkpoints/}, {@code summary.json},
 * {@code report.html}.
 *
 * <p>Locked while open: two runs in one folder would overwrite each other.
 */
public final class RunFolder implements AutoCloseable {
    static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
    private static final ObjectMapper LINES = new ObjectMapper();
    private static final String METRICS = "metrics.jsonl";

    /** A run folder cannot be used; the message says why and what to do. */
    public static final class RunFolderException extends RuntimeException {
        public RunFolderException(String message, @Nullable Throwable cause) {
            super(message, cause);
        }
    }

    private final Path path;
    private final FileChannel channel;
    private final FileLock lock;

    private RunFolder(Path path, FileChannel channel, FileLock lock) {
        this.path = path;
        this.channel = channel;
        this.lock = lock;
    }

    /**
     * Creates the folder where needed and locks it.
     *
     * @throws RunFolderException when another run has it, or it cannot be written
     */
    public static RunFolder open(Path path) {
        FileChannel channel = null;
        try {
            Files.createDirectories(path);
            channel = FileChannel.open(path.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            FileLock lock = tryLock(channel);
            if (lock == null) {
                channel.close();
                throw new RunFolderException(
                        "another run is using " + path + "; wait for it or choose another --out", null);
            }
            return new RunFolder(path, channel, lock);
        } catch (IOException e) {
            throw new RunFolderException("cannot use " + path + " as run folder: " + e.getMessage(), e);
        }
    }

    private static FileLock tryLock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException e) { // held by this very process
            return null;
        }
    }

    public Path path() {
        return path;
    }

    public Checkpoint checkpoints() {
        return new Checkpoint(path.resolve("checkpoints"), 2);
    }

    /** Appends one line of metrics; later lines of the same step replace earlier ones, see {@link #metrics}. */
    public void append(Map<String, Object> metrics) {
        try {
            Files.writeString(
                    path.resolve(METRICS),
                    LINES.writeValueAsString(metrics) + "\n",
                    StandardCharsets.UTF_8,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new RunFolderException("cannot write metrics to " + path + ": " + e.getMessage(), e);
        }
    }

    /** All lines of metrics.jsonl. */
    public List<Map<String, Object>> metrics() {
        List<Map<String, Object>> lines = new ArrayList<>();
        try {
            if (Files.exists(path.resolve(METRICS))) {
                for (String line : Files.readAllLines(path.resolve(METRICS), StandardCharsets.UTF_8)) {
                    lines.add(LINES.readValue(line, new TypeReference<>() {}));
                }
            }
            return lines;
        } catch (IOException e) {
            throw new RunFolderException("cannot read metrics of " + path + ": " + e.getMessage(), e);
        }
    }

    /** Seconds of training in the lines of metrics, over all sittings. */
    public double secondsSpent() {
        return metrics().stream()
                .mapToDouble(line -> ((Number) line.getOrDefault("seconds", 0)).doubleValue())
                .max()
                .orElse(0);
    }

    /** Drops the lines of steps after {@code step}: a resumed run writes them again. */
    public void forgetAfter(int step) {
        StringBuilder kept = new StringBuilder();
        try {
            for (Map<String, Object> line : metrics()) {
                if (((Number) line.get("step")).intValue() <= step) {
                    kept.append(LINES.writeValueAsString(line)).append('\n');
                }
            }
            write(METRICS, kept.toString().getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new RunFolderException("cannot rewrite metrics of " + path + ": " + e.getMessage(), e);
        }
    }

    /** Writes a JSON file, all of it or nothing. */
    public void writeJson(String name, Object content) {
        try {
            write(name, JSON.writeValueAsBytes(content));
        } catch (IOException e) {
            throw new RunFolderException("cannot write " + path.resolve(name) + ": " + e.getMessage(), e);
        }
    }

    /** Writes a text file, all of it or nothing. */
    public void writeText(String name, String content) {
        try {
            write(name, content.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new RunFolderException("cannot write " + path.resolve(name) + ": " + e.getMessage(), e);
        }
    }

    private void write(String name, byte[] bytes) throws IOException {
        Path unfinished = path.resolve("." + name + ".unfinished");
        Files.write(unfinished, bytes);
        Files.move(unfinished, path.resolve(name), StandardCopyOption.ATOMIC_MOVE);
    }

    /** Unlocks; idempotent. */
    @Override
    public void close() {
        try {
            if (lock.isValid()) {
                lock.release();
            }
            channel.close();
        } catch (IOException e) {
            throw new RunFolderException("cannot unlock " + path + ": " + e.getMessage(), e);
        }
    }
}
