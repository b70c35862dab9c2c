package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Ctrl-C at a pseudo-terminal, which `script` of util-linux opens: with a pipe, terminal libraries behave differently.
 */
class TerminalInterruptTest {
    private static final int CTRL_C = 3;

    @TempDir
    Path folder;

    private static void requireScript() {
        try {
            Process version = new ProcessBuilder("script", "--version")
                    .redirectErrorStream(true)
                    .start();
            String text = new String(version.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assumeTrue(text.contains("util-linux"), "no pseudo-terminal: script is not that of util-linux: " + text);
        } catch (IOException e) {
            assumeTrue(false, "no pseudo-terminal: the command script of util-linux is not installed");
        }
    }

    /** A shell starts background jobs with SIGINT ignored, which child processes inherit and cannot undo. */
    private static void requireSigint() throws IOException {
        Path status = Path.of("/proc/self/status");
        if (Files.exists(status)) {
            long ignored = Files.readAllLines(status).stream()
                    .filter(line -> line.startsWith("SigIgn:"))
                    .mapToLong(line -> Long.parseUnsignedLong(line.substring(7).strip(), 16))
                    .findFirst()
                    .orElse(0);
            assumeTrue((ignored & 1 << 1) == 0, "the tests run as a background job, which ignores SIGINT");
        }
    }

    @Test
    void train_interruptedByCtrlCAtATerminalOf80Columns_saves() throws Exception {
        requireScript();
        requireSigint();
        Path out = folder.resolve("run");
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String train = String.join(
                " ",
                List.of(
                        "stty cols 80;",
                        "exec",
                        java,
                        "-cp",
                        System.getProperty("java.class.path"),
                        Main.class.getName(),
                        "train --device cpu --held-out-group c --batch 16 --steps 100000 --save-every 1000000",
                        "--recall-every 3 --data",
                        PairFiles.folder(folder.resolve("pairs"), 25).toString(),
                        "--out",
                        out.toString()));
        Path log = folder.resolve("log");
        ProcessBuilder script = new ProcessBuilder("script", "-q", "-e", "-c", train, "/dev/null")
                .redirectErrorStream(true)
                .redirectOutput(log.toFile());
        script.environment().put("TERM", "xterm");
        script.environment().put("SHELL", "/bin/sh");
        Process process = script.start();
        try (OutputStream keys = process.getOutputStream()) {
            for (int k = 0; k < 6000 && process.isAlive() && !Files.exists(out.resolve("metrics.jsonl")); k++) {
                Thread.sleep(10);
            }
            for (int k = 0; k < 6000 && process.isAlive() && Files.size(out.resolve("metrics.jsonl")) < 1000; k++) {
                Thread.sleep(10);
            }
            keys.write(CTRL_C);
            keys.flush();
            assertTrue(process.waitFor(60, TimeUnit.SECONDS), Files.readString(log));
        } finally {
            process.destroyForcibly();
        }
        String text = Files.readString(log);
        assertTrue(text.contains("interrupted: saving after this step"), text);
        assertTrue(text.contains("continue with: train --resume --out"), text);
        assertEquals(130, process.exitValue(), text);
        try (Stream<Path> checkpoints = Files.list(out.resolve("checkpoints"))) {
            assertEquals(1, checkpoints.count(), text);
        }
        List<String> shown = Stream.of(text.split("\u001b\\[J"))
                .filter(line -> line.matches("(?s)\\d+/100000.*"))
                .map(line -> line.split("[\r\n\u001b^]")[0]) // the terminal prints ^C
                .toList();
        assertTrue(shown.stream().anyMatch(line -> line.contains("R@1") && line.contains("left")), text);
        shown.forEach(line -> assertTrue(line.length() < 80, line));
    }
}
