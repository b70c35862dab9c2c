package org.contrastive4j.ops.ptx;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
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

/** Each sm_90a kernel assembled, and its header held against what the assembler says. */
final class HopperKernelsTest {
    private static final List<String> SECTIONS = List.of(
            "COMPUTES", "PARAMS", "LAUNCH", "SHARED", "REGISTERS", "ALGORITHM", "NUMERICS", "SYNC", "SOURCE", "CHECK");

    static List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("kernels"))) {
            return files.map(file -> file.getFileName().toString()).filter(file -> file.endsWith("_sm90a.ptx"))
                    .map(file -> file.substring(0, file.length() - 4)).sorted().toList();
        }
    }

    private static int number(String text, String before) {
        Matcher matcher = Pattern.compile(Pattern.quote(before) + "\\s*(\\d+)").matcher(text);
        assertTrue(matcher.find(), "no number after \"" + before + "\"");
        return Integer.parseInt(matcher.group(1));
    }

    @ParameterizedTest
    @MethodSource("names")
    void doesWhatItsHeaderSays(String name) throws IOException {
        String source = Files.readString(Path.of("kernels", name + ".ptx"), StandardCharsets.US_ASCII);
        String text = Kernels.text(name);
        Assembly report = PtxAssembler.assemble(name + ".ptx", text, "sm_90a");
        Assembly.Entry entry = report.entries().get(name);
        int threads = number(text, ".reqntid");
        assertAll(
                () -> SECTIONS.forEach(section -> assertTrue(source.contains("\n// " + section + " ")
                        || source.startsWith("// " + section + " "), "header of " + name + " lacks " + section)),
                () -> assertEquals(1, report.entries().size(), "entries"),
                () -> assertEquals(List.of(), report.advisories(),
                "advisories; C75xx means that products are serialised"),
                () -> assertEquals(0, entry.spillStoreBytes() + entry.spillLoadBytes() + entry.stackBytes(), "spills"),
                () -> assertEquals(number(source, "// REGISTERS"), entry.registers(), "registers"),
                () -> assertTrue(entry.registers() * threads <= 65_536, "registers of a block"),
                () -> assertEquals(number(source, "block"), threads, "threads of a block"),
                () -> assertTrue(!source.contains("dynamic shared") || number(source, "dynamic shared") <= 227
                * 1024, "shared bytes"),
                () -> assertTrue(!source.contains("mbarriers full")
                        || number(source, "dynamic shared") == number(text, "add.u32 %barriers, %shared,")
                                + 64, "shared bytes"));
    }
}
