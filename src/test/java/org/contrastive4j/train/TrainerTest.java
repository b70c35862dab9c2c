package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.DataException;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.gradcache.EquivalenceCheck;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.TinyPairs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The training loop on a small data set. */
class TrainerTest {
    @TempDir
    Path folder;

    private TrainConfig config(int steps, int batch, int chunk, double rate) {
        return new TrainConfig(PairFiles.folder(folder.resolve("pairs"), 20).toString(), true, "c", 0.2, 3, steps, batch,
                chunk, 1L << 30, rate, 2, 1, 60, new Augmentation(0.1, 0.1, 10, 0.2, 0.3, 0.2),
                new AdamW.Config(0.9, 0.98, 1e-8, 0.1), TinyPairs.model(0.1));
    }

    private static PairDataset data(TrainConfig config) {
        return PairDataset.open(Path.of(config.data()), config.strict());
    }

    private static List<double[]> weights(Trainer trainer) {
        return trainer.model().parameters().stream().map(p -> p.value().toDoubles()).toList();
    }

    private static void assertSame(List<double[]> a, List<double[]> b) {
        for (int k = 0; k < a.size(); k++) {
            assertArrayEquals(a.get(k), b.get(k));
        }
    }

    @Test
    void aResumedRunEndsInTheSameBits() {
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
                    trainer.next(); // lost by the kill
                }
                try (Trainer trainer = Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                    assertEquals(stop, trainer.step());
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                    assertSame(straight, weights(trainer));
                }
            }
        }
    }

    @Test
    void chunksAndBudgetsDoNotChangeWhatIsLearnt() {
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
    void learnsItsTrainingPairs() {
        TrainConfig config = config(150, 12, 6, 1e-2);
        try (Ops ops = Backend.open("cpu"); Trainer trainer = Trainer.start(ops, config, data(config))) {
            double first = trainer.next().loss();
            double last = first;
            while (trainer.hasNext()) {
                last = trainer.next().loss();
            }
            assertTrue(last < 0.7 * first, "loss went from " + first + " to " + last);
            assertEquals(List.of("new-design", "new-concept", "new-both"), List.copyOf(trainer.evaluate().keySet()));
        }
    }

    @Test
    void theUsersQuestionIsAnsweredOnTheRealLoop() {
        TrainConfig config = config(5, 12, 5, 1e-2);
        try (Ops ops = Backend.open("cpu"); Trainer trainer = Trainer.start(ops, config, data(config))) {
            EquivalenceCheck.Report report = trainer.verify(List.of(5, 7));
            assertTrue(report.agrees(1e-5), report.toString());
        }
    }

    @Test
    void aNanStopsWithStepAndSampleAndChangesNothing() {
        TrainConfig config = config(5, 12, 5, 1e-2);
        try (Ops ops = Backend.open("cpu"); Trainer trainer = Trainer.start(ops, config, data(config))) {
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
            assertTrue(stopped.getMessage().contains("step 2") && stopped.getMessage().contains("sample ")
                    && stopped.getMessage().contains(".png"), stopped.getMessage());
            assertSame(before, weights(trainer));
            assertEquals("step-00000001", checkpoints.latest().orElseThrow().getFileName().toString());
        }
    }

    @Test
    void nothingLeaksWhateverHappens() {
        TrainConfig config = config(3, 12, 5, 1e-2);
        PairDataset data = data(config);
        Ops ops = Backend.open("cpu");
        try (Trainer trainer = Trainer.start(ops, config, data)) {
            trainer.next();
            trainer.evaluate();
        }
        assertThrows(DataException.class, () -> Trainer.start(ops, config(3, 17, 5, 1e-2), data));
        assertEquals(0, ops.memory().currentBytes());
        ops.close();
    }

    @Test
    void aBudgetThatIsTooSmallIsRefusedWithAdvice() {
        TrainConfig base = config(3, 12, 0, 1e-2);
        TrainConfig small = new TrainConfig(base.data(), true, "c", 0.2, 3, 3, 12, 0, 20_000, 1e-2, 2, 1, 60,
                base.augmentation(), base.optimizer(), base.model());
        try (Ops ops = Backend.open("cpu"); Trainer trainer = Trainer.start(ops, small, data(small))) {
            OutOfBudgetException refused = assertThrows(OutOfBudgetException.class, trainer::plan);
            assertTrue(refused.getMessage().contains("raise the budget"), refused.getMessage());
        }
    }

    @Test
    void badSettingsAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> config(3, 12, -1, 1e-2));
        assertThrows(IllegalArgumentException.class, () -> config(3, 12, 13, 1e-2));
        assertThrows(IllegalArgumentException.class, () -> config(0, 12, 4, 1e-2));
        assertThrows(IllegalArgumentException.class, () -> config(3, 12, 4, 0));
    }

    @Test
    void twoRunsOnOneFolderAreRefused() {
        try (RunFolder first = RunFolder.open(folder.resolve("run"))) {
            RunFolder.RunFolderException refused = assertThrows(
                    RunFolder.RunFolderException.class, () -> RunFolder.open(folder.resolve("run")));
            assertTrue(refused.getMessage().contains("another run"), refused.getMessage());
            first.close();
            first.close();
        }
        RunFolder.open(folder.resolve("run")).close();
    }
}
