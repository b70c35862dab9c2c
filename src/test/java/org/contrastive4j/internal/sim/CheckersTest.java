package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Kernels that a checker of the simulator must reject ({@code ptx/bad}), and the same files with the least change that
 * makes them right ({@code ptx/good}), which it must accept.
 *
 * <p>Each file says in comments how it is launched and what is wrong with it:
 *
 * <pre>
 * // FAULT: RACE                 kind of the fault, "A or B" where either is a fair description, "none" in good/
 * // AT: st.shared.u32           text of an instruction that may be blamed; a race has two, a waiting loop several
 * // LAUNCH: 2 64 0 cooperative  blocks, threads, dynamic shared bytes; cooperative where blocks wait for each other
 * // ARGS: out:256 in:64 u32:7   see {@link #argument}
 * // WHY: ...                    one sentence
 * </pre>
 */
final class CheckersTest {
    /** Values of an {@code in} buffer go round from 0 to this less one, so that they also serve as small indices. */
    private static final int IN_VALUES = 13;

    private static final int SCHEDULES = 20;

    private static PtxDevice open() {
        return open(0);
    }

    /** Opens a device with a limit that a kernel which never ends reaches soon. */
    private static PtxDevice open(int seed) {
        return SimDevice.open(SimOptions.defaults().withSeed(seed).withInstructionLimit(1_000_000));
    }

    /** One file. */
    private record Program(String folder, String name, String text) {
        List<String> lines() {
            return text.lines().toList();
        }

        List<String> all(String key) {
            String start = "// " + key + ":";
            return lines().stream()
                    .filter(line -> line.startsWith(start))
                    .map(line -> line.substring(start.length()).strip())
                    .toList();
        }

        String one(String key) {
            List<String> values = all(key);
            assertEquals(1, values.size(), () -> this + " has " + values + " for " + key + ", expected one");
            return values.get(0);
        }

        List<Fault.Kind> kinds() {
            return Arrays.stream(one("FAULT").split(" or "))
                    .map(Fault.Kind::valueOf)
                    .toList();
        }

        boolean isInstruction(int line) {
            List<String> lines = lines();
            return line >= 1
                    && line <= lines.size()
                    && lines.get(line - 1).strip().matches("[^./}].*;");
        }

        /** Whether the instruction of this line, 1-based, is one of those that may be blamed. */
        boolean mayBlame(int line) {
            return isInstruction(line) && all("AT").stream().anyMatch(lines().get(line - 1)::contains);
        }

        Launch launch() {
            String[] words = one("LAUNCH").split(" ");
            Launch launch = Launch.of(Integer.parseInt(words[0]), Integer.parseInt(words[1]))
                    .shared(Integer.parseInt(words[2]));
            if (words.length == 3) {
                return launch;
            }
            assertEquals("cooperative", words[3], toString());
            return launch.asCooperative();
        }

        @Override
        public String toString() {
            return folder + "/" + name + ".ptx";
        }
    }

    private static List<Program> programs(String folder) throws IOException, URISyntaxException {
        Path path = Path.of(CheckersTest.class.getResource("/ptx/" + folder).toURI());
        List<Program> programs = new ArrayList<>();
        try (Stream<Path> files = Files.list(path)) {
            for (Path file : files.sorted().toList()) {
                String name = file.getFileName().toString();
                assertTrue(name.endsWith(".ptx"), () -> folder + " holds " + name + ", which is not PTX");
                programs.add(new Program(folder, name.substring(0, name.length() - 4), Files.readString(file)));
            }
        }
        return programs;
    }

    static List<Program> bad() throws IOException, URISyntaxException {
        return programs("bad");
    }

    static List<Program> good() throws IOException, URISyntaxException {
        return programs("good");
    }

    @ParameterizedTest
    @MethodSource("bad")
    void rejects_kernelWithOneError(Program program) {
        try (PtxDevice device = open()) {
            reject(device, program);
        }
    }

    @ParameterizedTest
    @MethodSource("good")
    void accepts_correctedCounterpart(Program program) {
        try (PtxDevice device = open()) {
            run(device, program);
        }
    }

