package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.contrastive4j.Backend;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.TarBytes;
import org.contrastive4j.loss.LossOption;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.TinyPairs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training on shards: no list of all pairs is needed to begin, and a resumed run has the bits of a whole one. */
class StreamedTrainingTest {
    private static final int BATCH = 8;

    @TempDir
    Path folder;

    private TrainConfig config(int steps) {
        for (int s = 0; s < 3; s++) {
            TarBytes tar = new TarBytes();
            for (int k = 0; k < 20; k++) {
                int number = 20 * s + k;
                tar.file(k + ".png", PairFiles.png(12, 12, number)).text(k + ".txt", "thing" + number / 2 + " kind");
            }
            tar.write(folder.resolve(s + ".tar"));
        }
        return Configs.of(
                folder.toString(),
                false,
                "",
                0.2,
                3,
                steps,
                BATCH,
                4,
                1L << 30,
                1e-2,
                2,
                1,
                90,
                Augmentation.clip(),
                new AdamW.Config(0.9, 0.98, 1e-8, 0.1),
                TinyPairs.model(0.1),
                LossConfig.named("queue", BATCH).with(LossOption.QUEUE_SIZE, 20));
    }

    private static List<double[]> weights(Trainer trainer) {
        return trainer.parameters().stream().map(p -> p.value().toDoubles()).toList();
    }

    private static PairDataset data(TrainConfig config) {
        return PairDataset.open(Path.of(config.data()), false);
    }

    @Test
    void resume_ofShardsWithAQueue_hasTheBitsOfAnUninterruptedRun() {
        TrainConfig config = config(14); // more than two epochs
        try (Ops ops = Backend.open("cpu")) {
            List<double[]> straight;
            try (Trainer trainer = Trainer.start(ops, config, data(config))) {
                while (trainer.hasNext()) {
                    trainer.next();
                }
                straight = weights(trainer);
            }
            for (int stop : new int[] {3, 9}) {
                Checkpoint checkpoints = new Checkpoint(folder.resolve("stop" + stop), 1);
                try (Trainer trainer = Trainer.start(ops, config, data(config))) {
                    for (int k = 0; k < stop; k++) {
                        trainer.next();
                    }
                    assertNotNull(trainer.state().get("position"));
                    trainer.save(checkpoints);
                }
                try (Trainer trainer =
                        Trainer.resume(ops, data(config), checkpoints.latest().orElseThrow())) {
                    assertEquals(trainer.state().get("step").intValue(), stop);
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                    List<double[]> resumed = weights(trainer);
                    for (int k = 0; k < straight.size(); k++) {
                        assertArrayEquals(straight.get(k), resumed.get(k));
                    }
                }
            }
        }
    }

    @Test
    void run_onShards_countsPairsAtTheFirstMeasurementOnly() {
        TrainConfig config = config(2);
        Path out = folder.resolve("run");
        try (Ops ops = Backend.open("cpu");
                RunFolder run = RunFolder.open(out);
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            TrainingRun training = TrainingRun.begin(run, ops, trainer, new TrainingRun.Schedule(1, 0), Map.of());
            training.train(new TrainingRun.Listener() {
                @Override
                public void step(Trainer.Step step) {}

                @Override
                public void recall(String split, double recall) {}

                @Override
                public boolean stopRequested() {
                    return false;
                }
            });
            assertFalse(trainer.splits().isKnown(), "reports do not index all shards");
            assertFalse(RunRecord.read(out).facts().containsKey("pairs"));
            training.finish();
            assertEquals(60, RunRecord.read(out).facts().get("pairs"));
            assertTrue(RunRecord.read(out).summary().containsKey("trainingPairs"));
        }
    }
}
