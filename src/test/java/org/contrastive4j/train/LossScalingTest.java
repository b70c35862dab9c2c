package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Loss scaling in the training loop in f32, where gradients overflow too if the initial scale is high enough. */
class LossScalingTest {
    /** Makes gradients overflow f32 by a few powers of two. */
    private static final LossScale.Config TOO_HIGH = new LossScale.Config(0x1p127, 3);

    @TempDir
    Path folder;

    private TrainConfig config(int steps, LossScale.Config scale, String loss) {
        return Configs.of(
                        PairFiles.folder(folder.resolve("pairs"), 20).toString(),
                        true,
                        "c",
                        0.2,
                        3,
                        steps,
                        12,
                        5,
                        1L << 30,
                        1e-2,
                        2,
                        1,
                        60,
                        new Augmentation(0.1, 0.1, 10, 0.2, 0.3, 0.2),
                        new AdamW.Config(0.9, 0.98, 1e-8, 0.1),
                        TinyPairs.model(0.1),
                        LossConfig.named(loss, 12))
                .toBuilder()
                .lossScale(scale)
                .build();
    }

    private static PairDataset data(TrainConfig config) {
        return PairDataset.open(Path.of(config.data()), config.strict());
    }

    private static List<double[]> weights(Trainer trainer) {
        return trainer.parameters().stream().map(p -> p.value().toDoubles()).toList();
    }

    private static void assertSame(List<double[]> a, List<double[]> b) {
        for (int k = 0; k < a.size(); k++) {
            assertArrayEquals(a.get(k), b.get(k));
        }
    }

    /** Returns the weights, then moments and queues. */
    private static List<String> state(Trainer trainer) {
        return Snapshots.of(trainer).subList(0, 2);
    }

    @ParameterizedTest
    @ValueSource(strings = {"infonce", "siglip", "queue"})
    void train_withAScaleWithoutOverflow_hasTheBitsOfNoScaling(String loss) {
        List<List<double[]>> learnt = new ArrayList<>();
        for (LossScale.Config scale : new LossScale.Config[] {null, new LossScale.Config(0x1p20, 2)}) {
            TrainConfig config = config(6, scale, loss);
            try (Ops ops = Backend.open("cpu");
                    Trainer trainer = Trainer.start(ops, config, data(config))) {
                while (trainer.hasNext()) {
                    Trainer.Step step = trainer.next();
                    assertEquals(scale != null, step.details().containsKey("lossScale"));
                }
                learnt.add(weights(trainer));
            }
        }
        assertSame(learnt.get(0), learnt.get(1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"infonce", "queue", "bce-warmup"})
    void next_withOverflow_skipsTheStepAndChangesOnlyTheScale(String loss) throws IOException {
        TrainConfig config = config(60, TOO_HIGH, loss);
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            List<String> before = state(trainer);
            double scale = TOO_HIGH.start();
            int skipped = 0;
            Trainer.Step step = trainer.next();
            while (!Double.isFinite(step.gradientNorm())) {
                skipped++;
                Map<String, Object> line = step.asMap();
                assertEquals(scale, line.get("lossScale"));
                assertEquals((double) skipped, line.get("skippedSteps"));
                assertEquals(skipped, step.step(), "a skipped step is counted");
                assertTrue(Double.isFinite(step.loss()) && !line.containsKey("gradientNorm"), line.toString());
                assertFalse(new ObjectMapper().writeValueAsString(line).contains("NaN"));
                assertEquals(before, state(trainer), "step " + skipped);
                scale /= 2;
                step = trainer.next();
            }
            assertTrue(skipped > 0 && skipped < 20, skipped + " steps skipped");
            assertEquals(scale, step.details().get("lossScale"));
            ObjectNode state = (ObjectNode) Checkpoint.state(trainer.save(new Checkpoint(folder.resolve("one"), 1)));
            assertEquals(1, state.get("updates").asInt(), "of " + state.get("step") + " steps");
            assertNotEquals(before.get(0), state(trainer).get(0), "the weights must change");
        }
    }

