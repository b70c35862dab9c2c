package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.cuda.PtxAssembler;
import org.contrastive4j.internal.device.Assembly;
import org.contrastive4j.internal.device.Occupancy;
import org.contrastive4j.internal.sim.check.Counts;
import org.contrastive4j.support.NeedsPtxAssembler;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Portable kernels: headers against what the assembler reports for every architecture, and counts of the simulator. */
class KernelsTest {
    private static final Path FOLDER = Path.of("kernels");
    private static final List<String> SECTIONS = List.of(
            "COMPUTES",
            "INSTANCES",
            "PARAMS",
            "LAUNCH",
            "SHARED",
            "REGISTERS",
            "OCCUPANCY",
            "ALGORITHM",
            "NUMERICS",
            "SYNC",
            "SOURCE",
            "CHECK");
    private static final Pattern REGISTERS = Pattern.compile("(?m)^// REGISTERS +at most (\\d+), no spills");
    private static final Pattern OCCUPANCY =
            Pattern.compile("(?m)^// OCCUPANCY +(?:\\[.+\\] )?blocks per multiprocessor: (.+)$");
    private static final Pattern THREADS = Pattern.compile("\\.(?:reqntid|maxntid)\\s+(\\d+)");
    private static final Pattern DYNAMIC = Pattern.compile("dynamic shared (\\d+) bytes");
    private static final Pattern SHARED = Pattern.compile("(?ms)^// SHARED +(.*?)^// REGISTERS");

    static List<String> names() {
        return KernelFiles.entries().keySet().stream()
                .filter(name -> !name.endsWith("_sm90a"))
                .toList();
    }

    @NeedsPtxAssembler
    @ParameterizedTest
    @SampledSource(value = "names", every = 28)
    void assembly_matchesTheHeader_onEveryArchitecture(String name) {
        String header = KernelFiles.header(name);
        String text = Kernels.text(name);
        Matcher registers = REGISTERS.matcher(header);
        assertTrue(registers.find(), "no bound on registers in the header");
        List<String> blocks = new ArrayList<>();
        for (String architecture : List.of("sm_80", "sm_86", "sm_89", "sm_90")) {
            Assembly report = PtxAssembler.assemble(name + ".ptx", text, architecture);
            String what = name + " for " + architecture + ": " + report.entries();
            assertEquals(Set.of(name), report.entries().keySet(), "the entry is named as INSTANCES lists it");
            Assembly.Entry entry = report.entries().get(name);
            assertEquals(0, entry.spillLoadBytes() + entry.spillStoreBytes() + entry.stackBytes(), what);
            assertTrue(entry.registers() <= Integer.parseInt(registers.group(1)), what);
            assertEquals(List.of(), report.advisories(), what);
            assertEquals(sharedBytes(header), entry.staticSharedBytes(), what);
            blocks.add(architecture + " " + blocks(architecture, name, entry));
        }
        assertEquals(String.join(", ", blocks), occupancy(name));
    }

    /** Blocks per multiprocessor that the header states. */
    static String occupancy(String name) {
        Matcher stated = OCCUPANCY.matcher(KernelFiles.header(name));
        assertTrue(stated.find(), "no blocks per multiprocessor in the header of " + name);
        return stated.group(1);
    }

    /** Blocks per multiprocessor; the assembler does not know dynamic shared memory, which the header states. */
    static int blocks(String architecture, String name, Assembly.Entry entry) {
        Matcher threads = THREADS.matcher(Kernels.text(name));
        assertTrue(threads.find(), "no threads of a block in " + name);
        Matcher dynamic = DYNAMIC.matcher(KernelFiles.header(name));
        int sharedBytes = entry.staticSharedBytes() + (dynamic.find() ? Integer.parseInt(dynamic.group(1)) : 0);
        return Occupancy.blocksPerMultiprocessor(
                Integer.parseInt(architecture.replaceAll("\\D", "")),
                entry.registers(),
                sharedBytes,
                Integer.parseInt(threads.group(1)));
    }

    /** Sum of the sizes in the SHARED section. */
    private static int sharedBytes(String header) {
        Matcher section = SHARED.matcher(header);
        assertTrue(section.find());
        Matcher number = Pattern.compile("(\\d+) bytes: ").matcher(section.group(1));
        int sum = 0;
        while (number.find()) {
            sum += Integer.parseInt(number.group(1));
        }
        return sum;
    }

    @ParameterizedTest
    @MethodSource("names")
    void header_hasAllSectionsInOrder(String name) {
        String header = KernelFiles.header(name);
        int at = 0;
        for (String section : SECTIONS) {
            int next = header.indexOf("// " + section + " ", at);
            assertTrue(next >= at, "header of " + name + " has no " + section + " in order");
            at = next;
        }
        assertTrue(name.matches("[a-z_]+_(t?f32|f64|s32|bf16|f16)(_[a-z0-9]+)*"), name);
        assertTrue(Kernels.text(name).contains(".version 8.0\n.target sm_80\n.address_size 64\n"), name);
    }

