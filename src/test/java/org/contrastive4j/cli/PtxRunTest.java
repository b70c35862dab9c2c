package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code ptx run} on programs that nvcc compiled: arguments, files, variables, reports and the debugger. */
final class PtxRunTest {
    @TempDir
    Path folder;

    /** Exit code and output of a command. */
    private record Ran(int code, String out) {
        void prints(int expectedCode, String... words) {
            assertEquals(expectedCode, code, out);
            for (String word : words) {
                assertTrue(out.contains(word), () -> "expected \"" + word + "\" in " + out);
            }
        }
    }

    private static Ran runWith(String input, String... arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        InputStream in = System.in;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        try {
            System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
            System.setOut(both);
            System.setErr(both);
            return new Ran(Main.run(arguments), bytes.toString(StandardCharsets.UTF_8));
        } finally {
            System.setIn(in);
            System.setOut(out);
            System.setErr(err);
        }
    }

    private static Ran run(String name, String... more) {
        List<String> arguments = new ArrayList<>(List.of("ptx", "run", file(name)));
        arguments.addAll(Arrays.asList(more));
        return runWith("", arguments.toArray(new String[0]));
    }

    private static String file(String name) {
        try {
            return Path.of(PtxRunTest.class
                            .getResource("/ptx/cuda/" + name + ".ptx")
                            .toURI())
                    .toString();
        } catch (URISyntaxException e) {
            throw new AssertionError(name, e);
        }
    }

    @Test
    void run_structureConstantsAndVariables_areGivenAndShown() {
        Ran ran = run(
                "module",
                "--block",
                "8",
                "--arg",
                "in:f32:8:iota",
                "--arg",
                "out:f32:8",
                "--arg",
                "struct:f32:2,i32:10,i32:3,f64:0.5",
                "--arg",
                "u32:8",
                "--set",
                "weights=f32:1,10,100,1000",
                "--show",
                "launches:i32");
        // the short and its padding are the low half of the third member
        ran.prints(0, "11.5 31.5 411.5 6011.5 19.5 111.5 1211.5 14011.5", "launches:i32: 6");
    }

    @Test
    void run_filesOfBuffers_areReadAndWritten() throws IOException {
        Path raw = folder.resolve("in.bin");
        ByteBuffer values = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        values.putFloat(1).putFloat(2).putFloat(3).putFloat(4);
        Files.write(raw, values.array());
        Path npy = folder.resolve("out.npy");
        String[] rest = {
            "--block", "4", "--arg", "struct:f32:1,i32:0,i32:0,f64:0", "--arg", "u32:4", "--set", "weights=f32:2,2,2,2"
        };
        List<String> first = new ArrayList<>(
                List.of("--arg", "in:f32:@" + raw, "--arg", "out:f32:4", "--save", "module_param_1=" + npy));
        first.addAll(Arrays.asList(rest));
        run("module", first.toArray(new String[0])).prints(0, "2.0 4.0 6.0 8.0");
        byte[] stored = Files.readAllBytes(npy);
        assertEquals("NUMPY", new String(stored, 1, 5, StandardCharsets.US_ASCII));
        assertEquals(128 + 16, stored.length);
        List<String> second = new ArrayList<>(List.of("--arg", "in:f32:@" + npy, "--arg", "out:f32:4"));
        second.addAll(Arrays.asList(rest));
        run("module", second.toArray(new String[0])).prints(0, "4.0 8.0 12.0 16.0");
        second.set(1, "in:i32:@" + npy);
        assertTrue(run("module", second.toArray(new String[0])).out.contains("expected <i4 for i32"));
    }

