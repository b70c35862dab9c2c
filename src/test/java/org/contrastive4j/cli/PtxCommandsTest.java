package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.internal.cuda.JCudaPlatform;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Parser;
import org.contrastive4j.support.NeedsPtxAssembler;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs the commands {@code devices} and {@code ptx}. */
class PtxCommandsTest {
    private static final String HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n";

    @TempDir
    Path folder;

    /** Exit code and output of a command. */
    private record Ran(int code, String out) {
        void printsLine(String pattern) {
            assertTrue(out.lines().anyMatch(line -> line.matches(pattern)), () -> "expected " + pattern + " in " + out);
        }

        void prints(int expectedCode, String... words) {
            assertEquals(expectedCode, code, out);
            for (String word : words) {
                assertTrue(out.contains(word), () -> "expected \"" + word + "\" in " + out);
            }
        }
    }

    private static Ran run(String... arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        try {
            System.setOut(both);
            System.setErr(both);
            return new Ran(Main.run(arguments), bytes.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
    }

    private static String file(String name) {
        try {
            return Path.of(PtxCommandsTest.class.getResource("/ptx/" + name).toURI())
                    .toString();
        } catch (URISyntaxException e) {
            throw new AssertionError(name, e);
        }
    }

    private String write(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text).toString();
    }

    /** Runs {@code ptx run} with the kernel scale and further options. */
    private static Ran scale(String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "ptx", "run", file("commands/scale.ptx"), "--entry", "scale", "--grid", "3x1x1", "--block", "32"));
        arguments.addAll(List.of(more));
        return run(arguments.toArray(new String[0]));
    }

    @Test
    void devices_printsBackendsAndTheChoiceOfAuto() {
        run("devices")
                .prints(
                        0,
                        "cpu ",
                        "cpu-f64",
                        "sim ",
                        "cuda ",
                        "the choice of \"auto\" and its reason:",
                        "OpenBLAS 0.",
                        "JCuda ",
                        JCudaPlatform.supported() ? "of CUDA 12.0" : "no PTX assembler on this platform",
                        "Java ");
    }

    @NeedsPtxAssembler
    @Test
    void check_ofAValidFile_printsItsKernels() {
        Ran checked = run("ptx", "check", file("commands/scale.ptx"), file("conformance/block_barrier.ptx"));
        checked.prints(0, "registers", "simulator: all instructions are supported");
        for (String architecture : List.of("sm_80", "sm_86", "sm_89", "sm_90")) {
            checked.printsLine(" *scale +" + architecture + " +[1-9]\\d* +0 +0 +0 +0 +256 +\\d+ +(64/64|48/48)");
        }
        assertFalse(checked.out().contains("error"), checked.out());
    }

    @NeedsPtxAssembler
    @Test
    void check_withBlockAndSharedMemory_computesTheOccupancy() {
        Ran checked = run("ptx", "check", "--block", "64", "--shared", "100000", file("commands/scale.ptx"));
        checked.prints(0);
        checked.printsLine(" *scale +sm_90 .* 64 +2 +4/64");
        checked.printsLine(" *scale +sm_86 .* 64 +1 +2/48");
        run("ptx", "check", "--block", "2000", file("commands/scale.ptx"))
                .prints(Main.REFUSED, "expected 1 to 1024 threads");
    }

    /** PTX does not state dynamic shared memory: it comes from the header comment or the option. */
    @NeedsPtxAssembler
    @Test
    void check_ofAFileWithDynamicSharedMemory_readsItFromTheHeader() {
        String file = "kernels/sm90a/gemm.ptx";
        Ran checked = run("ptx", "check", "-D", "NAME=gemm_bf16_nn_sm90a", file);
        checked.printsLine(" *gemm_bf16_nn_sm90a +sm_90a +168 +0 +0 +229440 +\\d+ +384 +1 +12/64");
        assertFalse(checked.out().contains("gemm_f16_nn_sm90a"), checked.out());
        run("ptx", "check", "--shared", "0", "-D", "NAME=gemm_bf16_nn_sm90a", file)
                .printsLine(" *gemm_bf16_nn_sm90a +sm_90a +168 +0 +0 +0 +\\d+ +384 +1 +12/64");
    }

    @NeedsPtxAssembler
    @Test
    void checkOfAFileWithInstances_checksEveryInstance() {
        Ran checked = run("ptx", "check", "kernels/pointwise/add.ptx");
        checked.prints(0, "simulator: all instructions are supported");
        for (String entry : List.of("add_f32", "add_bf16", "add_f16")) {
            checked.printsLine(" *" + entry + " +sm_80 +[1-9]\\d* +0 +0 +0 +0 +256 +\\d+ +.*");
        }
    }

    @Test
    void expandOfAFileWithInstances_printsTheOneThatTheMacrosSelect() {
        Ran expanded = run("ptx", "expand", "kernels/pointwise/add.ptx", "-D", "ELEMENT=bf16");
        expanded.prints(0, ".visible .entry add_bf16(");
        assertEquals(List.of("add_bf16"), entries(expanded.out()));
        run("ptx", "expand", "kernels/pointwise/add.ptx")
                .prints(Main.REFUSED, "several instances", "add_f16: -D ELEMENT=f16");
        run("ptx", "expand", "kernels/pointwise/add.ptx", "-D", "ELEMENT=f8")
                .prints(Main.REFUSED, "no instance", "ELEMENT=f8", "add_f16: -D ELEMENT=f16");
        run("ptx", "expand", "kernels/optim/adamw.ptx").prints(0, ".entry adamw_f32(");
    }

    @Test
    void expandOfAFileWithoutInstances_definesTheMacro() throws IOException {
        String file = write("macro.ptx", HEAD + ".visible .entry NAME()\n{\nret;\n}\n");
        assertEquals(
                List.of("named"),
                entries(run("ptx", "expand", file, "-D", "NAME=named").out()));
    }

    @Test
    void expand_withAMacroThatNoLineUses_isRefused() throws IOException {
        String file =
                write("macro.ptx", HEAD + "#ifndef SIZE\n#define SIZE 4\n#endif\n// SIZE\n.global .u32 x[SIZE];\n");
        run("ptx", "expand", file, "-D", "SIEZ=8").prints(Main.REFUSED, "-D SIEZ has no effect", "uses this macro");
        run("ptx", "expand", file, "-D", "SIZE=4").prints(0, "x[4]");
    }

    private static List<String> entries(String ptx) {
        return Parser.parse("expanded.ptx", ptx).entries().stream()
                .map(Function::name)
                .toList();
    }

    @NeedsPtxAssembler
    @Test
    void check_ofAKernelThatSpills_fails() throws IOException {
        StringBuilder ptx = new StringBuilder(HEAD + ".visible .entry spill(.param .u64 p)\n.maxnreg 24\n{\n"
                + ".reg .b64 a;\n.reg .f32 f<48>;\nld.param.u64 a, [p];\n");
        for (int i = 0; i < 48; i++) {
            ptx.append("ld.volatile.global.f32 f")
                    .append(i)
                    .append(", [a+")
                    .append(4 * i)
                    .append("];\n");
        }
        for (int i = 0; i < 48; i++) {
            ptx.append("st.volatile.global.f32 [a+")
                    .append(4 * i)
                    .append("], f")
                    .append(47 - i)
                    .append(";\n");
        }
        Ran spills =
                run("ptx", "check", write("spill.ptx", ptx.append("ret;\n}\n").toString()));
        spills.prints(1, "simulator: all instructions are supported");
        spills.printsLine(" *spill +sm_80 +\\d+ +[1-9]\\d* .*");
    }

    @NeedsPtxAssembler
    @Test
    void check_ofSerialisedWgmma_fails() {
        run("ptx", "check", file("bad/wgmma_fence_accumulator_scaled.ptx")).prints(1, "advisory (sm_90a)", "C7515");
    }

    @NeedsPtxAssembler
    @Test
    void check_ofAnInvalidFile_namesLineAndInstruction() throws IOException {
        String unknown = write(
                "unknown.ptx",
                HEAD + ".visible .entry k()\n{\n.reg .b32 r;\nadd.u32 r, r, 1;\nfrobnicate.b32 r, r;\nret;\n}\n");
        Ran both = run("ptx", "check", unknown);
        both.prints(
                1,
                "error (sm_80, sm_86, sm_89, sm_90): " + unknown + ":8: ",
                "simulator: " + unknown + ":8:1: the simulator does not support frobnicate.b32");
        String syntax = write("syntax.ptx", HEAD + ".visible .entry k()\n{\n.reg .b32 r;\nadd.u32 r, , 1;\nret;\n}\n");
        run("ptx", "check", syntax).prints(1, "error: " + syntax + ":7:");
        String inside = write("inside.ptxh", "// one\nmov.b33 r, 1;\n");
        String outside = write(
                "outside.ptx", HEAD + ".visible .entry k()\n{\n.reg .b32 r;\n#include \"inside.ptxh\"\nret;\n}\n");
        run("ptx", "check", outside).prints(1, inside + ":2: Unknown modifier '.b33'");
        run("ptx", "check", write("no.ptx", "hello\n")).prints(1, "no.ptx:1:");
        run("ptx", "check", write("macro.ptx", HEAD + "#include \"nowhere.ptxh\"\n"))
                .prints(1, "macro.ptx:4:", "nowhere.ptxh");
        Ran one = run("ptx", "check", syntax, file("commands/scale.ptx"));
        one.prints(1, "simulator: all instructions are supported"); // continues after an invalid file
    }

    @Test
    void expand_printsThePreprocessedText() throws IOException {
        Ran expanded = run("ptx", "expand", file("commands/scale.ptx"));
        expanded.prints(0, "mad.lo.u32 %i, %block, %threads, %thread");
        assertFalse(expanded.out().contains("#include") || expanded.out().contains("#define"), expanded.out());
        assertTrue(expanded.out().startsWith("// out[i]"), expanded.out());
        assertEquals(2, Parser.parse("scale.ptx", expanded.out()).entries().size());
        String again = write("again.ptx", expanded.out());
        assertEquals(expanded.out(), run("ptx", "expand", again).out(), "expanded text stays as it is");

        String alone = write("alone.ptx", Files.readString(Path.of(file("commands/scale.ptx"))));
        run("ptx", "expand", alone).prints(Main.REFUSED, "alone.ptx:5:", "scale.ptxh");
        assertEquals(
                expanded.out().replaceAll("#line.*", ""),
                run(
                                "ptx",
                                "expand",
                                "-I",
                                Path.of(file("commands/scale.ptx")).getParent().toString(),
                                alone)
                        .out()
                        .replaceAll("#line.*", ""));
        run("ptx", "expand", alone, "-I", folder.resolve("x").toString()).prints(Main.REFUSED, "is not a folder");
        run("ptx", "expand", folder.resolve("x.ptx").toString()).prints(Main.REFUSED, "is not a file");
        Files.write(folder.resolve("binary.ptx"), new byte[] {(byte) 0xff, 0, 1});
        run("ptx", "expand", folder.resolve("binary.ptx").toString()).prints(Main.REFUSED, "is not text");
    }

    @Tag("gpu")
    @ParameterizedTest
    @ValueSource(strings = {"sim", "cuda"})
    void run_printsOutputBuffers(String device) {
        Ran ran = scale(
                "--device",
                device,
                "--arg",
                "out:f32:80:-7",
                "--arg",
                "in:f32:80:iota",
                "--arg",
                "u32:79",
                "--arg",
                "f32:0.5",
                "--arg",
                "f32:-1",
                "--print",
                "100");
        if (device.equals("cuda") && ran.code() == Main.REFUSED) {
            assertNotEquals("cuda", System.getProperty("require"), ran.out());
            ran.prints(Main.REFUSED, JCudaPlatform.supported() ? "no CUDA device" : "no CUDA on this platform");
            return;
        }
        StringBuilder expected = new StringBuilder("pout (out:f32:80:-7):");
        for (int i = 0; i < 79; i++) {
            expected.append(' ').append(0.5f * i - 1);
        }
        ran.prints(0, expected + " -7.0" + System.lineSeparator(), "grid (3, 1, 1), block (32, 1, 1)", " ms ");
    }

    @Test
    void run_inTheSimulator_countsInstructions() {
        String[] random = {
            "--arg",
            "out:f32:96",
            "--arg",
            "in:f32:96:random",
            "--arg",
            "u32:96",
            "--arg",
            "f32:2",
            "--arg",
            "f32:0",
            "--seed",
            "0"
        };
        Ran ran = scale(random);
        ran.prints(0);
        ran.printsLine(" *st.global.f32 +3 +96 +0 +0 +384 +12");
        ran.printsLine(" *all +\\d+ +\\d+ +0 +0 +768 +24");
        assertEquals(values(ran), values(scale(random)));
        random[random.length - 1] = "5";
        assertNotEquals(values(ran), values(scale(random)));
        Ran conflicts = run(
                "ptx", "run", file("good/race_no_barrier.ptx"), "--block", "64", "--arg", "out:i32:64", "--print", "3");
        conflicts.prints(0, "pout (out:i32:64): 63 62 61 ...");
        conflicts.printsLine(" *ld.shared.u32 +2 +64 +256 +0 +0 +0");
    }

    private static String values(Ran ran) {
        return ran.out()
                .lines()
                .filter(line -> line.contains("pout"))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void run_ofAKernelWithAFault_reportsIt() throws IOException {
        String race = file("bad/race_no_barrier.ptx");
        run("ptx", "run", race, "--block", "64", "--arg", "out:u32:64")
                .prints(
                        1,
                        "fault: RACE: kernel race_no_barrier",
                        "thread (0, 0, 0)",
                        "is not ordered after the read by line 29");
        run("ptx", "run", race, "--block", "64", "--arg", "out:u32:64", "--no-checks")
                .prints(0, "pout (out:u32:64):");
        Ran search = run("ptx", "run", race, "--block", "64", "--arg", "out:u32:64", "--faults", "10");
        search.prints(1, "in 10 schedules, 0 of them without a fault");
        long reported = search.out()
                .lines()
                .filter(line -> line.startsWith("fault in "))
                .count();
        assertTrue(reported >= 1 && reported <= 2, search.out());
        run("ptx", "run", file("good/race_no_barrier.ptx"), "--block", "64", "--arg", "out:u32:64", "--faults", "10")
                .prints(0, "0 distinct faults in 10 schedules, 10 of them without a fault");
        run("ptx", "run", write("endless.ptx", HEAD + ".visible .entry k()\n{\nL: bra L;\n}\n"), "--limit", "1000")
                .prints(1, "fault: LIMIT", "bra");
        scale("--arg", "out:f32:64", "--arg", "in:f32:96", "--arg", "u32:96", "--arg", "f32:2", "--arg", "f32:0")
                .prints(1, "fault: OUT_OF_BOUNDS");
    }

    @Test
    void run_withInvalidOptions_isRejected() {
        String[] right = {
            "--arg", "out:f32:96", "--arg", "in:f32:96", "--arg", "u32:96", "--arg", "f32:2", "--arg", "f32:0"
        };
        for (String[] bad : new String[][] {
            {"--grid", "3y1", "--grid is \"3y1\", expected sizes such as 4, 4x2 or 4x2x1"},
            {"--grid", "0", "grid is (0, 1, 1)"},
            {"--block", "2048", "block is (2048, 1, 1)"},
            {"--shared", "-1", "dynamic shared memory is -1 bytes"},
            {"--shared", "300000", "a block can have"},
            {"--entry", "none", "there is no entry none, there are [scale, copy16]"},
            {"--device", "tpu", "no device \"tpu\""},
            {"--device", "cuda", "--limit", "5", "are for --device sim, not cuda"},
            {"--arch", "75", "architecture 75, expected 80, 86, 89 or 90"},
            {"--limit", "0", "instruction limit 0"},
            {"--faults", "0", "--faults is 0"},
            {"--print", "-1", "--print is -1"},
            {"--arg", "f32:1", "was given 6 arguments, expected 5"},
            {"--arg", "u16:1", "--arg u16:1: unknown element type \"u16\", expected one of f32, f16,"},
            {"--arg", "u8:256", "256 is out of the range of u8"},
            {"--arg", "u32:-1", "-1 is out of the range of u32"},
            {"--arg", "f32:x", "\"x\" is not a valid f32"},
            {"--arg", "f32", "expected in:TYPE:COUNT[:FILL], out:TYPE:COUNT[:FILL] or TYPE:VALUE"},
            {"--arg", "in:f32", "expected in:TYPE:COUNT or in:TYPE:COUNT:FILL"},
            {"--arg", "in:f32:0", "count is \"0\", expected 1 to"},
            {"--arg", "in:f64:300000000", "expected 1 to 268435454 elements of f64"},
            {"--arg", "in:f32:4:none", "fill is \"none\", expected zero, iota, random or a number"},
            {"--arg", "in:i32:4:1.5", "\"1.5\" is not a valid i32"}
        }) {
            List<String> options = new ArrayList<>(List.of(right));
            options.addAll(Arrays.asList(bad).subList(0, bad.length - 1));
            Ran refused = scale(options.toArray(new String[0]));
            refused.prints(Main.REFUSED, "error: ", bad[bad.length - 1]);
            assertFalse(refused.out().contains("\tat "), refused.out());
        }
        run("ptx", "run", file("commands/scale.ptx"))
                .prints(Main.REFUSED, "has the entries [scale, copy16]; choose one with --entry");
        run("ptx", "run", file("bad/wgmma_fence_missing.ptx"), "--arch", "80")
                .prints(Main.REFUSED, "does not run on this device of sm_80");
        run("ptx", "run", "nowhere.ptx").prints(Main.REFUSED, "nowhere.ptx is not a file");
        run("ptx").prints(Main.REFUSED, "Missing required subcommand");
    }

    @Test
    void run_with16BitArguments_printsTheirValues() {
        Ran ran = run(
                "ptx",
                "run",
                file("commands/scale.ptx"),
                "--entry",
                "copy16",
                "--block",
                "4",
                "--arg",
                "out:f16:4",
                "--arg",
                "in:f16:4:1.0009");
        ran.prints(0, "pout (out:f16:4): 1.0009766 1.0009766 1.0009766 1.0009766");
        run(
                        "ptx",
                        "run",
                        file("commands/scale.ptx"),
                        "--entry",
                        "copy16",
                        "--block",
                        "4",
                        "--arg",
                        "out:bf16:4",
                        "--arg",
                        "in:bf16:4:iota")
                .prints(0, "pout (out:bf16:4): 0.0 1.0 2.0 3.0");
    }
}
