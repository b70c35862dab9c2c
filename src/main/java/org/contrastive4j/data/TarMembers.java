package org.contrastive4j.data;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Lists the members of a tar archive with the physical offsets of their data: ustar, GNU and PAX, long names, sizes of
 * 8 GiB and more, sparse members of all GNU formats. Only headers are read.
 *
 * <p>Source: POSIX.1-2017 pax interchange format; GNU tar manual, appendix on sparse formats.
 *
 * <p>Tested by {@code ShardsTest}.
 */
final class TarMembers {
    static final int BLOCK = 512;
    private static final int LARGEST_HEADER = 1 << 20; // of a long name or a PAX header

    /** Receives the members of an archive in their order. */
    interface Visitor {
        /** Receives a regular file. */
        void file(String name, Extents data) throws IOException;

        /** Receives something that is not read. */
        void notRead(String name, String reason, String cause);
    }

    /** An archive ends too early or is damaged from some byte on; the members before it have been visited. */
    static final class DamagedArchiveException extends IOException {
        DamagedArchiveException(String message) {
            super(message);
        }
    }

    private final TarWindow file;
    private final Visitor visitor;
    private final Map<String, String> global = new HashMap<>();
    private final Map<String, String> local = new HashMap<>();
    private List<Long> sparsePairs = new ArrayList<>(); // of a PAX 0.0 or 0.1 header
    private @Nullable String longName;
    private long at;

    private TarMembers(FileChannel channel, Visitor visitor) throws IOException {
        this.file = new TarWindow(channel);
        this.visitor = visitor;
    }

    /**
     * Visits all members.
     *
     * @throws DamagedArchiveException when a header is damaged or the archive ends within a member
     */
    static void visit(FileChannel channel, Visitor visitor) throws IOException {
        TarMembers members = new TarMembers(channel, visitor);
        while (members.next()) {
            // each call visits at most one member
        }
    }

    private boolean next() throws IOException {
        if (at == file.size()) {
            return false;
        }
        if (at + BLOCK > file.size()) {
            throw new DamagedArchiveException("ends at byte " + file.size() + ", within a header");
        }
        byte[] header = file.read(at, BLOCK);
        if (TarFields.isZero(header)) {
            reportTail();
            return false;
        }
        if (!TarFields.checksumMatches(header)) {
            throw new DamagedArchiveException("the header at byte " + at + " is damaged: its checksum does not match");
        }
        at += BLOCK;
        char type = (char) (header[156] & 255);
        switch (type) {
            case 'L' -> longName = TarFields.text(special(header, "long name"));
            case 'K' -> special(header, "long link name");
            case 'x', 'X' -> {
                local.clear();
                sparsePairs = TarFields.pax(special(header, "PAX header"), local);
            }
            case 'g' -> TarFields.pax(special(header, "global PAX header"), global);
            default -> member(header, type);
        }
        return true;
    }

    /** An archive may be followed by another one (cat a.tar b.tar), which is not read, as in other readers. */
    private void reportTail() throws IOException {
        long end = Math.min(file.size(), at + 64 * BLOCK);
        for (long block = at + BLOCK; block + BLOCK <= end; block += BLOCK) {
            if (!TarFields.isZero(file.read(block, BLOCK))) {
                visitor.notRead("byte " + block, "data after the end of the archive", "");
                return;
            }
        }
    }

    private byte[] special(byte[] header, String what) throws IOException {
        long size = TarFields.number(header, 124, 12);
        if (size < 0 || size > LARGEST_HEADER) {
            throw new DamagedArchiveException("the " + what + " at byte " + at + " claims " + size + " bytes");
        }
        byte[] data = read(at, (int) size);
        at += padded(size);
        return data;
    }

    private byte[] read(long from, int length) throws IOException {
        if (from + length > file.size()) {
            throw new DamagedArchiveException("ends at byte " + file.size() + ", within a member");
        }
        return file.read(from, length);
    }

    private @Nullable String pax(String key) {
        return local.containsKey(key) ? local.get(key) : global.get(key);
    }

