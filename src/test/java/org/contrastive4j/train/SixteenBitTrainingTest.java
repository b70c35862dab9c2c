package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.gradcache.EquivalenceCheck;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.SixteenBitOps;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The training loop with 16-bit activations. */
class SixteenBitTrainingTest {
    @TempDir
    Path folder;

    private TrainConfig config(int steps, String loss) {
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
                LossConfig.named(loss, 12));
    }

    private static PairDataset data(TrainConfig config) {
        return PairDataset.open(Path.of(config.data()), config.strict());
    }

    private static Ops open(DType dtype) {
        return new SixteenBitOps(Backend.open("cpu"), dtype);
    }

    static Set<String> losses() {
        return Losses.allNames();
    }

    @ParameterizedTest
    @SampledSource(value = "losses", every = 4)
    void train_withEveryLoss_changesTheWeights(String loss) {
        TrainConfig config = config(3, loss);
        try (Ops ops = open(DType.BF16);
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            String untrained = Snapshots.of(trainer).get(0);
            while (trainer.hasNext()) {
                assertTrue(Double.isFinite(trainer.next().gradientNorm()));
            }
            assertNotEquals(untrained, Snapshots.of(trainer).get(0), "the weights must change");
        }
    }

    /** The initial scale in f16 is so high that steps are skipped before and after the checkpoint. */
    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {"infonce", "bce-warmup", "queue"})
    void resume_hasTheBytesOfAnUninterruptedRun(String loss) {
        TrainConfig config = config(14, loss).toBuilder()
                .precision(Precision.F16)
                .lossScale(new LossScale.Config(0x1p20, 2))
                .build();
        PairDataset data = data(config);
        try (Ops ops = open(DType.F16)) {
            Checkpoint checkpoints = new Checkpoint(folder.resolve("half"), 1);
            List<Map<String, Object>> lines = new ArrayList<>();
            List<String> straight;
            try (Trainer trainer = Trainer.start(ops, config, data)) {
                while (trainer.hasNext()) {
                    if (trainer.step() == 9) {
                        trainer.save(checkpoints);
                    }
                    lines.add(trainer.next().asMap());
                }
                straight = Snapshots.of(trainer);
            }
            double before = (double) lines.get(8).get("skippedSteps");
            double after = (double) lines.get(13).get("skippedSteps");
            assertTrue(before > 0 && before < 9 && after > before, "skipped " + before + ", then " + after + " of 14");
            try (Trainer trainer =
                    Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                for (int k = 9; k < 14; k++) {
                    assertEquals(lines.get(k), trainer.next().asMap());
                }
                assertEquals(straight, Snapshots.of(trainer));
            }
            assertEquals(0, ops.memory().currentBytes());
        }
    }

    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"BF16", "F16"})
    void train_in16Bits_learnsTheTrainingPairsAsInF32(DType dtype) {
        TrainConfig config = config(150, "infonce");
        try (Ops ops = open(dtype);
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
            assertEquals(dtype == DType.F16, trainer.config().lossScale() != null);
        }
    }

    @ParameterizedTest
    @CsvSource({"BF16", "F16"})
    void verify_in16Bits_agreesUpToRounding(DType dtype) {
        TrainConfig config = config(5, "infonce");
        try (Ops ops = open(dtype);
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            EquivalenceCheck.Report report = trainer.verify(List.of(5, 7));
            assertTrue(report.agrees(EquivalenceCheck.tolerance(ops.precision())), report.toString());
        }
    }

    /** The loss scale does not affect the forward pass, so an overflow there is an error. */
    @Test
    void next_withActivationsBeyondF16_throws() {
        TrainConfig config = config(5, "infonce");
        try (Ops ops = open(DType.F16);
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            trainer.next();
            for (Parameter parameter : trainer.model().image().parameters()) {
                if (parameter.name().equals("image.norm.gamma")) {
                    double[] values = parameter.value().toDoubles();
                    Arrays.setAll(values, i -> 1e5);
                    parameter.value().set(values);
                }
            }
            List<String> before = Snapshots.of(trainer);
            String message = assertThrows(Trainer.TrainingStoppedException.class, trainer::next)
                    .getMessage();
            assertTrue(message.contains("is not finite") && message.contains("65504"), message);
            assertEquals(before, Snapshots.of(trainer));
        }
    }

    /** Weights are f32 in every precision: a model can be used in another precision, a run cannot be resumed in one. */
    @Test
    void load_inAnotherPrecision_worksAndResumeIsRejected() {
        TrainConfig config = config(4, "infonce");
        PairDataset data = data(config);
        try (Ops ops = open(DType.BF16);
                Trainer trainer = Trainer.start(ops, config, data);
                Ops wide = Backend.open("cpu");
                Ops half = open(DType.F16)) {
            trainer.next();
            Path run = folder.resolve("run");
            Path saved = trainer.save(new Checkpoint(run.resolve("checkpoints"), 1));
            assertEquals(Precision.BF16, Trainer.config(saved).precision());
            for (Ops other : List.of(wide, half)) {
                String message = assertThrows(IllegalArgumentException.class, () -> Trainer.resume(other, data, saved))
                        .getMessage();
                assertTrue(message.contains("the run is in bf16"), message);
                try (TrainedModel model = TrainedModel.load(other, run)) {
                    assertTrue(Retrieval.both(
                                            other,
                                            model.embedder(data),
                                            trainer.splits().train())
                                    .imageToText()
                                    .candidates()
                            > 10);
                }
            }
        }
    }
}
