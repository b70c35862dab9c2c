package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Safetensors and checkpoints: what is written is read, and nothing damaged ever is. */
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

    private byte[] written() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Safetensors.write(out, model, Map.of("maker", "test"));
        return out.toByteArray();
    }

    private Path file(byte[] bytes) throws IOException {
        return Files.write(folder.resolve("file.safetensors"), bytes);
    }

    private static byte[] safetensors(String header, byte[] data) {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + text.length + data.length).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length)
                .put(text).put(data).array();
    }

    /** A file made by hand from the description of the format. */
    @Test
    void readsTheFormatAsDescribed() throws IOException {
        byte[] data = ByteBuffer.allocate(28).order(ByteOrder.LITTLE_ENDIAN).putFloat(9).putFloat(1.5f).putFloat(2.5f)
                .putFloat(3.5f).putFloat(4.5f).putFloat(5.5f).putFloat(6.5f).array();
        Path hand = file(safetensors("{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
                + "\"data_offsets\":[0,4]},\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]}}", data));
        Safetensors.read(hand, model);
        assertArrayEquals(new double[] {1.5, 2.5, 3.5, 4.5, 5.5, 6.5}, model.get("w").toDoubles());
        assertArrayEquals(new double[] {9}, model.get("b").toDoubles());
    }

    @Test
    void roundTripIsExact() throws IOException {
        Path file = file(written());
        model.get("w").set(0.0, 0, 0, 0, 0, 0);
        Safetensors.read(file, model);
        assertArrayEquals(new double[] {1, 2, 3, 4, 5, 6}, model.get("w").toDoubles());
    }

    private void refused(byte[] bytes, String... words) throws IOException {
        Path file = file(bytes);
        CheckpointException refusal = assertThrows(CheckpointException.class, () -> Safetensors.read(file, model));
        for (String word : words) {
            assertTrue(refusal.getMessage().contains(word), refusal.getMessage());
        }
        assertArrayEquals(new double[] {1, 2, 3, 4, 5, 6}, model.get("w").toDoubles(), "nothing was changed");
        assertArrayEquals(new double[] {-0.5}, model.get("b").toDoubles(), "nothing was changed");
    }

    @Test
    void aFileCutOffAnywhereIsRefused() throws IOException {
        byte[] whole = written();
        for (int length = 0; length < whole.length; length++) {
            refused(Arrays.copyOf(whole, length));
        }
        refused(Arrays.copyOf(whole, whole.length + 1), "belong to no tensor");
    }

    @Test
    void foreignFilesAreRefused() throws IOException {
        Random random = new Random(1);
        for (int k = 0; k < 200; k++) {
            byte[] noise = new byte[random.nextInt(200)];
            random.nextBytes(noise);
            refused(noise);
        }
        refused(safetensors("[1,2]", new byte[0]), "JSON object");
        refused(safetensors("{\"w\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", new byte[4]), "tensor w");
        refused(safetensors("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", new byte[4]), "tensor w");
        refused(safetensors("{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,-4]}}", new byte[4]), "tensor w");
        refused(safetensors("{\"w\":{}}", new byte[4]), "tensor w");
    }

    @Test
    void aCheckpointOfAnotherModelIsRefusedByName() throws IOException {
        byte[] whole = written();
        Tensor other = ops.zeros(Shape.of(3, 2));
        Tensor before = model.put("w", other);
        assertTrue(assertThrows(CheckpointException.class, () -> Safetensors.read(file(whole), model)).getMessage()
                .contains("tensor w is F32[2, 3], this model wants F32[3, 2]"));
        other.close();
        model.put("w", before);
        Tensor more = ops.zeros(Shape.of(1));
        model.put("extra", more);
        assertTrue(assertThrows(CheckpointException.class, () -> Safetensors.read(file(whole), model)).getMessage()
                .contains("has no tensor extra"));
        model.remove("extra").close();
        Tensor b = model.remove("b");
        assertTrue(assertThrows(CheckpointException.class, () -> Safetensors.read(file(whole), model)).getMessage()
                .contains("has a tensor b that this model lacks"));
        b.close();
    }

    @Test
    void savesLoadsAndKeepsTheNewest() {
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

    /** A disk that is full after some bytes. */
    private static Checkpoint.Disk fullAfter(int[] room) {
        return file -> new FilterOutputStream(Files.newOutputStream(file)) {
            @Override
            public void write(int b) throws IOException {
                write(new byte[] {(byte) b}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int from, int count) throws IOException {
                room[0] -= count;
                if (room[0] < 0) {
                    throw new IOException("No space left on device");
                }
                out.write(bytes, from, count);
            }
        };
    }

    @Test
    void aDiskThatFillsUpAtAnyByteKeepsTheLastCheckpoint() {
        Path c = folder.resolve("c");
        new Checkpoint(c, 2).save(1, model, optimizer, state("good"));
        boolean full = true;
        for (int room = 0; full; room += 7) {
            int bytes = room;
            full = false;
            try {
                new Checkpoint(c, 2, fullAfter(new int[] {bytes})).save(2, model, optimizer, state("more"));
            } catch (CheckpointException e) {
                full = true;
                assertTrue(e.getMessage().contains("No space left") && e.getMessage().contains("make room"), e.getMessage());
                assertEquals(List.of("step-00000001"), names(c), "room for " + bytes);
                assertEquals("good", Checkpoint.state(c.resolve("step-00000001")).get("text").asText());
            }
        }
        assertEquals(List.of("step-00000001", "step-00000002"), names(c));
    }

    /** What kill -9 leaves: a folder that was not renamed, with any part of the files in it. */
    @Test
    void leftoversOfAKilledSaveAreIgnoredAndRemoved() throws IOException {
        Path c = folder.resolve("c");
        Checkpoint checkpoints = new Checkpoint(c, 2);
        checkpoints.save(1, model, optimizer, state("good"));
        Path killed = Files.createDirectory(c.resolve(".saving-step-00000002"));
        Files.write(killed.resolve("model.safetensors"), Arrays.copyOf(written(), 20));
        assertEquals("step-00000001", checkpoints.latest().orElseThrow().getFileName().toString());
        checkpoints.save(2, model, optimizer, state("next"));
        assertEquals(List.of("step-00000001", "step-00000002"), names(c));
    }

    @Test
    void changedBytesAreFoundAndTheOlderCheckpointIsNamed() throws IOException {
        Path c = folder.resolve("c");
        Checkpoint checkpoints = new Checkpoint(c, 2);
        checkpoints.save(1, model, optimizer, state("good"));
        Path newest = checkpoints.save(2, model, optimizer, state("bad"));
        for (String name : List.of("model.safetensors", "optimizer.safetensors")) {
            byte[] bytes = Files.readAllBytes(newest.resolve(name));
            bytes[bytes.length - 1] ^= 1;
            Files.write(newest.resolve(name), bytes);
            CheckpointException refusal = assertThrows(CheckpointException.class, () -> Checkpoint.state(newest));
            assertTrue(refusal.getMessage().contains(name) && refusal.getMessage().contains("step-00000001"),
                    refusal.getMessage());
            bytes[bytes.length - 1] ^= 1;
            Files.write(newest.resolve(name), bytes);
        }
        Checkpoint.state(newest);
        Files.write(newest.resolve("state.json"), new byte[] {'{'});
        assertThrows(CheckpointException.class, () -> Checkpoint.state(newest));
        assertFalse(Files.exists(c.resolve(".saving-step-00000002")));
    }
}
