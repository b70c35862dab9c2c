package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.contrastive4j.internal.cuda.JCudaPlatform;
import org.contrastive4j.internal.cuda.PtxAssembler;
import org.contrastive4j.internal.memory.MissingNativeLibraryException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.ChildJvm;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

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

    /** The class path of this JVM without the natives of any platform. */
    private static String classPathWithoutNatives() {
        return Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> !Path.of(entry).getFileName().toString().matches(".*-(linux|macosx|windows)-.*"))
                .collect(Collectors.joining(File.pathSeparator));
    }

    @Test
    void open_platformWithoutNatives_throwsTypedExceptions() throws IOException, InterruptedException {
        String output = ChildJvm.run(List.of(
                "-Dos.name=Linux",
                "-Dos.arch=aarch64",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                "-cp",
                classPathWithoutNatives(),
                Uses.class.getName()));
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

    /** A file that is no library fails to load as a library on a file system mounted noexec does. */
    @Test
    void open_nativesThatDoNotLoad_namesTheFolderAndTheProperties(@TempDir Path folder)
            throws IOException, InterruptedException {
        Path natives = folder.resolve("natives");
        Path library = natives.resolve("org/bytedeco/javacpp")
                .resolve(Loader.getPlatform())
                .resolve(System.mapLibraryName("jnijavacpp"));
        Files.createDirectories(library.getParent());
        Files.writeString(library, "no library");
        Path cache = folder.resolve("cache");
        Path noFolder = Files.writeString(folder.resolve("file"), "");
        String output = ChildJvm.run(List.of(
                "-Dorg.bytedeco.javacpp.cachedir=" + cache,
                "-Djava.io.tmpdir=" + noFolder,
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                "-cp",
                natives + File.pathSeparator + System.getProperty("java.class.path"),
                Uses.class.getName()));
        List<String> lines = output.lines().toList();
        String cpu = line(lines, "cpu: " + MissingNativeLibraryException.class.getName());
        assertTrue(
                cpu.contains(cache.toString())
                        && cpu.contains("-Dorg.bytedeco.javacpp.cachedir=")
                        && cpu.contains("-Djava.io.tmpdir=")
                        && cpu.matches(".* could not be loaded on [^:]+: \\S.*"),
                output);
        if (JCudaPlatform.supported()) {
            for (String use : List.of("cuda: " + NoDeviceException.class.getName(), "assemble: ")) {
                String jcuda = line(lines, use);
                assertTrue(jcuda.contains(noFolder.toString()) && jcuda.contains("-Djava.io.tmpdir="), output);
                assertTrue(jcuda.matches(".* could not be loaded: .*(No such file|Not a directory).*"), output);
            }
        }
        assertFalse(output.contains("UnsatisfiedLinkError"), output);
    }

    private static String line(List<String> lines, String prefix) {
        return lines.stream()
                .filter(line -> line.startsWith(prefix))
                .findFirst()
                .orElseThrow(() -> new AssertionError("expected a line that starts with " + prefix + ", got " + lines));
    }

    private static boolean starts(List<String> lines, String prefix) {
        return lines.stream().anyMatch(line -> line.startsWith(prefix));
    }
}
