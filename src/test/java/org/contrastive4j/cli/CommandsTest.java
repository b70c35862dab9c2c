package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.contrastive4j.loss.Losses;
import org.junit.jupiter.api.Test;

/** Runs the commands on a small data set, in this process. */
class CommandsTest extends CommandFixture {
    @Test
    void trainEvalSearch_writeTheirFiles() throws IOException {
        Ran trained = run(train("run", "--recall-every", "3"));
        assertEquals(0, trained.code(), trained.out());
        assertTrue(trained.out().contains("new-design") && trained.out().contains("chance"), trained.out());
        Path run = folder.resolve("run");
        JsonNode summary =
                new ObjectMapper().readTree(run.resolve("summary.json").toFile());
        JsonNode recall = summary.at("/splits/new-design/image to text");
        for (String field : List.of("r1", "r5", "r10", "chance")) {
            assertTrue(recall.get(field).isNumber(), summary.toString());
        }
        assertEquals(21, recall.get("candidates").asInt());
        assertEquals(96, summary.get("pairs").asInt());
        assertTrue(
                summary.get("peakBytes").asLong() > 0 && summary.get("seconds").asDouble() > 0);
        List<String> metrics = Files.readAllLines(run.resolve("metrics.jsonl"));
        assertEquals(6, metrics.size());
        assertTrue(metrics.get(2).contains("r1.new-design"), metrics.get(2));
        String report = Files.readString(run.resolve("report.html"));
        assertTrue(report.contains("new uPlot(") && report.contains("data:image/png;base64,"));
        assertFalse(report.matches("(?s).*(src|href)=\"(?!data:).*"), "the report is self-contained");

        Ran eval = run("eval", "--run", run.toString(), "--classes", "kind0;kind1", "--prompt", "a {}");
        assertEquals(0, eval.code(), eval.out());
        assertTrue(eval.out().contains("zero-shot") && eval.out().contains("linear probe"), eval.out());

        EmbeddingFilesTest.assertMeasureTheSame(run, pairs(), folder);

        Path picture;
        try (Stream<Path> files = Files.list(pairs())) {
            picture = files.filter(file -> file.toString().endsWith(".png"))
                    .findFirst()
                    .orElseThrow();
        }
        Ran zeroShot = run("zero-shot", picture.toString(), "--run", run.toString(), "--classes", "kind0;kind1");
        assertEquals(0, zeroShot.code(), zeroShot.out());
        double shares = zeroShot.out()
                .lines()
                .filter(line -> line.contains("%"))
                .mapToDouble(line -> Double.parseDouble(line.trim().split("%")[0]))
                .sum();
        assertEquals(100, shares, 0.02, zeroShot.out());

        Path sheet = folder.resolve("sheet.png");
        Ran search = run("search", "thing3 word3", "--run", run.toString(), "--top", "4", "--sheet", sheet.toString());
        assertEquals(0, search.code(), search.out());
        assertEquals(4, search.out().lines().filter(line -> line.contains("[c")).count(), search.out());
        assertTrue(Files.size(sheet) > 1000);
        for (String[] bad : new String[][] {
            {"zzzzqqq", "no word of \"zzzzqqq\" occurs in the captions"},
            {"", "\"\" has no word to search for"},
            {"thing3", "--top", "-1", "--top is -1, expected 1 or more"},
            {"thing3", "--sheet", "/nope/x.png", "the folder /nope does not exist"},
            {"thing3", "--sheet", "x.gif", "expected a name that ends in .png, .jpg or .jpeg"}
        }) {
            List<String> options = new ArrayList<>(List.of("search", "--device", "cpu", "--run", run.toString()));
            options.addAll(List.of(bad).subList(0, bad.length - 1));
            Ran refused = run(options.toArray(new String[0]));
            assertEquals(Main.REFUSED, refused.code(), refused.out());
            assertTrue(refused.out().contains(bad[bad.length - 1]), refused.out());
            assertEquals(1, refused.out().lines().count(), refused.out());
        }
        Ran half = run("search", "thing3 zzzzqqq", "--run", run.toString(), "--sheet", sheet.toString());
        assertTrue(half.out().contains("not in the captions that the model was trained on: zzzzqqq"), half.out());
        String data = new ObjectMapper()
                .readTree(run.resolve("config.json").toFile())
                .get("data")
                .asText();
        assertTrue(Path.of(data).isAbsolute(), "search works from any folder: " + data);
        Path compared = folder.resolve("compared.html");
        Ran comparison = run("report", run.toString(), run.toString(), "--out", compared.toString());
        assertEquals(0, comparison.code(), comparison.out());
        assertTrue(Files.readString(compared).contains("<h2>Runs</h2>"));

        Ran again = run(train("run"));
        assertEquals(Main.REFUSED, again.code());
        assertTrue(again.out().contains("--resume"), again.out());
    }

