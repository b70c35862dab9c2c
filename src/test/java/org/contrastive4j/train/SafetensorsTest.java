package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
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
import javax.imageio.ImageIO;
import org.contrastive4j.Backend;
import org.contrastive4j.internal.safetensors.SafetensorsException;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.JsonFuzz;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reading and writing of safetensors files, and rejection of other and damaged files. */
class SafetensorsTest {
    private static final String B = "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}";
    private static final String W = "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]}";

    @TempDir
    Path folder;

    private Ops ops;
    private Map<String, Tensor> model;

    @BeforeEach
    void tensors() {
        ops = Backend.open("cpu");
        model = new LinkedHashMap<>();
        model.put("w", ops.tensor(Shape.of(2, 3), 1, 2, 3, 4, 5, 6));
        model.put("b", ops.tensor(Shape.of(1), -0.5));
    }

    @AfterEach
    void free() {
        model.values().forEach(Tensor::close);
        ops.close();
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
        return ByteBuffer.allocate(8 + text.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(text.length)
                .put(text)
                .put(data)
                .array();
    }

    /** Returns the bytes of b, then of w. */
    private static byte[] data() {
        return ByteBuffer.allocate(28)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(9)
                .putFloat(1.5f)
                .putFloat(2.5f)
                .putFloat(3.5f)
                .putFloat(4.5f)
                .putFloat(5.5f)
                .putFloat(6.5f)
                .array();
    }

    /** Reads a file that is constructed from the format description, with names in another order than the bytes. */
    @Test
    void read_ofAFileByTheFormatDescription_fillsTheTensors() throws IOException {
        String withMetadata = "{\"__metadata__\":{\"format\":\"pt\"}," + B + "," + W + "}";
        for (String header : List.of(withMetadata, "{" + W + "," + B + "}   ")) {
            model.get("w").set(new float[6]);
            Safetensors.read(file(safetensors(header, data())), model);
            assertArrayEquals(
                    new double[] {1.5, 2.5, 3.5, 4.5, 5.5, 6.5}, model.get("w").toDoubles());
            assertArrayEquals(new double[] {9}, model.get("b").toDoubles());
        }
    }

    @Test
    void write_followsTheFormatDescription() throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(written()).order(ByteOrder.LITTLE_ENDIAN);
        int length = (int) bytes.getLong();
        String header = new String(bytes.array(), 8, length, StandardCharsets.UTF_8);
        assertEquals(
                "{\"__metadata__\":{\"maker\":\"test\"},"
                        + "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                        + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[24,28]}}",
                header.strip());
        assertEquals(0, length % 8, "the data is aligned");
        assertEquals(8 + length + 28, bytes.capacity());
        assertEquals(6f, bytes.getFloat(8 + length + 20));
        assertEquals(-0.5f, bytes.getFloat(8 + length + 24));
    }

    /**
     * Covers every dtype, a tensor larger than a block, an empty tensor, a scalar, a view, and NaN with its payload.
     */
    @Test
    void read_ofAWrittenFile_restoresEveryBit() throws IOException {
        long seed = 5;
        Random random = new Random(seed);
        Map<String, Tensor> given = new LinkedHashMap<>();
        Map<String, Tensor> read = new LinkedHashMap<>();
        int[][] shapes = {{1 << 19, 3}, {0, 4}, {}, {7, 1, 3}};
        for (DType dtype : DType.values()) {
            for (int[] dims : shapes) {
                String name = dtype + Arrays.toString(dims) + " \"Grüße\"";
                given.put(name, Tensor.allocate(ops.memory(), dtype, Shape.of(dims)));
                read.put(name, Tensor.allocate(ops.memory(), dtype, Shape.of(dims)));
                byte[] noise = new byte[Math.toIntExact(given.get(name).bytes())];
                random.nextBytes(noise);
                given.get(name).storage().upload(0, ByteBuffer.wrap(noise));
            }
        }
        given.put("view", model.get("w").rows(1, 2));
        read.put("view", ops.zeros(Shape.of(1, 3)));
        Path file = folder.resolve("all.safetensors");
        try (OutputStream out = Files.newOutputStream(file)) {
            Safetensors.write(out, given, Map.of());
        }
        Safetensors.read(file, read);
        given.forEach(
                (name, tensor) -> assertArrayEquals(bytes(tensor), bytes(read.get(name)), name + ", seed " + seed));
        given.values().forEach(Tensor::close);
        read.values().forEach(Tensor::close);
    }

