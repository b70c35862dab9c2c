package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Interrupted saves and damaged files: a complete checkpoint is always found, and damaged data is never loaded. */
class CheckpointTest {
    @TempDir
    Path folder;

    private Ops ops;
    private Map<String, Tensor> model;
    private Map<String, Tensor> optimizer;

    @BeforeEach
    void tensors() {
        ops = Backend.open("cpu");
        model = new LinkedHashMap<>();
        model.put("w", ops.tensor(Shape.of(2, 3), 1, 2, 3, 4, 5, 6));
        model.put("b", ops.tensor(Shape.of(1), -0.5));
        optimizer = new LinkedHashMap<>();
        optimizer.put("m.w", ops.tensor(Shape.of(2, 3), 6, 5, 4, 3, 2, 1));
    }

    @AfterEach
    void free() {
        model.values().forEach(Tensor::close);
        optimizer.values().forEach(Tensor::close);
        ops.close();
    }

    private static JsonNode state(String text) {
        return new ObjectMapper().createObjectNode().put("text", text);
    }

    @Test
    void save_ofSeveralSteps_keepsTheNewest() {
        Checkpoint checkpoints = new Checkpoint(folder.resolve("c"), 2);
        assertTrue(checkpoints.latest().isEmpty());
        for (int step = 1; step <= 4; step++) {
            model.get("b").set((double) step);
            checkpoints.save(step, model, optimizer, state("s" + step));
        }
        Path latest = checkpoints.latest().orElseThrow();
        assertEquals("step-00000004", latest.getFileName().toString());
        assertEquals("s4", Checkpoint.state(latest).get("text").asText());
        model.get("b").set(0.0);
        Checkpoint.restore(latest, model, optimizer);
        assertArrayEquals(new double[] {4}, model.get("b").toDoubles());
        assertEquals(List.of("step-00000003", "step-00000004"), names(folder.resolve("c")));
    }

