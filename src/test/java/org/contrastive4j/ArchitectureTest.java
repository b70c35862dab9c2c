package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Data flows one way: which package may import which. */
class ArchitectureTest {
    private static final Path MAIN = Path.of("src/main/java/org/contrastive4j");
    private static final Pattern IMPORT =
            Pattern.compile("import (?:static )?org\\.contrastive4j\\.([a-z0-9.]+?)\\.[A-Z].*");

    /** Longest first segment that is listed wins; a package may always import itself. */
    private static final Map<String, List<String>> MAY_IMPORT = Map.ofEntries(
            Map.entry("memory", List.of()),
            Map.entry("internal.config", List.of()),
            Map.entry("internal.files", List.of()),
            Map.entry("internal.numeric", List.of()),
            Map.entry("internal.backend", List.of("ops", "tensor", "memory")),
            Map.entry("internal.memory", List.of("memory", "internal.config")),
            Map.entry("internal.safetensors", List.of("internal.files")),
            Map.entry("internal.batch", List.of("data", "nn", "gradcache", "autograd", "ops", "tensor", "memory")),
            Map.entry(
                    "pretrained",
                    List.of(
                            "internal.files",
                            "internal.memory",
                            "internal.safetensors",
                            "internal.batch",
                            "train",
                            "data",
                            "nn",
                            "optim",
                            "gradcache",
                            "loss",
                            "autograd",
                            "ops",
                            "tensor",
                            "memory")),
            Map.entry("internal.parse", List.of("device")),
            Map.entry("device", List.of("memory")),
            Map.entry("internal.device", List.of("device", "internal.parse", "memory")),
            Map.entry(
                    "internal.cuda",
                    List.of(
                            "internal.device",
                            "device",
                            "internal.parse",
                            "internal.memory",
                            "internal.config",
                            "memory")),
            Map.entry(
                    "internal.sim",
                    List.of(
                            "internal.sim.check",
                            "internal.sim.exec",
                            "internal.device",
                            "device",
                            "internal.parse",
                            "internal.memory",
                            "internal.config",
                            "memory")),
            Map.entry("internal.sim.exec", List.of("device", "internal.parse", "memory")),
            Map.entry("internal.sim.check", List.of("internal.sim.exec", "device", "internal.parse", "memory")),
            Map.entry("tensor", List.of("memory")),
            Map.entry("ops", List.of("tensor", "memory")),
            Map.entry("kernels", List.of("ops", "device", "tensor", "memory")),
            Map.entry(
                    "internal.cpu",
                    List.of(
                            "internal.backend",
                            "internal.numeric",
                            "ops",
                            "tensor",
                            "internal.memory",
                            "internal.config",
                            "memory")),
            Map.entry(
                    "internal.f64",
                    List.of("internal.backend", "internal.numeric", "ops", "tensor", "internal.memory", "memory")),
            Map.entry(
                    "internal.ptx",
                    List.of(
                            "internal.backend",
                            "internal.numeric",
                            "kernels",
                            "ops",
                            "internal.device",
                            "device",
                            "internal.parse",
                            "internal.config",
                            "tensor",
                            "memory")),
            Map.entry("autograd", List.of("ops", "tensor", "memory")),
            Map.entry("loss", List.of("autograd", "ops", "tensor", "memory")),
            Map.entry("gradcache", List.of("loss", "autograd", "ops", "tensor", "memory")),
            Map.entry("nn", List.of("loss", "autograd", "ops", "tensor", "memory")),
            Map.entry("optim", List.of("autograd", "ops", "tensor", "memory")),
            Map.entry("data", List.of("internal.files", "internal.numeric", "ops")),
            Map.entry(
                    "train",
                    List.of(
                            "internal.files",
                            "internal.safetensors",
                            "internal.batch",
                            "data",
                            "nn",
                            "optim",
                            "gradcache",
                            "loss",
                            "autograd",
                            "ops",
                            "tensor",
                            "memory")),
            Map.entry(
                    "internal.compare",
                    List.of(
                            "internal.files",
                            "train",
                            "data",
                            "nn",
                            "optim",
                            "gradcache",
                            "loss",
                            "autograd",
                            "ops",
                            "tensor",
                            "memory")),
            Map.entry(
                    "cli",
                    List.of(
                            "internal.config",
                            "internal.files",
                            "pretrained",
                            "internal.compare",
                            "train",
                            "data",
                            "nn",
                            "optim",
                            "gradcache",
                            "loss",
                            "autograd",
                            "ops",
                            "tensor",
                            "memory",
                            "device",
                            "internal.cuda",
                            "internal.device",
                            "internal.memory",
                            "internal.parse",
                            "internal.sim",
                            "internal.sim.exec",
                            "internal.sim.check")));