    private void member(byte[] header, char type) throws IOException {
        String name = name(header);
        String paxSize = pax("size");
        long size = paxSize != null ? TarFields.decimal(paxSize) : TarFields.number(header, 124, 12);
        if (size < 0 || size > Long.MAX_VALUE / 4) {
            throw new DamagedArchiveException("member " + name + " claims a size of " + size);
        }
        try {
            boolean directory = type == '5' || type == '\0' && name.endsWith("/");
            if (directory) {
                at += type == '5' ? 0 : padded(size);
            } else if (type == 'S') {
                oldSparse(header, name, size);
            } else if (type == '0' || type == '\0' || type == '7') {
                regular(name, size);
            } else {
                skip(type, name, size);
            }
        } finally {
            local.clear();
            sparsePairs = new ArrayList<>();
            longName = null;
        }
    }

    private void skip(char type, String name, long size) throws IOException {
        boolean link = type == '1' || type == '2';
        visitor.notRead(
                name,
                link ? "link in a shard" : "member that is no file",
                link ? (type == '1' ? "hard link" : "symbolic link") : "type " + type);
        at += "12346".indexOf(type) >= 0 ? 0 : padded(size);
    }

    private String name(byte[] header) throws IOException {
        String sparse = pax("GNU.sparse.name");
        String pax = sparse != null ? sparse : pax("path");
        String name = pax != null ? pax : longName;
        if (name == null) {
            name = TarFields.text(header, 0, 100);
            boolean posix = TarFields.text(header, 257, 8).equals("ustar") && header[263] == '0';
            String prefix = posix ? TarFields.text(header, 345, 155) : "";
            name = prefix.isEmpty() ? name : prefix + "/" + name;
        }
        while (name.startsWith("./")) {
            name = name.substring(2);
        }
        return name;
    }

    private void regular(String name, long size) throws IOException {
        long start = at;
        at += padded(size);
        if (start + size > file.size()) {
            throw new DamagedArchiveException("ends at byte " + file.size() + ", within " + name);
        }
        String real = pax("GNU.sparse.realsize") != null ? pax("GNU.sparse.realsize") : pax("GNU.sparse.size");
        if ("1".equals(pax("GNU.sparse.major")) && real != null) {
            visitor.file(name, sparse10(name, start, size, TarFields.decimal(real)));
        } else if (real != null) {
            visitor.file(name, Extents.sparse(name, sparsePairs, start, size, TarFields.decimal(real)));
        } else {
            visitor.file(name, Extents.whole(start, size));
        }
    }

    /** The map of a PAX 1.0 sparse member: decimal numbers, one a line, before the data and padded to a block. */
    private Extents sparse10(String name, long start, long size, long real) throws IOException {
        List<Long> numbers = new ArrayList<>();
        long expectedNumbers = 1;
        long position = start;
        StringBuilder digits = new StringBuilder();
        while (numbers.size() < expectedNumbers) {
            if (position >= start + size || digits.length() > 20 || numbers.size() > LARGEST_HEADER) {
                throw new DamagedArchiveException("the sparse map of " + name + " is damaged");
            }
            char c = (char) (file.read(position++, 1)[0] & 255);
            if (c != '\n') {
                digits.append(c);
                continue;
            }
            numbers.add(TarFields.decimal(digits.toString()));
            digits.setLength(0);
            if (numbers.size() == 1) {
                expectedNumbers = 1 + 2 * Math.max(0, Math.min(numbers.get(0), LARGEST_HEADER));
            }
        }
        long data = start + padded(position - start);
        return Extents.sparse(name, numbers.subList(1, numbers.size()), data, start + size - data, real);
    }

    /** The old GNU format: four entries in the header, more in blocks that follow it. */
    private void oldSparse(byte[] header, String name, long size) throws IOException {
        List<Long> pairs = new ArrayList<>();
        TarFields.sparseEntries(header, 386, 4, pairs);
        boolean more = header[482] != 0;
        while (more) {
            byte[] block = read(at, BLOCK);
            at += BLOCK;
            TarFields.sparseEntries(block, 0, 21, pairs);
            more = block[504] != 0;
        }
        long start = at;
        at += padded(size);
        if (start + size > file.size()) {
            throw new DamagedArchiveException("ends at byte " + file.size() + ", within " + name);
        }
        visitor.file(name, Extents.sparse(name, pairs, start, size, TarFields.number(header, 483, 12)));
    }

    private static long padded(long size) {
        return (size + BLOCK - 1) / BLOCK * BLOCK;
    }
}