    @Test
    void run_linkedFiles_clusters_andTensorMaps_areLaunched() {
        run("link_main", "--link", file("link_library"), "--block", "4", "--arg", "out:i32:4")
                .prints(0, "103 106 109 112", "library 1");
        run("clusterlaunch", "--grid", "4", "--cluster", "2", "--block", "32", "--arg", "out:i32:4")
                .prints(0, "302 302 702 702");
        String[] copy = {
            "--entry", "copy2d", "--shared", "64", "--arg", "map:3:i32:4x4:4x4", "--arg", "map:3:i32:4x4:4x4",
            "--arg", "in:i32:16:iota", "--arg", "out:u8:64", "--arg", "u32:64", "--print", "6"
        };
        run("tensorcopy", copy).prints(0, "4 0 0 0 5 0 ...");
        copy[5] = "map:5:i32:4x4:4x4";
        run("tensorcopy", copy).prints(2, "argument 5 of a tensor map is not a buffer");
    }

    private static final String[] FAULTS = {
        "--block", "64", "--arg", "in:i32:100", "--arg", "out:i32:64", "--arg", "i32:64", "--report"
    };

    private static Ran faults(String... more) {
        List<String> all = new ArrayList<>(Arrays.asList(FAULTS));
        all.addAll(Arrays.asList(more));
        return run("faults", all.toArray(new String[0]));
    }

    @Test
    void report_goesOnAfterAFault_andNamesSourceLineVariableAndValues() {
        Ran ran = faults();
        ran.prints(
                1,
                "error: RACE: kernel faults",
                "faults.cu:6",
                "faults.cu:7",
                "tile+",
                "error: OUT_OF_BOUNDS",
                "(faults.cu:8)",
                "parameter faults_param_0",
                "error: UNINITIALIZED",
                "unused+",
                "findings: 3 error, 0 warning, 0 info");
        assertTrue(ran.out.matches("(?s).*\\[%\\w+ = .*"), ran.out);
    }

    @Test
    void report_asJson_holdsEveryFinding() throws IOException {
        Path json = folder.resolve("report.json");
        assertEquals(1, faults("--format", "JSON", "--report-file", json.toString()).code);
        JsonNode findings = new ObjectMapper().readTree(json.toFile()).get("findings");
        assertEquals(3, findings.size());
        for (JsonNode finding : findings) {
            assertEquals("error", finding.get("severity").asText());
            assertEquals("faults", finding.get("kernel").asText());
            assertTrue(finding.get("source").asText().startsWith("faults.cu:"));
            assertEquals(finding.get("kind").asText().equals("RACE"), finding.has("other"));
        }
    }

    @Test
    void report_asSarif_pointsToTheCudaSource() throws IOException {
        Path file = folder.resolve("report.sarif");
        faults("--format", "SARIF", "--report-file", file.toString());
        JsonNode run = new ObjectMapper().readTree(file.toFile()).get("runs").get(0);
        assertEquals(3, run.get("results").size());
        JsonNode place = run.get("results").get(0).get("locations").get(0).get("physicalLocation");
        assertEquals("faults.cu", place.get("artifactLocation").get("uri").asText());
        assertTrue(place.get("region").get("startLine").asInt() > 1);
    }

    @Test
    void report_suppressionsAndFilters_leaveFindingsOut() throws IOException {
        Path file = Files.writeString(folder.resolve("known.txt"), """
                # known
                RACE faults faults.cu:*
                OUT_OF_* fa*
                """);
        faults("--suppress", file.toString()).prints(1, "findings: 1 error");
        faults("--suppress", file.toString(), "--kinds", "RACE").prints(0, "findings: 0 error");
        Path wrong = Files.writeString(folder.resolve("wrong.txt"), "RACES *\n");
        assertTrue(faults("--suppress", wrong.toString()).out.contains("there is no kind RACES"));
    }

    @Test
    void report_exitStatus_followsTheSeverity() {
        String[] quiet = {"--block", "32", "--arg", "out:i32:32", "--arg", "out:i32:33", "--report"};
        Ran ran = run("quiet", quiet);
        ran.prints(0, "info: RACE", "the same value is stored", "info: UNINITIALIZED", "the value is not used");
        List<String> strict = new ArrayList<>(Arrays.asList(quiet));
        strict.addAll(List.of("--fail-on", "INFO"));
        run("quiet", strict.toArray(new String[0])).prints(1, "2 info");
        strict.addAll(List.of("--severity", "WARNING"));
        run("quiet", strict.toArray(new String[0])).prints(0, "0 info");
        run("quiet", Arrays.copyOf(quiet, quiet.length - 1)).prints(0);
    }

