package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
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
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * The safetensors format: 8 bytes little-endian header length, a JSON header with dtype, shape and data_offsets of each tensor, then the
 * tensors' bytes, little-endian and row-major.
 *
 * <p>Reading checks everything before it changes anything. Source: the format description of the safetensors project.
 */
public final class Safetensors {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long LARGEST_HEADER = 100_000_000;
    private static final int BLOCK = 1 << 20;
    private static final String METADATA = "__metadata__";

    private record Entry(DType dtype, Shape shape, long begin, long end) {}

    private Safetensors() {}

    /** Writes tensors in the order of the map; metadata are strings for people and other programs. */
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
        out.write(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).array());
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

    /** Blanks up to a multiple of 8, so that the data is aligned. */
    private static byte[] padded(byte[] text) {
        byte[] result = Arrays.copyOf(text, (text.length + 7) / 8 * 8);
        Arrays.fill(result, text.length, result.length, (byte) ' ');
        return result;
    }

    /**
     * Reads a file into existing tensors, all of them or none.
     *
     * @param into every tensor of the file, by name, with its shape and dtype; written
     * @throws CheckpointException when the file is damaged, foreign, or of another model; the tensors are as before
     */
    public static void read(Path file, Map<String, Tensor> into) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer lengthBytes = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            long headerLength = channel.size() < 8 ? -1 : fill(channel, lengthBytes, 0).getLong();
            if (headerLength < 2 || headerLength > Math.min(LARGEST_HEADER, channel.size() - 8)) {
                throw new CheckpointException(file + " is not a safetensors file, or is cut off: its header would be "
                        + headerLength + " bytes in a file of " + channel.size());
            }
            JsonNode header = header(file, fill(channel, ByteBuffer.allocate((int) headerLength), 8));
            Map<String, Entry> entries = entries(file, header, channel.size() - 8 - headerLength);
            match(file, entries, into);
            for (Map.Entry<String, Entry> entry : entries.entrySet()) {
                load(channel, 8 + headerLength + entry.getValue().begin(), into.get(entry.getKey()));
            }
        } catch (IOException e) {
            throw new CheckpointException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private static JsonNode header(Path file, ByteBuffer text) {
        try {
            JsonNode header = JSON.readTree(text.array());
            if (header != null && header.isObject()) {
                return header;
            }
            throw new CheckpointException(file + " is not a safetensors file: its header is no JSON object");
        } catch (IOException e) {
            throw new CheckpointException(file + " is not a safetensors file: its header is not JSON", e);
        }
    }

    private static Map<String, Entry> entries(Path file, JsonNode header, long dataBytes) {
        Map<String, Entry> entries = new LinkedHashMap<>();
        long expected = 0;
        for (Map.Entry<String, JsonNode> field : header.properties()) {
            if (field.getKey().equals(METADATA)) {
                continue;
            }
            Entry entry = entry(file, field.getKey(), field.getValue());
            if (entry.begin() != expected || entry.end() > dataBytes) {
                throw new CheckpointException(file + " is damaged or cut off: tensor " + field.getKey() + " lies at bytes "
                        + entry.begin() + " to " + entry.end() + ", wanted to begin at " + expected + " and end by "
                        + dataBytes);
            }
            expected = entry.end();
            entries.put(field.getKey(), entry);
        }
        if (expected != dataBytes) {
            throw new CheckpointException(file + " is damaged: " + (dataBytes - expected) + " bytes belong to no tensor");
        }
        return entries;
    }

    private static Entry entry(Path file, String name, JsonNode node) {
        try {
            DType dtype = DType.valueOf(node.path("dtype").asText());
            Shape shape = Shape.of(JSON.convertValue(node.path("shape"), int[].class));
            long[] offsets = JSON.convertValue(node.path("data_offsets"), long[].class);
            if (offsets.length != 2 || offsets[1] - offsets[0] != shape.size() * dtype.bytes()) {
                throw new IllegalArgumentException("offsets " + Arrays.toString(offsets) + " for " + dtype + shape);
            }
            return new Entry(dtype, shape, offsets[0], offsets[1]);
        } catch (RuntimeException e) {
            throw new CheckpointException(file + " is damaged: tensor " + name + ": " + e.getMessage(), e);
        }
    }

    private static void match(Path file, Map<String, Entry> entries, Map<String, Tensor> into) {
        for (Map.Entry<String, Tensor> wanted : into.entrySet()) {
            Entry given = entries.get(wanted.getKey());
            Tensor tensor = wanted.getValue();
            if (given == null) {
                throw new CheckpointException(file + " has no tensor " + wanted.getKey()
                        + ": it is a checkpoint of another model");
            }
            if (given.dtype() != tensor.dtype() || !given.shape().equals(tensor.shape())) {
                throw new CheckpointException(file + ": tensor " + wanted.getKey() + " is " + given.dtype()
                        + given.shape() + ", this model wants " + tensor.dtype() + tensor.shape());
            }
            tensor.checkOpen();
        }
        for (String name : entries.keySet()) {
            if (!into.containsKey(name)) {
                throw new CheckpointException(file + " has a tensor " + name + " that this model lacks: it is a checkpoint "
                        + "of another model");
            }
        }
    }

    private static void load(FileChannel channel, long at, Tensor tensor) throws IOException {
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
}