    private static List<String> names(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(path -> path.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A disk without forced writes, which take most of the time of a save: these tests save thousands of times. */
    private static class FastDisk implements Disk {
        @Override
        public OutputStream create(Path file) throws IOException {
            return Files.newOutputStream(file);
        }

        @Override
        public void force(Path path) {}
    }

    /** A disk that fails after some work: 13 bytes, a new file, a rename and a removal each count as one unit. */
    private static final class LimitedDisk extends FastDisk {
        private final boolean kills;
        private long left;

        /**
         * @param room units of work before the failure
         * @param kills whether the process is then killed; otherwise the disk is full
         */
        LimitedDisk(long room, boolean kills) {
            this.left = room;
            this.kills = kills;
        }

        private void use(long amount) throws IOException {
            left = Math.max(-1, left - amount);
            if (left < 0 && kills) {
                throw new Killed();
            }
            if (left < 0) {
                throw new IOException("No space left on device");
            }
        }

        @Override
        public OutputStream create(Path file) throws IOException {
            use(1);
            return new FilterOutputStream(super.create(file)) {
                @Override
                public void write(byte[] bytes, int from, int count) throws IOException {
                    out.write(bytes, from, (int) Math.min(count, Math.max(13 * left, 0)));
                    use((count + 12) / 13);
                }
            };
        }

        @Override
        public void rename(Path from, Path to) throws IOException {
            if (kills) {
                use(1);
            }
            super.rename(from, to);
        }

        @Override
        public void remove(Path path) throws IOException {
            if (kills) {
                use(1);
            }
            super.remove(path);
        }
    }

    /** Simulates the end of the process: no handler of exceptions catches it. */
    private static final class Killed extends Error {
        private static final long serialVersionUID = 1;
    }

    private void set(double value) {
        model.get("b").set(value);
        optimizer.get("m.w").set(value, value, value, value, value, value);
    }

    /** Returns the value that the checkpoint holds, after checking that all of its tensors hold it. */
    private double loaded(Path checkpoint) {
        double value = Checkpoint.state(checkpoint).get("value").asDouble();
        set(-1);
        Checkpoint.restore(checkpoint, model, optimizer);
        assertArrayEquals(new double[] {value}, model.get("b").toDoubles());
        assertArrayEquals(
                new double[] {value, value, value, value, value, value},
                optimizer.get("m.w").toDoubles());
        return value;
    }

    private Path save(Checkpoint checkpoints, int step, double value) {
        set(value);
        return checkpoints.save(
                step, model, optimizer, new ObjectMapper().createObjectNode().put("value", value));
    }

    private static long bytesIn(Path folder) {
        return names(folder).stream()
                .mapToLong(name -> folder.resolve(name).toFile().length())
                .sum();
    }

    /**
     * Saves {@code steps} and stops the last save after every possible amount of work, by a kill or a full disk. Then
     * checks the checkpoints and saves again.
     */
    private void stopAtEveryPoint(boolean kills, int keep, int... steps) {
        int last = steps.length - 1;
        for (int room = 0; ; room++) {
            Path c = folder.resolve((kills ? "kill" : "full") + keep + last + "-" + room);
            Checkpoint checkpoints = new Checkpoint(c, keep, new FastDisk());
            for (int k = 0; k < last; k++) {
                save(checkpoints, steps[k], k);
            }
            List<String> before = names(c);
            boolean stopped = false;
            try {
                save(new Checkpoint(c, keep, new LimitedDisk(room, kills)), steps[last], last);
            } catch (Killed killed) {
                stopped = true;
            } catch (CheckpointException full) {
                stopped = true;
                assertTrue(
                        full.getMessage().contains("No space left")
                                && full.getMessage().contains("free disk space"),
                        full.getMessage());
                assertEquals(before, names(c), "room for " + room);
            }
            double found = loaded(checkpoints.latest().orElseThrow());
            assertTrue(found == last || stopped && found == last - 1, "found " + found + ", room for " + room);
            for (Path complete : checkpoints.all()) {
                loaded(complete);
            }
            long written = bytesIn(checkpoints.latest().orElseThrow());
            save(checkpoints, steps[last], last + 1);
            assertEquals(last + 1, loaded(checkpoints.latest().orElseThrow()));
            save(checkpoints, steps[last] + 1, last + 2);
            assertEquals(last + 2, loaded(checkpoints.latest().orElseThrow()));
            long kept = Math.min(keep, Arrays.stream(steps).distinct().count() + 1);
            assertEquals(kept, names(c).size(), names(c).toString());
            if (!stopped) {
                assertTrue(room > written / 13, "stopped all over " + written + " bytes");
                return;
            }
        }
    }

    @Test
    void save_killedAtAnyPoint_leavesTheNewestOrPreviousStepComplete() {
        stopAtEveryPoint(true, 2, 1, 2, 3);
    }

    @Test
    void save_killedWhileReplacingTheOnlyCheckpoint_losesNothing() {
        stopAtEveryPoint(true, 1, 1, 1);
    }

    @Test
    void save_onADiskThatFillsAtAnyByte_keepsEarlierCheckpoints() {
        stopAtEveryPoint(false, 2, 1, 2, 3);
        stopAtEveryPoint(false, 1, 1, 1);
    }

    /** A failed rename, unlike a kill, is undone at once. */
    @Test
    void save_withAFailedRename_restoresTheReplacedCheckpoint() {
        Path c = folder.resolve("c");
        save(new Checkpoint(c, 1), 1, 10);
        Disk noNewNames = new FastDisk() {
            @Override
            public void rename(Path from, Path to) throws IOException {
                if (from.getFileName().toString().startsWith(".saving-")) {
                    throw new IOException("Input/output error");
                }
                super.rename(from, to);
            }
        };
        assertThrows(CheckpointException.class, () -> save(new Checkpoint(c, 1, noNewNames), 1, 11));
        assertEquals(List.of("step-00000001"), names(c));
        assertEquals(10, loaded(c.resolve("step-00000001")));
    }

    /** Changes every byte of every file; the message names an older checkpoint that can be loaded. */
    @Test
    void restore_withAnyChangedByte_isRejectedAndNamesACompleteCheckpoint() throws IOException {
        Path c = folder.resolve("c");
        Checkpoint checkpoints = new Checkpoint(c, 3);
        save(checkpoints, 1, 1);
        Path older = save(checkpoints, 2, 2);
        Path newest = save(checkpoints, 3, 3);
        Files.delete(older.resolve("optimizer.safetensors"));
        assertEquals(
                List.of("checksums.json", "model.safetensors", "optimizer.safetensors", "state.json"), names(newest));
        for (String name : names(newest)) {
            byte[] bytes = Files.readAllBytes(newest.resolve(name));
            for (int at = 0; at < bytes.length; at++) {
                bytes[at] ^= 1;
                Files.write(newest.resolve(name), bytes);
                bytes[at] ^= 1;
                CheckpointException refusal = assertThrows(
                        CheckpointException.class,
                        () -> Checkpoint.restore(newest, model, optimizer),
                        name + " byte " + at);
                assertTrue(
                        refusal.getMessage().contains("step-00000001 is complete")
                                && refusal.getMessage().contains("remove step-00000003"),
                        refusal.getMessage());
            }
            Files.write(newest.resolve(name), Arrays.copyOf(bytes, bytes.length - 1));
            assertThrows(CheckpointException.class, () -> Checkpoint.state(newest));
            Files.delete(newest.resolve(name));
            assertTrue(assertThrows(CheckpointException.class, () -> Checkpoint.state(newest))
                    .getMessage()
                    .contains(name + " is missing"));
            Files.write(newest.resolve(name), bytes);
        }
        assertEquals(3, loaded(newest));
        assertTrue(assertThrows(CheckpointException.class, () -> Checkpoint.state(folder.resolve("none/step-00000001")))
                .getMessage()
                .contains("start the run again"));
    }

    @Test
    void restore_ofAnotherModel_leavesTheTensorsUnchanged() {
        Path saved = save(new Checkpoint(folder.resolve("c"), 1), 1, 1);
        set(5);
        for (int size : new int[] {1, 3, 7}) {
            try (Tensor other = ops.zeros(Shape.of(size))) {
                assertThrows(CheckpointException.class, () -> Checkpoint.restore(saved, model, Map.of("m.w", other)));
                assertThrows(CheckpointException.class, () -> Checkpoint.restore(saved, Map.of("b", other), optimizer));
                assertArrayEquals(new double[size], other.toDoubles());
            }
        }
        assertArrayEquals(new double[] {5}, model.get("b").toDoubles());
        assertArrayEquals(new double[] {5, 5, 5, 5, 5, 5}, optimizer.get("m.w").toDoubles());
    }

    @Test
    void save_withInvalidArguments_isRejected() throws IOException {
        assertThrows(IllegalArgumentException.class, () -> new Checkpoint(folder, 0));
        Checkpoint checkpoints = new Checkpoint(Files.createFile(folder.resolve("file")), 1);
        assertTrue(checkpoints.latest().isEmpty());
        assertThrows(CheckpointException.class, () -> save(checkpoints, 1, 1));
        assertThrows(IllegalArgumentException.class, () -> save(checkpoints, -1, 1));
        assertThrows(IllegalArgumentException.class, () -> save(checkpoints, 100_000_000, 1));
    }
}
