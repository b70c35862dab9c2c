package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The files of a run folder, with incomplete ends. */
class RunFolderTest {
    @TempDir
    Path folder;

    private static List<Object> steps(RunFolder run) {
        return run.metrics().stream().map(line -> line.get("step")).toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"step\": 4, \"lo", "{", "\"", "{\"step\":4}{", "\u0000\u0000\u0000", "{\"step\":4} x"})
    void metrics_withAnIncompleteLine_endAtTheLastCompleteLine(String half) throws Exception {
        try (RunFolder run = RunFolder.open(folder)) {
            for (int step = 1; step <= 3; step++) {
                run.append(Map.of("step", step, "seconds", 0.5 * step));
            }
            Path file = folder.resolve("metrics.jsonl");
            Files.writeString(file, half, StandardOpenOption.APPEND);
            assertEquals(List.of(1, 2, 3), steps(run));
            assertEquals(1.5, run.secondsSpent());
            run.forgetAfter(2);
            assertEquals(2, Files.readAllLines(file).size());
            run.append(Map.of("step", 3));
            assertEquals(List.of(1, 2, 3), steps(run));
        }
    }

    @Test
    void metrics_withLinesAfterABrokenOne_endBeforeIt() throws Exception {
        try (RunFolder run = RunFolder.open(folder)) {
            Files.writeString(folder.resolve("metrics.jsonl"), "{\"step\":1}\n{\"st{\"step\":2}\n{\"step\":3}\n");
            assertEquals(List.of(1), steps(run));
        }
    }

    @Test
    void metrics_whoseLastLineEndsBeforeItsLineFeed_keepIt() throws Exception {
        try (RunFolder run = RunFolder.open(folder)) {
            Files.writeString(folder.resolve("metrics.jsonl"), "{\"step\":1}");
            run.forgetAfter(1);
            run.append(Map.of("step", 2));
            assertEquals(List.of(1, 2), steps(run));
        }
    }

    @Test
    void open_ofAFolderThatIsInUse_isRejected() {
        try (RunFolder run = RunFolder.open(folder)) {
            String message = assertThrows(RunFolder.RunFolderException.class, () -> RunFolder.open(folder))
                    .getMessage();
            assertTrue(message.contains("another run is using"), message);
            assertEquals(folder, run.path());
        }
    }

    @Test
    void open_ofAFile_namesTheError() throws Exception {
        Path file = Files.createFile(folder.resolve("file"));
        String message = assertThrows(RunFolder.RunFolderException.class, () -> RunFolder.open(file))
                .getMessage();
        assertTrue(message.contains("as run folder: a file of this name exists"), message);
    }

    /** Windows cannot open folders as files. */
    @Test
    void force_onWindows_skipsFolders() {
        assertFalse(Disk.canForceFolders("Windows 11"));
        assertFalse(Disk.canForceFolders("Windows Server 2022"));
        assertTrue(Disk.canForceFolders("Linux"));
        assertTrue(Disk.canForceFolders("Mac OS X"));
    }
}
