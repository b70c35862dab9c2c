package org.contrastive4j.data;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** Writes PNG files of every colour type and bit depth. */
final class PngBytes {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    PngBytes(int width, int height, int depth, int colourType) {
        out.writeBytes(new byte[] {(byte) 0x89, 'P', 'N', 'G', 13, 10, 26, 10});
        chunk(
                "IHDR",
                ByteBuffer.allocate(13)
                        .putInt(width)
                        .putInt(height)
                        .put((byte) depth)
                        .put((byte) colourType)
                        .array());
    }

    PngBytes chunk(String type, byte[] data) {
        byte[] name = type.getBytes(StandardCharsets.US_ASCII);
        CRC32 crc = new CRC32();
        crc.update(name);
        crc.update(data);
        out.writeBytes(ByteBuffer.allocate(4).putInt(data.length).array());
        out.writeBytes(name);
        out.writeBytes(data);
        out.writeBytes(ByteBuffer.allocate(4).putInt((int) crc.getValue()).array());
        return this;
    }

    /**
     * @param samples of each row; each has {@code depth} bits
     */
    byte[] finish(int[][] samples, int depth) {
        ByteArrayOutputStream rows = new ByteArrayOutputStream();
        for (int[] row : samples) {
            rows.write(0); // no filter
            int held = 0;
            int bits = 0;
            for (int sample : row) {
                held = held << depth | sample;
                bits += depth;
                while (bits >= 8) {
                    bits -= 8;
                    rows.write(held >> bits);
                }
            }
            if (bits > 0) {
                rows.write(held << 8 - bits);
            }
        }
        Deflater deflater = new Deflater();
        deflater.setInput(rows.toByteArray());
        deflater.finish();
        byte[] packed = new byte[rows.size() + 100];
        int length = deflater.deflate(packed);
        deflater.end();
        return chunk("IDAT", java.util.Arrays.copyOf(packed, length))
                .chunk("IEND", new byte[0])
                .out
                .toByteArray();
    }
}
