package org.contrastive4j.internal.safetensors;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
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
import org.jspecify.annotations.Nullable;

/**
 * An open safetensors file: 8 bytes little-endian header length, a JSON header with dtype, shape and data_offsets of
 * each tensor, then the bytes of the tensors, little-endian and row-major.
 *
 * <p>Opening checks that the header describes the bytes of the file; values are read on demand, by any thread, in
 * pieces of the caller's size. Memory: the header only.
 *
 * <p>Tested by {@code SafetensorsTest}.
 */
public final class SafetensorsFile implements AutoCloseable {
    private static final ObjectMapper STRICT = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
    private static final long LARGEST_HEADER = 100_000_000;
    private static final int LENGTH_BYTES = 8;
    private static final String METADATA = "__metadata__";
    private static final String FOREIGN = " is not a safetensors file: ";
    private static final Map<String, Integer> ELEMENT_BYTES = Map.ofEntries(
            Map.entry("F64", 8),
            Map.entry("F32", 4),
            Map.entry("F16", 2),
            Map.entry("BF16", 2),
            Map.entry("I64", 8),
            Map.entry("I32", 4),
            Map.entry("I16", 2),
            Map.entry("I8", 1),
            Map.entry("U8", 1),
            Map.entry("BOOL", 1));

    /**
     * A tensor of the file.
     *
     * @param dtype as the header spells it, e.g. {@code BF16}
     * @param begin first byte, counted from the end of the header
     */
    public record Entry(String name, String dtype, int[] shape, long begin, long end) {
        /** Returns the number of elements. */
        public long size() {
            return Arrays.stream(shape).asLongStream().reduce(1, (a, b) -> a * b);
        }

        /** Returns the bytes of one element. */
        public int elementBytes() {
            return Objects.requireNonNull(ELEMENT_BYTES.get(dtype)); // checked when the header was read
        }

        @Override
        public String toString() {
            return dtype + Arrays.toString(shape);
        }
    }

    private final Path file;
    private final FileChannel channel;
    private final byte[] header;
    private final Map<String, String> metadata;
    private final Map<String, Entry> entries;

    private SafetensorsFile(
            Path file, FileChannel channel, byte[] header, Map<String, String> metadata, Map<String, Entry> entries) {
        this.file = file;
        this.channel = channel;
        this.header = header;
        this.metadata = metadata;
        this.entries = entries;
    }

    /**
     * Opens a file and checks its header.
     *
     * @throws SafetensorsException when the file cannot be read, is of another format, or is damaged or cut off
     */
    public static SafetensorsFile open(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new SafetensorsException("there is no file " + file);
        }
        @Nullable FileChannel channel = null;
        try {
            channel = FileChannel.open(file, StandardOpenOption.READ);
            byte[] header = header(file, channel);
            JsonNode json = json(file, header);
            Map<String, Entry> entries = entries(file, json, channel.size() - LENGTH_BYTES - header.length);
            Map<String, String> metadata = new LinkedHashMap<>();
            json.path(METADATA)
                    .properties()
                    .forEach(field ->
                            metadata.put(field.getKey(), field.getValue().asText()));
            return new SafetensorsFile(file, channel, header, metadata, entries);
        } catch (IOException e) {
            close(channel, e);
            throw new SafetensorsException("cannot read " + file + ": " + FileErrors.reason(e), e);
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

    private static byte[] header(Path file, FileChannel channel) throws IOException {
        ByteBuffer lengthBytes = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        long length = -1;
        if (channel.size() >= LENGTH_BYTES) {
            fill(channel, lengthBytes, 0);
            length = lengthBytes.flip().getLong();
        }
        if (length < 2 || length > Math.min(LARGEST_HEADER, channel.size() - LENGTH_BYTES)) {
            throw new SafetensorsException(file + " is not a safetensors file, or is cut off: its header would be "
                    + length + " bytes in a file of " + channel.size());
        }
        ByteBuffer text = ByteBuffer.allocate((int) length);
        fill(channel, text, LENGTH_BYTES);
        return text.array();
    }

    private static JsonNode json(Path file, byte[] header) {
        if (header[0] != '{') {
            throw new SafetensorsException(file + FOREIGN + "its header does not begin with {");
        }
        try {
            JsonNode json = STRICT.readTree(StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(header))
                    .toString());
            for (JsonNode value : json.path(METADATA)) {
                if (!value.isTextual()) {
                    throw new SafetensorsException(
                            file + FOREIGN + "its metadata has the value " + value + ", expected texts");
                }
            }
            return json;
        } catch (JsonProcessingException e) {
            boolean twice = e.getOriginalMessage().startsWith("Duplicate field");
            throw new SafetensorsException(
                    file + FOREIGN + (twice ? "its header has a " + e.getOriginalMessage() : "its header is not JSON"),
                    e);
        } catch (IOException e) {
            throw new SafetensorsException(file + FOREIGN + "its header is not UTF-8", e);
        }
    }

