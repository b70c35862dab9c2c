package org.contrastive4j.train;

import static org.contrastive4j.loss.LossOption.DISTILLATION;
import static org.contrastive4j.loss.LossOption.DISTILLATION_RAMP;
import static org.contrastive4j.loss.LossOption.FIXED_TEMPERATURE;
import static org.contrastive4j.loss.LossOption.GUIDE_MARGIN;
import static org.contrastive4j.loss.LossOption.LABEL_SMOOTHING;
import static org.contrastive4j.loss.LossOption.MARGIN;
import static org.contrastive4j.loss.LossOption.MARGIN_REWARD;
import static org.contrastive4j.loss.LossOption.MOMENTUM;
import static org.contrastive4j.loss.LossOption.MOMENTUM_RAMP;
import static org.contrastive4j.loss.LossOption.NEGATIVE_WEIGHT;
import static org.contrastive4j.loss.LossOption.QUEUE_SIZE;
import static org.contrastive4j.loss.LossOption.RELATIVE_GUIDE_MARGIN;
import static org.contrastive4j.loss.LossOption.SINKHORN_ITERATIONS;
import static org.contrastive4j.loss.LossOption.SINKHORN_TOLERANCE;
import static org.contrastive4j.loss.LossOption.TARGET_ACCURACY;
import static org.contrastive4j.loss.LossOption.TEMPERATURE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.Backend;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.loss.LossOption;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.contrastive4j.train.TrainConfig.Accumulation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Options of losses, guides and accumulation in the training loop and in checkpoints. */
class LossOptionsTest {
    private static final int BATCH = 12;

    @TempDir
    Path folder;

    private TrainConfig config(int steps, int chunk, LossConfig loss) {
        return Configs.of(
                PairFiles.folder(folder.resolve("pairs"), 20).toString(),
                true,
                "c",
                0.2,
                3,
                steps,
                BATCH,
                chunk,
                1L << 30,
                1e-2,
                2,
                1,
                60,
                new Augmentation(0.1, 0.1, 10, 0.2, 0.3, 0.2),
                new AdamW.Config(0.9, 0.98, 1e-8, 0.1),
                TinyPairs.model(0.1),
                loss);
    }

    private static PairDataset data(TrainConfig config) {
        return PairDataset.open(Path.of(config.data()), config.strict());
    }

    private static List<double[]> weights(Trainer trainer) {
        return trainer.parameters().stream().map(p -> p.value().toDoubles()).toList();
    }

    private static void assertSame(List<double[]> a, List<double[]> b) {
        assertEquals(a.size(), b.size());
        for (int k = 0; k < a.size(); k++) {
            assertArrayEquals(a.get(k), b.get(k));
        }
    }

    /** Every option with a value other than its default. */
    static List<LossConfig> changed() {
        LossConfig queue = LossConfig.named("queue", BATCH).with(QUEUE_SIZE, 17).with(MOMENTUM, 0.8);
        return List.of(
                LossConfig.named("infonce", BATCH).with(TEMPERATURE, 0.2),
                LossConfig.named("infonce-fourway", BATCH).with(FIXED_TEMPERATURE, 0.2),
                LossConfig.named("infonce-rows", BATCH).with(LABEL_SMOOTHING, 0.2),
                LossConfig.named("bce-balanced", BATCH).with(NEGATIVE_WEIGHT, 0.3),
                LossConfig.named("bce-warmup", BATCH).with(TARGET_ACCURACY, 0.2),
                LossConfig.named("triplet", BATCH).with(MARGIN, 0.4),
                LossConfig.named("triplet-semihard", BATCH).with(MARGIN_REWARD, 0.7),
                LossConfig.named("sinkhorn", BATCH).with(SINKHORN_ITERATIONS, 2),
                LossConfig.named("sinkhorn", BATCH).with(SINKHORN_TOLERANCE, 1e-4),
                LossConfig.named("sinkhorn-symmetric", BATCH)
                        .with(SINKHORN_TOLERANCE, 1e-4)
                        .with(FIXED_TEMPERATURE, 0.2),
                queue.with(TEMPERATURE, 0.1),
                queue.with(MOMENTUM_RAMP, 4),
                queue.with(DISTILLATION, 0.4).with(DISTILLATION_RAMP, 4),
                LossConfig.named("infonce-distilled", BATCH)
                        .with(DISTILLATION, 0.7)
                        .with(DISTILLATION_RAMP, 3)
                        .with(MOMENTUM, 0.7)
                        .with(MOMENTUM_RAMP, 9));
    }