    static List<Path> files() throws IOException {
        try (Stream<Path> files = Files.walk(FOLDER)) {
            return files.filter(Files::isRegularFile).sorted().toList();
        }
    }

    @ParameterizedTest
    @MethodSource("files")
    void file_isAsciiOfAtMost120Columns(Path file) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        String text = new String(bytes, StandardCharsets.UTF_8);
        assertEquals(
                bytes.length,
                text.chars().filter(c -> c >= 32 && c < 127 || c == '\n').count(),
                "pure ASCII");
        boolean isTable = file.toString().endsWith(".md");
        assertTrue(text.lines().allMatch(line -> isTable || line.length() <= 120), "lines of more than 120 columns");
    }

    @Test
    void readme_hasTheTableOfTheHeaders() throws IOException {
        String readme = Files.readString(KernelTable.README);
        assertEquals(KernelTable.withTable(readme), readme, "run KernelTable to write the table");
        for (String name : KernelFiles.entries().keySet()) {
            assertTrue(readme.contains("`" + name + "`"), "kernels/README.md does not mention " + name);
        }
    }

    /** Most instructions of the f32 tile kernels are the products themselves. */
    @Test
    void f32TileKernels_haveNoBankConflictsAndUseWholeSectors() {
        Map<String, KernelWork> counts = KernelCounts.of(64, 128, 96);
        for (String name : List.of("pairwise_fwd_f32", "pairwise_bwd_f32", "pairwise_dx_f32", "pairwise_dy_f32")) {
            Counts.Line line = counts.get(name).line();
            assertEquals(0, line.extraPasses(), name + ": bank conflicts");
            assertTrue(
                    line.passes() > 0 && line.globalBytes() > 31 * line.sectors(), name + ": sectors not fully used");
            long width = name.matches(".*_d[xy]_.*") ? 128 : 96; // d, in whole tiles where it is the columns
            assertTrue(
                    line.executions() < 1.5 * 64 * 128 * width / 32, name + ": " + line.executions() + " instructions");
        }
    }

    @Test
    void pairwiseTensorCoreKernels_haveNoBankConflicts() {
        for (Precision precision : InfoNceCase.ROUNDED) {
            Map<String, KernelWork> counts = KernelCounts.onTensorCores(128, 128, 64, precision);
            for (String kernel : List.of("fwd", "bwd", "dx", "dy")) {
                String name = "pairwise_" + kernel + "_" + precision;
                assertEquals(0, counts.get(name).line().extraPasses(), name + ": bank conflicts");
                assertTrue(counts.get(name).line().passes() > 0, name);
            }
        }
    }

    /** Without a second pass: forward and backward, in tiles without targets. */
    @Test
    void pairwiseTensorCoreKernels_takeOneExponentialPerLogit() {
        KernelWork forward =
                KernelCounts.onTensorCores(128, 256, 64, Precision.BF16).get("pairwise_fwd_bf16");
        KernelWork backward =
                KernelCounts.onTensorCores(128, 256, 64, Precision.BF16).get("pairwise_bwd_bf16");
        long logits = 128 * 256 / 32;
        assertTrue(forward.special() >= logits && forward.special() < 1.3 * logits, "forward " + forward.special());
        assertTrue(backward.special() >= logits && backward.special() < 1.3 * logits, "backward " + backward.special());
    }

    /** Whole tiles in every layout, attention forward and backward. */
    @Test
    void f32ProductsAndAttention_haveNoBankConflicts() {
        Map<String, KernelWork> counts = KernelCounts.ofProducts(64, 64);
        assertTrue(counts.keySet().containsAll(List.of("gemm_f32_nn", "gemm_tf32_tt", "attention_bwd_f32_dk")));
        counts.forEach((name, work) -> assertEquals(0, work.line().extraPasses(), name + ": bank conflicts"));
    }

    @Tag("exhaustive")
    @Test
    void bf16ProductsAndAttention_haveNoBankConflicts() {
        Map<String, KernelWork> counts = KernelCounts.ofSixteenBits(128, 128, 64, DType.BF16);
        assertEquals(12, counts.size(), counts.keySet().toString());
        counts.forEach((name, work) -> {
            assertEquals(0, work.line().extraPasses(), name + ": bank conflicts");
            assertTrue(work.line().passes() > 0 || name.equals("gemm_merge_bf16"), name);
        });
    }

    @Test
    void text_ofAnUnknownKernel_isRefused() {
        PtxException refusal = assertThrows(PtxException.class, () -> Kernels.text("no_such_kernel"));
        assertTrue(refusal.getMessage().contains("no_such_kernel"), refusal.getMessage());
    }

    @Test
    void text_hasNoMacrosOrIncludes() {
        String text = Kernels.text("pairwise_fwd_f32");
        assertFalse(text.contains("#"), "preprocessor lines are gone");
        assertFalse(text.contains("FOUR_K"), "macros are expanded");
        assertEquals(
                4 * 8 * 32,
                Pattern.compile("fma\\.rn\\.f32 %c\\d_\\d, %a")
                        .matcher(text)
                        .results()
                        .count(),
                "4 x 4 k x 64 products");
    }
}
