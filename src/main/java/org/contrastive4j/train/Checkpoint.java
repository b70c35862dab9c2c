package org.contrastive4j.train;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Checkpoints of a run: folders {@code step-00000123} with {@code model.safetensors}, {@code optimizer.safetensors},
 * {@code state.json}, and the CRC-32 of these three in {@code checksums.json}.
 *
 * <p>A save writes a hidden folder, forces it to disk and renames it; a folder to be removed is first renamed to a
 * hidden one. Every folder named {@code step-...} is therefore complete, whenever the process was killed, and the next
 * save removes hidden folders. When a step is saved again, its earlier folder is kept as {@code step-00000123.replaced}
 * until the new one has its name.
 */
public final class Checkpoint {
    private static final Logger LOG = LoggerFactory.getLogger(Checkpoint.class);
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
    private static final int LARGEST_STEP = 99_999_999;
    private static final String MODEL = "model.safetensors";
    private static final String OPTIMIZER = "optimizer.safetensors";
    private static final String STATE = "state.json";
    private static final String CHECKSUMS = "checksums.json";
    private static final List<String> CHECKED = List.of(MODEL, OPTIMIZER, STATE);
    private static final String SAVING = ".saving-";
    private static final String REMOVING = ".removing-";
    private static final String REPLACED = ".replaced";
    private static final Pattern COMPLETE = Pattern.compile("step-\\d{8}(\\.replaced)?");
    /** Orders by step; a replaced checkpoint comes before its replacement. */
    private static final Comparator<Path> OLDEST_FIRST = Comparator.comparing(Checkpoint::stepName)
            .thenComparing(path -> path.getFileName().toString(), Comparator.reverseOrder());

    private final Path folder;
    private final int keep;
    private final Disk disk;

    /**
     * Names the folder of the checkpoints of one run.
     *
     * @param folder created by the first save
     * @param keep number of the newest checkpoints that are kept, 1 or more
     * @throws IllegalArgumentException when {@code keep} is less than 1
     */
    public Checkpoint(Path folder, int keep) {
        this(folder, keep, Disk.REAL);
    }

    Checkpoint(Path folder, int keep, Disk disk) {
        if (keep < 1) {
            throw new IllegalArgumentException("keep " + keep + " checkpoints: expected 1 or more");
        }
        this.folder = folder;
        this.keep = keep;
        this.disk = disk;
    }

    /**
     * Saves one step, replaces an earlier checkpoint of the same step, and removes all but the newest.
     *
     * @param step 0 to 99,999,999
     * @param model parameters by name
     * @param optimizer state of the optimiser and of the loss by name
     * @param state everything else that the run needs to continue
     * @return the finished folder
     * @throws CheckpointException when it cannot be written, such as on a full disk; earlier checkpoints are untouched
     */
    public Path save(int step, Map<String, Tensor> model, Map<String, Tensor> optimizer, JsonNode state) {
        if (step < 0 || step > LARGEST_STEP) {
            throw new IllegalArgumentException("step is " + step + ", expected 0 to " + LARGEST_STEP);
        }
        Path target = folder.resolve(String.format(Locale.ROOT, "step-%08d", step));
        try {
            Files.createDirectories(folder);
            removeLeftovers();
            Path unfinished = write(hidden(SAVING, target), model, optimizer, state);
            if (Files.exists(target)) {
                disk.rename(target, replaced(target));
            }
            disk.rename(unfinished, target);
            disk.force(folder);
        } catch (IOException e) {
            putBack(target, e);
            throw new CheckpointException(
                    "cannot save " + target + ": " + FileErrors.reason(e)
                            + "; earlier checkpoints are kept; free disk space and continue with --resume",
                    e);
        }
        try {
            removeLeftovers();
            List<Path> all = all();
            for (Path old : all.subList(0, Math.max(0, all.size() - keep))) {
                discard(old);
            }
            return target;
        } catch (IOException e) {
            if (RunFolder.isHeld(e)) { // another program reads an old checkpoint; the next save removes it
                LOG.warn("cannot remove older checkpoints of {} yet: {}", folder, FileErrors.reason(e));
                return target;
            }
            throw new CheckpointException(
                    "saved " + target + ", but cannot remove older checkpoints: " + FileErrors.reason(e), e);
        }
    }

