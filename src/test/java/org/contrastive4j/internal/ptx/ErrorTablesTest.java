package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.contrastive4j.internal.ptx.GemmErrors.Kind;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Test;

/**
 * The committed tables of errors are reproduced, and the kernels are at most twice as inaccurate as naive
 * implementations.
 */
class ErrorTablesTest {
    private static final Path FILE = Path.of("bench/results/2026-11-errors.md");
    private static final double NOISE = 1e-7; // of a gradient by the bias, which is 0

    private static List<String> lines() throws IOException {
        return Files.readAllLines(FILE).stream()
                .filter(line -> line.startsWith("| ") && line.contains("e-"))
                .toList();
    }

    private static String[] cells(String line) {
        return Stream.of(line.substring(1).split("\\|")).map(String::strip).toArray(String[]::new);
    }

    private static double[] numbers(String cell) {
        return Stream.of(cell.split(" / ")).mapToDouble(Double::parseDouble).toArray();
    }

    /** Names must be equal, numbers nearly equal, because f64 may differ in the last bit on other machines. */
    private static void assertSame(String want, String got) {
        String[] expected = cells(want);
        String[] given = cells(got);
        assertEquals(expected.length, given.length, got);
        for (int i = 0; i < expected.length; i++) {
            if (expected[i].matches(".*e[-+]\\d\\d / .*")) {
                double[] one = numbers(expected[i]);
                double[] other = numbers(given[i]);
                for (int k = 0; k < 2; k++) {
                    assertEquals(one[k], other[k], 0.06 * one[k] + 1e-15, "expected " + want + ", got " + got);
                }
            } else {
                assertEquals(expected[i], given[i], "expected " + want + ", got " + got);
            }
        }
    }

    private static void assertInFile(List<String> inFile, String line) {
        String name = String.join("|", Arrays.copyOf(cells(line), 2));
        boolean found = false;
        for (String other : inFile) {
            found |= same(other, line, name);
        }
        assertTrue(found, "not in " + FILE + ": " + line);
    }

    /** Lines of the four types have the same names; one of them must match. */
    private static boolean same(String inFile, String line, String name) {
        if (!String.join("|", Arrays.copyOf(cells(inFile), 2)).equals(name)) {
            return false;
        }
        try {
            assertSame(inFile, line);
            return true;
        } catch (AssertionError e) {
            return false;
        }
    }

    @Test
    void committedTables_areReproduced() throws IOException {
        List<String> inFile = lines();
        ErrorTables.pairwise(Precision.F32, ErrorTables.settings().get(4)).forEach(line -> assertInFile(inFile, line));
        ErrorTables.pairwise(Precision.TF32, ErrorTables.settings().get(0)).forEach(line -> assertInFile(inFile, line));
        ErrorTables.pairwise(Precision.F16, ErrorTables.settings().get(0)).forEach(line -> assertInFile(inFile, line));
        assertInFile(inFile, GemmErrors.gemm(Kind.TF32, false, true, 33, 65, 31));
        assertInFile(inFile, GemmErrors.gemm(Kind.BF16, false, false, 33, 65, 31));
        assertInFile(inFile, GemmErrors.gemm(Kind.F16_SM90A, true, false, 33, 65, 31));
        for (Gelu gelu : Gelu.values()) {
            assertInFile(inFile, GemmErrors.gelu(Kind.F32, gelu, 33, 65, 31));
            assertInFile(inFile, GemmErrors.gelu(Kind.BF16, gelu, 33, 65, 31));
        }
        GemmErrors.attention(Precision.F32, 33, 2, 16, true).forEach(line -> assertInFile(inFile, line));
        GemmErrors.attention(Precision.BF16, 33, 2, 16, false).forEach(line -> assertInFile(inFile, line));
        assertEquals(7 * 2 + 7 * 3 + 2 * (7 * 4 + 1) + 24 + 24 + 36 + 90, inFile.size(), "lines");
    }

    @Test
    void comparison_changedNumber_fails() {
        String line = "| a | b | 1.5e-07 / 1.2e-08 |";
        assertSame(line, "| a | b | 1.5e-07 / 1.2e-08 |");
        assertThrows(AssertionError.class, () -> assertSame(line, "| a | b | 1.5e-07 / 1.4e-08 |"));
        assertThrows(AssertionError.class, () -> assertSame(line, "| a | c | 1.5e-07 / 1.2e-08 |"));
        assertThrows(AssertionError.class, () -> assertInFile(List.of(line), "| a | b | 1.7e-07 / 1.2e-08 |"));
    }

    /** Root mean squares are at most twice those of the naive implementation of the same setting, in the whole file. */
    @Test
    void kernels_errors_atMostTwiceNaive() throws IOException {
        List<String> pending = new ArrayList<>();
        int compared = 0;
        for (String line : lines()) {
            String[] cells = cells(line);
            if (cells.length == 4) {
                if (!cells[0].contains("tf32")) {
                    assertTrue(numbers(cells[2])[1] <= 2 * numbers(cells[3])[1], line);
                    compared++;
                }
            } else if (!cells[1].equals("plain")) {
                pending.add(line);
            } else {
                for (String other : pending) {
                    String[] ours = cells(other);
                    for (int i = 2; i < ours.length; i++) {
                        if (!ours[i].isEmpty()) {
                            double bound = 2 * numbers(cells[i])[1] + NOISE;
                            assertTrue(numbers(ours[i])[1] <= bound, other + " against " + line);
                            compared++;
                        }
                    }
                }
                pending.clear();
            }
        }
        assertTrue(compared > 100, "compared " + compared);
    }
}