    /** The cause is the same whichever thread comes first. */
    @ParameterizedTest
    @MethodSource("bad")
    @Tag("exhaustive")
    void rejects_underEverySchedule_withTheSameKind(Program program) {
        EnumSet<Fault.Kind> kinds = EnumSet.noneOf(Fault.Kind.class);
        for (int seed = 0; seed < SCHEDULES; seed++) {
            try (PtxDevice device = open(seed)) {
                Fault fault = assertThrows(Fault.class, () -> run(device, program), program + ", schedule " + seed);
                check(program, fault);
                kinds.add(fault.kind());
            }
        }
        // a wait for the wrong parity passes or never does, depending on the phase that it comes in
        boolean either = program.name.equals("pending_bulk_load_parity");
        assertEquals(1, either ? 1 : kinds.size(), () -> program + " is " + kinds);
    }

    @ParameterizedTest
    @MethodSource("good")
    @Tag("exhaustive")
    void accepts_underEverySchedule(Program program) {
        for (int seed = 0; seed < SCHEDULES; seed++) {
            try (PtxDevice device = open(seed)) {
                run(device, program);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Fault.Kind.class)
    void fault_ofAnyKind_leavesTheDeviceUsable(Fault.Kind kind) throws IOException, URISyntaxException {
        List<Program> wrong = bad().stream()
                .filter(program -> program.kinds().equals(List.of(kind)))
                .limit(2)
                .toList();
        List<String> names = wrong.stream().map(Program::name).toList();
        List<Program> right =
                good().stream().filter(program -> names.contains(program.name)).toList();
        try (PtxDevice device = open()) {
            for (int i = 0; i < wrong.size(); i++) {
                reject(device, wrong.get(i));
                run(device, right.get(i));
                assertEquals(0, device.currentBytes(), "bytes that are left after " + right.get(i));
            }
        }
    }

    @Test
    void everyRejectedKernel_hasACorrectedCounterpart() throws IOException, URISyntaxException {
        List<Program> wrong = bad();
        List<Program> right = good();
        assertEquals(
                wrong.stream().map(Program::name).toList(),
                right.stream().map(Program::name).toList());
        for (int i = 0; i < wrong.size(); i++) {
            assertNotEquals(
                    wrong.get(i).text.replaceAll("// (FAULT|AT|WHY):.*\\R", ""),
                    right.get(i).text.replaceAll("// (FAULT|AT|WHY):.*\\R", ""),
                    "the corrected counterpart differs in comments only");
        }
    }

    @ParameterizedTest
    @EnumSource(Fault.Kind.class)
    void everyKind_isCoveredByTwoKernels(Fault.Kind kind) throws IOException, URISyntaxException {
        List<Program> covering = bad().stream()
                .filter(program -> program.kinds().equals(List.of(kind)))
                .toList();
        assertTrue(covering.size() >= 2, () -> "only " + covering + " must be a " + kind);
    }

    @Test
    void check_wrongReport_fails() {
        Program program = new Program("bad", "k", """
                // FAULT: RACE
                // AT: st.shared.u32
                .visible .entry k()
                    st.shared.u32 [%r0], %r1;
                    ret;
                """);
        String message = "kernel k, line 4, block (0, 0, 0), thread (1, 0, 0) and block (0, 0, 0), thread (2, 0, 0)";
        check(program, new Fault(Fault.Kind.RACE, 4, message));
        List<Fault> wrong = List.of(
                new Fault(Fault.Kind.DEADLOCK, 4, message),
                new Fault(Fault.Kind.RACE, 2, message),
                new Fault(Fault.Kind.RACE, 5, message.replace("4", "5")),
                new Fault(Fault.Kind.RACE, 0, message),
                new Fault(Fault.Kind.RACE, 4, message.replace("kernel k", "kernel")),
                new Fault(Fault.Kind.RACE, 4, message.replace("4", "")),
                new Fault(Fault.Kind.RACE, 4, message.replace("block", "")),
                new Fault(Fault.Kind.RACE, 4, message.replaceFirst("thread", "")));
        for (Fault fault : wrong) {
            assertThrows(AssertionError.class, () -> check(program, fault), fault.getMessage() + " at " + fault.line());
        }
    }

    @ParameterizedTest
    @MethodSource("bad")
    void header_ofARejectedKernel_isComplete(Program program) {
        checkCommon(program);
        assertFalse(program.kinds().isEmpty());
        assertFalse(program.all("AT").isEmpty(), () -> program + " does not say where");
        for (String at : program.all("AT")) {
            boolean found = IntStream.rangeClosed(1, program.lines().size())
                    .anyMatch(line -> program.isInstruction(line)
                            && program.lines().get(line - 1).contains(at));
            assertTrue(found, () -> program + " has no instruction with \"" + at + "\"");
        }
    }

    @ParameterizedTest
    @MethodSource("good")
    void header_ofACorrectedCounterpart_isComplete(Program program) {
        checkCommon(program);
        assertEquals("none", program.one("FAULT"), program.toString());
        assertEquals(List.of(), program.all("AT"), program.toString());
    }

    private static void checkCommon(Program program) {
        program.launch();
        assertTrue(program.text.contains(".entry " + program.name + "("), program.toString());
        assertTrue(program.lines().contains(".version 8.0"), program.toString());
        assertFalse(program.one("WHY").isBlank(), program.toString());
        String[] parameters = program.text.split("\\.param ", -1);
        assertEquals(parameters.length - 1, arguments(program).size(), () -> "arguments of " + program);
    }

    private static void reject(PtxDevice device, Program program) {
        check(program, assertThrows(Fault.class, () -> run(device, program), program::toString));
    }

    private static void check(Program program, Fault fault) {
        String message = fault.getMessage();
        assertAll(
                program + ": " + message,
                () -> assertTrue(
                        program.kinds().contains(fault.kind()),
                        () -> "kind is " + fault.kind() + ", expected " + program.one("FAULT")),
                () -> assertTrue(
                        program.mayBlame(fault.line()),
                        () -> "line is " + fault.line() + ", expected one with " + program.all("AT")),
                () -> assertSays(message, "\\b" + program.name + "\\b", 1, "the kernel"),
                () -> assertSays(message, "\\b" + fault.line() + "\\b", 1, "the line"),
                () -> assertSays(message, "(?i)\\bblock\\W{1,2}\\d", 1, "the block"),
                () -> assertSays(
                        message,
                        "(?i)\\bthread\\W{1,2}\\d",
                        fault.kind() == Fault.Kind.RACE ? 2 : 1,
                        "the thread, for a race both"));
    }

    private static void assertSays(String message, String pattern, int times, String what) {
        long found = Pattern.compile(pattern).matcher(message).results().count();
        assertTrue(found >= times, () -> "the message does not name " + what);
    }

    /** Launches it and waits; everything it was given is closed again. */
    private static void run(PtxDevice device, Program program) {
        List<DeviceStorage> open = new ArrayList<>();
        try {
            Kernel kernel = device.module(program.name + ".ptx", program.text).kernel(program.name);
            Object[] arguments = arguments(program).stream()
                    .map(word -> argument(device, word, open))
                    .toArray();
            kernel.launch(device.stream(), program.launch(), arguments);
            device.synchronize();
        } finally {
            open.forEach(DeviceStorage::close);
        }
    }

    private static List<String> arguments(Program program) {
        String line = program.one("ARGS");
        return line.isEmpty() ? List.of() : List.of(line.split(" "));
    }

    /**
     * {@code out:n} is a fresh buffer of n bytes that nothing has written; {@code in:n} one that holds the 32-bit
     * integers 0, 1, ..., 12, 0, 1, ...; {@code freed:n} the address of a buffer that was closed again; {@code u32:7}
     * and {@code f32:1.5} numbers.
     */
    private static Object argument(PtxDevice device, String word, List<DeviceStorage> open) {
        String[] parts = word.split(":");
        String value = parts[1];
        switch (parts[0]) {
            case "u32":
                return (int) Long.parseLong(value);
            case "f32":
                return Float.parseFloat(value);
            case "freed":
                try (DeviceStorage storage = device.allocate(Long.parseLong(value))) {
                    return storage.address();
                }
            case "out":
                open.add(device.allocate(Long.parseLong(value)));
                return open.get(open.size() - 1);
            case "in":
                int[] values = IntStream.range(0, Integer.parseInt(value) / 4)
                        .map(i -> i % IN_VALUES)
                        .toArray();
                open.add(Devices.ints(device, values));
                return open.get(open.size() - 1);
            default:
                throw new AssertionError("no kind of argument \"" + word + "\"");
        }
    }
}
