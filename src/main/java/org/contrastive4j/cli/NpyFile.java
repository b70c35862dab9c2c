package org.contrastive4j.cli;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.data.DataException;

/**
 * Matrices in NumPy's {@code .npy} format: written row by row as little-endian f32 in version 1.0, read from f32 and
 * f64 in any version.
 *
 * <p>Tested by {@code EmbeddingFilesTest}.
 */
final class NpyFile {
    private static final int ALIGNMENT = 64;
    private static final int PREAMBLE = 10;
    private static final int LARGEST_HEADER = 1 << 16;
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final Pattern TYPE = Pattern.compile("'descr':\\s*'([^']*)'");
    private static final Pattern SHAPE = Pattern.compile("'shape':\\s*\\((\\d{1,9}),\\s*(\\d{1,9}),?\\s*\\)");

    private NpyFile() {}

    /**
     * A matrix in memory.
     *
     * @param values rows times width values, row by row
     */
    record Matrix(int rows, int width, float[] values) {}

    /** Writes a matrix of a known number of rows. */
    static final class Writer implements AutoCloseable {
        private final OutputStream out;

        Writer(Path file, int rows, int width) throws IOException {
            out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 16);
            String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + rows + ", " + width + "), }";
            int blanks = Math.floorMod(-(PREAMBLE + header.length() + 1), ALIGNMENT);
            byte[] text = (header + " ".repeat(blanks) + "\n").getBytes(StandardCharsets.US_ASCII);
            out.write(MAGIC);
            out.write(new byte[] {1, 0, (byte) text.length, (byte) (text.length >> 8)});
            out.write(text);
        }

        void row(float[] values) throws IOException {
            ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asFloatBuffer().put(values);
            out.write(bytes.array());
        }

        @Override
        public void close() throws IOException {
            out.close();
        }
    }

    /**
     * Reads a matrix.
     *
     * @throws DataException when the file holds anything but a matrix of little-endian f32 or f64 in C order
     */
    static Matrix read(Path file) throws IOException {
        try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
                DataInputStream data = new DataInputStream(in)) {
            String header = header(file, data);
            Matcher type = TYPE.matcher(header);
            Matcher shape = SHAPE.matcher(header);
            boolean isFloat =
                    type.find() && (type.group(1).equals("<f4") || type.group(1).equals("<f8"));
            if (!isFloat || !shape.find() || !header.contains("'fortran_order': False")) {
                throw new DataException(file + " holds " + header.strip()
                        + ", expected a matrix of type <f4 or <f8 with fortran_order False");
            }
            int rows = Integer.parseInt(shape.group(1));
            int width = Integer.parseInt(shape.group(2));
            int bytes = type.group(1).equals("<f4") ? Float.BYTES : Double.BYTES;
            long stored = Files.size(file);
            if ((long) rows * width > Integer.MAX_VALUE - 8 || (long) rows * width * bytes > stored) {
                throw new DataException(file + " states " + rows + " x " + width + " values and has " + stored
                        + " bytes; it is cut off or too large");
            }
            return new Matrix(rows, width, values(data, rows, width, bytes));
        } catch (EOFException e) {
            throw new DataException(file + " ends too early: it is cut off", e);
        }
    }

    /** Reads the header; the stream is at the first value afterwards. */
    static String header(Path file, DataInputStream data) throws IOException {
        byte[] start = data.readNBytes(MAGIC.length + 2);
        boolean isNpy = start.length == MAGIC.length + 2;
        for (int i = 0; i < MAGIC.length && isNpy; i++) {
            isNpy = start[i] == MAGIC[i];
        }
        if (!isNpy) {
            throw new DataException(file + " is no .npy file: it does not begin with \\x93NUMPY");
        }
        byte[] size = new byte[start[MAGIC.length] == 1 ? 2 : 4];
        data.readFully(size);
        int length = 0;
        for (int i = size.length - 1; i >= 0; i--) {
            length = length << 8 | size[i] & 255;
        }
        if (length < 0 || length > LARGEST_HEADER) {
            throw new DataException(
                    file + " states a header of " + length + " bytes, expected at most " + LARGEST_HEADER);
        }
        byte[] text = new byte[length];
        data.readFully(text);
        return new String(text, StandardCharsets.UTF_8);
    }

    private static float[] values(DataInputStream data, int rows, int width, int bytes) throws IOException {
        float[] values = new float[rows * width];
        byte[] row = new byte[width * bytes];
        for (int k = 0; k < rows; k++) {
            data.readFully(row);
            ByteBuffer buffer = ByteBuffer.wrap(row).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < width; i++) {
                values[k * width + i] = bytes == Float.BYTES ? buffer.getFloat() : (float) buffer.getDouble();
            }
        }
        return values;
    }
}
