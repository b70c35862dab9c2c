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

/**
 * Batches that are uploaded on the prefetch stream while a captured step runs: the order of both streams, under all
 * checks of the simulator, and recovery from failed uploads and captures.
 */
class BatchPrefetchTest {
    private static final String INJECTED = "injected failure";
    private static final int STEPS = 4;
    /** Uploads, prefetch streams and captures of one step: those of its update and of the upload of the next batch. */
    private static final int OPERATIONS_OF_A_STEP = 8;
    /** The last step uploads no next batch. */
    private static final int OPERATIONS_OF_THE_LAST_STEP = 7;

    @TempDir
    Path folder;

    private static Ops sim() {
        return new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
    }

    /** Delegates everything to another backend; subclasses change single methods. */
    private static class DelegatingOps extends DirectOps {
        final Ops ops;

        DelegatingOps(Ops ops) {
            super(ops);
            this.ops = ops;
        }

        @Override
        public CapturedGraph capture(Runnable work, Storage scratch) {
            return ops.capture(work, scratch);
        }
    }

    /** Lets a given number of uploads, prefetch streams and captures succeed; the next one throws an exception. */
    private static final class FailingOps extends DelegatingOps {
        private int operationsBeforeFailure = Integer.MAX_VALUE;

        FailingOps(Ops ops) {
            super(ops);
        }

        private void count() {
            if (operationsBeforeFailure-- == 0) {
                throw new IllegalStateException(INJECTED);
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

    /** Returns a configuration of minimal size that has both encoders. */
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

    /** Each upload, prefetch stream and capture of each step fails once, also those of the next batch. */
    @Test
    void next_uploadOrCaptureFails_repeatsStepWithSameResult() {
        TrainConfig config = config(STEPS);
        PairDataset data = data(config);
        List<Map<String, Object>> expectedSteps = new ArrayList<>();
        List<String> expectedState;
        try (Ops ops = sim();
                Trainer trainer = Trainer.start(ops, config, data)) {
            while (trainer.hasNext()) {
                expectedSteps.add(trainer.next().asMap());
            }
            expectedState = Snapshots.of(trainer);
            assertEquals(1, trainer.graphs());
        }
        FailingOps ops = new FailingOps(
                new PtxOps("sim", SimDevice.open(SimOptions.defaults().withoutChecks())));
        try (ops;
                Trainer trainer = Trainer.start(ops, config, data)) {
            trainer.memoryPlan();
            for (int step = 0; step < STEPS; step++) {
                int failures = failEverywhere(ops, trainer, expectedSteps.get(step));
                int expected = step < STEPS - 1 ? OPERATIONS_OF_A_STEP : OPERATIONS_OF_THE_LAST_STEP;
                assertTrue(
                        failures >= expected,
                        "step " + step + ": expected at least " + expected + " failures, got " + failures);
            }
            assertEquals(expectedState, Snapshots.of(trainer));
        }
    }

    /**
     * Attempts a step until it succeeds; each attempt fails one operation later than the attempt before. A failed
     * attempt must leave the state unchanged.
     *
     * @return the number of failed attempts
     */
    private static int failEverywhere(FailingOps ops, Trainer trainer, Map<String, Object> expected) {
        List<String> before = Snapshots.of(trainer);
        for (int attempts = 0; ; attempts++) {
            ops.operationsBeforeFailure = attempts;
            try {
                assertEquals(expected, trainer.next().asMap());
                return attempts;
            } catch (IllegalStateException failed) {
                assertEquals(INJECTED, failed.getMessage());
            } finally {
                ops.operationsBeforeFailure = Integer.MAX_VALUE;
            }
            assertEquals(before, Snapshots.of(trainer), "after a failure that followed " + attempts + " operations");
        }
    }

    /** Closing a trainer while an upload is in flight, or after an upload failed, causes no fault of the simulator. */
    @Tag("exhaustive")
    @Test
    void close_uploadInFlightOrFailed_causesNoFault() {
        TrainConfig config = config(STEPS);
        PairDataset data = data(config);
        // operations of the second step that succeed before one fails; the last value lets all succeed
        for (int operations : new int[] {5, 8, Integer.MAX_VALUE}) {
            FailingOps ops = new FailingOps(sim());
            try (ops;
                    Trainer trainer = Trainer.start(ops, config, data)) {
                trainer.next();
                ops.operationsBeforeFailure = operations;
                if (operations < Integer.MAX_VALUE) {
                    assertThrows(IllegalStateException.class, trainer::next);
                }
            }
        }
    }

    /** Asserts that the simulator reports an unordered access when a run uses these faulty operations. */
    private static void assertUnordered(String access, Ops faulty, TrainConfig config) {
        PairDataset data = data(config);
        Fault fault = assertThrows(Fault.class, () -> {
            try (faulty;
                    Trainer trainer = Trainer.start(faulty, config, data)) {
                try {
                    while (trainer.hasNext()) {
                        trainer.next();
                    }
                } finally {
                    faulty.synchronize();
                }
            }
        });
        assertTrue(
                fault.getMessage().contains("unordered access")
                        && fault.getMessage().contains(access),
                fault.getMessage());
    }

    /** The step does not wait for the upload of its batch. */
    @Test
    void step_doesNotWaitForUpload_isReportedAsUnordered() {
        assertUnordered(
                "upload on stream 1, which writes",
                new DelegatingOps(sim()) {
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
     * An upload waits for the event of an earlier step only, so that the step before it may still read the staging
     * buffer that the upload overwrites.
     */
    @Test
    void upload_doesNotWaitForLastStep_isReportedAsUnordered() {
        assertUnordered(
                "upload on stream 1 writes",
                new DelegatingOps(sim()) {
                    private PrefetchStream earlier;

                    @Override
                    public PrefetchStream prefetchStream() {
                        PrefetchStream previous = earlier == null ? super.prefetchStream() : earlier;
                        earlier = super.prefetchStream();
                        return previous;
                    }
                },
                config(3));
    }
}
