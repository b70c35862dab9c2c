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
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Ops.CapturedGraph;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.EagerOps;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Batches that are copied on the prefetch stream during captured steps, under all checks of the simulator. */
class BatchPrefetchTest {
    @TempDir
    Path folder;

    private static Ops sim() {
        return new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
    }

    /** A backend with one changed method. */
    private static class Changed extends EagerOps {
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

    /** A backend that fails after a number of copies, prefetch streams and captures. */
    private static final class Failing extends Changed {
        private int left = Integer.MAX_VALUE;

        Failing(Ops ops) {
            super(ops);
        }

        private void count() {
            if (left-- == 0) {
                throw new IllegalStateException("injected failure");
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

    /** The configuration of a minimal model. */
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
        return Configs.of(
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

    /**
     * Each copy and each capture of each step fails once, including those of the prefetched batch and of the update.
     */
    @Test
    void next_afterAFailedCopyOrCapture_repeatsTheStep() {
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
                assertEquals("injected failure", failed.getMessage());
            } finally {
                ops.left = Integer.MAX_VALUE;
            }
            assertEquals(before, Snapshots.of(trainer), "after " + done + " copies and captures");
        }
    }

    /** Closes a run during a prefetch and after a failed prefetch; the device reports leaks. */
    @Tag("exhaustive")
    @Test
    void close_duringAPrefetchOrAfterAFailure_succeeds() {
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

    private static void assertUnordered(String part, Ops mutated, TrainConfig config) {
        PairDataset data = data(config);
        Fault fault = assertThrows(Fault.class, () -> {
            try (mutated;
                    Trainer trainer = Trainer.start(mutated, config, data)) {
                try {
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                } finally {
                    mutated.synchronize();
                }
            }
        });
        assertTrue(
                fault.getMessage().contains("unordered access")
                        && fault.getMessage().contains(part),
                fault.getMessage());
    }

    /** Mutation: the step does not wait for the prefetched batch. */
    @Tag("exhaustive")
    @Test
    void mutation_stepWithoutWaitForThePrefetch_isUnorderedAccess() {
        assertUnordered(
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

    /**
     * Mutation: the copy waits for the event of the previous step, so it may overwrite a batch that is still in
     * staging.
     */
    @Test
    void mutation_stagingBufferFilledTooEarly_isUnorderedAccess() {
        assertUnordered(
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
