package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Writes parameters in the layout, order and types of the checkpoint they came from: the header of each file is that of
 * its source, so an untouched model gives the same bytes.
 *
 * <p>Tested by {@code PretrainedModelTest}.
 */
final class WeightWriter {
    private static final int BLOCK = 1 << 18; // elements
    /** 0, 1, 2, ...: older versions of Hugging Face transformers store it, as I64. */
    private static final String VISION_POSITION_IDS = "vision_model.embeddings.position_ids";

    private final CheckpointFiles source;
    private final Map<String, Slot> slots;
    private final Map<String, Tensor> parameters;
    private String cachedName = "";
    private float[] cached = new float[0];

    WeightWriter(CheckpointFiles source, Map<String, Slot> slots, Map<String, Tensor> parameters) {
        this.source = source;
        this.slots = slots;
        this.parameters = parameters;
    }

    void write(Path folder) throws IOException {
        for (SafetensorsFile shard : source.shards()) {
            Path target = folder.resolve(shard.path().getFileName().toString());
            try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(target), 1 << 20)) {
                byte[] header = header(shard);
                out.write(ByteBuffer.allocate(8)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(header.length)
                        .array());
                out.write(header);
                WritableByteChannel channel = Channels.newChannel(out);
                for (Entry entry : shard.entries().values()) {
                    write(shard, entry, channel);
                }
            }
        }
    }

    /** Returns the header of the source; for another number of positions with the new shapes and offsets. */
    private byte[] header(SafetensorsFile shard) throws IOException {
        if (shard.entries().values().stream().allMatch(entry -> shape(entry) == entry.shape())) {
            return shard.header();
        }
        ObjectNode json = (ObjectNode) Json.MAPPER.readTree(shard.header());
        long at = 0;
        for (Entry entry : shard.entries().values()) {
            int[] shape = shape(entry);
            long end = at + Arrays.stream(shape).asLongStream().reduce(entry.elementBytes(), (a, b) -> a * b);
            ObjectNode node = (ObjectNode) json.path(entry.name());
            node.set("shape", Json.MAPPER.valueToTree(shape));
            node.set("data_offsets", Json.MAPPER.valueToTree(new long[] {at, end}));
            at = end;
        }
        byte[] text = Json.MAPPER.writeValueAsBytes(json);
        byte[] padded = Arrays.copyOf(text, (text.length + Long.BYTES - 1) / Long.BYTES * Long.BYTES);
        Arrays.fill(padded, text.length, padded.length, (byte) ' ');
        return padded;
    }

    /** Returns the shape of a tensor in the new file: that of the source unless the number of positions differs. */
    private int[] shape(Entry entry) {
        Slot slot = slots.get(entry.name());
        if (slot != null) {
            return slot.fits(entry.shape()) ? entry.shape() : slot.shape();
        }
        int[] shape = entry.shape().clone();
        if (shape.length == 0 || !entry.name().equals(VISION_POSITION_IDS) || shape[shape.length - 1] == positions()) {
            return entry.shape();
        }
        shape[shape.length - 1] = positions();
        return shape;
    }

    private int positions() {
        return Objects.requireNonNull(parameters.get("image.positions")).dim(0);
    }

    private void write(SafetensorsFile shard, Entry entry, WritableByteChannel out) throws IOException {
        Slot slot = slots.get(entry.name());
        if (slot == null && shape(entry) != entry.shape()) {
            ByteBuffer bytes = Elements.buffer(positions() * entry.elementBytes());
            for (int k = 0; k < positions(); k++) {
                if (entry.elementBytes() == Long.BYTES) {
                    bytes.putLong(k);
                } else {
                    bytes.putInt(k);
                }
            }
            out.write(bytes.flip());
            return;
        }
        if (slot == null) { // a buffer
            ByteBuffer bytes = Elements.buffer(Math.toIntExact(entry.end() - entry.begin()));
            shard.read(entry, 0, bytes);
            out.write(bytes.flip());
            return;
        }
        DType dtype = Objects.requireNonNull(Elements.dtype(entry.dtype())); // as when the weights were read
        Tensor parameter = Objects.requireNonNull(parameters.get(slot.parameter()));
        float[] values = new float[(int) Math.min(BLOCK, slot.size())];
        ByteBuffer bytes = Elements.buffer(
                values.length * Math.max(dtype.bytes(), parameter.dtype().bytes()));
        int[] offsets = slot.isContiguous()
                ? null
                : WeightReader.rowOffsets(slot, Math.toIntExact(slot.size() / slot.shape()[0]));
        for (long at = 0; at < slot.size(); at += values.length) {
            int count = (int) Math.min(values.length, slot.size() - at);
            if (offsets == null) {
                download(parameter, slot.offset() + at, count, bytes, values);
            } else {
                gather(slot, parameter, offsets, at, count, values);
            }
            Elements.encode(values, 0, count, dtype, bytes);
            out.write(bytes);
        }
    }

    private void gather(Slot slot, Tensor parameter, int[] offsets, long at, int count, float[] values) {
        if (!cachedName.equals(slot.parameter())) {
            cached = new float[Math.toIntExact(parameter.size())];
            ByteBuffer bytes = Elements.buffer(
                    Math.min(BLOCK, cached.length) * parameter.dtype().bytes());
            float[] block = new float[Math.min(BLOCK, cached.length)];
            for (int done = 0; done < cached.length; done += block.length) {
                int part = Math.min(block.length, cached.length - done);
                download(parameter, done, part, bytes, block);
                System.arraycopy(block, 0, cached, done, part);
            }
            cachedName = slot.parameter();
        }
        for (int i = 0; i < count; i++) {
            long element = at + i;
            long row = element / offsets.length;
            values[i] =
                    cached[(int) (slot.offset() + row * slot.strides()[0]) + offsets[(int) (element % offsets.length)]];
        }
    }

    private static void download(Tensor parameter, long at, int count, ByteBuffer bytes, float[] values) {
        DType dtype = parameter.dtype();
        bytes.clear().limit(count * dtype.bytes());
        parameter.storage().download((parameter.offset() + at) * dtype.bytes(), bytes);
        Elements.decode(bytes, dtype, values, count);
    }
}
