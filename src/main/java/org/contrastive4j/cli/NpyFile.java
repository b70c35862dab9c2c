package org.contrastive4j.cli;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.contrastive4j.tensor.Tensor;

/** Writes matrices in NumPy's {@code .npy} format, version 1.0, as little-endian f32. */
final class NpyFile {
    private static final int ALIGNMENT = 64;
    private static final int PREAMBLE = 10;

    private NpyFile() {}

    static void write(Path file, Tensor rows) throws IOException {
        String header =
                "{'descr': '<f4', 'fortran_order': False, 'shape': (" + rows.dim(0) + ", " + rows.dim(1) + "), }";
        int blanks = Math.floorMod(-(PREAMBLE + header.length() + 1), ALIGNMENT);
        byte[] text = (header + " ".repeat(blanks) + "\n").getBytes(StandardCharsets.US_ASCII);
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
            out.write(new byte[] {
                (byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) text.length, (byte) (text.length >> 8)
            });
            out.write(text);
            for (int row = 0; row < rows.dim(0); row++) {
                double[] values = rows.rows(row, row + 1).toDoubles();
                ByteBuffer bytes =
                        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
                for (double value : values) {
                    bytes.putFloat((float) value);
                }
                out.write(bytes.array());
            }
        }
    }
}
