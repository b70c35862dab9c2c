package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.contrastive4j.device.NoDeviceException;
import org.contrastive4j.internal.cuda.PtxAssembler;
import org.contrastive4j.memory.MissingNativeLibraryException;
import org.contrastive4j.ops.Ops;
import org.junit.jupiter.api.Test;

/** A JVM on a platform without native libraries gets typed exceptions, never an UnsatisfiedLinkError. */
class PlatformTest {
    private static final String PLATFORM = "Linux aarch64";

    /** Runs in a JVM of its own: prints what each use of a native library gives. */
    public static final class Uses {
        private Uses() {}

        public static void main(String[] arguments) {
            print("cuda", () -> Backend.open("cuda").close());
            print("auto", () -> System.out.println(Backend.auto()));
            print("devices", () -> System.out.println(Backend.devices()));
            print("libraries", () -> System.out.println(Backend.libraries()));
            print("assemble", () -> PtxAssembler.assemble("a.ptx", ".version 8.0\n.target sm_80\n", "sm_80"));
            print("cpu", () -> {
                try (Ops ops = Backend.open("cpu")) {
                    ops.memory().allocate(4);
                }
            });
        }

        private static void print(String use, Runnable body) {
            try {
                body.run();
                System.out.println(use + ": returned");
            } catch (Throwable e) { // any type, since the type is what the test looks at
                System.out.println(use + ": " + e.getClass().getName() + ": " + e.getMessage());
            }
        }
    }

    @Test
    void open_platformWithoutNatives_throwsTypedExceptions() throws IOException, InterruptedException {
        String classPath = Stream.of(System.getProperty("java.class.path").split(System.getProperty("path.separator")))
                .filter(entry -> !Path.of(entry).getFileName().toString().matches(".*-(linux|macosx|windows)-.*"))
                .collect(Collectors.joining(System.getProperty("path.separator")));
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Dos.name=Linux",
                        "-Dos.arch=aarch64",
                        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                        "-cp",
                        classPath,
                        Uses.class.getName())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        List<String> lines = output.lines().toList();
        String noCuda = "no CUDA on this platform (" + PLATFORM + ")";
        assertTrue(starts(lines, "cuda: " + NoDeviceException.class.getName() + ": " + noCuda), output);
        assertTrue(starts(lines, "auto: returned"), output);
        assertTrue(starts(lines, "devices: returned"), output);
        assertTrue(starts(lines, "libraries: returned"), output);
        assertTrue(
                starts(
                        lines,
                        "assemble: org.contrastive4j.device.DeviceException: no PTX assembler on this platform ("
                                + PLATFORM + ")"),
                output);
        assertTrue(starts(lines, "cpu: " + MissingNativeLibraryException.class.getName()), output);
        assertFalse(output.contains("UnsatisfiedLinkError"), output);
    }

    private static boolean starts(List<String> lines, String prefix) {
        return lines.stream().anyMatch(line -> line.startsWith(prefix));
    }
}
