package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Set;
import org.contrastive4j.support.CublasPatch.ElfFile;
import org.contrastive4j.support.CublasPatch.ElfFile.NeededVersion;
import org.junit.jupiter.api.Test;

/** The copy of the real native library depends on the newer cuBLAS and differs in nothing else. */
class CublasPatchTest {
    private static ElfFile elf(byte[] bytes) {
        return new ElfFile(ByteBuffer.wrap(bytes));
    }

    private static List<NeededVersion> versions(byte[] library, String file) {
        return elf(library).neededVersions().stream()
                .filter(v -> v.file().equals(file))
                .toList();
    }

    @Test
    void hash_knownNames_equalsThatOfLinkers() throws IOException {
        assertEquals(0x09691a75, CublasPatch.hash("GLIBC_2.2.5")); // as in every library of x86-64 Linux
        List<NeededVersion> all = elf(CublasPatch.original()).neededVersions();
        assertTrue(all.size() > 10, all::toString);
        for (NeededVersion version : all) {
            assertEquals(version.hash(), CublasPatch.hash(version.name()), version::toString);
        }
    }

    @Test
    void patch_realLibrary_replacesFileNodeAndHash() throws IOException {
        byte[] original = CublasPatch.original();
        byte[] copy = CublasPatch.patch(original, CublasPatch.OLD, CublasPatch.NEW);

        assertTrue(elf(original).needed().contains(CublasPatch.OLD));
        assertEquals(
                elf(original).needed().stream()
                        .map(n -> n.replace(CublasPatch.OLD, CublasPatch.NEW))
                        .toList(),
                elf(copy).needed());
        assertEquals(List.of(), versions(copy, CublasPatch.OLD));
        NeededVersion version = versions(copy, CublasPatch.NEW).get(0);
        assertEquals(CublasPatch.NEW, version.name());
        assertEquals(CublasPatch.hash(CublasPatch.NEW), version.hash());
        assertEquals(elf(original).undefinedSymbols(CublasPatch.OLD), elf(copy).undefinedSymbols(CublasPatch.NEW));
        assertTrue(elf(copy).undefinedSymbols(CublasPatch.NEW).contains("cublasSgemm_v2"));
    }

    @Test
    void patch_realLibrary_changesNothingElse() throws IOException {
        byte[] original = CublasPatch.original();
        byte[] copy = CublasPatch.patch(original, CublasPatch.OLD, CublasPatch.NEW);
        int differences = 0;
        for (int i = 0; i < original.length; i++) {
            differences += original[i] == copy[i] ? 0 : 1;
        }
        assertEquals(original.length, copy.length);
        // the last character of a name and the lowest byte of its hash; linkers store the name once or once per use
        assertTrue(differences >= 2 && differences <= 4, "bytes that differ: " + differences);
        assertEquals(
                Set.copyOf(elf(original).definedSymbols()), Set.copyOf(elf(copy).definedSymbols()));
    }

    @Test
    void patch_otherFiles_areRefused() throws IOException {
        byte[] original = CublasPatch.original();
        byte[] copy = CublasPatch.patch(original, CublasPatch.OLD, CublasPatch.NEW);
        String message = assertThrows(
                        IllegalArgumentException.class, () -> CublasPatch.patch(copy, CublasPatch.OLD, CublasPatch.NEW))
                .getMessage();
        assertTrue(message.contains("does not need libcublas.so.12") && message.contains("libcublas.so.13"), message);
        // by file, not by node
        assertThrows(IllegalArgumentException.class, () -> CublasPatch.patch(original, "libc.so.6", "libc.so.7"));
        assertThrows(
                IllegalArgumentException.class, () -> CublasPatch.patch(original, CublasPatch.OLD, "libcublas.so.130"));
        assertThrows(
                IllegalArgumentException.class,
                () -> CublasPatch.patch(new byte[200], CublasPatch.OLD, CublasPatch.NEW));
        assertFalse(elf(original).definedSymbols().contains("cublasSgemm_v2"));
    }
}
