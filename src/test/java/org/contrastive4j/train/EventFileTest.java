package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Event files, read by an independent parser with a bitwise CRC. TensorBoard 2.21 also reads them. */
class EventFileTest {
    @TempDir
    Path folder;

    /** Computes CRC-32C by its polynomial, masked as in record_writer.h. */
    private static int masked(byte[] bytes) {
        int crc = -1;
        for (byte one : bytes) {
            crc ^= one & 255;
            for (int bit = 0; bit < 8; bit++) {
                crc = crc >>> 1 ^ (crc & 1) * 0x82F63B78;
            }
        }
        crc = ~crc;
        return (crc >>> 15 | crc << 17) + 0xa282ead8;
    }

    /** Returns the scalars of an event file by step and tag; the first record is the version. */
    private static Map<String, Float> scalars(byte[] file) {
        ByteBuffer in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        Map<String, Float> scalars = new LinkedHashMap<>();
        for (int records = 0; in.hasRemaining(); records++) {
            byte[] length = new byte[8];
            in.get(length);
            assertEquals(masked(length), in.getInt());
            byte[] data = new byte
                    [(int) ByteBuffer.wrap(length)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .getLong()];
            in.get(data);
            assertEquals(masked(data), in.getInt());
            Map<Integer, List<Object>> event = fields(data);
            if (records == 0) {
                assertArrayEquals("brain.Event:2".getBytes(StandardCharsets.UTF_8), (byte[])
                        event.get(3).get(0));
                continue;
            }
            assertTrue((double) event.get(1).get(0) > 1e9, "seconds since 1970");
            for (Object value : fields((byte[]) event.get(5).get(0)).get(1)) {
                Map<Integer, List<Object>> scalar = fields((byte[]) value);
                String tag = new String((byte[]) scalar.get(1).get(0), StandardCharsets.UTF_8);
                scalars.put(
                        event.get(2).get(0) + " " + tag, (float) scalar.get(2).get(0));
            }
        }
        return scalars;
    }

    private static Map<Integer, List<Object>> fields(byte[] message) {
        ByteBuffer in = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
        Map<Integer, List<Object>> fields = new LinkedHashMap<>();
        while (in.hasRemaining()) {
            long key = varint(in);
            Object value =
                    switch ((int) key & 7) {
                        case 0 -> varint(in);
                        case 1 -> in.getDouble();
                        case 2 -> {
                            byte[] bytes = new byte[(int) varint(in)];
                            in.get(bytes);
                            yield bytes;
                        }
                        case 5 -> in.getFloat();
                        default -> throw new AssertionError("wire type " + (key & 7));
                    };
            fields.computeIfAbsent((int) (key >>> 3), field -> new ArrayList<>())
                    .add(value);
        }
        return fields;
    }

    private static long varint(ByteBuffer in) {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte next = in.get();
            value |= (long) (next & 127) << shift;
            if (next >= 0) {
                return value;
            }
        }
    }

    private byte[] onlyFile() throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "events.out.tfevents.*")) {
            List<Path> all = new ArrayList<>();
            files.forEach(all::add);
            assertEquals(1, all.size(), all.toString());
            return Files.readAllBytes(all.get(0));
        }
    }

    private static Map<String, Object> line(int step, double loss) {
        return Map.of("step", step, "loss", loss, "time", 1.7e9 + step, "seconds", 3.0, "r1.test", 0.25);
    }

    @Test
    void file_ofARunThatWasResumed_hasEachStepOnce() throws IOException {
        try (RunFolder run = RunFolder.open(folder)) {
            EventFile first = EventFile.begin(run, List.of(), 1_700_000_000);
            first.append(line(1, 3.5));
            first.append(line(2, 9));
            EventFile second = EventFile.begin(run, List.of(line(1, 3.5)), 1_700_000_100);
            second.append(line(200, 2.5));
            assertEquals(
                    Map.of(
                            "1 train/loss",
                            3.5f,
                            "1 recall at 1/test",
                            0.25f,
                            "200 train/loss",
                            2.5f,
                            "200 recall at 1/test",
                            0.25f),
                    scalars(onlyFile()));
        }
    }

    /** CRC-32C of "123456789" is e3069283: the check value of the Castagnoli polynomial. */
    @Test
    void record_ofKnownData_hasTheKnownChecksum() {
        int crc = 0xe3069283;
        int expected = (crc >>> 15 | crc << 17) + 0xa282ead8;
        byte[] record = EventFile.record("123456789".getBytes(StandardCharsets.US_ASCII));
        assertEquals(
                expected,
                ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN).getInt(record.length - 4),
                HexFormat.of().formatHex(record));
        assertEquals(9, record[0]);
    }
}
