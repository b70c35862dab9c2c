package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The commands for pretrained models as a user types them, on the model of {@code test-data/pretrained/commands}. */
class PretrainedCommandsTest {
    private static final Path DATA = Path.of("test-data/pretrained/commands");
    private static final String CLIP = DATA.resolve("clip").toString();
    private static final String PAIRS = DATA.resolve("pairs").toString();
    private static final String RED = DATA.resolve("pairs/p00.png").toString();

    @TempDir
    Path folder;

    /** Exit code and everything printed. */
    private record Ran(int code, String out) {
        Ran succeeded() {
            assertEquals(0, code, out);
            return this;
        }

        void refused(String part) {
            assertEquals(Main.REFUSED, code, out);
            assertTrue(out.startsWith("error: ") && out.contains(part), out);
            assertEquals(1, out.lines().count(), "one sentence: " + out);
        }
    }

    private static Ran run(String... arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of("--device", "cpu"));
        try {
            System.setOut(both);
            System.setErr(both);
            return new Ran(Main.run(all.toArray(new String[0])), bytes.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
    }

    private static Ran words(String line) {
        return run(line.trim().split("\\s+"));
    }

    private Ran train(String out, String options) {
        return words("train --from " + CLIP + " --data " + PAIRS + " --held-out-group none --unseen-share 0 --batch 9"
                + " --steps 2 --out " + folder.resolve(out) + " " + options);
    }

    /** The numbers of a file that {@code embed} writes. */
    private static float[] numbers(Path npy) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(npy)).order(ByteOrder.LITTLE_ENDIAN);
        bytes.position(10 + bytes.getShort(8));
        float[] numbers = new float[bytes.remaining() / Float.BYTES];
        bytes.asFloatBuffer().get(numbers);
        return numbers;
    }

    private float[] pictures(String options) throws IOException {
        Path out = Files.createTempDirectory(folder, "embedded");
        words("embed --data " + PAIRS + " --out " + out + " " + options).succeeded();
        return numbers(out.resolve("pictures.npy"));
    }

    @Test
    void embed_tinyClipFolder_writesTheRepresentationsOfAnIndependentProgram() throws IOException {
        Path out = folder.resolve("embedded");
        words("embed --from " + CLIP + " --data " + PAIRS + " --out " + out).succeeded();
        try (SafetensorsFile expected = SafetensorsFile.open(DATA.resolve("expected.safetensors"))) {
            for (String name : List.of("pictures", "captions")) {
                Entry entry = expected.entries().get(name);
                ByteBuffer bytes =
                        ByteBuffer.allocate((int) (entry.end() - entry.begin())).order(ByteOrder.LITTLE_ENDIAN);
                expected.read(entry, 0, bytes);
                bytes.flip();
                float[] got = numbers(out.resolve(name + ".npy"));
                assertEquals(18 * 18, got.length);
                for (float number : got) {
                    assertEquals(bytes.getDouble(), number, 1e-6, name);
                }
            }
        }
        List<String> keys = Files.readAllLines(out.resolve("keys.tsv"));
        assertEquals(19, keys.size());
        assertEquals("0\tp00.png\ta red square 0\ttrue", keys.get(1));
    }

    @Test
    void trainWithLora_thenMerge_mergedModelEqualsBaseWithAdapterAndDiffersFromBase() throws IOException {
        Ran trained = train("run", "--lora-rank 2 --lora-dropout 0.1 --chunk 4 --save-every 1")
                .succeeded();
        assertEquals(2, Files.readAllLines(folder.resolve("run/metrics.jsonl")).size());
        Path adapter = folder.resolve("run/adapter");
        assertTrue(Files.readString(adapter.resolve("adapter_config.json")).contains("\"LORA\""));

        Path merged = folder.resolve("merged");
        words("merge --from " + CLIP + " --adapter " + adapter + " --out " + merged)
                .succeeded();
        float[] ofMerged = pictures("--from " + merged);
        assertArrayEquals(pictures("--from " + CLIP + " --adapter " + adapter), ofMerged, 1e-6f);
        float difference = 0;
        float[] ofBase = pictures("--from " + CLIP);
        for (int i = 0; i < ofBase.length; i++) {
            difference = Math.max(difference, Math.abs(ofBase[i] - ofMerged[i]));
        }
        assertTrue(difference > 1e-5, "the adapter changed the representations by " + difference);

        train("run", "--lora-rank 2").refused("holds a run already");
    }

    private static void delete(Path path) throws IOException {
        try (Stream<Path> files = Files.walk(path)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    /** Losses of all steps. */
    private static List<String> losses(Path run) throws IOException {
        return Files.readAllLines(run.resolve("metrics.jsonl")).stream()
                .map(line -> line.replaceAll(".*(\"loss\":[^,]*),.*", "$1"))
                .toList();
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "--lora-rank 2 --lora-dropout 0.2 --base-weights BF16 --chunk 4 | adapter/adapter_model.safetensors",
                "--lock-image --unlock-blocks 1 --layer-decay 0.5 --picture-size 15 | model/model.safetensors"
            })
    void resume_afterTheProcessDiedBetweenCheckpoints_givesTheBitsOfTheUninterruptedRun(String options, String result)
            throws IOException {
        train("run", options + " --steps 4 --warmup 1 --save-every 2").succeeded();
        Path run = folder.resolve("run");
        List<String> expected = losses(run);
        byte[] weights = Files.readAllBytes(run.resolve(result));
        byte[] moments = Files.readAllBytes(run.resolve("checkpoints/step-00000004/optimizer.safetensors"));
        delete(run.resolve("checkpoints/step-00000004"));
        delete(run.resolve(result).getParent());

        words("train --resume --out " + run).succeeded();
        assertEquals(expected, losses(run));
        assertArrayEquals(weights, Files.readAllBytes(run.resolve(result)));
        assertArrayEquals(moments, Files.readAllBytes(run.resolve("checkpoints/step-00000004/optimizer.safetensors")));
        for (String file : List.of("report.html", "summary.json", "run.json", "examples.png")) {
            assertTrue(Files.size(run.resolve(file)) > 100, file);
        }
        assertTrue(Files.readString(run.resolve("config.json")).contains("\"fingerprint\""));
    }

    @Test
    void resume_withChangedOptions_appliesThoseOfEveryRunAndRefusesOthersByName() throws IOException {
        String run = " --resume --out " + folder.resolve("run");
        train("run", "--lora-rank 2 --save-every 2").succeeded();
        words("train" + run + " --lora-rank 3 --lora-targets q --lock-text --picture-size 10 --batch 8")
                .refused("--batch is 9, got 8");
        words("train" + run + " --lora-rank 3 --lora-targets q --lock-text --picture-size 15")
                .refused("--lock-text is false, got true; --lora-rank is 2, got 3;"
                        + " --lora-targets is [q, v], got [q]; --picture-size is not set, got 15");
        words("train" + run + " --loss siglip").refused("--loss: without effect with --from");
        words("search red --run " + folder.resolve("run")).refused("fine-tunes a pretrained model");
        words("train" + run + " --from " + Path.of("test-data/pretrained/clip-exact"))
                .refused("has no tokenizer");
        words("train" + run + " --lora-rank 2 --steps 3 --learning-rate 1e-3 --memory 512 --from " + CLIP)
                .succeeded();
        List<String> lines = Files.readAllLines(folder.resolve("run/metrics.jsonl"));
        assertEquals(3, lines.size());
        assertTrue(Files.readString(folder.resolve("run/config.json")).contains("\"learningRate\" : 0.001"));
    }

    @Tag("exhaustive") // starts a process
    @DisabledOnOs(OS.WINDOWS) // ends a process without telling it
    @Test
    void train_terminated_savesCheckpointAndAdapterAndCanBeResumed() throws Exception {
        Path run = folder.resolve("run");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        command.addAll(List.of(("train --device cpu --from " + CLIP + " --data " + PAIRS
                        + " --held-out-group none --unseen-share 0 --batch 9 --lora-rank 2 --steps 100000"
                        + " --save-every 1000000 --out " + run)
                .split(" ")));
        Path log = folder.resolve("log");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            Path metrics = run.resolve("metrics.jsonl");
            for (int k = 0; k < 6000 && process.isAlive(); k++) {
                if (Files.exists(metrics) && Files.size(metrics) > 0) {
                    break;
                }
                Thread.sleep(10);
            }
            process.destroy(); // SIGTERM; a background job of a shell would ignore the signal of Ctrl-C
            assertTrue(process.waitFor(60, TimeUnit.SECONDS), Files.readString(log));
        } finally {
            process.destroyForcibly();
        }
        assertTrue(Files.readString(log).contains("continue with: train --resume --out"), Files.readString(log));
        assertTrue(Files.exists(run.resolve("adapter/adapter_model.safetensors")));
        int steps = losses(run).size();
        words("train --resume --out " + run + " --steps " + (steps + 1)).succeeded();
        assertEquals(steps + 1, losses(run).size());
    }

    @Test
    void resume_onAChangedModel_isRefused() throws IOException {
        Path model = folder.resolve("model");
        words("merge --from " + CLIP + " --out " + model).succeeded();
        String options = " --held-out-group none --unseen-share 0 --batch 9 --steps 2 --lora-rank 1 --data " + PAIRS;
        words("train --out " + folder.resolve("run") + " --from " + model + options)
                .succeeded();
        Path file = model.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] ^= 1;
        Files.write(file, bytes);
        words("train --resume --out " + folder.resolve("run"))
                .refused("the model is not the one that the run trains: fingerprint is");
    }

    @Test
    void pictureSize_otherThanTheModels_isSavedWithTheModel() throws IOException {
        Path wide = folder.resolve("wide");
        words("merge --from " + CLIP + " --picture-size 25 --out " + wide).succeeded();
        assertArrayEquals(pictures("--from " + CLIP + " --picture-size 25"), pictures("--from " + wide));
        assertTrue(Files.readString(wide.resolve("config.json")).contains("\"image_size\" : 25"));
        words("merge --from " + CLIP + " --picture-size 21 --out " + wide)
                .refused("picture size is 21, expected a multiple of the patch of 5");
        words("merge --from " + CLIP + " --picture-size 0 --out " + wide).refused("--picture-size is 0");
    }

    @Test
    void trainWithLora_trainsTheAdaptersAndNeitherScaleNorBias() {
        int image = 3 * 2 * (2 * 24 + 24 * 2); // blocks, q and v, A and B
        int text = 2 * 2 * (2 * 20 + 20 * 2);
        Ran ran = train("run", "--lora-rank 2 --steps 1").succeeded();
        assertTrue(ran.out().contains((image + text) + " trained parameters"), ran.out());
    }

    @Test
    void trainWithLockedTower_changesOnlyTheOtherTower() throws IOException {
        train("run", "--lock-image").succeeded();
        String tuned = "--from " + folder.resolve("run/model");
        assertArrayEquals(pictures("--from " + CLIP), pictures(tuned));
        Path captions = folder.resolve("captions");
        words("embed --data " + PAIRS + " --out " + captions + " " + tuned).succeeded();
        Path before = folder.resolve("before");
        words("embed --data " + PAIRS + " --out " + before + " --from " + CLIP).succeeded();
        assertNotEquals(-1, Files.mismatch(captions.resolve("captions.npy"), before.resolve("captions.npy")));
    }

    @Test
    void merge_untouchedModel_writesTheSameBytes() throws IOException {
        Path out = folder.resolve("copy");
        words("merge --from " + CLIP + " --out " + out).succeeded();
        for (String file : List.of("model.safetensors", "config.json", "vocab.json", "preprocessor_config.json")) {
            assertEquals(-1, Files.mismatch(Path.of(CLIP, file), out.resolve(file)), file);
        }
        words("merge --from " + CLIP + " --out " + CLIP).refused("the folder that the model was read from");
    }

    @Test
    void merge_wiseFtOfOne_isTheFineTunedModelAndOfZeroItsStart() throws IOException {
        train("run", "--lock-text --unlock-blocks 1").succeeded();
        String options = "--from " + folder.resolve("run/model") + " --start " + CLIP + " --wise-ft ";
        assertArrayEquals(pictures("--from " + folder.resolve("run/model")), pictures(options + "1"), 1e-6f);
        assertArrayEquals(pictures("--from " + CLIP), pictures(options + "0"), 1e-6f);
    }

    @Test
    void zeroShot_threeClasses_sharesAddUpToOne() {
        Ran ran = run("zero-shot", "--from", CLIP, "--classes", "red;green;blue", RED)
                .succeeded();
        List<String> lines = ran.out().lines().toList();
        assertEquals(4, lines.size(), ran.out());
        double sum = lines.stream()
                .skip(1)
                .mapToDouble(line -> Double.parseDouble(line.trim().split("%")[0]))
                .sum();
        assertEquals(100, sum, 0.02, ran.out());
    }

    @Test
    void search_printsTheAskedNumberOfMatchesAndDrawsASheet() throws IOException {
        Path sheet = folder.resolve("sheet.png");
        Ran ran = run(
                        "search",
                        "red square",
                        "--from",
                        CLIP,
                        "--data",
                        PAIRS,
                        "--top",
                        "3",
                        "--sheet",
                        sheet.toString())
                .succeeded();
        assertEquals(3, ran.out().lines().filter(line -> line.contains("[p")).count(), ran.out());
        assertTrue(Files.size(sheet) > 500);
    }

    @Test
    void eval_printsRecallZeroShotAndLinearProbe() {
        Ran ran = words("eval --from " + CLIP + " --data " + PAIRS + " --classes red;green;blue")
                .succeeded();
        assertTrue(ran.out().contains("image to text") && ran.out().contains("text to image"), ran.out());
        assertTrue(ran.out().contains("of 18 pictures in 3 classes"), ran.out());
        assertTrue(ran.out().contains("linear probe"), ran.out());
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "--lora-alpha 2 --lora-targets q | --lora-alpha, --lora-targets: only for low-rank adapters",
                "--base-weights BF16 | --base-weights: only for low-rank adapters",
                "--lora-rank 2 --unlock-blocks 1 --lock-text | --unlock-blocks: cannot be combined with --lora-rank",
                "--unlock-blocks 1 | --unlock-blocks: only for a locked tower",
                "--loss siglip --image-width 8 | --loss, --image-width: without effect with --from",
                "--dropout 0.1 | --dropout: without effect with --from",
                "--lora-rank 0 | LoRA rank is 0, expected 1 or more",
                "--lora-rank 99 | LoRA rank 99 exceeds the width",
                "--lora-rank 2 --lora-targets zz | LoRA target zz names no layer of this model",
                "--lock-image --lock-text | nothing is left to train",
                "--layer-decay 2 | layer-wise decay is 2.0, expected above 0 and at most 1",
            })
    void trainFrom_optionWithoutEffectOrOutOfRange_isRefusedByName(String options, String message) {
        train("run", options).refused(message);
        assertFalse(Files.exists(folder.resolve("run/metrics.jsonl")));
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "train --lora-rank 2 --lock-image | --lock-image, --lora-rank: only for fine-tuning",
                "train --layer-decay 0.5 | --layer-decay: only for fine-tuning",
                "search red --adapter x | --adapter: only for a pretrained model",
                "eval --wise-ft 0.5 --start x | --wise-ft, --start: only for a pretrained model",
                "eval --from CLIP | name a folder of pairs with --data",
                "eval --from CLIP --data PAIRS --run x | --run: cannot be combined with --from",
                "embed --from CLIP --out OUT | name a folder of pairs with --data",
                "embed --from CLIP --out OUT --data PAIRS --start CLIP | --start: only for interpolated weights",
                "embed --from CLIP --out CLIP/config.json --data PAIRS | cannot be written",
                "merge --from CLIP --out OUT --wise-ft 2 --start CLIP | --wise-ft is 2.0, expected 0 to 1",
                "merge --from CLIP --out OUT --wise-ft 0.5 | --wise-ft needs the model that fine-tuning started from",
                "merge --from CLIP --out OUT --adapter PAIRS | has no adapter_config.json",
                "merge --out OUT | no model is given",
                "search red --from CLIP --data PAIRS --group x | no pictures of group x",
                "search red --from NOSUCH --data PAIRS | it does not exist",
                "zero-shot --from CLIP --classes red;blue NOSUCH | is not a file, expected a picture",
                "zero-shot --from CLIP --classes red;blue CLIP/config.json | is not a picture in a supported format",
                "zero-shot --from CLIP --classes red;;blue RED | --classes has an empty name",
                "zero-shot --from CLIP --classes red;blue --prompt photo RED | has no {}",
                "zero-shot --from CLIP --classes red;blue --top 0 RED | --top is 0, expected 1 or more",
            })
    void commandWithWrongInput_isRefusedInOneSentence(String line, String message) {
        words(line.replace("CLIP", CLIP)
                        .replace("PAIRS", PAIRS)
                        .replace("NOSUCH", folder.resolve("nothing").toString())
                        .replace("RED", RED)
                        .replace("OUT", folder.resolve("out").toString()))
                .refused(message);
    }
}
