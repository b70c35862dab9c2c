package org.contrastive4j.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.contrastive4j.internal.files.FileErrors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files of one run: {@code run.json} and {@code config.json}, {@code metrics.jsonl}, {@code checkpoints/}, {@code
 * summary.json}, {@code report.html}, {@code examples.png} and an event file for TensorBoard.
 *
 * <p>Locked while open: two runs in one folder would overwrite each other. A file that cannot be written whole, such
 * as on a full disk, keeps its old content; a line that cannot be appended whole is removed again.
 */
public final class RunFolder implements AutoCloseable {
    static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
    private static final Logger LOG = LoggerFactory.getLogger(RunFolder.class);
    private static final ObjectMapper LINES = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
    private static final String METRICS = "metrics.jsonl";
    private static final int KEPT_CHECKPOINTS = 2;

    /** Thrown when a run folder cannot be used; the message says why and what to do. */
    public static final class RunFolderException extends RuntimeException {
        /**
         * Creates an exception.
         *
         * @param message names the file, the error and a remedy
         * @param cause null for none
         */
        public RunFolderException(String message, @Nullable Throwable cause) {
            super(message, cause);
        }
    }

    private final Path path;
    private final Disk disk;
    private final FileChannel channel;
    private final FileLock lock;

    private RunFolder(Path path, Disk disk, FileChannel channel, FileLock lock) {
        this.path = path;
        this.disk = disk;
        this.channel = channel;
        this.lock = lock;
    }

    /**
     * Creates the folder if it does not exist, and locks it.
     *
     * @param path of the folder
     * @return the folder; the caller closes it
     * @throws RunFolderException when another run uses the folder, or it cannot be written
     */
    public static RunFolder open(Path path) {
        return open(path, Disk.REAL);
    }