    private static byte[] bytes(Tensor tensor) {
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.bytes()));
        tensor.storage().download(tensor.offset() * tensor.dtype().bytes(), bytes);
        return bytes.array();
    }

    private void assertRejected(byte[] bytes, String... words) throws IOException {
        Path file = file(bytes);
        CheckpointException refusal = assertThrows(CheckpointException.class, () -> Safetensors.read(file, model));
        for (String word : words) {
            assertTrue(refusal.getMessage().contains(word), refusal.getMessage());
        }
        assertArrayEquals(new double[] {1, 2, 3, 4, 5, 6}, model.get("w").toDoubles(), "the tensors are unchanged");
        assertArrayEquals(new double[] {-0.5}, model.get("b").toDoubles(), "the tensors are unchanged");
    }

    @Test
    void read_ofAFileTruncatedAnywhere_isRejected() throws IOException {
        byte[] whole = written();
        for (int length = 0; length < whole.length; length++) {
            assertRejected(Arrays.copyOf(whole, length), "file.safetensors");
        }
        assertRejected(Arrays.copyOf(whole, whole.length + 1), "belong to no tensor");
    }

    @Test
    void read_ofAnotherFormat_isRejected() throws IOException {
        long seed = 1;
        Random random = new Random(seed);
        for (int k = 0; k < 200; k++) {
            byte[] noise = new byte[random.nextInt(200)];
            random.nextBytes(noise);
            assertRejected(noise);
        }
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        assertTrue(ImageIO.write(new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB), "png", png));
        assertRejected(png.toByteArray(), "not a safetensors file");
        assertRejected("{\"a\": 1}        ".getBytes(StandardCharsets.UTF_8), "not a safetensors file");
        CheckpointException missing =
                assertThrows(CheckpointException.class, () -> Safetensors.read(folder.resolve("nowhere"), model));
        assertTrue(missing.getMessage().contains("nowhere"), missing.getMessage());
        assertThrows(CheckpointException.class, () -> Safetensors.read(folder, model));
    }

    /** Replaces each byte of the header by every other value: the file is rejected, or has the same tensors. */
    @Test
    void read_withAnyChangedHeaderByte_isRejectedOrHarmless() throws IOException {
        byte[] whole = safetensors("{" + B + "," + W + "}", data());
        for (int at = 0; at < whole.length - 28; at++) {
            for (int value : new int[] {0, 1, ' ', '"', '0', '9', '{', '}', 0x7f, 0x80, 0xff}) {
                byte[] changed = whole.clone();
                changed[at] = (byte) value;
                try {
                    Safetensors.read(file(changed), model);
                    assertArrayEquals(
                            new double[] {1.5, 2.5, 3.5, 4.5, 5.5, 6.5},
                            model.get("w").toDoubles());
                } catch (CheckpointException refusal) {
                    assertTrue(refusal.getMessage().contains("file.safetensors"), refusal.getMessage());
                }
            }
        }
    }

    private void assertHeaderRejected(String header, String... words) throws IOException {
        assertRejected(safetensors(header, new byte[28]), words);
    }

    private static String w(String dtype, String shape, String offsets) {
        return "{" + B + ",\"w\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
    }

    @Test
    void read_withAnInvalidHeader_isRejected() throws IOException {
        assertHeaderRejected("[1,2]", "does not begin with {");
        assertHeaderRejected("", "header would be 0 bytes");
        assertHeaderRejected("   ", "does not begin with {");
        assertHeaderRejected(" {" + W + "," + B + "}", "does not begin with {");
        assertHeaderRejected("\uFEFF{" + W + "," + B + "}", "does not begin with {");
        assertHeaderRejected("{\"__metadata__\":{\"a\":1}," + W + "," + B + "}", "metadata has the value 1");
        byte[] wide = ("{" + W + "," + B + "}").getBytes(StandardCharsets.UTF_16LE);
        assertHeaderRejected(new String(wide, StandardCharsets.ISO_8859_1), "not JSON");
        assertHeaderRejected("{" + B + "," + W + "} more", "not JSON");
        assertHeaderRejected("{" + W + "," + B + "," + W + "}", "Duplicate field 'w'");
        assertHeaderRejected("{" + B + "}", "24 bytes belong to no tensor");
        assertHeaderRejected("{" + B + ",\"w\":{}}", "tensor w");
        assertHeaderRejected("{" + B + ",\"w\":7}", "tensor w");
        assertHeaderRejected(w("\"F31\"", "[2,3]", "[4,28]"), "tensor w", "\"F31\"", "F64");
        assertHeaderRejected(w("\"I64\"", "[3]", "[4,28]"), "tensor w", "\"I64\"");
        assertHeaderRejected(w("32", "[2,3]", "[4,28]"), "tensor w");
        assertHeaderRejected(w("\"F32\"", "[2,4]", "[4,28]"), "tensor w", "[4, 28]");
        assertHeaderRejected(w("\"F32\"", "[-2,-3]", "[4,28]"), "tensor w");
        assertHeaderRejected(w("\"F32\"", "[2.0,3]", "[4,28]"), "tensor w", "integers");
        assertHeaderRejected(w("\"F32\"", "[2,3]", "[\"4\",28]"), "tensor w", "integers");
        assertHeaderRejected(w("\"F32\"", "{\"a\":2,\"b\":3}", "[4,28]"), "tensor w", "integers");
        assertHeaderRejected(w("\"F32\"", "6", "[4,28]"), "tensor w", "arrays");
        assertHeaderRejected(w("\"F32\"", "[2,3]", "[4,16,28]"), "tensor w");
        assertHeaderRejected(w("\"F32\"", "[2,3]", "[0,24]"), "tensor w", "begin at 4");
        assertHeaderRejected(w("\"F32\"", "[2,3]", "[8,32]"), "tensor w", "begin at 4");
        assertHeaderRejected(w("\"F32\"", "[2,3]", "[-24,0]"), "begin at 0");
        assertHeaderRejected(w("\"F32\"", "[9,3]", "[4,112]"), "tensor w", "end by 28");
        assertHeaderRejected(w("\"F32\"", "[2147483647,2147483647,2147483647]", "[4,28]"), "tensor w");
        assertHeaderRejected(w("\"F32\"", "[4294967298,3]", "[4,28]"), "tensor w");
        assertHeaderRejected(w("\"F32\"", "[2,3]", "[-9223372036854775808,9223372036854775807]"), "tensor w");
        assertHeaderRejected(w("\"F32\"", "[2,3]", "[4,99999999999999999999]"), "tensor w");
        assertHeaderRejected("{\"a\":".repeat(100_000), "not JSON");
        byte[] longer = safetensors("{}", new byte[0]);
        ByteBuffer.wrap(longer).order(ByteOrder.LITTLE_ENDIAN).putLong(Long.MAX_VALUE);
        assertRejected(longer, Long.toString(Long.MAX_VALUE), "file of 10");
    }

    private String mismatch() throws IOException {
        Path whole = file(safetensors("{" + B + "," + W + "}", data()));
        return assertThrows(CheckpointException.class, () -> Safetensors.read(whole, model))
                .getMessage();
    }

    @Test
    void read_ofAnotherModel_isRejectedAndNamesTheTensor() throws IOException {
        Tensor w = model.put("w", ops.zeros(Shape.of(3, 2)));
        assertTrue(mismatch().contains("tensor w is F32[2, 3], this model expects F32[3, 2]"), mismatch());
        model.put("w", w).close();
        Tensor ints = ops.ints(Shape.of(2, 3), new int[6]);
        model.put("w", ints);
        assertTrue(mismatch().contains("tensor w is F32[2, 3], this model expects I32[2, 3]"), mismatch());
        ints.close();
        model.put("w", w);
        model.put("extra", ops.zeros(Shape.of(1)));
        assertTrue(mismatch().contains("has no tensor extra"), mismatch());
        model.remove("extra").close();
        Tensor b = model.remove("b");
        assertTrue(mismatch().contains("has a tensor b that this model lacks"), mismatch());
        assertArrayEquals(new double[] {1, 2, 3, 4, 5, 6}, w.toDoubles(), "the tensors are unchanged");
        model.put("b", b);
        w.close();
        Path whole = file(safetensors("{" + B + "," + W + "}", data()));
        assertThrows(IllegalStateException.class, () -> Safetensors.read(whole, model));
        assertArrayEquals(new double[] {-0.5}, b.toDoubles(), "the tensors are unchanged");
    }

    @Test
    void damagedHeaders_endInTypedErrors() throws IOException {
        fuzz(500, 1);
    }

    /** {@code -Dfuzz.cases=100000} runs that many cases. */
    @Test
    @Tag("exhaustive")
    void damagedHeaders_manyCases() throws IOException {
        fuzz(Integer.getInteger("fuzz.cases", 2_000), Long.getLong("fuzz.seed", 2));
    }

    /** Reads damaged headers as checkpoints and as files of pretrained models. */
    private void fuzz(int cases, long seed) throws IOException {
        Random random = new Random(seed);
        Path file = folder.resolve("fuzz.safetensors");
        for (int k = 0; k < cases; k++) {
            String header = JsonFuzz.damaged("{\"__metadata__\":{\"format\":\"pt\"}," + B + "," + W + "}", random);
            byte[] text = header.getBytes(StandardCharsets.UTF_8);
            long stated = random.nextInt(8) == 0 ? random.nextLong() >>> random.nextInt(64) : text.length;
            ByteBuffer bytes = ByteBuffer.allocate(8 + text.length + 28).order(ByteOrder.LITTLE_ENDIAN);
            Files.write(file, bytes.putLong(stated).put(text).array());
            try {
                Safetensors.open(file).close();
            } catch (CheckpointException damaged) {
                assertTrue(
                        damaged.getMessage().contains("fuzz.safetensors"), "case " + k + ": " + damaged.getMessage());
            }
            try {
                SafetensorsFile.open(file).close();
            } catch (SafetensorsException damaged) {
                assertTrue(
                        damaged.getMessage().contains("fuzz.safetensors"), "case " + k + ": " + damaged.getMessage());
            }
        }
    }
}