    /** Writes all files into a new folder and forces it to disk. */
    private Path write(Path unfinished, Map<String, Tensor> model, Map<String, Tensor> optimizer, JsonNode state)
            throws IOException {
        Files.createDirectory(unfinished);
        ObjectNode checksums = JSON.createObjectNode();
        checksums.put(MODEL, write(unfinished.resolve(MODEL), out -> Safetensors.write(out, model, Map.of())));
        checksums.put(
                OPTIMIZER, write(unfinished.resolve(OPTIMIZER), out -> Safetensors.write(out, optimizer, Map.of())));
        checksums.put(STATE, write(unfinished.resolve(STATE), out -> out.write(JSON.writeValueAsBytes(state))));
        write(unfinished.resolve(CHECKSUMS), out -> out.write(JSON.writeValueAsBytes(checksums)));
        disk.force(unfinished);
        return unfinished;
    }

    @FunctionalInterface
    private interface Content {
        void writeTo(OutputStream out) throws IOException;
    }

    /** Writes and forces a file; returns the CRC-32 of its bytes. */
    private long write(Path file, Content content) throws IOException {
        CRC32 crc = new CRC32();
        try (OutputStream out = new BufferedOutputStream(
                new FilterOutputStream(disk.create(file)) {
                    @Override
                    public void write(byte[] bytes, int from, int count) throws IOException {
                        out.write(bytes, from, count);
                        crc.update(bytes, from, count);
                    }

                    @Override
                    public void write(int b) throws IOException {
                        out.write(b);
                        crc.update(b);
                    }
                },
                1 << 16)) {
            content.writeTo(out);
        }
        disk.force(file);
        return crc.getValue();
    }

    /** Undoes a failed save: renames the replaced checkpoint back and removes unfinished files. */
    private void putBack(Path target, IOException failure) {
        try {
            if (!Files.exists(target) && Files.exists(replaced(target))) {
                disk.rename(replaced(target), target);
            }
            removeLeftovers();
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }

    /** Removes files of an interrupted save, and checkpoints whose replacement is complete. */
    private void removeLeftovers() throws IOException {
        for (Path path : list(folder)) {
            String name = path.getFileName().toString();
            if (name.startsWith(SAVING) || name.startsWith(REMOVING)) {
                remove(path);
            } else if (name.endsWith(REPLACED) && Files.exists(folder.resolve(stepName(path)))) {
                discard(path);
            }
        }
    }

    /**
     * Removes all checkpoints of the run.
     *
     * @throws CheckpointException when one cannot be removed
     */
    public void removeAll() {
        try {
            for (Path checkpoint : all()) {
                discard(checkpoint);
            }
        } catch (IOException e) {
            throw new CheckpointException(
                    "cannot remove the checkpoints in " + folder + ": " + FileErrors.reason(e), e);
        }
    }

    /** Removes a checkpoint; if the process is killed meanwhile, the remaining part is hidden. */
    private void discard(Path checkpoint) throws IOException {
        Path removing = hidden(REMOVING, checkpoint);
        disk.rename(checkpoint, removing);
        remove(removing);
    }

    private void remove(Path path) throws IOException {
        if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
            for (Path child : list(path)) {
                remove(child);
            }
        }
        disk.remove(path);
    }

    private Path hidden(String prefix, Path checkpoint) {
        return folder.resolve(prefix + checkpoint.getFileName());
    }

    private static Path replaced(Path checkpoint) {
        return checkpoint.resolveSibling(checkpoint.getFileName() + REPLACED);
    }

    /** Returns the name without {@code .replaced}. */
    private static String stepName(Path checkpoint) {
        return checkpoint.getFileName().toString().replace(REPLACED, "");
    }