    /** Steps are skipped before the stop and after it. */
    @Test
    void resume_betweenSkippedSteps_hasTheBytesOfAnUninterruptedRun() throws IOException {
        TrainConfig config = config(30, TOO_HIGH, "infonce");
        PairDataset data = data(config);
        try (Ops ops = Backend.open("cpu")) {
            List<String> uninterrupted;
            List<Map<String, Object>> lines = new ArrayList<>();
            try (Trainer trainer = Trainer.start(ops, config, data)) {
                while (trainer.hasNext()) {
                    lines.add(trainer.next().asMap());
                }
                uninterrupted = Snapshots.of(trainer);
            }
            double[] skipped = lines.stream()
                    .mapToDouble(line -> (double) line.get("skippedSteps"))
                    .toArray();
            int last = 29; // the step before the last skipped one
            while (last > 0 && skipped[last] == skipped[29]) {
                last--;
            }
            assertTrue(skipped[0] == 1 && last > 4, "skipped so far: " + Arrays.toString(skipped));
            for (int stop : new int[] {1, 4, last + 1}) {
                Checkpoint checkpoints = new Checkpoint(folder.resolve("stop" + stop), 1);
                try (Trainer trainer = Trainer.start(ops, config, data)) {
                    for (int k = 0; k < stop; k++) {
                        trainer.next();
                    }
                    trainer.save(checkpoints);
                }
                try (Trainer trainer =
                        Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                    for (int k = stop; k < 30; k++) {
                        assertEquals(lines.get(k), trainer.next().asMap());
                    }
                    assertEquals(uninterrupted, Snapshots.of(trainer));
                }
            }
        }
    }

    /** Small representations have large gradients, which multiply large activations: the gradient overflows f32. */
    private static void letGradientsOverflow(Trainer trainer) {
        Map<String, Double> factors =
                Map.of("image.norm.gamma", 1e25, "image.project.weight", 1e-42, "image.project.bias", 1e-42);
        for (Parameter parameter : trainer.model().image().parameters()) {
            double[] values = parameter.value().toDoubles();
            for (int i = 0; i < values.length; i++) {
                values[i] *= factors.getOrDefault(parameter.name(), 1.0);
            }
            parameter.value().set(values);
        }
    }

    @Test
    void next_withOverflowAndNoScaleToLower_throwsAndChangesNothing() {
        for (LossScale.Config scale : new LossScale.Config[] {null, new LossScale.Config(1, 100)}) {
            TrainConfig config = config(5, scale, "infonce");
            try (Ops ops = Backend.open("cpu");
                    Trainer trainer = Trainer.start(ops, config, data(config))) {
                trainer.next();
                letGradientsOverflow(trainer);
                List<double[]> before = weights(trainer);
                String message = assertThrows(Trainer.TrainingStoppedException.class, trainer::next)
                        .getMessage();
                assertTrue(message.contains("step 2") && message.contains("the gradient of image."), message);
                assertSame(before, weights(trainer));
                assertEquals(1, trainer.step());
            }
        }
    }

    @Test
    void resume_withoutScaleOrInAnotherPrecision_isRejected() throws IOException {
        TrainConfig config = config(5, TOO_HIGH, "infonce");
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            trainer.next();
            ObjectNode state = (ObjectNode) Checkpoint.state(trainer.save(new Checkpoint(folder.resolve("whole"), 1)));
            state.remove("lossScale");
            Path without = saveAs(state, ops, trainer);
            String message = assertThrows(CheckpointException.class, () -> Trainer.resume(ops, trainer.data(), without))
                    .getMessage();
            assertTrue(message.contains("expected the state of a loss scale, got none"), message);
            state.putObject("lossScale").put("value", 3).put("good", 1).put("skipped", 0);
            Path odd = saveAs(state, ops, trainer);
            assertThrows(CheckpointException.class, () -> Trainer.resume(ops, trainer.data(), odd));
            ((ObjectNode) state.get("config")).put("precision", "BF16");
            Path other = saveAs(state, ops, trainer);
            message = assertThrows(IllegalArgumentException.class, () -> Trainer.resume(ops, trainer.data(), other))
                    .getMessage();
            assertTrue(message.contains("in bf16 and the backend computes in f32"), message);
        }
    }

    private Path saveAs(ObjectNode state, Ops ops, Trainer trainer) {
        try (AdamW moments =
                new AdamW(ops, trainer.parameters(), trainer.config().optimizer())) {
            Map<String, Tensor> weights = new LinkedHashMap<>();
            trainer.parameters().forEach(parameter -> weights.put(parameter.name(), parameter.value()));
            return new Checkpoint(folder.resolve("edited"), 1).save(1, weights, moments.state(), state);
        }
    }

    @Test
    void config_ofARun_hasThePrecisionOfTheBackend() {
        TrainConfig config = config(5, null, "infonce");
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            assertEquals(Precision.F32, trainer.config().precision());
            assertEquals(
                    config.toBuilder().precision(Precision.F32).lossScale(null).build(), trainer.config());
        }
        assertEquals(LossScale.Config.USUAL, config.on(Precision.F16).lossScale());
        assertEquals(
                TOO_HIGH,
                config.toBuilder().lossScale(TOO_HIGH).build().on(Precision.F16).lossScale());
        assertEquals(null, config.on(Precision.BF16).lossScale());
    }
}
