package org.contrastive4j.ops.ptx;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.contrastive4j.device.Assembly;
import org.contrastive4j.device.cuda.PtxAssembler;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Kernels of matrix products and attention assembled for every target, and their headers held against what the assembler says. */
class GemmKernelsTest {
    private static final List<String> SECTIONS = List.of(
            "COMPUTES", "PARAMS", "LAUNCH", "SHARED", "REGISTERS", "ALGORITHM", "NUMERICS", "SYNC", "SOURCE", "CHECK");

    static List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("kernels"))) {
            return files.map(file -> file.getFileName().toString()).filter(file -> file.matches("(gemm|column|attention)_.*\\.ptx"))
                    .map(file -> file.substring(0, file.length() - 4)).sorted().toList();
        }
    }

    @ParameterizedTest
    @MethodSource("names")
    void assemblesAsItsHeaderSays(String name) throws IOException {
        String source = Files.readString(Path.of("kernels", name + ".ptx"));
        Matcher bound = Pattern.compile("// REGISTERS +at most (\\d+), no spills").matcher(source);
        assertTrue(bound.find(), "no bound of registers");
        SECTIONS.forEach(section -> assertTrue(source.contains("// " + section + " "), "the header lacks " + section));
        for (String target : List.of("sm_80", "sm_86", "sm_89", "sm_90")) {
            Assembly report = PtxAssembler.assemble(name + ".ptx", Kernels.text(name), target);
            Assembly.Entry entry = report.entries().get(name);
            assertAll(target,
                    () -> assertEquals(List.of(), report.advisories()),
                    () -> assertEquals(0, entry.spillStoreBytes() + entry.spillLoadBytes() + entry.stackBytes(), "spills"),
                    () -> assertTrue(entry.registers() <= Integer.parseInt(bound.group(1)), entry.registers() + " registers"));
        }
    }
}
