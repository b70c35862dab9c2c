package org.contrastive4j.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.jspecify.annotations.Nullable;

/**
 * Reads and writes the safetensors format: 8 bytes little-endian header length, a JSON header with dtype, shape and
 * data_offsets of each tensor, then the tensors' bytes, little-endian and row-major.
 *
 * <p>A file is checked completely before a tensor is written. Memory: one block of 1 MiB. Source: the format
 * description of the safetensors project.
 */
final class Safetensors implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final ObjectMapper STRICT = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
    private static final long LARGEST_HEADER = 100_000_000;
    private static final int BLOCK = 1 << 20;
    private static final String METADATA = "__metadata__";
    private static final String FOREIGN = " is not a safetensors file: ";
    private static final String TAKE_ANOTHER = "; take another file";
    private static final String OF_ANOTHER_MODEL =
            ": it is a checkpoint of another model; use the configuration it was trained with";

    private record Entry(String name, DType dtype, Shape shape, long begin, long end) {}

    private final Path file;
    private final FileChannel channel;
    private final long dataBegin;
    private final Map<String, Entry> entries;

    private Safetensors(Path file, FileChannel channel, long dataBegin, Map<String, Entry> entries) {
        this.file = file;
        this.channel = channel;
        this.dataBegin = dataBegin;
        this.entries = entries;
    }

    /**
     * Writes tensors in the order of the map.
     *
     * @param out written, not closed
     * @param tensors by name; read
     * @param metadata texts for people and other programs
     * @throws IOException when {@code out} cannot be written
     */
    public static void write(OutputStream out, Map<String, Tensor> tensors, Map<String, String> metadata)
            throws IOException {
        ObjectNode header = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            header.set(METADATA, JSON.valueToTree(metadata));
        }
        long at = 0;
        for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
            Tensor tensor = entry.getValue();
            ObjectNode node = header.putObject(entry.getKey());
            node.put("dtype", tensor.dtype().name());
            node.set("shape", JSON.valueToTree(tensor.shape().dims()));
            node.set("data_offsets", JSON.valueToTree(new long[] {at, at + tensor.bytes()}));
            at += tensor.bytes();
        }
        byte[] text = padded(JSON.writeValueAsBytes(header));
        out.write(ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(text.length)
                .array());
        out.write(text);
        ByteBuffer block = ByteBuffer.allocate(BLOCK);
        for (Tensor tensor : tensors.values()) {
            long start = tensor.offset() * tensor.dtype().bytes();
            for (long done = 0; done < tensor.bytes(); done += block.limit()) {
                block.clear().limit((int) Math.min(BLOCK, tensor.bytes() - done));
                tensor.storage().download(start + done, block);
                out.write(block.array(), 0, block.limit());
            }
        }
    }

    /** Appends blanks up to a multiple of 8 bytes, so that the data is aligned. */
    private static byte[] padded(byte[] text) {
        byte[] result = Arrays.copyOf(text, (text.length + 7) / 8 * 8);
        Arrays.fill(result, text.length, result.length, (byte) ' ');
        return result;
    }

    /**
     * Reads a file into existing tensors, all of them or none.
     *
     * @param file to read
     * @param into every tensor of the file, by name, with its shape and dtype; written
     * @throws CheckpointException when the file is damaged, has another format, or belongs to another model; the
     *     tensors are unchanged
     */
    public static void read(Path file, Map<String, Tensor> into) {
        try (Safetensors opened = open(file)) {
            opened.check(into);
            opened.load(into);
        }
    }

    /** Opens a file and checks its header against its size, without reading values. */
    static Safetensors open(Path file) {
        FileChannel channel = null;
        try {
            channel = FileChannel.open(file, StandardOpenOption.READ);
            ByteBuffer lengthBytes = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            long headerLength =
                    channel.size() < 8 ? -1 : fill(channel, lengthBytes, 0).getLong();
            if (headerLength < 2 || headerLength > Math.min(LARGEST_HEADER, channel.size() - 8)) {
                throw new CheckpointException(file + " is not a safetensors file, or is cut off: its header would be "
                        + headerLength + " bytes in a file of " + channel.size() + TAKE_ANOTHER);
            }
            JsonNode header = header(file, fill(channel, ByteBuffer.allocate((int) headerLength), 8));
            long begin = 8 + headerLength;
            return new Safetensors(file, channel, begin, entries(file, header, channel.size() - begin));
        } catch (IOException e) {
            close(channel, e);
            throw new CheckpointException("cannot read " + file + ": " + FileErrors.reason(e), e);
        } catch (RuntimeException refused) {
            close(channel, refused);
            throw refused;
        }
    }

    private static void close(@Nullable FileChannel channel, Exception cause) {
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException e) {
            cause.addSuppressed(e);
        }
    }

    private static JsonNode header(Path file, ByteBuffer text) {
        if (text.get(0) != '{') {
            throw new CheckpointException(file + FOREIGN + "its header does not begin with {" + TAKE_ANOTHER);
        }
        try {
            String decoded =
                    StandardCharsets.UTF_8.newDecoder().decode(text.rewind()).toString();
            JsonNode header = STRICT.readTree(decoded);
            for (JsonNode value : header.path(METADATA)) {
                if (!value.isTextual()) {
                    throw new CheckpointException(
                            file + FOREIGN + "its metadata has the value " + value + ", expected texts" + TAKE_ANOTHER);
                }
            }
            return header;
        } catch (JsonProcessingException e) {
            boolean twice = e.getOriginalMessage().startsWith("Duplicate field");
            throw new CheckpointException(
                    file
                            + FOREIGN
                            + (twice ? "its header has a " + e.getOriginalMessage() : "its header is not JSON")
                            + TAKE_ANOTHER,
                    e);
        } catch (IOException e) {
            throw new CheckpointException(file + FOREIGN + "its header is not UTF-8" + TAKE_ANOTHER, e);
        }
    }

    /** Returns the tensors in the order of their bytes, which must cover the data without a gap. */
    private static Map<String, Entry> entries(Path file, JsonNode header, long dataBytes) {
        List<Entry> sorted = new ArrayList<>();
        for (Map.Entry<String, JsonNode> field : header.properties()) {
            if (!field.getKey().equals(METADATA)) {
                sorted.add(entry(file, field.getKey(), field.getValue()));
            }
        }
        sorted.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        Map<String, Entry> entries = new LinkedHashMap<>();
        long expected = 0;
        for (Entry entry : sorted) {
            if (entry.begin() != expected || entry.end() > dataBytes) {
                throw new CheckpointException(file + " is damaged or cut off: tensor " + entry.name()
                        + " lies at bytes " + entry.begin() + " to " + entry.end() + ", expected them to begin at "
                        + expected
                        + " and end by " + dataBytes + TAKE_ANOTHER);
            }
            expected = entry.end();
            entries.put(entry.name(), entry);
        }
        if (expected != dataBytes) {
            throw new CheckpointException(
                    file + " is damaged: " + (dataBytes - expected) + " bytes belong to no tensor" + TAKE_ANOTHER);
        }
        return entries;
    }

    private static Entry entry(Path file, String name, JsonNode node) {
        try {
            DType dtype = dtype(node.path("dtype"));
            Shape shape = Shape.of(Arrays.stream(integers(node.path("shape")))
                    .mapToInt(Math::toIntExact)
                    .toArray());
            long[] offsets = integers(node.path("data_offsets"));
            long bytes = Math.multiplyExact(shape.size(), (long) dtype.bytes());
            if (offsets.length != 2 || Math.subtractExact(offsets[1], offsets[0]) != bytes) {
                throw new IllegalArgumentException("offsets " + Arrays.toString(offsets) + " for " + dtype + shape);
            }
            return new Entry(name, dtype, shape, offsets[0], offsets[1]);
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw new CheckpointException(
                    file + " is damaged or foreign: tensor " + name + ": " + e.getMessage() + TAKE_ANOTHER, e);
        }
    }

    private static DType dtype(JsonNode node) {
        return Arrays.stream(DType.values())
                .filter(type -> type.name().equals(node.textValue()))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "expected one of the dtypes " + Arrays.toString(DType.values()) + ", got " + node));
    }

    private static long[] integers(JsonNode node) {
        long[] values = new long[node.size()];
        for (int i = 0; i < values.length; i++) {
            if (!node.path(i).isIntegralNumber() || !node.path(i).canConvertToLong()) {
                throw new IllegalArgumentException("expected integers, got " + node);
            }
            values[i] = node.path(i).longValue();
        }
        if (!node.isArray()) {
            throw new IllegalArgumentException("shape and data_offsets must be arrays of integers");
        }
        return values;
    }

    /** @throws CheckpointException when the file does not hold exactly these names, shapes and dtypes */
    void check(Map<String, Tensor> into) {
        for (Map.Entry<String, Tensor> expected : into.entrySet()) {
            Entry given = entries.get(expected.getKey());
            Tensor tensor = expected.getValue();
            if (given == null) {
                throw new CheckpointException(file + " has no tensor " + expected.getKey() + OF_ANOTHER_MODEL);
            }
            if (given.dtype() != tensor.dtype() || !given.shape().equals(tensor.shape())) {
                throw new CheckpointException(file + ": tensor " + expected.getKey() + " is " + given.dtype()
                        + given.shape() + ", this model expects " + tensor.dtype() + tensor.shape() + OF_ANOTHER_MODEL);
            }
            tensor.checkOpen();
        }
        for (String name : entries.keySet()) {
            if (!into.containsKey(name)) {
                throw new CheckpointException(
                        file + " has a tensor " + name + " that this model lacks" + OF_ANOTHER_MODEL);
            }
        }
    }

    /** Copies the values into tensors, after {@link #check}. */
    void load(Map<String, Tensor> into) {
        try {
            for (Entry entry : entries.values()) {
                load(dataBegin + entry.begin(), Objects.requireNonNull(into.get(entry.name())));
            }
        } catch (IOException e) {
            throw new CheckpointException("cannot read " + file + ": " + FileErrors.reason(e), e);
        }
    }

    private void load(long at, Tensor tensor) throws IOException {
        ByteBuffer block = ByteBuffer.allocate(BLOCK);
        long start = tensor.offset() * tensor.dtype().bytes();
        for (long done = 0; done < tensor.bytes(); done += block.limit()) {
            block.clear().limit((int) Math.min(BLOCK, tensor.bytes() - done));
            tensor.storage().upload(start + done, fill(channel, block, at + done));
        }
    }

    private static ByteBuffer fill(FileChannel channel, ByteBuffer buffer, long at) throws IOException {
        while (buffer.hasRemaining()) {
            int read = channel.read(buffer, at + buffer.position());
            if (read < 0) {
                throw new EOFException("the file ends at " + (at + buffer.position()));
            }
        }
        return buffer.flip();
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new CheckpointException("cannot close " + file + ": " + FileErrors.reason(e), e);
        }
    }
}
