package org.contrastive4j.train;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * Writes metrics as scalars to an event file of TensorBoard.
 *
 * <p>A record is the length of its data (8 bytes, little-endian), the masked CRC-32C of these bytes, the data and its
 * masked CRC-32C; the data is an {@code Event} of event.proto. Source: TensorFlow, tsl/lib/io/record_writer.h and
 * tensorflow/core/util/event.proto.
 */
final class EventFile {
    static final String PREFIX = "events.out.tfevents.";
    private static final int MASK = 0xa282ead8;
    private static final int WALL_TIME = 1; // fields of Event
    private static final int STEP = 2;
    private static final int FILE_VERSION = 3;
    private static final int SUMMARY = 5;
    private static final int VALUE = 1; // field of Summary
    private static final int TAG = 1; // fields of Summary.Value
    private static final int SIMPLE_VALUE = 2;
    private static final int VARINT = 0; // wire types of Protocol Buffers
    private static final int FIXED64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED32 = 5;
    private static final List<String> NO_SCALARS = List.of("step", "seconds", "time");

    private final RunFolder folder;
    private final String name;

    private EventFile(RunFolder folder, String name) {
        this.folder = folder;
        this.name = name;
    }

    /**
     * Replaces the event files of a run by one file with the metrics so far, so that steps that a resumed run repeats
     * are stored once.
     *
     * @param now seconds since 1970, part of the name of the file
     */
    static EventFile begin(RunFolder folder, List<Map<String, Object>> metrics, long now) {
        ByteArrayOutputStream records = new ByteArrayOutputStream();
        records.writeBytes(record(version(now)));
        metrics.forEach(line -> records.writeBytes(record(event(line))));
        folder.removeAll(PREFIX);
        String name = String.format(Locale.ROOT, "%s%010d.contrastive4j", PREFIX, now);
        folder.write(name, records.toByteArray());
        return new EventFile(folder, name);
    }

    /** Appends a line of metrics. */
    void append(Map<String, Object> line) {
        folder.append(name, record(event(line)));
    }

    static byte[] record(byte[] data) {
        byte[] length = ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(data.length)
                .array();
        return ByteBuffer.allocate(data.length + 16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(length)
                .putInt(maskedCrc(length))
                .put(data)
                .putInt(maskedCrc(data))
                .array();
    }

    private static int maskedCrc(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return Integer.rotateRight((int) crc.getValue(), 15) + MASK;
    }

    private static byte[] version(long now) {
        Message event = new Message();
        event.fixed64(WALL_TIME, now);
        event.bytes(FILE_VERSION, "brain.Event:2".getBytes(StandardCharsets.UTF_8));
        return event.bytes();
    }

    private static byte[] event(Map<String, Object> line) {
        Message summary = new Message();
        line.forEach((key, value) -> {
            if (value instanceof Number number && !NO_SCALARS.contains(key)) {
                Message scalar = new Message();
                scalar.bytes(TAG, tag(key).getBytes(StandardCharsets.UTF_8));
                scalar.fixed32(SIMPLE_VALUE, number.floatValue());
                summary.bytes(VALUE, scalar.bytes());
            }
        });
        Message event = new Message();
        event.fixed64(WALL_TIME, number(line, "time"));
        event.varint(STEP, (long) number(line, "step"));
        event.bytes(SUMMARY, summary.bytes());
        return event.bytes();
    }

    private static double number(Map<String, Object> line, String key) {
        return ((Number) line.getOrDefault(key, 0)).doubleValue();
    }

    /** Returns the tag of a metric; TensorBoard groups tags by the text before the slash. */
    private static String tag(String key) {
        if (key.startsWith("r1.")) {
            return "recall at 1/" + key.substring(3);
        }
        if (key.startsWith("positives.") || key.startsWith("negatives.")) {
            return "cosines/" + key;
        }
        return "train/" + key;
    }

    /** Writes the fields of one Protocol Buffers message. */
    private static final class Message {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        void varint(int field, long value) {
            raw((long) field << 3 | VARINT);
            raw(value);
        }

        void fixed64(int field, double value) {
            raw((long) field << 3 | FIXED64);
            out.writeBytes(ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putDouble(value)
                    .array());
        }

        void fixed32(int field, float value) {
            raw((long) field << 3 | FIXED32);
            out.writeBytes(ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putFloat(value)
                    .array());
        }

        void bytes(int field, byte[] value) {
            raw((long) field << 3 | BYTES);
            raw(value.length);
            out.writeBytes(value);
        }

        private void raw(long value) {
            long left = value;
            while ((left & ~0x7FL) != 0) {
                out.write((int) ((left & 0x7F) | 0x80));
                left >>>= 7;
            }
            out.write((int) left);
        }

        byte[] bytes() {
            return out.toByteArray();
        }
    }
}
