package org.contrastive4j.cli;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.io.TempDir;

/** Runs commands in this process on a small data set, in a temporary folder. */
abstract class CommandFixture {
    @TempDir
    Path folder;

    /** Exit code and output of a command. */
    record Ran(int code, String out) {}

    static Ran run(String... arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        try {
            System.setOut(both);
            System.setErr(both);
            return new Ran(Main.run(arguments), bytes.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
    }

    String[] train(String runName, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "train",
                "--device",
                "cpu",
                "--data",
                pairs().toString(),
                "--held-out-group",
                "c",
                "--unseen-share",
                "0.2",
                "--batch",
                "16",
                "--chunk",
                "5",
                "--steps",
                "6",
                "--save-every",
                "2",
                "--image-size",
                "16",
                "--image-width",
                "16",
                "--image-heads",
                "2",
                "--image-layers",
                "1",
                "--text-width",
                "16",
                "--text-heads",
                "2",
                "--text-layers",
                "1",
                "--embedding",
                "16",
                "--out",
                folder.resolve(runName).toString()));
        arguments.addAll(List.of(more));
        return arguments.toArray(new String[0]);
    }

    Path pairs() {
        Path pairs = folder.resolve("pairs");
        return Files.exists(pairs) ? pairs : PairFiles.folder(pairs, 25);
    }
}
