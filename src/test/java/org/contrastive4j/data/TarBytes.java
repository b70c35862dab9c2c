package org.contrastive4j.data;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Builds tar archives byte by byte, also those that no library writes. */
public final class TarBytes {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void put(byte[] header, int at, String text) {
        byte[] bytes = utf8(text);
        System.arraycopy(bytes, 0, header, at, Math.min(bytes.length, 100));
    }

    static byte[] header(String name, char type, long size) {
        byte[] header = new byte[512];
        put(header, 0, name);
        put(header, 100, "0000644\0");
        put(header, 124, String.format("%011o\0", size));
        put(header, 136, "00000000000\0");
        header[156] = (byte) type;
        put(header, 257, "ustar\00000");
        return header;
    }

    /** Sets the checksum and appends the header. */
    TarBytes raw(byte[] header) {
        Arrays.fill(header, 148, 156, (byte) ' ');
        int sum = 0;
        for (byte b : header) {
            sum += b & 255;
        }
        put(header, 148, String.format("%06o\0 ", sum));
        out.writeBytes(header);
        return this;
    }

    TarBytes data(byte[] bytes) {
        out.writeBytes(bytes);
        out.writeBytes(new byte[(512 - bytes.length % 512) % 512]);
        return this;
    }

    TarBytes member(String name, char type, byte[] bytes) {
        return raw(header(name, type, bytes.length)).data(bytes);
    }

    public TarBytes file(String name, byte[] bytes) {
        return member(name, '0', bytes);
    }

    public TarBytes text(String name, String text) {
        return file(name, utf8(text));
    }

    TarBytes link(String name, char type, String target) {
        byte[] header = header(name, type, 0);
        put(header, 157, target);
        return raw(header);
    }

    static String record(String key, String value) {
        String body = " " + key + "=" + value + "\n";
        int length = utf8(body).length + 1;
        while (Integer.toString(length).length() + utf8(body).length != length) {
            length++;
        }
        return length + body;
    }

    TarBytes pax(char type, String... records) {
        return member("PaxHeaders/x", type, utf8(String.join("", records)));
    }

    /** A member in the old GNU format whose first {@code hole} bytes are a hole. */
    TarBytes gnuSparse(String name, int hole, byte[] rest) {
        byte[] header = header(name, 'S', rest.length);
        put(header, 257, "ustar  \0");
        put(header, 386, String.format("%011o\0", hole));
        put(header, 398, String.format("%011o\0", rest.length));
        put(header, 483, String.format("%011o\0", hole + rest.length));
        return raw(header).data(rest);
    }

    /** The same in PAX format 1.0, as bsdtar and GNU tar --format=posix write it. */
    TarBytes paxSparse(String name, int hole, byte[] rest) {
        pax(
                'x',
                record("GNU.sparse.major", "1"),
                record("GNU.sparse.minor", "0"),
                record("GNU.sparse.name", name),
                record("GNU.sparse.realsize", Integer.toString(hole + rest.length)));
        byte[] map = Arrays.copyOf(utf8("1\n" + hole + "\n" + rest.length + "\n"), 512);
        byte[] stored = Arrays.copyOf(map, 512 + rest.length);
        System.arraycopy(rest, 0, stored, 512, rest.length);
        return member("GNUSparseFile.0/" + name, '0', stored);
    }

    byte[] unfinished() {
        return out.toByteArray();
    }

    byte[] bytes() {
        byte[] all = out.toByteArray();
        return Arrays.copyOf(all, all.length + 1024);
    }

    public Path write(Path file) {
        try {
            return Files.write(file, bytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