    @ParameterizedTest
    @SampledSource(value = "changed", every = 7)
    void train_withAnOption_differsFromTheDefaultAndResumesInTheSameBits(LossConfig loss) {
        TrainConfig config = config(6, 5, loss);
        PairDataset data = data(config);
        try (Ops ops = Backend.open("cpu")) {
            List<Map<String, Object>> ofDefaults = new ArrayList<>();
            try (Trainer trainer = Trainer.start(ops, config(6, 5, LossConfig.named(loss.name(), BATCH)), data)) {
                while (trainer.hasNext()) {
                    ofDefaults.add(trainer.next().asMap());
                }
            }
            List<Map<String, Object>> lines = new ArrayList<>();
            List<double[]> uninterrupted;
            Checkpoint checkpoints = new Checkpoint(folder.resolve("half"), 1);
            try (Trainer trainer = Trainer.start(ops, config, data)) {
                long planned = trainer.plan().peak();
                ops.memory().resetPeak();
                while (trainer.hasNext()) {
                    if (trainer.step() == 3) {
                        trainer.save(checkpoints);
                    }
                    lines.add(trainer.next().asMap());
                }
                assertTrue(
                        ops.memory().peakBytes() <= planned, ops.memory().peakBytes() + " bytes, planned " + planned);
                uninterrupted = weights(trainer);
            }
            assertNotEquals(ofDefaults, lines, "the option changes nothing");
            try (Trainer trainer =
                    Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                assertEquals(
                        config.toBuilder()
                                .precision(ops.precision())
                                .lossScale(null)
                                .build(),
                        trainer.config());
                for (int k = 3; k < 6; k++) {
                    assertEquals(lines.get(k), trainer.next().asMap());
                }
                assertSame(uninterrupted, weights(trainer));
            }
            assertEquals(0, ops.memory().currentBytes());
        }
    }

    private List<Map<String, Object>> run(LossConfig loss, int steps) {
        TrainConfig config = config(steps, 5, loss);
        try (Ops ops = Backend.open("cpu-f64");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            List<Map<String, Object>> lines = new ArrayList<>();
            while (trainer.hasNext()) {
                lines.add(trainer.next().asMap());
            }
            return lines;
        }
    }

    @Test
    void train_withFixedOrLearnedParameters_changesOnlyLearnedOnes() {
        List<Map<String, Object>> margins =
                run(LossConfig.named("triplet", BATCH).with(MARGIN_REWARD, 40), 3);
        assertTrue((double) margins.get(2).get("margin") > 0.2, "far fewer hinges are active: " + margins);
        assertFalse(run(LossConfig.named("triplet", BATCH), 1).get(0).containsKey("margin"));
        List<Map<String, Object>> fixed =
                run(LossConfig.named("sinkhorn", BATCH).with(FIXED_TEMPERATURE, 0.25), 3);
        assertEquals(4, (double) fixed.get(2).get("logitScale"), 1e-12);
        List<Map<String, Object>> learnt =
                run(LossConfig.named("sinkhorn", BATCH).with(TEMPERATURE, 0.25), 3);
        assertTrue(Math.abs((double) learnt.get(2).get("logitScale") - 4) > 1e-4, learnt.toString());
        LossConfig distilled = LossConfig.named("infonce-distilled", BATCH).with(DISTILLATION_RAMP, 2);
        assertEquals(
                List.of(0.0, 0.2, 0.4, 0.4),
                run(distilled, 4).stream().map(of -> of.get("distillation")).toList());
        LossConfig queue = LossConfig.named("queue", BATCH).with(DISTILLATION, 0.3);
        assertEquals(
                List.of(0.3, 0.3),
                run(queue, 2).stream().map(of -> of.get("distillation")).toList());
    }

    /** With a share of 0, distillation equals InfoNCE. */
    @Test
    void train_withDistillationOfShareZero_equalsInfoNce() {
        List<Map<String, Object>> plain = run(LossConfig.named("infonce", BATCH), 4);
        List<Map<String, Object>> withZeroShare =
                run(LossConfig.named("infonce-distilled", BATCH).with(DISTILLATION, 0), 4);
        for (int k = 0; k < 4; k++) {
            for (String field : List.of("loss", "rowAccuracy", "gradientNorm", "logitScale")) {
                assertEquals(
                        (double) plain.get(k).get(field),
                        (double) withZeroShare.get(k).get(field),
                        1e-9,
                        field);
            }
        }
    }