    @Test
    void verifyGradCache_agrees() {
        Ran verified = run(
                "verify-gradcache",
                "--data",
                pairs().toString(),
                "--held-out-group",
                "c",
                "--compare-batch",
                "18",
                "--compare-chunk",
                "7",
                "--compare-steps",
                "3");
        assertEquals(0, verified.code(), verified.out());
        assertTrue(verified.out().contains("gives the gradient of the whole batch"), verified.out());
    }

    @Test
    void verifyGradCache_ofAQueue_agrees() {
        Ran verified = run(
                "verify-gradcache",
                "--data",
                pairs().toString(),
                "--held-out-group",
                "c",
                "--compare-batch",
                "18",
                "--compare-chunk",
                "7",
                "--compare-steps",
                "3",
                "--loss",
                "queue");
        assertEquals(0, verified.code(), verified.out());
    }

    @Test
    void verifyGradCache_withAnOptionItReplaces_namesItsOwn() {
        for (String name : List.of("batch", "chunk", "steps")) {
            Ran refused = run("verify-gradcache", "--" + name, "8");
            assertEquals(Main.REFUSED, refused.code(), refused.out());
            assertTrue(refused.out().contains("takes no --" + name + "; use --compare-" + name), refused.out());
        }
        String help = run("verify-gradcache", "--help").out();
        assertFalse(help.contains("--batch=") || help.contains("--chunk=") || help.contains("--steps="), help);
    }

    @Test
    void version_ofEveryCommand_isPrinted() {
        for (String[] command : new String[][] {{"--version"}, {"train", "--version"}, {"ptx", "run", "--version"}}) {
            Ran printed = run(command);
            assertEquals(0, printed.code(), printed.out());
            assertTrue(printed.out().matches("contrastive4j \\S.*\\R"), printed.out());
        }
    }

    @Test
    void report_ofAMissingFolder_saysThatItHoldsNoRun() {
        String missing = folder.resolve("nope").toString();
        Ran refused = run("report", missing);
        assertEquals(Main.REFUSED, refused.code(), refused.out());
        assertTrue(refused.out().contains(missing + " holds no run"), refused.out());
    }

    @Test
    void devicesAndHelp_print() {
        assertTrue(run("devices").out().contains("cpu"));
        assertEquals(Main.REFUSED, run().code());
        assertTrue(run("--help").out().contains("verify-gradcache"));
        assertTrue(run("--help").out().contains("compare-losses"));
    }

    @Test
    void train_inF16_showsLossScaleAndSkippedStepsAndKeepsItsPrecision() throws IOException {
        Ran trained = run(train("scaled", "--loss-scale", "0x1p127", "--precision", "F32"));
        assertEquals(0, trained.code(), trained.out());
        assertTrue(trained.out().contains("on cpu in f32") && trained.out().contains("steps skipped"), trained.out());
        Path run = folder.resolve("scaled");
        JsonNode first = new ObjectMapper()
                .readTree(Files.readAllLines(run.resolve("metrics.jsonl")).get(0));
        assertEquals(0x1p127, first.get("lossScale").asDouble());
        assertTrue(first.get("skippedSteps").isNumber(), first.toString());
        assertTrue(Files.readString(run.resolve("report.html")).contains("Loss scale"));
        assertEquals(
                "F32",
                new ObjectMapper()
                        .readTree(run.resolve("config.json").toFile())
                        .get("precision")
                        .asText());
        assertEquals(
                "f32",
                new ObjectMapper()
                        .readTree(run.resolve("summary.json").toFile())
                        .get("precision")
                        .asText());
        Ran other = run(train("scaled", "--resume", "--device", "cpu-f64"));
        assertEquals(Main.REFUSED, other.code());
        assertTrue(other.out().contains("cpu-f64 computes in f64, not in f32"), other.out());
        Ran asked = run(train("scaled", "--resume", "--device", "cpu-f64", "--precision", "f64"));
        assertEquals(Main.REFUSED, asked.code());
        assertTrue(asked.out().contains("the run is in f32 and the backend computes in f64"), asked.out());
    }

