package org.contrastive4j.train;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.internal.safetensors.SafetensorsException;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;

/**
 * Reads and writes the tensors of a checkpoint in the safetensors format, which {@link SafetensorsFile} describes.
 *
 * <p>A file is checked completely before a tensor is written. Memory: one block of 1 MiB. Source: the format
 * description of the safetensors project.
 */
final class Safetensors implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int BLOCK = 1 << 20;
    private static final String METADATA = "__metadata__";
    private static final String TAKE_ANOTHER = "; take another file";
    private static final String OF_ANOTHER_MODEL =
            ": it is a checkpoint of another model; use the configuration it was trained with";

    private final SafetensorsFile file;

    private Safetensors(SafetensorsFile file) {
        this.file = file;
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
    static Safetensors open(Path path) {
        try {
            Safetensors opened = new Safetensors(SafetensorsFile.open(path));
            try {
                opened.requireTypes();
            } catch (CheckpointException foreign) {
                opened.close();
                throw foreign;
            }
            return opened;
        } catch (SafetensorsException e) {
            throw new CheckpointException(e.getMessage() + TAKE_ANOTHER, e);
        }
    }

    private void requireTypes() {
        for (Entry entry : file.entries().values()) {
            if (Arrays.stream(DType.values()).noneMatch(type -> type.name().equals(entry.dtype()))) {
                throw new CheckpointException(file.path() + ": tensor " + entry.name() + " has dtype \"" + entry.dtype()
                        + "\", expected one of " + Arrays.toString(DType.values()) + TAKE_ANOTHER);
            }
        }
    }

    /** @throws CheckpointException when the file does not hold exactly these names, shapes and dtypes */
    void check(Map<String, Tensor> into) {
        for (Map.Entry<String, Tensor> expected : into.entrySet()) {
            Entry given = file.entries().get(expected.getKey());
            Tensor tensor = expected.getValue();
            if (given == null) {
                throw new CheckpointException(file.path() + " has no tensor " + expected.getKey() + OF_ANOTHER_MODEL);
            }
            if (!given.dtype().equals(tensor.dtype().name())
                    || !Arrays.equals(given.shape(), tensor.shape().dims())) {
                throw new CheckpointException(file.path() + ": tensor " + expected.getKey() + " is " + given
                        + ", this model expects " + tensor.dtype() + tensor.shape() + OF_ANOTHER_MODEL);
            }
            tensor.checkOpen();
        }
        for (String name : file.entries().keySet()) {
            if (!into.containsKey(name)) {
                throw new CheckpointException(
                        file.path() + " has a tensor " + name + " that this model lacks" + OF_ANOTHER_MODEL);
            }
        }
    }

    /** Copies the values into tensors, after {@link #check}. */
    void load(Map<String, Tensor> into) {
        try {
            for (Entry entry : file.entries().values()) {
                load(entry, Objects.requireNonNull(into.get(entry.name())));
            }
        } catch (SafetensorsException e) {
            throw new CheckpointException(String.valueOf(e.getMessage()), e);
        }
    }

    private void load(Entry entry, Tensor tensor) {
        ByteBuffer block = ByteBuffer.allocate(BLOCK);
        long start = tensor.offset() * tensor.dtype().bytes();
        for (long done = 0; done < tensor.bytes(); done += block.limit()) {
            block.clear().limit((int) Math.min(BLOCK, tensor.bytes() - done));
            file.read(entry, done, block);
            tensor.storage().upload(start + done, block.flip());
        }
    }

    @Override
    public void close() {
        try {
            file.close();
        } catch (SafetensorsException e) {
            throw new CheckpointException(String.valueOf(e.getMessage()), e);
        }
    }
}
