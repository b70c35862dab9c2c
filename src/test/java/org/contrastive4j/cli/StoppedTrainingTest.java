package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Training processes that are killed or interrupted, and their continuation. */
class StoppedTrainingTest extends CommandFixture {
    private Process start(String runName, String... more) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        command.addAll(List.of(train(runName, more)));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve(runName + ".log").toFile())
                .start();
    }

    /** Waits for a checkpoint that is newer than {@code before}. */
    private void awaitCheckpointAfter(String before, Process process, String runName) throws Exception {
        for (int k = 0; k < 6000 && process.isAlive(); k++) {
            if (newestCheckpoint(runName).compareTo(before) > 0) {
                return;
            }
            Thread.sleep(10);
        }
        throw new AssertionError(Files.readString(folder.resolve(runName + ".log")));
    }

    /** Returns the name of the newest checkpoint, or an empty text. */
    private String newestCheckpoint(String runName) throws IOException {
        Path checkpoints = folder.resolve(runName).resolve("checkpoints");
        if (!Files.isDirectory(checkpoints)) {
            return "";
        }
        try (Stream<Path> files = Files.list(checkpoints)) {
            return files.map(path -> path.getFileName().toString())
                    .filter(name -> name.startsWith("step-"))
                    .max(Comparator.naturalOrder())
                    .orElse("");
        }
    }

    /**
     * Kills a run with kill -9 several times during saves and resumes it; it ends in the bits of an uninterrupted run.
     */
    @Test
    void train_killedAndResumed_hasTheBitsOfAnUninterruptedRun() throws Exception {
        assertEquals(
                0, run(train("straight", "--steps", "40", "--save-every", "1")).code());
        for (int kill = 0; kill < 3; kill++) {
            String before = newestCheckpoint("killed");
            Process process = start(
                    "killed",
                    kill == 0
                            ? new String[] {"--steps", "40", "--save-every", "1"}
                            : new String[] {"--steps", "40", "--save-every", "1", "--resume"});
            awaitCheckpointAfter(before, process, "killed");
            Thread.sleep(30);
            assertTrue(process.isAlive(), "the run ended before it was killed");
            process.destroyForcibly().waitFor();
        }
        Ran resumed = run(train("killed", "--steps", "40", "--resume"));
        assertEquals(0, resumed.code(), resumed.out());
        assertArrayEquals(
                Files.readAllBytes(folder.resolve("straight/checkpoints/step-00000040/model.safetensors")),
                Files.readAllBytes(folder.resolve("killed/checkpoints/step-00000040/model.safetensors")));
        assertEquals(
                40, Files.readAllLines(folder.resolve("killed/metrics.jsonl")).size(), "every step occurs once");
    }

    @Test
    void train_interrupted_savesAndPrintsHowToContinue() throws Exception {
        Process process = start("interrupted", "--steps", "100000", "--save-every", "3");
        awaitCheckpointAfter("", process, "interrupted");
        process.destroy(); // SIGTERM runs the same shutdown hooks as Ctrl-C
        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
        String log = Files.readString(folder.resolve("interrupted.log"));
        assertTrue(log.contains("continue with: train --resume --out"), log);
    }
}