    /** The tensors in the order of their bytes, which must follow each other without a gap. */
    private static Map<String, Entry> entries(Path file, JsonNode json, long dataBytes) {
        List<Entry> sorted = new ArrayList<>();
        for (Map.Entry<String, JsonNode> field : json.properties()) {
            if (!field.getKey().equals(METADATA)) {
                sorted.add(entry(file, field.getKey(), field.getValue()));
            }
        }
        sorted.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        Map<String, Entry> entries = new LinkedHashMap<>();
        long expected = 0;
        for (Entry entry : sorted) {
            if (entry.begin() != expected || entry.end() > dataBytes) {
                throw new SafetensorsException(file + " is damaged or cut off: tensor " + entry.name()
                        + " is at bytes " + entry.begin() + " to " + entry.end() + ", expected them to begin at "
                        + expected + " and end by " + dataBytes);
            }
            expected = entry.end();
            entries.put(entry.name(), entry);
        }
        if (expected != dataBytes) {
            throw new SafetensorsException(
                    file + " is damaged: " + (dataBytes - expected) + " bytes belong to no tensor");
        }
        return entries;
    }

    private static Entry entry(Path file, String name, JsonNode node) {
        try {
            String dtype = node.path("dtype").asText();
            if (!ELEMENT_BYTES.containsKey(dtype)) {
                throw new IllegalArgumentException("dtype is " + node.path("dtype") + ", expected one of "
                        + ELEMENT_BYTES.keySet().stream().sorted().toList());
            }
            int[] shape = Arrays.stream(integers(node.path("shape")))
                    .mapToInt(Math::toIntExact)
                    .toArray();
            long[] offsets = integers(node.path("data_offsets"));
            long bytes = ELEMENT_BYTES.get(dtype);
            for (int dim : shape) {
                bytes = Math.multiplyExact(bytes, (long) dim);
            }
            if (offsets.length != 2
                    || Math.subtractExact(offsets[1], offsets[0]) != bytes
                    || Arrays.stream(shape).anyMatch(dim -> dim < 0)) {
                throw new IllegalArgumentException(
                        "offsets are " + Arrays.toString(offsets) + " for " + dtype + Arrays.toString(shape));
            }
            return new Entry(name, dtype, shape, offsets[0], offsets[1]);
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw new SafetensorsException(file + " is damaged: tensor " + name + ": " + e.getMessage(), e);
        }
    }

    private static long[] integers(JsonNode node) {
        if (!node.isArray()) {
            throw new IllegalArgumentException("expected arrays of integers as shape and data_offsets, got " + node);
        }
        long[] values = new long[node.size()];
        for (int i = 0; i < values.length; i++) {
            if (!node.path(i).isIntegralNumber() || !node.path(i).canConvertToLong()) {
                throw new IllegalArgumentException("expected integers, got " + node);
            }
            values[i] = node.path(i).longValue();
        }
        return values;
    }

    /** Returns the path. */
    public Path path() {
        return file;
    }

    /** Returns the header as it is in the file, without its length. */
    public byte[] header() {
        return header.clone();
    }

    /** Returns the strings that the file stores beside its tensors. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /** Returns the tensors by name, in the order of their bytes. */
    public Map<String, Entry> entries() {
        return entries;
    }

    /**
     * Fills {@code target} with the bytes of a tensor from byte {@code at} of it on.
     *
     * @throws SafetensorsException when the file ends early or cannot be read
     */
    public void read(Entry entry, long at, ByteBuffer target) {
        try {
            fill(channel, target, LENGTH_BYTES + header.length + entry.begin() + at);
        } catch (IOException e) {
            throw new SafetensorsException(
                    "cannot read " + entry.name() + " of " + file + ": " + FileErrors.reason(e), e);
        }
    }

    private static void fill(FileChannel channel, ByteBuffer buffer, long at) throws IOException {
        long position = at;
        while (buffer.hasRemaining()) {
            int read = channel.read(buffer, position);
            if (read < 0) {
                throw new EOFException("the file ends at byte " + position);
            }
            position += read;
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new SafetensorsException("cannot close " + file + ": " + FileErrors.reason(e), e);
        }
    }
}
