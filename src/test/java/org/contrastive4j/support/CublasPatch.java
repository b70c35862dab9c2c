package org.contrastive4j.support;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Copies JCublas' native library and replaces its dependency {@code libcublas.so.12} by {@code libcublas.so.13}, so
 * that it can be tested on a host that has only the newer one.
 *
 * <p>The dynamic loader compares names: the file in {@code DT_NEEDED}, and file and version node of each symbol in
 * {@code .gnu.version_r}, the latter also by its ELF hash. Both names have the same length, so they are overwritten in
 * place. Names do not show whether the functions still take the same arguments; tests check that.
 */
public final class CublasPatch {
    static final String OLD = "libcublas.so.12";
    static final String NEW = "libcublas.so.13";
    private static final String RESOURCE = "/lib/libJCublas2-12.6.0-linux-x86_64.so";

    private CublasPatch() {}

    /**
     * {@code CublasPatch FOLDER LIBCUBLAS13}: writes the copy to FOLDER under the name that JCublas loads from
     * {@code java.library.path}, and prints its findings. Exits with status 1 and writes no copy if the given library
     * cannot replace the old one.
     */
    public static void main(String[] args) throws IOException {
        if (args.length != 2) {
            System.err.println("CublasPatch takes 2 arguments, given " + args.length + ": FOLDER LIBCUBLAS13");
            System.exit(2);
        }
        byte[] original = original();
        ElfFile found;
        try (FileChannel channel = FileChannel.open(Path.of(args[1]))) {
            found = new ElfFile(channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()));
        }
        Set<String> needed = new ElfFile(ByteBuffer.wrap(original)).undefinedSymbols(OLD);
        Set<String> missing = new TreeSet<>(needed);
        missing.removeAll(found.definedSymbols());
        System.out.println("JCublas 12.6 asks for " + OLD + ", this host has " + args[1] + " with version nodes "
                + found.versionDefinitions());
        System.out.println("of " + needed.size() + " functions that JCublas calls, " + missing.size()
                + " are not there: " + missing);
        if (!found.canBeAskedFor(NEW) || missing.size() == needed.size()) {
            System.out.println(
                    "no copy was made: " + args[1] + " does not offer those functions under version node " + NEW);
            System.exit(1);
        }
        Path copy = Path.of(args[0]).resolve(RESOURCE.substring(RESOURCE.lastIndexOf('/') + 1));
        Files.createDirectories(copy.getParent());
        Files.write(copy, patch(original, OLD, NEW));
        System.out.println("a private copy of " + copy.getFileName() + " asks for " + NEW);
    }

    /** Returns the native library from its jar. */
    static byte[] original() throws IOException {
        try (InputStream in = CublasPatch.class.getResourceAsStream(RESOURCE)) {
            if (in == null) {
                throw new IOException(
                        "no " + RESOURCE + " on the class path; add jcublas-natives 12.6.0 for linux-x86_64");
            }
            return in.readAllBytes();
        }
    }

    /**
     * Returns a copy of a 64-bit little-endian ELF library that depends on {@code to} instead of {@code from}.
     *
     * @throws IllegalArgumentException when the names differ in length, or the library does not need {@code from} by
     *     file and by version node
     */
    static byte[] patch(byte[] library, String from, String to) {
        if (from.length() != to.length()) {
            throw new IllegalArgumentException(
                    "\"" + from + "\" and \"" + to + "\" differ in length; names are overwritten in place");
        }
        ByteBuffer copy = ByteBuffer.wrap(library.clone());
        ElfFile elf = new ElfFile(copy);
        Set<Integer> names = new TreeSet<>(elf.neededNames(from));
        List<ElfFile.NeededVersion> versions =
                elf.neededVersions().stream().filter(v -> v.file().equals(from)).toList();
        if (names.isEmpty() || versions.stream().noneMatch(v -> v.name().equals(from))) {
            throw new IllegalArgumentException(
                    "the library does not need " + from + " by file and by version node; it needs files " + elf.needed()
                            + " and versions " + elf.neededVersions());
        }
        for (ElfFile.NeededVersion version : versions) {
            names.add(version.fileNameAt());
            if (version.name().equals(from)) {
                names.add(version.nameAt());
                elf.setHash(version, hash(to));
            }
        }
        for (int at : names) {
            copy.put(at, to.getBytes(StandardCharsets.US_ASCII));
        }
        return copy.array();
    }

    /** Returns the hash of a name by the ELF specification, the contents of {@code vna_hash}. */
    static int hash(String name) {
        int hash = 0;
        for (int i = 0; i < name.length(); i++) {
            hash = (hash << 4) + name.charAt(i);
            int high = hash & 0xf0000000;
            hash = (hash ^ high >>> 24) & ~high;
        }
        return hash;
    }

    /** The parts of a 64-bit little-endian ELF file that the patch reads, found by its section headers. */
    static final class ElfFile {
        private static final int DYNAMIC = 6;
        private static final int DYNSYM = 11;
        private static final int VERDEF = 0x6ffffffd;
        private static final int VERNEED = 0x6ffffffe;
        private static final int VERSYM = 0x6fffffff;
        private static final int DT_NEEDED = 1;
        private static final int VER_FLG_BASE = 1;

        private final ByteBuffer bytes;

        /** A section: offset, size, and offset of its string table. */
        private record Section(int offset, int size, int info, int strings) {}

        /** An entry of {@code .gnu.version_r}, with the offsets of its two names in the file. */
        record NeededVersion(String file, String name, int hash, int index, int fileNameAt, int nameAt, int at) {
            @Override
            public String toString() {
                return file + ":" + name;
            }
        }

        ElfFile(ByteBuffer bytes) {
            this.bytes = bytes.order(ByteOrder.LITTLE_ENDIAN);
            if (bytes.limit() < 64 || bytes.getInt(0) != 0x464c457f || bytes.getShort(4) != 0x0102) {
                throw new IllegalArgumentException("not a 64-bit little-endian ELF file");
            }
        }

        private Section header(int index) {
            int at = Math.toIntExact(bytes.getLong(0x28)) + index * bytes.getShort(0x3a);
            return new Section(
                    Math.toIntExact(bytes.getLong(at + 24)),
                    Math.toIntExact(bytes.getLong(at + 32)),
                    bytes.getInt(at + 44),
                    bytes.getInt(at + 40));
        }

        private Section section(int type) {
            int first = Math.toIntExact(bytes.getLong(0x28));
            for (int i = 0; i < bytes.getShort(0x3c); i++) {
                if (bytes.getInt(first + i * bytes.getShort(0x3a) + 4) == type) {
                    Section found = header(i);
                    return new Section(found.offset, found.size, found.info, header(found.strings).offset);
                }
            }
            return new Section(0, 0, 0, 0);
        }

        private String string(int at) {
            StringBuilder text = new StringBuilder();
            for (int i = at; bytes.get(i) != 0; i++) {
                text.append((char) bytes.get(i));
            }
            return text.toString();
        }

        /** Returns the offsets of the names of needed files equal to {@code name}. */
        List<Integer> neededNames(String name) {
            return neededAt().stream().filter(at -> string(at).equals(name)).toList();
        }

        List<String> needed() {
            return neededAt().stream().map(this::string).toList();
        }

        private List<Integer> neededAt() {
            Section dynamic = section(DYNAMIC);
            List<Integer> found = new ArrayList<>();
            for (int at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
                if (bytes.getLong(at) == DT_NEEDED) {
                    found.add(dynamic.strings + Math.toIntExact(bytes.getLong(at + 8)));
                }
            }
            return found;
        }

        List<NeededVersion> neededVersions() {
            Section section = section(VERNEED);
            List<NeededVersion> found = new ArrayList<>();
            int file = section.offset;
            for (int i = 0; i < section.info; i++) {
                int fileName = section.strings + bytes.getInt(file + 4);
                int at = file + bytes.getInt(file + 8);
                for (int k = 0; k < bytes.getShort(file + 2); k++) {
                    int name = section.strings + bytes.getInt(at + 8);
                    found.add(new NeededVersion(
                            string(fileName),
                            string(name),
                            bytes.getInt(at),
                            bytes.getShort(at + 6),
                            fileName,
                            name,
                            at));
                    at += bytes.getInt(at + 12);
                }
                file += bytes.getInt(file + 12);
            }
            return found;
        }

        void setHash(NeededVersion version, int hash) {
            bytes.putInt(version.at, hash);
        }

        /** Returns the names of the version nodes that the library defines, without that of the library itself. */
        List<String> versionDefinitions() {
            Section section = section(VERDEF);
            List<String> found = new ArrayList<>();
            int at = section.offset;
            for (int i = 0; i < section.info; i++) {
                if ((bytes.getShort(at + 2) & VER_FLG_BASE) == 0) {
                    found.add(string(section.strings + bytes.getInt(at + bytes.getInt(at + 12))));
                }
                at += bytes.getInt(at + 16);
            }
            return found;
        }

        /**
         * The loader finds functions under {@code version} in this library: it defines that node, or none,
         * when any name will do.
         */
        boolean canBeAskedFor(String version) {
            List<String> defined = versionDefinitions();
            return defined.isEmpty() || defined.contains(version);
        }

        /** Returns the symbols that the library imports from another one under version node {@code version}. */
        Set<String> undefinedSymbols(String version) {
            Set<Integer> indices = new TreeSet<>();
            neededVersions().stream().filter(v -> v.name().equals(version)).forEach(v -> indices.add(v.index()));
            Section symbols = section(DYNSYM);
            Section versions = section(VERSYM);
            Set<String> found = new TreeSet<>();
            for (int i = 0; i < symbols.size / 24; i++) {
                if (indices.contains((int) bytes.getShort(versions.offset + 2 * i))) {
                    found.add(string(symbols.strings + bytes.getInt(symbols.offset + 24 * i)));
                }
            }
            return found;
        }

        Set<String> definedSymbols() {
            Section symbols = section(DYNSYM);
            Set<String> found = new TreeSet<>();
            for (int at = symbols.offset; at < symbols.offset + symbols.size; at += 24) {
                if (bytes.getShort(at + 6) != 0) { // defined in a section
                    found.add(string(symbols.strings + bytes.getInt(at)));
                }
            }
            return found;
        }
    }
}
