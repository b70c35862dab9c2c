package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.contrastive4j.tensor.Tensor;

/**
 * Checkpoints of a run: folders {@code step-00000123} with {@code model.safetensors}, {@code optimizer.safetensors} and {@code state.json}.
 *
 * <p>A save writes a hidden folder beside, forces it to disk and renames it: whatever is named {@code step-...} is complete. Leftovers of a save that
 * was killed are removed by the next one.
 */
public final class Checkpoint {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String UNFINISHED = ".saving-";
    private static final String MODEL = "model.safetensors";
    private static final String OPTIMIZER = "optimizer.safetensors";
    private static final String STATE = "state.json";

    private final Path folder;
    private final int keep;
    private final Disk disk;

    /** Where bytes go; tests put a disk here that fills up. */
    @FunctionalInterface
    interface Disk {
        OutputStream create(Path file) throws IOException;
    }

    /**
     * @param folder that holds the checkpoints of one run; created by the first save
     * @param keep how many of the newest stay
     */
    public Checkpoint(Path folder, int keep) {
        this(folder, keep, file -> Files.newOutputStream(file));
    }

    Checkpoint(Path folder, int keep, Disk disk) {
        if (keep < 1) {
            throw new IllegalArgumentException("keep " + keep + " checkpoints: wanted 1 or more");
        }
        this.folder = folder;
        this.keep = keep;
        this.disk = disk;
    }

    /**
     * Saves one step.
     *
     * @param state everything else that the run needs to continue; the program's own
     * @return the finished folder
     * @throws CheckpointException when it cannot be written (a full disk); earlier checkpoints are untouched
     */
    public Path save(int step, Map<String, Tensor> model, Map<String, Tensor> optimizer, JsonNode state) {
        Path target = folder.resolve(String.format(Locale.ROOT, "step-%08d", step));
        Path unfinished = folder.resolve(UNFINISHED + target.getFileName());
        try {
            Files.createDirectories(folder);
            removeUnfinished();
            Files.createDirectory(unfinished);
            ObjectNode all = JSON.createObjectNode();
            all.put("step", step);
            ObjectNode checksums = all.putObject("crc32");
            checksums.put(MODEL, write(unfinished.resolve(MODEL), out -> Safetensors.write(out, model, Map.of())));
            checksums.put(OPTIMIZER,
                    write(unfinished.resolve(OPTIMIZER), out -> Safetensors.write(out, optimizer, Map.of())));
            all.set("state", state);
            write(unfinished.resolve(STATE), out -> out.write(JSON.writeValueAsBytes(all)));
            force(unfinished);
            if (Files.exists(target)) {
                delete(target);
            }
            Files.move(unfinished, target, StandardCopyOption.ATOMIC_MOVE);
            force(folder);
            removeOld();
            return target;
        } catch (IOException e) {
            try {
                removeUnfinished();
            } catch (IOException again) {
                e.addSuppressed(again);
            }
            throw new CheckpointException("cannot save " + target + ": " + e.getMessage()
                    + "; earlier checkpoints are kept, make room and resume", e);
        }
    }

    @FunctionalInterface
    private interface Content {
        void writeTo(OutputStream out) throws IOException;
    }

    /** Writes and forces a file; returns the CRC-32 of its bytes. */
    private long write(Path file, Content content) throws IOException {
        CRC32 crc = new CRC32();
        try (OutputStream out = new BufferedOutputStream(new FilterOutputStream(disk.create(file)) {
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
        }, 1 << 16)) {
            content.writeTo(out);
        }
        force(file);
        return crc.getValue();
    }

    private static void force(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    /** The newest complete checkpoint; empty when there is none. */
    public Optional<Path> latest() {
        List<Path> all = all();
        return all.isEmpty() ? Optional.empty() : Optional.of(all.get(all.size() - 1));
    }

    private List<Path> all() {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(path -> path.getFileName().toString().matches("step-\\d{8}")).sorted().toList();
        } catch (IOException e) {
            throw new CheckpointException("cannot list " + folder + ": " + e.getMessage(), e);
        }
    }

    private void removeUnfinished() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path path : files.filter(file -> file.getFileName().toString().startsWith(UNFINISHED)).toList()) {
                delete(path);
            }
        }
    }

    private void removeOld() throws IOException {
        List<Path> all = all();
        for (Path path : all.subList(0, Math.max(0, all.size() - keep))) {
            delete(path);
        }
    }

    private static void delete(Path path) throws IOException {
        try (Stream<Path> files = Files.walk(path)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    /**
     * The state that {@link #save} was given, after checking that the checkpoint is whole.
     *
     * @param checkpoint a folder step-...
     * @throws CheckpointException when a file is missing or its bytes changed; names an older checkpoint where there is one
     */
    public static JsonNode state(Path checkpoint) {
        try {
            JsonNode all = JSON.readTree(checkpoint.resolve(STATE).toFile());
            if (all == null || !all.path("crc32").isObject() || !all.has("state")) {
                throw new CheckpointException(checkpoint.resolve(STATE) + " is not the state of a checkpoint" + older(checkpoint));
            }
            for (Map.Entry<String, JsonNode> file : all.path("crc32").properties()) {
                if (crcOf(checkpoint.resolve(file.getKey())) != file.getValue().asLong()) {
                    throw new CheckpointException(checkpoint.resolve(file.getKey()) + " is damaged or cut off" + older(checkpoint));
                }
            }
            return all.get("state");
        } catch (IOException e) {
            throw new CheckpointException("cannot read checkpoint " + checkpoint + ": " + e.getMessage() + older(checkpoint), e);
        }
    }

    private static String older(Path checkpoint) {
        Path parent = checkpoint.toAbsolutePath().getParent();
        List<Path> before = new Checkpoint(parent, 1).all().stream()
                .filter(path -> path.getFileName().compareTo(checkpoint.getFileName()) < 0).toList();
        return before.isEmpty() ? "" : "; the one before is " + before.get(before.size() - 1);
    }

    private static long crcOf(Path file) throws IOException {
        CRC32 crc = new CRC32();
        try (var in = Files.newInputStream(file)) {
            byte[] block = new byte[1 << 16];
            for (int count = in.read(block); count >= 0; count = in.read(block)) {
                crc.update(block, 0, count);
            }
        }
        return crc.getValue();
    }

    /** Loads weights, and the optimiser's state where it is wanted, into existing tensors. */
    public static void restore(Path checkpoint, Map<String, Tensor> model, Map<String, Tensor> optimizer) {
        Safetensors.read(checkpoint.resolve(MODEL), model);
        if (optimizer != null) {
            Safetensors.read(checkpoint.resolve(OPTIMIZER), optimizer);
        }
    }
}