    static RunFolder open(Path path, Disk disk) {
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
            return new RunFolder(path, disk, channel, lock);
        } catch (IOException e) {
            throw new RunFolderException("cannot use " + path + " as run folder: " + FileErrors.reason(e), e);
        }
    }

    private static @Nullable FileLock tryLock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException e) { // this process holds the lock
            return null;
        }
    }

    /**
     * Returns the path of the folder.
     *
     * @return the path
     */
    public Path path() {
        return path;
    }

    /**
     * Returns the checkpoints of the run, of which the newest two are kept.
     *
     * @return the checkpoints
     */
    public Checkpoint checkpoints() {
        return new Checkpoint(path.resolve("checkpoints"), KEPT_CHECKPOINTS, disk);
    }

    /**
     * Appends one line of metrics.
     *
     * @param metrics by name
     * @throws RunFolderException when the disk is full; the line is removed again
     */
    public void append(Map<String, Object> metrics) {
        try {
            append(METRICS, (LINES.writeValueAsString(metrics) + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("metrics cannot be written as JSON: " + e.getMessage(), e);
        }
    }

    /** Appends all of the bytes to a file, or none. */
    void append(String name, byte[] bytes) {
        Path file = path.resolve(name);
        long before = 0;
        try {
            before = Files.exists(file) ? Files.size(file) : 0;
            try (OutputStream out = disk.append(file)) {
                out.write(bytes);
            }
        } catch (IOException e) {
            try {
                if (Files.exists(file)) {
                    disk.truncate(file, before);
                }
            } catch (IOException left) { // the reader drops the incomplete line
                e.addSuppressed(left);
            }
            throw cannotWrite(file, e);
        }
    }

    private static RunFolderException cannotWrite(Path file, IOException e) {
        String remedy = isHeld(e)
                ? "; close programs that hold the file, or permit writing, and continue with --resume"
                : "; free disk space and continue with --resume";
        return new RunFolderException("cannot write " + file + ": " + FileErrors.reason(e) + remedy, e);
    }

    /** Returns whether a file cannot be replaced or removed now: Windows refuses this while a program has it open. */
    static boolean isHeld(@Nullable Throwable failure) {
        return failure instanceof AccessDeniedException
                || failure instanceof FileSystemException held
                        && String.valueOf(held.getReason()).contains("used by another process");
    }

    /**
     * Returns all lines of metrics.jsonl up to the first incomplete line, which a killed process may have left.
     *
     * @return metrics by name, line by line
     * @throws RunFolderException when the file cannot be read
     */
    public List<Map<String, Object>> metrics() {
        return metrics(path);
    }

    /** Reads the metrics of a run folder, which may be closed. */
    static List<Map<String, Object>> metrics(Path run) {
        Path file = run.resolve(METRICS);
        List<Map<String, Object>> lines = new ArrayList<>();
        if (!Files.exists(file)) {
            return lines;
        }
        String text;
        try {
            text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new RunFolderException("cannot read " + file + ": " + FileErrors.reason(e), e);
        }
        for (String line : (Iterable<String>) text.lines()::iterator) {
            try {
                lines.add(LINES.readValue(line, new TypeReference<>() {}));
            } catch (JsonProcessingException cutOff) {
                LOG.warn(
                        "{}: line {} is incomplete; this line and all later lines are ignored", file, lines.size() + 1);
                break;
            }
        }
        return lines;
    }

    /**
     * Returns the seconds of training so far, including the time before a resume.
     *
     * @return seconds
     */
    public double secondsSpent() {
        return metrics().stream()
                .mapToDouble(line -> ((Number) line.getOrDefault("seconds", 0)).doubleValue())
                .max()
                .orElse(0);
    }

    /**
     * Removes the metrics of steps after a checkpoint, which a resumed run repeats, and incomplete lines.
     *
     * @param step of the checkpoint
     * @throws RunFolderException when the file cannot be read or written
     */
    public void forgetAfter(int step) {
        StringBuilder kept = new StringBuilder();
        try {
            for (Map<String, Object> line : metrics()) {
                if (RunRecord.step(line) <= step) {
                    kept.append(LINES.writeValueAsString(line)).append('\n');
                }
            }
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("metrics that were read as JSON cannot be written as JSON", e);
        }
        write(METRICS, kept.toString().getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Writes a JSON file, completely or not at all.
     *
     * @param name of the file in the folder
     * @param content converted to JSON
     * @throws RunFolderException when the file cannot be written
     */
    public void writeJson(String name, Object content) {
        try {
            write(name, JSON.writeValueAsBytes(content));
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(name + " cannot be written as JSON: " + e.getMessage(), e);
        }
    }

    /**
     * Writes a text file, completely or not at all.
     *
     * @param name of the file in the folder
     * @param content written in UTF-8
     * @throws RunFolderException when the file cannot be written
     */
    public void writeText(String name, String content) {
        write(name, content.getBytes(StandardCharsets.UTF_8));
    }

    /** Writes a file, completely or not at all. */
    void write(String name, byte[] bytes) {
        Path file = path.resolve(name);
        Path unfinished = path.resolve("." + name + ".unfinished");
        try {
            try (OutputStream out = disk.create(unfinished)) {
                out.write(bytes);
            }
            disk.rename(unfinished, file);
        } catch (IOException e) {
            try {
                Files.deleteIfExists(unfinished);
            } catch (IOException left) { // overwritten by the next attempt
                e.addSuppressed(left);
            }
            throw cannotWrite(file, e);
        }
    }

    /** Removes files whose names begin with a prefix. */
    void removeAll(String prefix) {
        try (var files = Files.newDirectoryStream(path, prefix + "*")) {
            for (Path file : files) {
                disk.remove(file);
            }
        } catch (IOException e) {
            throw new RunFolderException("cannot remove old files of " + path + ": " + FileErrors.reason(e), e);
        }
    }

    /** Unlocks the folder; idempotent. */
    @Override
    public void close() {
        try {
            if (lock.isValid()) {
                lock.release();
            }
            channel.close();
        } catch (IOException e) {
            throw new RunFolderException("cannot unlock " + path + ": " + FileErrors.reason(e), e);
        }
    }
}