    @Test
    void train_withInvalidInput_printsOneLineAndWritesNothing() throws IOException {
        for (String[] bad : new String[][] {
            {"--data", folder.resolve("nowhere").toString(), "does not exist"},
            {"--chunk", "0", "--memory", "1", "--image-width", "512", "out of memory budget"},
            {"--chunk", "17", "chunk is 17, larger than the batch of 16"},
            {"--batch", "22", "--chunk", "3", "choose 2 to 21"},
            {"--batch", "0", "batch is 0, expected 2 pairs or more"},
            {"--batch", "1", "--chunk", "1", "batch of 1 pairs: expected at least 2"},
            {"--held-out-group", "x", "no group x"},
            {"--device", "tpu", "no backend"},
            {"--dropout", "1", "dropout"},
            {"--precision", "bf16", "backend cpu computes in f32, not in bf16; backends that do: cuda, sim"},
            {
                "--precision",
                "f32",
                "--device",
                "cpu-f64",
                "computes in f64, not in f32; backends that do: cpu, cuda, sim"
            },
            {"--loss-scale", "3", "a power of two"},
            {"--loss", "softmax", "no loss \"softmax\"; there are infonce, "},
            {"--loss", "queue", "--queue-size", "15", "choose one of at least 16"},
            {"--loss", "queue", "--momentum", "1", "momentum"},
            {"--queue-size", "64", "losses that have one: queue"},
            {"--loss", "queue", "--queue-size", "64.5", "queue-size"},
            {"--margin", "0.3", "losses that have one: triplet, triplet-hardest"},
            {"--loss", "triplet", "--margin", "2.5", "2.5"},
            {"--loss", "triplet", "--margin-reward", "-1", "-1.0"},
            {"--loss", "triplet", "--temperature", "0.1", "triplet has no temperature"},
            {"--temperature", "0.005", "0.005"},
            {"--temperature", "0.1", "--fixed-temperature", "0.1", "exclude each other"},
            {"--loss", "queue", "--fixed-temperature", "2", "0.01 to 1"},
            {"--loss", "sinkhorn", "--sinkhorn-tolerance", "0", "tolerance"},
            {"--loss", "sinkhorn", "--sinkhorn-iterations", "0", "1 to 1000"},
            {"--loss", "sinkhorn", "--sinkhorn-iterations", "3", "--sinkhorn-tolerance", "0.1", "exclude each other"},
            {"--loss", "bce-warmup", "--target-accuracy", "1", "target accuracy"},
            {"--loss", "bce-balanced", "--negative-weight", "-1", "-1.0"},
            {"--label-smoothing", "1", "label smoothing"},
            {"--loss", "queue", "--distillation", "1", "distillation"},
            {"--loss", "queue", "--distillation-ramp", "-1", "-1"},
            {"--loss", "infonce-distilled", "--momentum-ramp", "-1", "-1"},
            {"--guide-margin", "0.1", "guide"},
            {"--loss", "queue", "--guide", "x", "loss queue takes no guide"},
            {"--guide", folder.resolve("no-guide").toString(), "no checkpoint in"},
            {"--accumulate", "sums", "--accumulate is \"sums\", expected gradcache or features"},
            {"--accumulate", "features", "--chunk", "0", "need a chunk of 1 or more, got 0"},
            {"--save-every", "0", "save every 0 steps: expected 1 or more"},
            {"--recall-every", "-1", "recall every -1 steps: expected 1 or more, or 0"},
            {"--vocabulary", "-5", "vocabulary is -5, expected 3 token ids or more"},
            {"--learning-rate", "NaN", "learning rate is NaN, expected a finite number above 0"},
            {"--image-size", "33", "--image-size 33 is not a multiple of --patch 8"},
            {"--steps", "many", "Invalid value for option '--steps': 'many' is not a whole number"},
            {"--stepps", "3", "unknown option --stepps; did you mean"},
            {"--resume", "nothing to resume"}
        }) {
            String[] options = Arrays.copyOf(bad, bad.length - 1);
            Ran refused = run(train("bad", options));
            assertEquals(Main.REFUSED, refused.code(), refused.out());
            assertTrue(refused.out().contains(bad[bad.length - 1]), refused.out());
            assertTrue(
                    refused.out().lines().filter(line -> line.contains("error")).count() == 1
                            && !refused.out().contains("\tat "),
                    refused.out());
            assertTrue(!Files.exists(folder.resolve("bad/checkpoints")), refused.out());
        }
        Files.writeString(folder.resolve("pairs/a3.png"), "broken");
        Ran skipped = run(train("skipping"));
        assertEquals(0, skipped.code(), skipped.out());
        assertTrue(skipped.out().contains("left out 1: unreadable picture"), skipped.out());
        Ran strict = run(train("strict", "--strict"));
        assertEquals(Main.REFUSED, strict.code());
        assertTrue(strict.out().contains("line 11"), strict.out());
    }

