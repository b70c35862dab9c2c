package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Wrong command lines: each is refused before the work, in a line that says what to do. */
class CommandLineTest {
    @TempDir
    Path folder;

    private static String refused(String... arguments) {
        PrintStream err = System.err;
        PrintStream out = System.out;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        try {
            System.setErr(both);
            System.setOut(both);
            assertEquals(Main.REFUSED, Main.run(arguments), () -> bytes.toString(StandardCharsets.UTF_8));
            return bytes.toString(StandardCharsets.UTF_8);
        } finally {
            System.setErr(err);
            System.setOut(out);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "trian | unknown command trian; did you mean train",
                "train --lerning-rate 3 | unknown option --lerning-rate; did you mean --learning-rate?",
                "embed --outt x | unknown option --outt; did you mean --out?",
                "ptx rnu | unknown command rnu; the commands are check, expand, run",
                "train foo | unexpected argument foo",
                "train --batch x | Invalid value for option '--batch': 'x' is not a whole number",
                "train --clip x | Invalid value for option '--clip': 'x' is not a number"
            })
    void misspeltName_isRefusedWithASuggestion(String line, String message) {
        String output = refused(line.split(" "));
        assertTrue(output.startsWith("error: " + message), output);
        assertEquals(2, output.lines().count(), output);
    }

    /** No option is ignored silently. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "train --text-heads 4 | --text-heads: without effect with --text-layers 0",
                "train --image-layers 0 --image-heads 4 | --image-heads: without effect with --image-layers 0",
                "train --image-layers 0 --dropout 0.5 | --dropout: without effect",
                "train --accumulate features --memory 9 | --memory: without effect with --accumulate features",
                "train --lora-rank 4 | --lora-rank: only for fine-tuning",
                "train --queue-size 64 | loss infonce has no queue-size",
                "compare-losses --text-heads 4 | --text-heads: without effect",
                "verify-gradcache --text-heads 4 | --text-heads: without effect",
                "verify-gradcache --batch 4 | verify-gradcache takes no --batch",
                "search x --adapter y | --adapter: only for a pretrained model",
                "eval --wise-ft 0.5 | --wise-ft: only for a pretrained model",
                "embed --out o --start y | --start: only for a pretrained model",
                "merge --device cpu --out o --from m --start y | --start: only for interpolated weights",
                "ptx run kernels/optim/adamw.ptx --faults 2 --print 3 | --print: without effect with --faults",
                "ptx run kernels/optim/adamw.ptx --device cuda --limit 3 | --faults, --arch"
            })
    void optionWithoutEffect_isRefusedByName(String line, String message) {
        String folders = line.replace("--out o", "--out " + folder.resolve("o"));
        String output = refused((folders.startsWith("train") ? folders + " --out " + folder : folders).split(" "));
        assertTrue(output.startsWith("error: " + message), output);
        assertEquals(1, output.lines().count(), output);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "ptx check kernels/optim/adamw.ptx --block 5000 | --block is 5000, expected 1 to 1024 threads",
                "ptx check kernels/optim/adamw.ptx --shared -1 | --shared is -1, expected 0 or more bytes",
                "train --vocabulary -5 | vocabulary is -5, expected 3 token ids or more",
                "train --save-every 0 | save every 0 steps: expected 1 or more"
            })
    void valueOutOfRange_isRefusedWithoutJavaWords(String line, String message) {
        String output = refused((line.startsWith("train") ? line + " --out " + folder : line).split(" "));
        assertEquals("error: " + message, output.strip());
    }

    @Test
    void argumentOfAnotherType_isRefusedWithTheExpectedForm() {
        String[] command = new String[3 + 32];
        System.arraycopy(new String[] {"ptx", "run", "kernels/optim/adamw.ptx"}, 0, command, 0, 3);
        for (int k = 0; k < 16; k++) {
            command[3 + 2 * k] = "--arg";
            command[4 + 2 * k] = k < 6 ? "i64:1" : "f32:1";
        }
        command[4] = "u32:7";
        String address = refused(command);
        assertTrue(
                address.contains("--arg u32:7 is for the parameter .u64 P, which takes i64:VALUE or a buffer"),
                address);
        command[4] = "in:f32:4";
        String number = refused(command);
        assertTrue(number.contains("is for the parameter .u32 ALIGNED, which takes u32:VALUE or i32:VALUE"), number);
    }

    @Test
    void completion_hasTheValuesOfOptions() {
        String script = picocli.AutoComplete.bash("c4j", Main.commandLine());
        for (String values : List.of(
                "\"infonce\" \"infonce-rows\"",
                "\"gradcache\" \"features\"",
                "\"auto\" \"cpu\" \"cpu-f64\" \"cuda\" \"sim\"",
                "\"f32\"")) {
            assertTrue(script.contains(values), values);
        }
    }

    /** Java replaces letters that the locale lacks by U+FFFD. */
    @Test
    void argumentThatTheLocaleCannotExpress_isRefused() {
        String output = refused("search", "\uFFFD\uFFFDrger");
        assertTrue(output.contains("cannot express; set LC_ALL=C.UTF-8"), output);
    }

