package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.memory.Storage;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.Pooling;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.ops.CapturedGraph;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.DirectOps;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Batches that are sent beside recorded steps, under all checks of the simulator: what orders them, and what fails. */
class BatchPrefetchTest {
    @TempDir
    Path folder;

    private static Ops sim() {
        return new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
    }

    /** Another backend with something changed. */
    private static class Changed extends DirectOps {
        final Ops ops;

        Changed(Ops ops) {
            super(ops);
            this.ops = ops;
        }

        @Override
        public CapturedGraph capture(Runnable work, Storage scratch) {
            return ops.capture(work, scratch);
        }
    }

    /** Does so many copies, marks and recordings, then refuses one. */
    private static final class Failing extends Changed {
        private int left = Integer.MAX_VALUE;

        Failing(Ops ops) {
            super(ops);
        }

        private void count() {
            if (left-- == 0) {
                throw new IllegalStateException("the test wants it so");
            }
        }

        @Override
        public void send(int[] values, Tensor target) {
            count();
            super.send(values, target);
        }

        @Override
        public void send(float[] values, Tensor target) {
            count();
            super.send(values, target);
        }

        @Override
        public PrefetchStream prefetchStream() {
            count();
            return super.prefetchStream();
        }

        @Override
        public CapturedGraph capture(Runnable work, Storage scratch) {
            count();
            return super.capture(work, scratch);
        }
    }

    /** As little as is a model. */
    private TrainConfig config(int steps) {
        DualEncoder.Config model = new DualEncoder.Config(
                new VisionTransformer.Config(
                        8, 4, 4, 0, new TransformerConfig(4, 0, 1, 4, PointwiseOps.Gelu.EXACT, 0.2), Pooling.MEAN, 3),
                new TextTransformer.Config(
                        60,
                        8,
                        new TransformerConfig(4, 0, 1, 4, PointwiseOps.Gelu.QUICK, 0.2),
                        false,
                        Pooling.MEAN,
                        3));
        return new TrainConfig(
                PairFiles.folder(folder.resolve("pairs"), 20).toString(),
                true,
                "c",
                0.2,
                3,
                steps,
                3,
                3,
                1L << 30,
                1e-2,
                2,
                1,
                60,
                new Augmentation(0.1, 0.1, 10, 0.2, 0.3, 0.2),
                new AdamW.Config(0.9, 0.98, 1e-8, 0.1),
                model,
                LossConfig.named("infonce", 3));
    }

    private static PairDataset data(TrainConfig config) {
        return PairDataset.open(Path.of(config.data()), config.strict());
    }

    /** Each copy and each recording of each step fails once, of the batch sent ahead and of the update too. */
    @Test
    void aStepWhoseCopyOrRecordingFailsIsMadeAgain() {
        TrainConfig config = config(4);
        PairDataset data = data(config);
        List<Map<String, Object>> undisturbed = new ArrayList<>();
        List<String> end;
        try (Ops ops = sim();
                Trainer trainer = Trainer.start(ops, config, data)) {
            while (trainer.hasNext()) {
                undisturbed.add(trainer.next().asMap());
            }
            end = Snapshots.of(trainer);
            assertEquals(1, trainer.graphs());
        }
        Failing ops = new Failing(
                new PtxOps("sim", SimDevice.open(SimOptions.defaults().withoutChecks())));
        try (ops;
                Trainer trainer = Trainer.start(ops, config, data)) {
            trainer.memoryPlan();
            for (int step = 0; step < 4; step++) {
                int failures = failEverywhere(ops, trainer, undisturbed.get(step));
                assertTrue(failures >= (step < 3 ? 8 : 7), failures + " failures of step " + step);
            }
            assertEquals(end, Snapshots.of(trainer));
        }
    }

    private static int failEverywhere(Failing ops, Trainer trainer, Map<String, Object> expected) {
        List<String> before = Snapshots.of(trainer);
        for (int done = 0; ; done++) {
            ops.left = done;
            try {
                assertEquals(expected, trainer.next().asMap());
                return done;
            } catch (IllegalStateException failed) {
                assertEquals("the test wants it so", failed.getMessage());
            } finally {
                ops.left = Integer.MAX_VALUE;
            }
            assertEquals(before, Snapshots.of(trainer), "after " + done + " copies and recordings");
        }
    }

    /** A run that is closed while a batch is on its way, or after that failed, leaves nothing behind. */
    @Tag("exhaustive")
    @Test
    void aRunMayEndWhereverItIs() {
        TrainConfig config = config(4);
        PairDataset data = data(config);
        for (int done : new int[] {5, 8, Integer.MAX_VALUE}) {
            Failing ops = new Failing(sim());
            try (ops;
                    Trainer trainer = Trainer.start(ops, config, data)) {
                trainer.next();
                ops.left = done;
                if (done < Integer.MAX_VALUE) {
                    assertThrows(IllegalStateException.class, trainer::next);
                }
            }
        }
    }

    private static void unordered(String part, Ops twin, TrainConfig config) {
        PairDataset data = data(config);
        Fault fault = assertThrows(Fault.class, () -> {
            try (twin;
                    Trainer trainer = Trainer.start(twin, config, data)) {
                try {
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                } finally {
                    twin.synchronize();
                }
            }
        });
        assertTrue(
                fault.getMessage().contains("unordered access")
                        && fault.getMessage().contains(part),
                fault.getMessage());
    }

    /** Nobody waits for what was sent. */
    @Test
    void anArrivalThatIsNotAwaitedIsSeen() {
        unordered(
                "upload on stream 1, which writes",
                new Changed(sim()) {
                    @Override
                    public PrefetchStream prefetchStream() {
                        PrefetchStream prefetch = super.prefetchStream();
                        return sends -> {
                            prefetch.send(sends);
                            return () -> {};
                        };
                    }
                },
                config(3));
    }

    /** The mark before a step is that of the step before: nothing says that the landing was emptied. */
    @Test
    void aLandingThatIsFilledTooEarlyIsSeen() {
        unordered(
                "upload on stream 1 writes",
                new Changed(sim()) {
                    private PrefetchStream early;

                    @Override
                    public PrefetchStream prefetchStream() {
                        PrefetchStream mine = early == null ? super.prefetchStream() : early;
                        early = super.prefetchStream();
                        return mine;
                    }
                },
                config(3));
    }
}