    private static List<Path> list(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /**
     * Returns the newest complete checkpoint.
     *
     * @return a folder step-...; empty when no complete checkpoint exists
     */
    public Optional<Path> latest() {
        List<Path> all = all();
        return all.isEmpty() ? Optional.empty() : Optional.of(all.get(all.size() - 1));
    }

    /** Returns all complete checkpoints, oldest first. */
    List<Path> all() {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try {
            return list(folder).stream()
                    .filter(path ->
                            COMPLETE.matcher(path.getFileName().toString()).matches())
                    .sorted(OLDEST_FIRST)
                    .toList();
        } catch (IOException e) {
            throw new CheckpointException("cannot list " + folder + ": " + FileErrors.reason(e), e);
        }
    }

    /**
     * Returns the state that {@link #save} was given, after comparing the CRC-32 of every file.
     *
     * @param checkpoint a folder step-...
     * @return the state
     * @throws CheckpointException when a file is missing or its bytes changed; the message names the newest older
     *     checkpoint that is complete
     */
    public static JsonNode state(Path checkpoint) {
        try {
            return verified(checkpoint);
        } catch (CheckpointException e) {
            throw new CheckpointException(e.getMessage() + advice(checkpoint), e);
        }
    }

    /**
     * Loads weights, and optionally the optimiser's state, into existing tensors: all of them or none.
     *
     * @param checkpoint a folder step-...
     * @param model written; must have the names, shapes and dtypes that were saved
     * @param optimizer written, likewise; null to skip it
     * @throws CheckpointException when the checkpoint is damaged or of another model; the tensors are unchanged, unless
     *     the disk failed between the check and the copy
     */
    public static void restore(Path checkpoint, Map<String, Tensor> model, @Nullable Map<String, Tensor> optimizer) {
        state(checkpoint);
        try (Safetensors weights = Safetensors.open(checkpoint.resolve(MODEL));
                Safetensors moments = optimizer == null ? null : Safetensors.open(checkpoint.resolve(OPTIMIZER))) {
            weights.check(model);
            if (moments != null && optimizer != null) {
                moments.check(optimizer);
                moments.load(optimizer);
            }
            weights.load(model);
        }
    }

    private static JsonNode verified(Path checkpoint) {
        Path file = checkpoint.resolve(CHECKSUMS);
        try {
            JsonNode checksums = JSON.readTree(Files.readAllBytes(file));
            for (String name : CHECKED) {
                file = checkpoint.resolve(name);
                JsonNode crc = checksums.path(name);
                if (!crc.isIntegralNumber() || crc.asLong() != crcOf(file)) {
                    throw new CheckpointException(
                            file + " is damaged or truncated: its CRC-32 differs from " + CHECKSUMS);
                }
            }
            return JSON.readTree(Files.readAllBytes(checkpoint.resolve(STATE)));
        } catch (NoSuchFileException e) {
            throw new CheckpointException(file + " is missing", e);
        } catch (IOException e) {
            throw new CheckpointException("cannot read " + file + ": " + FileErrors.reason(e), e);
        }
    }

    private static String advice(Path damaged) {
        List<Path> before = new ArrayList<>(
                new Checkpoint(Objects.requireNonNull(damaged.toAbsolutePath().getParent()), 1).all());
        before.removeIf(path -> OLDEST_FIRST.compare(path, damaged) >= 0);
        Collections.reverse(before);
        for (Path candidate : before) {
            try {
                verified(candidate);
                return "; the older checkpoint " + candidate + " is complete: remove " + damaged.getFileName()
                        + " to continue from it";
            } catch (CheckpointException damagedToo) {
                // try an older one
            }
        }
        return "; no older checkpoint is complete: start the run again";
    }

    private static long crcOf(Path file) throws IOException {
        CRC32 crc = new CRC32();
        try (InputStream in = Files.newInputStream(file)) {
            byte[] block = new byte[1 << 16];
            for (int count = in.read(block); count >= 0; count = in.read(block)) {
                crc.update(block, 0, count);
            }
        }
        return crc.getValue();
    }

    /** Thrown when a checkpoint cannot be written or read. The message names the file, the error and a remedy. */
    public static final class CheckpointException extends RuntimeException {
        /**
         * Creates an exception.
         *
         * @param message names the file, the error and a remedy
         */
        public CheckpointException(String message) {
            super(message);
        }

        /**
         * Creates an exception with a cause.
         *
         * @param message names the file, the error and a remedy
         * @param cause of the failure
         */
        public CheckpointException(String message, Throwable cause) {
            super(message, cause);
        }
    }
}