    @Test
    void outputThatCannotBeWritten_isRefusedBeforeTheModelIsLoaded() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        Path inFile = file.resolve("x");
        Files.createDirectories(folder.resolve("out/keys.tsv"));
        for (String[] command : new String[][] {
            {"embed", "--run", "nope", "--out", file.toString()},
            {"embed", "--run", "nope", "--out", inFile.toString()},
            {"embed", "--run", "nope", "--out", folder.resolve("out").toString()},
            {"merge", "--from", "nope", "--out", file.toString()},
            {"search", "x", "--run", "nope", "--sheet", inFile + ".png"},
            {"search", "x", "--from", "nope", "--data", "nope", "--sheet", inFile + ".png"},
            {"report", "nope", "--out", inFile.toString()},
            {"train", "--device", "cpu", "--data", "nope", "--out", file.toString()},
            {"compare-losses", "--device", "cpu", "--data", "nope", "--out", file.toString()}
        }) {
            String output = refused(command);
            assertTrue(output.startsWith("error: ") && output.contains(folder.toString()), output);
            assertFalse(output.contains("Exception"), output);
            assertEquals(1, output.lines().count(), output);
        }
    }

    @Test
    void commandsOfARunWhoseDataAreGone_hintAtTheOption() throws IOException {
        Path pairs = PairFiles.folder(folder.resolve("pairs"), 20);
        String run = folder.resolve("run").toString();
        PrintStream out = System.out;
        System.setOut(new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8));
        try {
            assertEquals(
                    0,
                    Main.run("train --device cpu --batch 8 --steps 1 --data"
                            .concat(" " + pairs + " --out " + run)
                            .split(" ")));
        } finally {
            System.setOut(out);
        }
        Files.move(pairs, folder.resolve("moved"));
        for (String command : new String[] {
            "train --resume --device cpu --out " + run,
            "search --device cpu thing3 --run " + run,
            "eval --device cpu --run " + run,
            "embed --device cpu --out " + folder.resolve("embedded") + " --run " + run
        }) {
            String output = refused(command.split(" "));
            assertTrue(output.contains("if the data were moved, name their new path with --data"), output);
        }
    }

    @Test
    void interrupt_inEachPhase_saysWhatIsSaved() throws InterruptedException {
        PrintStream err = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setErr(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        try {
            Interruption interruption = Interruption.handle(folder);
            assertFalse(interruption.isRequested());
            interruption.interrupted();
            assertTrue(interruption.isRequested());
            interruption.trains();
            Thread waits = new Thread(interruption::interrupted);
            waits.start();
            waits.join(50);
            assertTrue(waits.isAlive(), "until the checkpoint is saved");
            interruption.close();
            waits.join();
            interruption.measures();
            interruption.interrupted();
        } finally {
            System.setErr(err);
        }
        assertEquals(
                "interrupted before the first step: nothing was trained or saved\n"
                        + "interrupted: saving after this step\n"
                        + "interrupted while measuring recall; all steps are saved, measure again with: "
                        + "train --resume --out " + folder + "\n",
                bytes.toString(StandardCharsets.UTF_8).replace("\r", ""));
    }
}
