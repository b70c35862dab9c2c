package org.contrastive4j.train;

import static org.contrastive4j.loss.LossOption.MOMENTUM;
import static org.contrastive4j.loss.LossOption.QUEUE_SIZE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.DataException;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.gradcache.EquivalenceCheck;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The training loop on a small data set. */
class TrainerTest {
    @TempDir
    Path folder;

    private TrainConfig config(int steps, int batch, int chunk, double rate) {
        return config(steps, batch, chunk, rate, null);
    }

    private TrainConfig config(int steps, int batch, int chunk, double rate, LossConfig loss) {
        return Configs.of(
                PairFiles.folder(folder.resolve("pairs"), 20).toString(),
                true,
                "c",
                0.2,
                3,
                steps,
                batch,
                chunk,
                1L << 30,
                rate,
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
        for (int k = 0; k < a.size(); k++) {
            assertArrayEquals(a.get(k), b.get(k));
        }
    }

    @Test
    void resume_hasTheBitsOfAnUninterruptedRun() {
        TrainConfig config = config(9, 12, 5, 1e-2);
        PairDataset data = data(config);
        try (Ops ops = Backend.open("cpu")) {
            List<double[]> straight;
            try (Trainer trainer = Trainer.start(ops, config, data)) {
                while (trainer.hasNext()) {
                    trainer.next();
                }
                straight = weights(trainer);
            }
            for (int stop : new int[] {1, 4, 8}) {
                Checkpoint checkpoints = new Checkpoint(folder.resolve("stop" + stop), 1);
                try (Trainer trainer = Trainer.start(ops, config, data)) {
                    for (int k = 0; k < stop; k++) {
                        trainer.next();
                    }
                    trainer.save(checkpoints);
                    trainer.next(); // not saved
                }
                try (Trainer trainer =
                        Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                    assertEquals(stop, trainer.step());
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                    assertSame(straight, weights(trainer));
                }
            }
        }
    }

    static Set<String> losses() {
        return Losses.allNames();
    }

    /** The queue of 17 keys is not a multiple of the batch of 12, so it wraps around during the run. */
    @ParameterizedTest
    @SampledSource(value = "losses", every = 4)
    void resume_withEveryLoss_hasTheBitsOfAnUninterruptedRun(String name) {
        LossConfig usual = LossConfig.named(name, 12);
        LossConfig loss = name.equals(Losses.QUEUE) ? usual.with(QUEUE_SIZE, 17).with(MOMENTUM, 0.9) : usual;
        TrainConfig config = config(6, 12, 5, 1e-2, loss);
        PairDataset data = data(config);
        try (Ops ops = Backend.open("cpu")) {
            List<Map<String, Object>> lines = new ArrayList<>();
            List<double[]> straight;
            Checkpoint checkpoints = new Checkpoint(folder.resolve("half"), 1);
            try (Trainer trainer = Trainer.start(ops, config, data)) {
                List<double[]> before = weights(trainer);
                long planned = trainer.plan().peak();
                ops.memory().resetPeak();
                while (trainer.hasNext()) {
                    if (trainer.step() == 3) {
                        trainer.save(checkpoints);
                    }
                    lines.add(trainer.next().asMap());
                }
                straight = weights(trainer);
                assertTrue(
                        ops.memory().peakBytes() <= planned, ops.memory().peakBytes() + " bytes, planned " + planned);
                assertFalse(Arrays.equals(before.get(0), straight.get(0)), "the weights must change");
            }
            for (String metric : List.of(
                    "rowAccuracy",
                    "columnAccuracy",
                    "positives.mean",
                    "positives.p05",
                    "negatives.mean",
                    "negatives.p95",
                    "ignoredShare")) {
                assertTrue(lines.get(0).get(metric) instanceof Double value && Double.isFinite(value), metric + lines);
            }
            assertEquals(name.equals("bce-warmup"), lines.get(0).containsKey("warmup.negatives"), lines.toString());
            assertFalse(lines.get(1).containsKey("negatives.p95"), "every tenth step, given " + lines);
            try (Trainer trainer =
                    Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                assertEquals(loss, trainer.config().loss());
                for (int k = 3; k < 6; k++) {
                    assertEquals(lines.get(k), trainer.next().asMap());
                }
                assertSame(straight, weights(trainer));
            }
            assertEquals(0, ops.memory().currentBytes());
        }
    }

    @Test
    void resume_ofAnOldCheckpoint_usesInfoNce() throws IOException {
        TrainConfig config = config(3, 12, 5, 1e-2);
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            Checkpoint checkpoints = new Checkpoint(folder.resolve("old"), 1);
            trainer.next();
            Path saved = trainer.save(checkpoints);
            ObjectNode state = (ObjectNode) Checkpoint.state(saved);
            state.remove("loss");
            ((ObjectNode) state.get("config")).remove("loss");
            Path old = saveAs(state, ops, trainer);
            try (Trainer resumed = Trainer.resume(ops, trainer.data(), old)) {
                assertEquals("infonce", resumed.config().loss().name());
                assertSame(weights(trainer), weights(resumed));
            }
            ((ObjectNode) state.get("config")).putObject("loss").put("name", "bce-warmup");
            Path other = saveAs(state, ops, trainer);
            assertThrows(CheckpointException.class, () -> Trainer.resume(ops, trainer.data(), other));
            ((ObjectNode) state.get("config")).putObject("loss").put("name", "no-such-loss");
            Path unknown = saveAs(state, ops, trainer);
            assertTrue(assertThrows(CheckpointException.class, () -> Trainer.resume(ops, trainer.data(), unknown))
                    .getMessage()
                    .contains("no loss \"no-such-loss\"; there are infonce"));
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
    void resume_withoutTheStateOfTheController_isRejected() throws IOException {
        TrainConfig config = config(3, 12, 5, 1e-2, LossConfig.named("bce-warmup", 12));
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            trainer.next();
            ObjectNode state = (ObjectNode) Checkpoint.state(trainer.save(new Checkpoint(folder.resolve("whole"), 1)));
            state.remove("loss");
            Path saved = saveAs(state, ops, trainer);
            String message = assertThrows(CheckpointException.class, () -> Trainer.resume(ops, trainer.data(), saved))
                    .getMessage();
            assertTrue(message.contains("no usable state of the loss bce-warmup"), message);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bce-warmup", "sinkhorn", "queue", "infonce-distilled"})
    void train_withOtherChunks_agreesForEveryLoss(String name) {
        List<List<double[]>> learnt = new ArrayList<>();
        for (int chunk : new int[] {12, 5, 0}) {
            TrainConfig config = config(4, 12, chunk, 1e-2, LossConfig.named(name, 12));
            try (Ops ops = Backend.open("cpu-f64");
                    Trainer trainer = Trainer.start(ops, config, data(config))) {
                assertTrue(trainer.verify(List.of(5, 7)).agrees(1e-10), name);
                while (trainer.hasNext()) {
                    trainer.next();
                }
                learnt.add(weights(trainer));
            }
            for (int k = 0; k < learnt.get(0).size(); k++) {
                assertArrayEquals(
                        learnt.get(0).get(k), learnt.get(learnt.size() - 1).get(k), 1e-8, "chunk " + chunk);
            }
        }
    }

    @Test
    void train_withOtherChunksAndBudgets_agrees() {
        PairDataset data = data(config(5, 12, 12, 1e-2));
        try (Ops ops = Backend.open("cpu-f64")) {
            List<double[]> whole = null;
            for (int chunk : new int[] {12, 5, 1, 0}) {
                try (Trainer trainer = Trainer.start(ops, config(5, 12, chunk, 1e-2), data)) {
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                    List<double[]> weights = weights(trainer);
                    whole = whole == null ? weights : whole;
                    for (int k = 0; k < weights.size(); k++) {
                        assertArrayEquals(whole.get(k), weights.get(k), 1e-8, "chunk " + chunk);
                    }
                }
            }
        }
    }

    @Test
    void train_learnsItsTrainingPairs() {
        TrainConfig config = config(150, 12, 6, 1e-2);
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            double first = trainer.next().loss();
            double last = first;
            while (trainer.hasNext()) {
                last = trainer.next().loss();
            }
            assertTrue(last < 0.7 * first, "loss went from " + first + " to " + last);
            assertEquals(
                    List.of("new-design", "new-concept", "new-both"),
                    List.copyOf(trainer.evaluate().keySet()));
        }
    }

    @Test
    void verify_inTheTrainingLoop_agrees() {
        TrainConfig config = config(5, 12, 5, 1e-2);
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            EquivalenceCheck.Report report = trainer.verify(List.of(5, 7));
            assertTrue(report.agrees(1e-5), report.toString());
        }
    }

    @Test
    void next_withNaN_namesStepAndSampleAndChangesNothing() {
        TrainConfig config = config(5, 12, 5, 1e-2);
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            trainer.next();
            Checkpoint checkpoints = new Checkpoint(folder.resolve("nan"), 1);
            trainer.save(checkpoints);
            Parameter broken = trainer.model().image().parameters().get(0);
            double[] values = broken.value().toDoubles();
            values[0] = Double.NaN;
            broken.value().set(values);
            List<double[]> before = weights(trainer);
            Trainer.TrainingStoppedException stopped =
                    assertThrows(Trainer.TrainingStoppedException.class, trainer::next);
            assertTrue(
                    stopped.getMessage().contains("step 2")
                            && stopped.getMessage().contains("sample ")
                            && stopped.getMessage().contains(".png"),
                    stopped.getMessage());
            assertSame(before, weights(trainer));
            assertEquals(
                    "step-00000001",
                    checkpoints.latest().orElseThrow().getFileName().toString());
        }
    }