    @Test
    void config_withInvalidOptions_isRejected() {
        LossConfig infonce = LossConfig.named("infonce", BATCH);
        assertEquals(0.3, infonce.with(TEMPERATURE, 0.3).options().get(TEMPERATURE));
        assertEquals(
                Map.of(FIXED_TEMPERATURE, 0.3, LABEL_SMOOTHING, 0.0, GUIDE_MARGIN, 0.0),
                infonce.with(FIXED_TEMPERATURE, 0.3).options(),
                "an option replaces the options that it excludes");
        assertEquals(infonce, new LossConfig("infonce", Map.of(), null));
        for (Map<LossOption, Double> bad : List.of(
                Map.of(MARGIN, 0.2),
                Map.of(QUEUE_SIZE, 20.0),
                Map.of(TEMPERATURE, 0.1, FIXED_TEMPERATURE, 0.1),
                Map.of(GUIDE_MARGIN, 0.1),
                Map.of(RELATIVE_GUIDE_MARGIN, 0.0))) {
            assertThrows(LossOptionException.class, () -> new LossConfig("infonce", bad, ""), bad.toString());
        }
        LossConfig queue = LossConfig.named("queue", BATCH);
        for (double size : new double[] {0, -1, 12.5, Double.NaN, 1e12}) {
            assertThrows(LossOptionException.class, () -> queue.with(QUEUE_SIZE, size), Double.toString(size));
        }
        assertThrows(LossOptionException.class, () -> queue.with(MOMENTUM, 1));
        assertThrows(LossOptionException.class, () -> queue.with(DISTILLATION, 1));
        assertThrows(LossOptionException.class, () -> queue.with(MOMENTUM_RAMP, -1));
        assertThrows(LossOptionException.class, () -> new LossConfig("queue", queue.options(), "runs/guide"));
        assertThrows(LossOptionException.class, () -> new LossConfig("no-such-loss", Map.of(), ""));
        assertEquals(2000, LossConfig.named("queue", 2000).queueSize());
        assertThrows(
                IllegalArgumentException.class,
                () -> config(3, 0, infonce).toBuilder()
                        .accumulation(Accumulation.FEATURES)
                        .build());
    }

    @Test
    void read_ofAnOldConfiguration_addsDefaults() throws IOException {
        ObjectMapper json = new ObjectMapper();
        assertEquals(
                LossConfig.named("queue", BATCH).with(QUEUE_SIZE, 64).with(MOMENTUM, 0.9),
                json.readValue("{\"name\": \"queue\", \"queueSize\": 64, \"momentum\": 0.9}", LossConfig.class));
        assertEquals(
                LossConfig.named("siglip", BATCH),
                json.readValue("{\"name\": \"siglip\", \"queueSize\": 0, \"momentum\": 0.0}", LossConfig.class));
        for (LossConfig loss : changed()) {
            TrainConfig config = config(6, 5, loss).toBuilder()
                    .accumulation(Accumulation.FEATURES)
                    .build();
            JsonNode written = json.valueToTree(config);
            assertEquals(config, json.readValue(json.writeValueAsBytes(written), TrainConfig.class));
            ((ObjectNode) written).remove("accumulation");
            assertEquals(
                    config.toBuilder().accumulation(Accumulation.GRADCACHE).build(),
                    json.treeToValue(written, TrainConfig.class));
        }
    }

    static Set<String> losses() {
        return Losses.allNames();
    }

    /** Chunks have the same bounds, so all bits agree for every loss; the log-scale has one gradient. */
    @ParameterizedTest
    @SampledSource(value = "losses", every = 4)
    void accumulatedFeatures_withTheSameChunks_equalGradientCaching(String name) {
        TrainConfig config = config(5, 4, LossConfig.named(name, BATCH));
        PairDataset data = data(config);
        List<List<double[]>> learnt = new ArrayList<>();
        List<List<Map<String, Object>>> lines = new ArrayList<>();
        try (Ops ops = Backend.open("cpu")) {
            for (Accumulation accumulation : Accumulation.values()) {
                Checkpoint checkpoints = new Checkpoint(folder.resolve(accumulation.name()), 1);
                List<Map<String, Object>> steps = new ArrayList<>();
                try (Trainer trainer = Trainer.start(
                        ops, config.toBuilder().accumulation(accumulation).build(), data)) {
                    steps.add(trainer.next().asMap());
                    steps.add(trainer.next().asMap());
                    trainer.save(checkpoints);
                }
                try (Trainer trainer =
                        Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                    assertEquals(accumulation, trainer.config().accumulation());
                    while (trainer.hasNext()) {
                        steps.add(trainer.next().asMap());
                    }
                    learnt.add(weights(trainer));
                }
                lines.add(steps);
            }
            assertEquals(lines.get(0), lines.get(1));
            assertSame(learnt.get(0), learnt.get(1));
            assertEquals(0, ops.memory().currentBytes());
        }
    }