    private String[] compare(String losses, String batches, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "compare-losses",
                "--device",
                "cpu",
                "--data",
                pairs().toString(),
                "--held-out-group",
                "c",
                "--unseen-share",
                "0.2",
                "--losses",
                losses,
                "--batches",
                batches,
                "--seeds",
                "1,2",
                "--steps",
                "2",
                "--chunk",
                "16",
                "--out",
                folder.resolve("losses").toString()));
        arguments.addAll(List.of(more));
        return arguments.toArray(new String[0]);
    }

    @Test
    void compareLosses_repeated_continues() throws IOException {
        Path losses = folder.resolve("losses");
        Ran part = run(compare("infonce,bce-warmup", "8,16"));
        assertEquals(0, part.code(), part.out());
        assertTrue(part.out().contains("8 of 8: bce-warmup-b16-s2"), part.out());
        Ran all = run(compare("infonce,bce-warmup,queue", "8,16"));
        assertEquals(0, all.code(), all.out());
        assertTrue(all.out().contains("9 of 12: queue-b8-s1"), all.out());
        assertTrue(all.out().contains("8 runs were finished before"), all.out());
        String table = Files.readString(losses.resolve("table.md"));
        assertTrue(table.contains("Each run saw 32 pairs; seeds 1, 2; 12 of 12 runs"), table);
        assertEquals(
                3 * 2 + 1,
                table.lines().filter(line -> line.startsWith("| queue |")).count(),
                table);
        assertTrue(table.lines().anyMatch(line -> line.startsWith("| queue |") && line.contains(" ± ")), table);
        assertEquals(1 + 12, Files.readAllLines(losses.resolve("cells.csv")).size());
        List<String> csv = Files.readAllLines(losses.resolve("table.csv"));
        assertEquals(1 + 3 * 2 * 3, csv.size(), csv.toString());
        assertEquals(
                1,
                csv.stream().map(line -> line.split(",", -1).length).distinct().count(),
                csv.toString());
        assertEquals(
                4,
                Files.readAllLines(losses.resolve("cells/queue-b8-s2/metrics.jsonl"))
                        .size(),
                "2 x 16 / 8");
        String plot = Files.readString(losses.resolve("losses-new-design.svg"));
        assertEquals(12, plot.split("<circle", -1).length - 1, plot);
        assertTrue(Files.readString(losses.resolve("batches-new-both.svg")).contains("<polyline"));
        assertTrue(!plot.contains("NaN"), plot);
        Ran other = run(compare("infonce", "8,16", "--steps", "4"));
        assertEquals(Main.REFUSED, other.code());
        assertTrue(other.out().contains("another configuration") && other.out().contains("--out"), other.out());
    }

    @Test
    void compareLosses_withInvalidInput_printsOneLineAndTrainsNothing() {
        for (String[] bad : new String[][] {
            {"infonce,softmax", "8,16", "no loss \"softmax\"; there are"},
            {"infonce,infonce", "8,16", "losses are [infonce, infonce], expected one or more, each once"},
            {"infonce", "5,16", "batches of 5 cannot see the 32 pairs"},
            {"infonce", "16,32", "choose 2 to 21"},
            {"infonce", "1", "batches of 1 "},
            {"infonce", "8", "--steps", "0", "steps is 0"},
            {"infonce", "8", "--save-every", "0", "save every 0 steps: expected 1 or more"}
        }) {
            Ran refused = run(compare(bad[0], bad[1], Arrays.copyOfRange(bad, 2, bad.length - 1)));
            assertEquals(Main.REFUSED, refused.code(), refused.out());
            assertTrue(refused.out().contains(bad[bad.length - 1]), refused.out());
            assertEquals(
                    1,
                    refused.out()
                            .lines()
                            .filter(line -> !line.startsWith("decoding"))
                            .count(),
                    refused.out());
            assertTrue(!Files.exists(folder.resolve("losses/cells")), refused.out());
        }
    }

    @Test
    void help_listsEveryLoss() {
        for (String command : List.of("train", "compare-losses")) {
            String help = run(command, "--help").out();
            for (String name : Losses.allNames()) {
                assertTrue(
                        help.lines()
                                .anyMatch(line -> line.startsWith("  " + name + " ")
                                        && line.endsWith(Losses.description(name))
                                        && line.length() < 80),
                        help);
            }
        }
    }
}
