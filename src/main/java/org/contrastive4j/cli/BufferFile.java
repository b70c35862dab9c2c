package org.contrastive4j.cli;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Contents of buffers in files: NumPy's {@code .npy}, by the end of the name, or the bytes alone, little-endian. */
final class BufferFile {
    private static final Pattern TYPE = Pattern.compile("'descr':\\s*'([^']*)'");
    private static final int ALIGNMENT = 64;
    private static final int PREAMBLE = 10;
    private static final Map<Element, String> TYPES = Map.of(
            Element.F32, "<f4",
            Element.F64, "<f8",
            Element.F16, "<f2",
            Element.BF16, "<u2",
            Element.I32, "<i4",
            Element.U32, "<u4",
            Element.I64, "<i8",
            Element.U8, "|u1");

    private BufferFile() {}

    /**
     * Reads all values of a file.
     *
     * @throws IllegalArgumentException when it cannot be read or holds other values
     */
    static byte[] read(Path file, Element element) {
        try {
            byte[] bytes = isNpy(file) ? readNpy(file, element) : Files.readAllBytes(file);
            if (bytes.length == 0 || bytes.length % element.bytes() != 0) {
                throw new IllegalArgumentException(file + " holds " + bytes.length + " bytes, expected a multiple of "
                        + element.bytes() + " for " + element.label());
            }
            return bytes;
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private static boolean isNpy(Path file) {
        return file.toString().endsWith(".npy");
    }

    private static byte[] readNpy(Path file, Element element) throws IOException {
        try (DataInputStream data = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            String header = NpyFile.header(file, data);
            Matcher type = TYPE.matcher(header);
            String expected = TYPES.get(element);
            if (!type.find() || !type.group(1).equals(expected) || !header.contains("'fortran_order': False")) {
                throw new IllegalArgumentException(file + " holds " + header.strip() + ", expected " + expected
                        + " for " + element.label() + " and fortran_order False");
            }
            return data.readAllBytes();
        } catch (EOFException e) {
            throw new IllegalArgumentException(file + " ends too early: it is cut off", e);
        }
    }

    /** Writes values; a {@code .npy} file gets one dimension. */
    static void write(Path file, Element element, byte[] bytes) {
        try (OutputStream out = Files.newOutputStream(file)) {
            if (isNpy(file)) {
                String header = "{'descr': '" + TYPES.get(element) + "', 'fortran_order': False, 'shape': ("
                        + bytes.length / element.bytes() + ",), }";
                int blanks = Math.floorMod(-(PREAMBLE + header.length() + 1), ALIGNMENT);
                byte[] text = (header + " ".repeat(blanks) + "\n").getBytes(StandardCharsets.US_ASCII);
                out.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
                out.write(new byte[] {(byte) text.length, (byte) (text.length >> 8)});
                out.write(text);
            }
            out.write(bytes);
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot write " + file + ": " + e.getMessage(), e);
        }
    }
}
