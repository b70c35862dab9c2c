package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Where the test of a class is, how long a test class may be, and which packages a test may import. */
class TestArchitectureTest {
    private static final Path MAIN = Path.of("src/main/java/org/contrastive4j");
    private static final Path TESTS = Path.of("src/test/java/org/contrastive4j");
    private static final Pattern TESTED_BY = Pattern.compile("Tested by \\{@code (\\w+)}");
    /** Classes shorter than this need no test of their own. */
    private static final int LONG = 100;
    /** Implementations, which tests of every package open; they import nothing that is tested above them. */
    private static final Set<String> IMPLEMENTATIONS = Set.of(
            "internal.sim",
            "internal.sim.exec",
            "internal.sim.check",
            "internal.cuda",
            "internal.ptx",
            "internal.cpu",
            "internal.f64");

    private static final Pattern IMPORT =
            Pattern.compile("import (?:static )?org\\.contrastive4j\\.([a-z0-9.]+?)\\.([A-Z]\\w*).*");

    @Test
    void longClasses_haveATestOfTheirNameOrNameOne() throws IOException {
        Set<String> tests = ArchitectureTest.sources(TESTS).stream()
                .map(file -> file.getFileName().toString().replace(".java", ""))
                .collect(Collectors.toSet());
        List<String> found = new ArrayList<>();
        for (Path file : ArchitectureTest.sources(MAIN)) {
            String relative = MAIN.relativize(file).toString();
            boolean ownTest = Files.exists(TESTS.resolve(relative.replace(".java", "Test.java")));
            if (!ownTest && !namesATest(Files.readString(file), tests)) {
                found.add(relative);
            }
        }
        assertEquals(List.of(), found, "add a test of that name, or a line such as Tested by {@code OtherTest}");
    }

    @Test
    void longClasses_withoutATest_areDetected() {
        String longText = "\n".repeat(LONG);
        assertTrue(namesATest("\n".repeat(LONG - 1), Set.of()), "short classes need none");
        assertFalse(namesATest(longText, Set.of("ATest")));
        assertFalse(namesATest(longText + "Tested by {@code BTest}", Set.of("ATest")), "there is no BTest");
        assertTrue(namesATest(longText + "Tested by {@code ATest}", Set.of("ATest")));
    }

    private static boolean namesATest(String source, Set<String> tests) {
        Matcher named = TESTED_BY.matcher(source);
        return source.lines().count() < LONG || named.find() && tests.contains(named.group(1));
    }

    @Test
    void testClasses_haveAtMost500Lines() throws IOException {
        List<String> found = new ArrayList<>();
        for (Path file : ArchitectureTest.sources(TESTS)) {
            if (Files.readAllLines(file).size() > 500) {
                found.add(file.toString());
            }
        }
        assertEquals(List.of(), found);
    }

    /**
     * A test does not import a package that uses the package under test. Fixtures that do are in {@code support}; the
     * public checker of gradients by finite differences is for tests of every package.
     */
    @Test
    void tests_importNoHigherPackage() throws IOException {
        List<String> found = new ArrayList<>();
        for (Path file : ArchitectureTest.sources(TESTS)) {
            String packageName = TESTS.relativize(file.getParent()).toString().replace('/', '.');
            found.addAll(upward(packageName, Files.readAllLines(file)));
        }
        assertEquals(List.of(), found);
    }

    @Test
    void tests_upwardImport_isDetected() {
        assertEquals(
                1,
                upward("nn", List.of("import org.contrastive4j.train.Trainer;")).size());
        assertEquals(
                1,
                upward("tensor", List.of("import org.contrastive4j.cli.Main;")).size());
        assertEquals(
                0, upward("nn", List.of("import org.contrastive4j.ops.Ops;")).size());
        assertEquals(
                0,
                upward("nn", List.of("import org.contrastive4j.support.TinyPairs;"))
                        .size());
    }

    private static List<String> upward(String packageName, List<String> lines) {
        return lines.stream()
                .filter(line -> {
                    Matcher imported = IMPORT.matcher(line);
                    return imported.matches()
                            && !IMPLEMENTATIONS.contains(imported.group(1))
                            && !imported.group(2).equals("GradientCheck")
                            && ArchitectureTest.reaches(imported.group(1), packageName);
                })
                .map(line -> packageName + ": " + line)
                .toList();
    }
}