    private static List<String> violations(String packageName, List<String> lines) {
        List<String> found = new ArrayList<>();
        for (String line : lines) {
            Matcher matcher = IMPORT.matcher(line);
            if (matcher.matches()
                    && !matcher.group(1).equals(packageName)
                    && !MAY_IMPORT.get(packageName).contains(matcher.group(1))) {
                found.add(packageName + ": " + line);
            }
            if (line.startsWith("import jcuda.") && !packageName.equals("internal.cuda")) {
                found.add(packageName + ": " + line);
            }
            if (line.matches("import .*\\*;")) {
                found.add(packageName + ": " + line);
            }
        }
        return found;
    }

    /** Returns whether a package may import another one, directly or through the packages that it may import. */
    static boolean reaches(String packageName, String other) {
        return MAY_IMPORT.getOrDefault(packageName, List.of()).stream()
                .anyMatch(next -> next.equals(other) || reaches(next, other));
    }

    private static List<Path> sources() throws IOException {
        return sources(MAIN);
    }

    static List<Path> sources(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(file -> file.toString().endsWith(".java")).toList();
        }
    }

    @Test
    void packages_importOnlyLowerOnes() throws IOException {
        List<String> found = new ArrayList<>();
        for (Path file : sources()) {
            String packageName = MAIN.relativize(file.getParent()).toString().replace('/', '.');
            if (!packageName.isEmpty()) { // the root names the concrete backends
                assertTrue(
                        MAY_IMPORT.containsKey(packageName),
                        "package " + packageName + " has no place in the design yet");
                found.addAll(violations(packageName, Files.readAllLines(file)));
            }
        }
        assertEquals(List.of(), found);
    }

    @Test
    void imports_upwardImport_isDetected() {
        assertFalse(violations("tensor", List.of("import org.contrastive4j.ops.Ops;"))
                .isEmpty());
        assertFalse(violations("loss", List.of("import org.contrastive4j.gradcache.GradCache;"))
                .isEmpty());
        assertFalse(violations("ops", List.of("import jcuda.Pointer;")).isEmpty());
        assertFalse(violations("train", List.of("import java.util.*;")).isEmpty());
        assertTrue(violations("loss", List.of("import org.contrastive4j.ops.Ops;", "import java.util.List;"))
                .isEmpty());
    }

    @Test
    void classes_haveAtMost500Lines() throws IOException {
        for (Path file : sources()) {
            assertTrue(Files.readAllLines(file).size() <= 500, file + " has more than 500 lines");
        }
    }

    /** Main, tests and benchmarks; the formatter leaves comments and long strings as they are. */
    @Test
    void lines_haveAtMost120Columns() throws IOException {
        List<String> found = new ArrayList<>();
        for (String root : List.of("src/main/java", "src/test/java", "bench")) {
            for (Path file : sources(Path.of(root, "org/contrastive4j"))) {
                found.addAll(tooLong(file.toString(), Files.readAllLines(file)));
            }
        }
        assertEquals(List.of(), found);
    }

    @Test
    void lines_longLine_isDetected() {
        assertEquals(List.of("A.java:2"), tooLong("A.java", List.of("x".repeat(120), "x".repeat(121))));
    }

    private static List<String> tooLong(String file, List<String> lines) {
        return IntStream.rangeClosed(1, lines.size())
                .filter(line -> lines.get(line - 1).length() > 120)
                .mapToObj(line -> file + ":" + line)
                .toList();
    }

    @Test
    void packages_haveADescription() throws IOException {
        for (Path file : sources()) {
            Path info = file.resolveSibling("package-info.java");
            assertTrue(file.getParent().equals(MAIN) || Files.exists(info), "no " + info);
        }
    }
}
