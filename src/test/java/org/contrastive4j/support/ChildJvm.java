package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Runs a class in another JVM of the same Java. */
public final class ChildJvm {
    private ChildJvm() {}

    /**
     * Runs a JVM to its end and returns its output and errors; skips the test if this JVM cannot start another one, as
     * under an emulator of another processor.
     *
     * @param arguments options, class path and main class
     */
    public static String run(List<String> arguments) throws IOException, InterruptedException {
        Path java = Path.of(System.getProperty("java.home"), "bin", "java");
        String problem = problem(java);
        assumeTrue(problem == null, () -> "a child JVM cannot be started here: " + problem);
        List<String> command = new ArrayList<>(List.of(java.toString()));
        command.addAll(arguments);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        return output;
    }

    /** Returns why this program cannot be started and told to print its version, null if it can. */
    static @Nullable String problem(Path java) throws InterruptedException {
        try {
            Process process = new ProcessBuilder(java.toString(), "-version")
                    .redirectErrorStream(true)
                    .start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int code = process.waitFor();
            return code == 0 ? null : "exit code " + code + ": " + output;
        } catch (IOException e) {
            return String.valueOf(e.getMessage());
        }
    }
}
