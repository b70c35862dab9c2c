package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.train.TrainConfig;
import org.junit.jupiter.api.Test;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParseResult;

/** Options of a resumed run: some change the run, others must equal its configuration. */
class ResumeOptionsTest {
    /** Parses options of the command train. */
    private static ParseResult train(String... options) {
        List<String> all = new ArrayList<>(List.of("train"));
        all.addAll(List.of(options));
        return Main.commandLine().parseArgs(all.toArray(new String[0])).subcommand();
    }

    /** Returns the configuration of a new run with some options. */
    private static TrainConfig started(String... options) {
        return train(options).commandSpec().mixins().values().stream()
                .map(CommandSpec::userObject)
                .filter(TrainOptions.class::isInstance)
                .map(TrainOptions.class::cast)
                .findFirst()
                .orElseThrow()
                .config();
    }

    private static TrainConfig resumed(TrainConfig run, String... options) {
        return ResumeOptions.config(train(options), run);
    }

    @Test
    void everyOptionOfTrain_isInOneOfTheTables() {
        Set<String> names = new HashSet<>();
        train().commandSpec().options().forEach(option -> names.add(option.longestName()));
        Set<String> known = new HashSet<>(ResumeOptions.fixed().keySet());
        known.addAll(ResumeOptions.CHANGING);
        known.addAll(ResumeOptions.FREE);
        CommandSpec.forAnnotatedObject(new PretrainedTraining()) // --from cannot be resumed
                .options()
                .forEach(option -> known.add(option.longestName()));
        assertEquals(new TreeSet<>(known), new TreeSet<>(names));
    }

    /** Options of a new run and the table of fixed options agree. */
    @Test
    void config_withOptionsEqualToTheRun_isAccepted() {
        TrainConfig run = TrainConfig.emoji();
        List<String> options = new ArrayList<>();
        for (Map.Entry<String, Function<TrainConfig, Object>> option :
                ResumeOptions.fixed().entrySet()) {
            Object value = option.getValue().apply(run);
            if (value != null && !(value instanceof Boolean) && !value.equals("")) {
                options.add(option.getKey());
                options.add(value.toString());
            }
        }
        assertTrue(options.size() > 40, options.toString());
        assertEquals(run, resumed(run, options.toArray(new String[0])));
    }

    @Test
    void config_withDifferentOptions_isRejectedWithNamesAndValues() {
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> resumed(
                                TrainConfig.emoji(),
                                "--steps",
                                "80",
                                "--learning-rate",
                                "0.1",
                                "--loss",
                                "siglip",
                                "--batch",
                                "32",
                                "--queue-size",
                                "64",
                                "--no-augmentation"))
                .getMessage();
        for (String part : List.of(
                "--loss is infonce, got siglip",
                "--batch is 1024, got 32",
                "--queue-size is not set, got 64.0",
                "--no-augmentation is false, got true")) {
            assertTrue(message.contains(part), message);
        }
        assertTrue(!message.contains("--steps") && !message.contains("--learning-rate"), message);
    }

    @Test
    void config_withAllowedChanges_appliesThem() {
        TrainConfig changed = resumed(
                TrainConfig.emoji(), "--steps", "800", "--learning-rate", "0.1", "--memory", "64", "--data", "other");
        assertEquals(800, changed.steps());
        assertEquals(0.1, changed.learningRate());
        assertEquals(64L << 20, changed.memoryBudget());
        assertEquals(Path.of("other").toAbsolutePath().toString(), changed.data());
    }

    @Test
    void chunk_byDefault_isAtMostTheBatch() {
        assertEquals(8, started("--batch", "8").chunk());
        assertEquals(128, started("--batch", "256").chunk());
        assertEquals(4, started("--batch", "8", "--chunk", "4").chunk());
    }

    @Test
    void config_withModelSizes_hasThem() {
        TrainConfig config = started(
                "--image-size",
                "64",
                "--patch",
                "16",
                "--image-width",
                "120",
                "--image-heads",
                "4",
                "--image-layers",
                "2",
                "--text-width",
                "60",
                "--text-heads",
                "2",
                "--text-length",
                "20",
                "--embedding",
                "100");
        assertEquals(64, config.model().image().imageSize());
        assertEquals(16, config.model().image().stride());
        assertEquals(120, config.model().image().transformer().width());
        assertEquals(480, config.model().image().transformer().mlpWidth());
        assertEquals(4, config.model().image().transformer().heads());
        assertEquals(2, config.model().image().transformer().layers());
        assertEquals(60, config.model().text().transformer().width());
        assertEquals(120, config.model().text().transformer().mlpWidth());
        assertEquals(2, config.model().text().transformer().heads());
        assertEquals(20, config.model().text().maxTokens());
        assertEquals(100, config.model().text().embedding());
    }

    @Test
    void augmentation_byDefault_isThatOfTheDefaultDataOnlyForThem() {
        assertEquals("emoji", started().augmentation().name());
        assertEquals("clip", started("--data", "other").augmentation().name());
        assertEquals(
                "none",
                started("--data", "other", "--no-augmentation").augmentation().name());
        assertEquals("clip", started("--augmentation", "clip").augmentation().name());
        assertThrows(IllegalArgumentException.class, () -> started("--augmentation", "clip", "--no-augmentation"));
        assertThrows(IllegalArgumentException.class, () -> started("--jitter-probability", "0.5"));
    }

    @Test
    void augmentation_withOptions_hasThem_andIsAcceptedAgain() {
        String[] options = {
            "--augmentation",
            "clip",
            "--crop-scale",
            "0.5",
            "--crop-ratio",
            "2",
            "--brightness",
            "0.4",
            "--hue",
            "0.1",
            "--jitter-probability",
            "0.8",
            "--grey-probability",
            "0.2",
            "--flip-probability",
            "0.5"
        };
        TrainConfig run = started(options);
        assertEquals(
                Augmentation.none()
                        .with(new Augmentation.RandomResizedCrop(0.5, 1, 0.5, 2))
                        .with(new Augmentation.ColorJitter(0.4, 0, 0, 0.1, 0.8), 0.2, 0.5),
                run.augmentation());
        assertEquals(run, resumed(run, options));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> resumed(run, "--crop-scale", "0.6"))
                .getMessage()
                .contains("--crop-scale is 0.5, got 0.6"));
    }
}