    @Test
    void report_overManySchedules_namesTheSameFindings() {
        faults("--faults", "5").prints(1, "findings: 3 error, 0 warning, 0 info");
    }

    private static Ran debug(String script) {
        return runWith(
                script,
                "ptx",
                "run",
                file("module"),
                "--debug",
                "--block",
                "32",
                "--arg",
                "in:f32:32:iota",
                "--arg",
                "out:f32:32",
                "--arg",
                "struct:f32:2,i32:10,i32:0,f64:0",
                "--arg",
                "u32:32",
                "--set",
                "weights=f32:1,1,1,1");
    }

    @Test
    void debug_breakpointStepAndPrint_showTheLanes() {
        Ran ran = debug("""
                break module.cu:15
                continue
                where
                step
                print %r1
                frobnicate
                continue
                """);
        ran.prints(
                0,
                "breakpoint at module.cu:15",
                "breakpoint: ",
                "(module.cu:15)",
                "warp 0, threads (0, 0, 0) to (31, 0, 0), lanes 0xffffffff",
                "%r1 = ",
                "there is no command \"frobnicate\"");
    }

    @Test
    void debug_watch_stopsAtTheAccess() {
        debug("""
                watch module_param_1+8 4
                continue
                quit
                """).prints(0, "watch of 4 bytes at module_param_1+8", "write of 4 bytes by thread (2, 0, 0)");
        debug("watch nothing\nwatch\nhelp\ncontinue\n")
                .prints(0, "no parameter or shared variable nothing", "expected watch PLACE", "stop at an access");
    }

    @Test
    void debug_endOfTheScript_runsToTheEnd() {
        debug("").prints(0, "10.0 12.0 14.0");
    }

    @Test
    void check_newerPtx_needsPtxas() {
        Ran missing =
                runWith("", "ptx", "check", "--ptxas", folder.resolve("none").toString(), file("vectors"));
        assertTrue(missing.code != 0 && missing.out.contains("is not a program"), missing.out);
        assertNull(ExternalAssembler.find(null, ""));
        assertNull(ExternalAssembler.find(null, null));
    }

    @Test
    void check_outputOfPtxas_isReported() throws IOException {
        Path ptxas = Files.writeString(folder.resolve("ptxas"), """
                #!/bin/sh
                echo "ptxas info    : Compiling entry function 'vectors' for 'sm_90'"
                echo "ptxas info    : Function properties for vectors"
                echo "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"
                echo "ptxas info    : Used 12 registers, used 0 barriers"
                """);
        if (!ptxas.toFile().setExecutable(true)) {
            return; // a file system without execution
        }
        Ran checked = runWith("", "ptx", "check", "--ptxas", ptxas.toString(), file("vectors"));
        checked.prints(0, "simulator: all instructions are supported");
        assertTrue(checked.out.lines().anyMatch(line -> line.matches(" *vectors +sm_90 +12 +0 +0.*")), checked.out);
        Files.writeString(ptxas, "#!/bin/sh\necho \"ptxas $5, line 7; error   : Unknown thing\"\nexit 255\n");
        Ran refused = runWith("", "ptx", "check", "--ptxas", ptxas.toString(), file("vectors"));
        refused.prints(1, "vectors.ptx:7", "Unknown thing");
        assertFalse(refused.out.contains("registers"), refused.out);
    }

    @Test
    void load_ofFolders_countsEntriesAndFilesAndNamesReasons() {
        Path resources = Path.of(file("vectors")).getParent();
        Ran ran = runWith("", "ptx", "load", resources.toString());
        ran.prints(0, "textures or surfaces", "that another file defines");
        assertTrue(
                ran.out.lines().anyMatch(line -> line.matches(" *all +\\d+ +\\d+ +9\\d\\.\\d% +\\d+ +\\d+ +8\\d.*")),
                ran.out);
        assertEquals(2, runWith("", "ptx", "load", resources.resolve("none").toString()).code);
    }
}
