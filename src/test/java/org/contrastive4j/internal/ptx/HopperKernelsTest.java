package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.cuda.PtxAssembler;
import org.contrastive4j.internal.device.Assembly;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.NeedsPtxAssembler;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** sm_90a kernels: headers against what the assembler reports and what launches request. */
final class HopperKernelsTest {
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
    /** Bytes of shared memory per block on sm_90. */
    private static final int MOST_SHARED = 227 * 1024;

    static List<String> names() {
        return KernelFiles.entries().keySet().stream()
                .filter(name -> name.endsWith("_sm90a"))
                .toList();
    }

    private static int number(String text, String before) {
        Matcher matcher = Pattern.compile(Pattern.quote(before) + "\\s*(\\d+)").matcher(text);
        assertTrue(matcher.find(), "no number after \"" + before + "\"");
        return Integer.parseInt(matcher.group(1));
    }

    @NeedsPtxAssembler
    @ParameterizedTest
    @SampledSource(value = "names", every = 12)
    void assembly_matchesTheHeader(String name) {
        String source = KernelFiles.header(name);
        String text = Kernels.text(name);
        Assembly report = PtxAssembler.assemble(name + ".ptx", text, "sm_90a");
        Assembly.Entry entry = report.entries().get(name);
        int threads = number(text, ".reqntid");
        assertAll(
                () -> SECTIONS.forEach(section -> assertTrue(
                        source.contains("\n// " + section + " ") || source.startsWith("// " + section + " "),
                        "header of " + name + " lacks " + section)),
                () -> assertEquals(1, report.entries().size(), "entries"),
                () -> assertEquals(
                        List.of(), report.advisories(), "advisories; C75xx means that products are serialised"),
                () -> assertEquals(0, entry.spillStoreBytes() + entry.spillLoadBytes() + entry.stackBytes(), "spills"),
                () -> assertEquals(number(source, "// REGISTERS"), entry.registers(), "registers"),
                () -> assertTrue(entry.registers() * threads <= 65_536, "registers of a block"),
                () -> assertEquals(number(source, "block"), threads, "threads of a block"),
                () -> assertEquals(staticShared(source), entry.staticSharedBytes(), "static shared bytes"),
                () -> assertTrue(dynamicShared(source) <= MOST_SHARED, "dynamic shared bytes"),
                () -> assertTrue(
                        !source.contains("mbarriers full")
                                || dynamicShared(source) == number(text, "add.u32 %barriers, %shared,") + 64,
                        "barriers are the end of shared memory"),
                () -> assertEquals("sm_90a " + KernelsTest.blocks("sm_90a", name, entry), KernelsTest.occupancy(name)),
                () -> checkRegistersOfRoles(source, text));
    }

    private static int staticShared(String source) {
        Matcher bytes = Pattern.compile("// SHARED +(\\d+) bytes").matcher(source);
        return bytes.find() ? Integer.parseInt(bytes.group(1)) : 0;
    }

    private static int dynamicShared(String source) {
        return source.contains("dynamic shared") ? number(source, "dynamic shared") : 0;
    }

    /** Registers that the producer warp group releases and two consumer warp groups acquire. */
    private static void checkRegistersOfRoles(String source, String text) {
        Matcher roles = Pattern.compile("then (\\d+) for the producer and (\\d+) for consumers")
                .matcher(source);
        List<String> expected = roles.find() ? List.of("dec " + roles.group(1), "inc " + roles.group(2)) : List.of();
        Pattern setting = Pattern.compile("setmaxnreg\\.(dec|inc)\\.sync\\.aligned\\.u32 (\\d+);");
        assertEquals(
                expected,
                setting.matcher(text)
                        .results()
                        .map(found -> found.group(1) + " " + found.group(2))
                        .toList(),
                "setmaxnreg");
        if (!expected.isEmpty()) {
            int producer = Integer.parseInt(roles.group(1));
            int consumers = Integer.parseInt(roles.group(2));
            assertEquals(0, producer % 8 + consumers % 8, "setmaxnreg takes multiples of 8");
            assertTrue(producer + 2 * consumers <= 3 * number(source, "// REGISTERS"), "registers of the roles");
        }
    }

    @Test
    void launches_requestTheBlockAndSharedMemoryOfTheHeaders() {
        Map<String, Set<String>> requested = new TreeMap<>();
        try (SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks())) {
            for (Precision precision : List.of(Precision.BF16, Precision.F16)) {
                launchAll(
                        LaunchObserver.of(
                                device,
                                (kernel, launch) -> requested
                                        .computeIfAbsent(kernel.name(), key -> new TreeSet<>())
                                        .add(size(launch.block().count(), launch.sharedBytes()))),
                        precision);
            }
        }
        requested.keySet().removeIf(name -> !name.endsWith("_sm90a"));
        Map<String, Set<String>> stated = new TreeMap<>();
        for (String name : names()) {
            String source = KernelFiles.header(name);
            stated.put(name, Set.of(size(number(source, "block"), dynamicShared(source))));
        }
        assertEquals(stated, requested);
    }

    private static String size(long threads, int bytes) {
        return threads + " threads, " + bytes + " bytes";
    }

    private static void launchAll(PtxDevice device, Precision precision) {
        Kernels kernels = new Kernels(device);
        HopperInfoNce loss =
                new HopperInfoNce(new HopperInfoNceLaunches(kernels, precision), 2, InfoNceKernelSet.PLENTY);
        new HopperInfoNceCase(3, 4, 20, null).ask(device, loss);
        new HopperInfoNceCase(3, 4, 320, null).ask(device, loss); // products kept
        HopperGemm gemm = new HopperGemm(kernels, precision, 2);
        HopperGemmTest.checkPacked(device, gemm, precision, 0);
        for (int layout = 0; layout < 4; layout++) {
            HopperGemm.Product product = new HopperGemm.Product(layout / 2 == 1, layout % 2 == 1, 1, 5, 6, 7);
            HopperGemmCase.run(device, gemm, precision, HopperGemmCase.Inputs.of(1, product, false, 0, true, null));
        }
    }
}