    /** Chunks have different bounds (5, 5, 2 and 4, 4, 4), so the weights agree up to rounding. */
    @ParameterizedTest
    @ValueSource(strings = {"siglip", "queue"})
    void accumulatedFeatures_withOtherChunks_agreeUpToRounding(String name) {
        List<List<double[]>> learnt = new ArrayList<>();
        for (Accumulation accumulation : Accumulation.values()) {
            TrainConfig config = config(4, 5, LossConfig.named(name, BATCH)).toBuilder()
                    .accumulation(accumulation)
                    .build();
            try (Ops ops = Backend.open("cpu-f64");
                    Trainer trainer = Trainer.start(ops, config, data(config))) {
                while (trainer.hasNext()) {
                    trainer.next();
                }
                learnt.add(weights(trainer));
            }
        }
        for (int k = 0; k < learnt.get(0).size(); k++) {
            assertArrayEquals(learnt.get(0).get(k), learnt.get(1).get(k), 1e-8);
        }
    }

    /** Returns a run folder with a model after one step. */
    private Path guide(String name, long seed) {
        TrainConfig base = config(1, 5, null);
        TrainConfig config = Configs.of(
                base.data(),
                true,
                "c",
                0,
                seed,
                1,
                BATCH,
                5,
                1L << 30,
                1e-2,
                2,
                1,
                200,
                base.augmentation(),
                base.optimizer(),
                TinyPairs.model(0),
                base.loss());
        Path run = folder.resolve(name);
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            trainer.next();
            trainer.save(new Checkpoint(run.resolve("checkpoints"), 1));
        }
        return run;
    }

    @ParameterizedTest
    @SampledSource(
            every = 5,
            csv = {"infonce", "infonce-fourway", "siglip", "triplet-hardest", "sinkhorn"})
    void train_withAGuide_ignoresSimilarPairsAndResumesInTheSameBits(String name) {
        Path run = guide("guide", 5);
        for (LossConfig loss : List.of(
                new LossConfig(name, Map.of(GUIDE_MARGIN, 0.01), run.toString()),
                new LossConfig(name, Map.of(RELATIVE_GUIDE_MARGIN, 0.02), run.toString()))) {
            TrainConfig config = config(4, 5, loss);
            PairDataset data = data(config);
            Checkpoint checkpoints = new Checkpoint(folder.resolve("half"), 1);
            try (Ops ops = Backend.open("cpu")) {
                List<double[]> uninterrupted;
                try (Trainer trainer = Trainer.start(ops, config, data)) {
                    long planned = trainer.plan().peak();
                    ops.memory().resetPeak();
                    double ignored = (double) trainer.next().details().get("ignoredShare");
                    assertTrue(ignored > 0.05 && ignored < 1, "share of ignored pairs is " + ignored);
                    trainer.next();
                    trainer.save(checkpoints);
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                    assertTrue(
                            ops.memory().peakBytes() <= planned,
                            ops.memory().peakBytes() + " bytes, planned " + planned);
                    uninterrupted = weights(trainer);
                }
                try (Trainer trainer =
                        Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                    assertSame(uninterrupted, weights(trainer));
                }
                assertEquals(0, ops.memory().currentBytes());
            }
        }
    }

    @Test
    void resume_withAChangedGuide_isRejected() {
        Path run = guide("guide", 5);
        TrainConfig config = config(4, 5, new LossConfig("infonce", Map.of(), run.toString()));
        PairDataset data = data(config);
        Checkpoint checkpoints = new Checkpoint(folder.resolve("half"), 1);
        try (Ops ops = Backend.open("cpu")) {
            try (Trainer trainer = Trainer.start(ops, config, data)) {
                trainer.next();
                trainer.save(checkpoints);
            }
            guide("guide", 6);
            String message = assertThrows(
                            CheckpointException.class,
                            () -> Trainer.resume(ops, data, checkpoints.latest().orElseThrow()))
                    .getMessage();
            assertTrue(message.contains("the guide has changed since"), message);
            LossConfig missing = new LossConfig(
                    "infonce", Map.of(), folder.resolve("nowhere").toString());
            assertThrows(CheckpointException.class, () -> Trainer.start(ops, config(4, 5, missing), data));
            assertEquals(0, ops.memory().currentBytes());
        }
    }

    /** A transport plan that does not converge stops training, as a non-finite loss does. */
    @Test
    void next_withALossThatDoesNotConverge_stopsTraining() {
        LossConfig loss = LossConfig.named("sinkhorn", BATCH).with(SINKHORN_TOLERANCE, 1e-300);
        TrainConfig config = config(3, 5, loss);
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            List<double[]> before = weights(trainer);
            String message = assertThrows(Trainer.TrainingStoppedException.class, trainer::next)
                    .getMessage();
            assertTrue(message.contains("Sinkhorn did not converge in"), message);
            assertSame(before, weights(trainer));
        }
    }
}