    @Test
    void close_afterAnyFailure_freesAllMemory() {
        TrainConfig config = config(3, 12, 5, 1e-2);
        PairDataset data = data(config);
        Ops ops = Backend.open("cpu");
        try (Trainer trainer = Trainer.start(ops, config, data)) {
            trainer.next();
            trainer.evaluate();
        }
        assertThrows(DataException.class, () -> Trainer.start(ops, config(3, 21, 5, 1e-2), data));
        assertEquals(0, ops.memory().currentBytes());
        ops.close();
    }

    @Test
    void plan_withATooSmallBudget_isRejectedWithAdvice() {
        TrainConfig base = config(3, 12, 0, 1e-2);
        TrainConfig small = Configs.of(
                base.data(),
                true,
                "c",
                0.2,
                3,
                3,
                12,
                0,
                20_000,
                1e-2,
                2,
                1,
                60,
                base.augmentation(),
                base.optimizer(),
                base.model(),
                base.loss());
        try (Ops ops = Backend.open("cpu");
                Trainer trainer = Trainer.start(ops, small, data(small))) {
            OutOfBudgetException refused = assertThrows(OutOfBudgetException.class, trainer::plan);
            assertTrue(refused.getMessage().contains("raise the budget"), refused.getMessage());
        }
    }

    @Test
    void config_withInvalidSettings_isRejected() {
        assertThrows(IllegalArgumentException.class, () -> config(3, 12, -1, 1e-2));
        assertThrows(IllegalArgumentException.class, () -> config(3, 12, 13, 1e-2));
        assertThrows(IllegalArgumentException.class, () -> config(0, 12, 4, 1e-2));
        assertThrows(IllegalArgumentException.class, () -> config(3, 12, 4, 0));
        LossConfig queue = LossConfig.named("queue", 12);
        assertThrows(IllegalArgumentException.class, () -> config(3, 12, 4, 1e-2, queue.with(QUEUE_SIZE, 11)));
        assertThrows(LossOptionException.class, () -> LossConfig.named("softmax", 12));
    }

    @Test
    void open_ofAFolderInUse_isRejected() {
        try (RunFolder first = RunFolder.open(folder.resolve("run"))) {
            RunFolder.RunFolderException refused =
                    assertThrows(RunFolder.RunFolderException.class, () -> RunFolder.open(folder.resolve("run")));
            assertTrue(refused.getMessage().contains("another run"), refused.getMessage());
            first.close();
            first.close();
        }
        RunFolder.open(folder.resolve("run")).close();
    }
}
