package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape.AutogradException;
import org.contrastive4j.data.Batch;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.gradcache.BatchStep;
import org.contrastive4j.gradcache.CapturedStep;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.internal.sim.HostTraffic;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Ops.CapturedGraph;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.support.EagerOps;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** Captured steps: equality with eager steps, host synchronisations, memory and failures. */
class CapturedStepTest {
    private static final int PAIRS = 5;

    /** The results of a step. */
    private record Report(Deferred<PairwiseOps.Result> result, Deferred<Double> norm) {}

    /** Two encoders with dropout, loss, gradient cache and optimiser on the simulator, captured or eager. */
    private static final class Training implements AutoCloseable {
        final Ops ops;
        final DualEncoder model;
        final InfoNce loss;
        final List<Parameter> parameters = new ArrayList<>();
        final AdamW optimizer;
        final GradCache<TrainBatch, PairwiseOps.Result> cache;
        final CapturedStep<TrainBatch, Report> captured;
        final BatchBuffers buffers;
        final boolean captures;
        TrainBatch batch;
        CapturedGraph update;
        int step;

        /** @param checks whether the simulator checks accesses, which takes time */
        Training(boolean captures, boolean checks) {
            this.captures = captures;
            SimOptions options = SimOptions.defaults();
            ops = new PtxOps("sim", SimDevice.open(checks ? options : options.withoutChecks()));
            model = new DualEncoder(ops, TinyPairs.model(0.2), 3);
            loss = InfoNce.symmetric(ops);
            buffers = new BatchBuffers(ops, 7, new TrainBatch.Layout(PAIRS, 8, 6));
            batch = buffers.send(TinyPairs.batch(PAIRS, 5), 0);
            parameters.addAll(model.parameters());
            parameters.addAll(loss.parameters());
            optimizer = new AdamW(ops, parameters, new AdamW.Config(0.9, 0.98, 1e-3, 0.1));
            cache = GradCache.ofChunks(ops, Encoders.of(ops, model), LossOverEncoders.of(loss), List.of(3, 4));
            captured = new CapturedStep<>(ops, this::forwardAndBackward, TrainBatch::layout);
        }

        private Deferred<Report> forwardAndBackward(TrainBatch of, double scale) {
            parameters.forEach(Parameter::zeroGradient);
            Deferred<PairwiseOps.Result> result = cache.step(of, scale);
            return Deferred.of(new Report(result, GlobalNorm.deferred(ops, parameters)));
        }

        double[] step(Batch data) {
            if (step > 0) {
                batch = buffers.send(data, step);
            }
            Report report = (captures ? captured.step(batch, 1) : forwardAndBackward(batch, 1)).get();
            double norm = report.norm.get();
            PairwiseOps.Result result = report.result.get();
            optimizer.advance(0.01 / (1 + step), GlobalNorm.clip(norm, 1));
            update();
            step++;
            return new double[] {result.loss(), norm, result.meanPositive()};
        }

        private void update() {
            Runnable work = () -> {
                optimizer.apply();
                loss.afterStep(null);
            };
            if (!captures || step == 0) {
                work.run();
                return;
            }
            if (update == null) {
                update = ops.capture(work, null);
            }
            update.run();
        }

        SimDevice device() {
            return (SimDevice) ops.memory();
        }

        double[] weights() {
            return parameters.stream()
                    .flatMapToDouble(p -> Arrays.stream(p.value().toDoubles()))
                    .toArray();
        }

        @Override
        public void close() {
            if (update != null) {
                update.close();
            }
            captured.close();
            buffers.close();
            optimizer.close();
            loss.close();
            model.close();
            ops.close();
        }
    }

    /**
     * Dropout, learning rate, clipping and the batch differ from step to step. A step synchronises once, for the loss
     * and the norm together; four small copies transfer them and the results of the checks for NaN.
     */
    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"false", "true"})
    void step_capturedOrEager_hasTheSameBitsAndOneSynchronisation(boolean checks) {
        try (Training eager = new Training(false, false);
                Training captured = new Training(true, checks)) {
            double before = 0;
            for (int step = 0; step < 3; step++) {
                Batch data = TinyPairs.batch(PAIRS, 5 + step);
                HostTraffic ofEager = eager.device().traffic();
                HostTraffic ofCaptured = captured.device().traffic();
                double[] expected = eager.step(data);
                assertArrayEquals(expected, captured.step(data), "step " + step);
                assertFalse(expected[0] == before, "the losses of different steps must differ");
                before = expected[0];
                if (step > 0) {
                    assertTraffic(eager.device().traffic().since(ofEager), "eager step " + step);
                    assertTraffic(captured.device().traffic().since(ofCaptured), "captured step " + step);
                }
            }
            assertArrayEquals(eager.weights(), captured.weights());
            assertTrue(captured.captured.nodes(captured.batch, 1) > 100, "the whole step is one graph");
        }
    }

    private static void assertTraffic(HostTraffic traffic, String what) {
        assertEquals(1, traffic.waits(), what + ": synchronisations");
        assertEquals(4, traffic.downloads(), what + ": loss, norm, first non-finite row of either side");
        assertEquals(5 + 2, traffic.uploads(), what + ": five parts of a batch, scalars of two kinds of updates");
        assertTrue(traffic.launches() > 100, what + ": launches");
    }

    @Test
    void step_ofAnotherShape_isCapturedAgainAndSharesTheArena() {
        try (Ops ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
                CapturedStep<Integer, Long> captured = new CapturedStep<>(
                        ops,
                        (count, scale) -> {
                            try (Tensor zeros = ops.zeros(Shape.of(count))) {
                                return ops.update().firstNonFinite(zeros);
                            }
                        },
                        count -> count)) {
            for (int count : new int[] {100, 100, 50, 50, 100}) {
                assertEquals(-1, captured.step(count, 1).get());
            }
            assertTrue(captured.arenaBytes() > 400);
            assertTrue(captured.nodes(100, 1) == 4 && captured.nodes(50, 1) == 4, "fill, reduce, copy");
            captured.step(10_000, 1).get();
            assertEquals(0, captured.arenaBytes(), "the first step of a shape runs eagerly, without an arena");
            assertEquals(-1, captured.step(10_000, 1).get());
            assertTrue(captured.arenaBytes() >= 40_000, "the arena has the size of the largest step");
            assertEquals(0, captured.nodes(100, 1), "graphs of the old arena are dropped");
            assertEquals(-1, captured.step(100, 1).get());
            assertEquals(4, captured.nodes(100, 1));
            assertEquals(0, captured.nodes(100, 2), "another gradient scale is another key");
        }
    }

    /** At most 16 shapes are remembered: after 16 others the first shape runs eagerly again. */
    @Test
    void step_whoseArenaExceedsTheBudget_runsEagerly() {
        try (Ops ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults()))) {
            BatchStep<Integer, Long> step = (count, scale) -> {
                try (Tensor zeros = ops.zeros(Shape.of(count))) {
                    return ops.update().firstNonFinite(zeros);
                }
            };
            try (CapturedStep<Integer, Long> none = new CapturedStep<>(ops, step, count -> count, 100_000);
                    CapturedStep<Integer, Long> all = new CapturedStep<>(ops, step, count -> count, 1 << 20)) {
                for (int count : new int[] {30_000, 30_000, 30_000, 100, 100}) {
                    assertEquals(-1, none.step(count, 1).get());
                    assertEquals(-1, all.step(count, 1).get());
                }
                assertEquals(0, none.nodes(30_000, 1));
                assertEquals(4, all.nodes(30_000, 1) + all.nodes(100, 1), "one graph replaces the other");
                assertEquals(1, none.graphs());
                for (int count = 1; count <= 16; count++) {
                    all.step(count, 1).get();
                }
                all.step(100, 1).get();
                assertEquals(0, all.graphs(), "the shape was evicted");
                all.step(16, 1).get();
                assertEquals(1, all.graphs());
            }
        }
    }

    /**
     * No budget is set, and the device has memory for the step but not for its arena. Other shapes stay captured.
     */
    @Test
    void step_withoutDeviceMemoryForItsArena_runsEagerly() {
        try (Ops ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults().withMemoryLimit(190_000)));
                CapturedStep<Integer, Long> captured = new CapturedStep<>(
                        ops,
                        (count, scale) -> {
                            try (Tensor zeros = ops.zeros(Shape.of(count))) {
                                return ops.update().firstNonFinite(zeros);
                            }
                        },
                        count -> count)) {
            for (int count : new int[] {30_000, 30_000, 30_000, 100, 100}) {
                assertEquals(-1, captured.step(count, 1).get());
            }
            assertEquals(4, captured.nodes(100, 1));
            for (int turn = 0; turn < 2; turn++) {
                assertEquals(-1, captured.step(30_000, 1).get());
                assertEquals(0, captured.nodes(30_000, 1), "the arena would need 193,000 bytes");
                assertEquals(4, captured.nodes(100, 1), "its arena leaves memory for an eager step");
            }
        }
    }

    /**
     * A graph needs device memory in addition to the arena. Other failures of a capture are thrown.
     */
    @Test
    void step_withoutDeviceMemoryForItsGraph_runsEagerly() {
        RuntimeException[] failure = {new OutOfBudgetException(-1, 7, 7, "injected failure")};
        Ops ops = new EagerOps(new PtxOps("sim", SimDevice.open(SimOptions.defaults()))) {
            @Override
            public CapturedGraph capture(Runnable work, Storage scratch) {
                throw failure[0];
            }
        };
        try (ops;
                CapturedStep<Integer, Long> captured = new CapturedStep<>(
                        ops,
                        (count, scale) -> {
                            try (Tensor zeros = ops.zeros(Shape.of(count))) {
                                return ops.update().firstNonFinite(zeros);
                            }
                        },
                        count -> count)) {
            for (int step = 0; step < 3; step++) {
                assertEquals(-1, captured.step(100, 1).get());
            }
            assertEquals(0, captured.graphs());
            failure[0] = new IllegalStateException("another failure");
            captured.step(50, 1).get();
            assertSame(failure[0], assertThrows(IllegalStateException.class, () -> captured.step(50, 1)));
        }
    }

    /** The tape wraps the exception of an arena that is too small. */
    @Test
    void arena_tooFragmentedForAStepOnATape_grows() {
        try (Ops ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
                CapturedStep<Integer, Long> captured = new CapturedStep<>(
                        ops,
                        (count, scale) -> {
                            try {
                                Tensor first = ops.zeros(Shape.of(count));
                                try (Tensor between = ops.zeros(Shape.of(8))) {
                                    first.close();
                                    try (Tensor larger =
                                            ops.zeros(Shape.of(count + 100))) { // larger than the freed block
                                        return ops.update().firstNonFinite(larger);
                                    }
                                }
                            } catch (OutOfBudgetException out) {
                                throw new AutogradException("an operation", "forward", out);
                            }
                        },
                        count -> count)) {
            for (int step = 0; step < 3; step++) {
                assertEquals(-1, captured.step(50_000, 1).get());
            }
            assertTrue(captured.arenaBytes() >= 400_000, captured.arenaBytes() + " bytes of arena");
            assertEquals(1, captured.graphs());
        }
    }

    @Test
    void step_capturedWithANonFiniteInput_namesItsRow() {
        try (Training training = new Training(true, false)) {
            training.step(TinyPairs.batch(PAIRS, 5));
            training.step(TinyPairs.batch(PAIRS, 6));
            Batch bad = TinyPairs.batch(PAIRS, 7);
            Arrays.fill(bad.pictures(), 4 * 8 * 8 * 3, 5 * 8 * 8 * 3, Float.NaN);
            training.batch = training.buffers.send(bad, 2);
            double[] weights = training.weights();
            Report report = training.captured.step(training.batch, 1).get();
            NonFiniteException found = assertThrows(NonFiniteException.class, report.result::get);
            assertEquals(4, found.row());
            assertThrows(GlobalNorm.NonFiniteGradientException.class, report.norm::get);
            assertArrayEquals(weights, training.weights());
        }
    }

    @Test
    void send_withIdsOutOfRange_isRejected() {
        try (Training training = new Training(true, false)) {
            training.step(TinyPairs.batch(PAIRS, 5));
            Batch next = TinyPairs.batch(PAIRS, 6);
            next.tokens()[3] = 23;
            String message = assertThrows(ShapeException.class, () -> training.buffers.send(next, 1))
                    .getMessage();
            assertTrue(message.contains("23"), message);
            Batch tooLong = TinyPairs.batch(PAIRS, 6);
            tooLong.lengths()[2] = 7;
            assertThrows(ShapeException.class, () -> training.buffers.send(tooLong, 1));
            assertThrows(ShapeException.class, () -> training.buffers.send(TinyPairs.batch(PAIRS + 1, 6), 1));
        }
    }

    /** A step that reads a value on the host cannot be captured: replays would use the old value. */
    @Test
    void step_thatSynchronises_cannotBeCaptured() {
        try (Training training = new Training(false, false);
                CapturedStep<TrainBatch, Double> synchronising = new CapturedStep<>(
                        training.ops,
                        (batch, scale) -> Deferred.of(training.forwardAndBackward(batch, scale)
                                .get()
                                .norm()
                                .get()),
                        TrainBatch::layout)) {
            assertTrue(Double.isFinite(synchronising.step(training.batch, 1).get()));
            assertThrows(DeviceException.class, () -> synchronising.step(training.batch, 1));
            assertThrows(UnsupportedOperationException.class, () -> {
                try (Ops cpu = Backend.open("cpu")) {
                    new CapturedStep<TrainBatch, Double>(cpu, (batch, scale) -> Deferred.of(0.0), TrainBatch::layout)
                            .close();
                }
            });
        }
    }

    /** The prefetched batch arrives without a host synchronisation, and the plan bounds the memory of the step. */
    @Tag("exhaustive")
    @Test
    void prefetch_duringAStep_doesNotSynchronise() {
        try (Training training = new Training(false, true)) {
            training.step(TinyPairs.batch(PAIRS, 5));
            Batch data = TinyPairs.batch(PAIRS, 6);
            double[] staged = training.batch.pictures(0, PAIRS).toDoubles();
            HostTraffic before = training.device().traffic();
            Ops.PrefetchStream prefetch = training.ops.prefetchStream();
            training.forwardAndBackward(training.batch, 1);
            training.buffers.prefetch(data, 1, prefetch);
            assertArrayEquals(
                    staged,
                    training.batch.pictures(0, PAIRS).toDoubles(),
                    "the prefetch does not overwrite the batch of the step");
            TrainBatch arrived = training.buffers.arrive();
            assertEquals(1, training.device().traffic().since(before).waits(), "only this test synchronises");
            double[] pictures = arrived.pictures(0, PAIRS).toDoubles();
            for (int i = 0; i < pictures.length; i++) {
                assertEquals(data.pictures()[i], pictures[i], "picture element " + i);
            }
            assertArrayEquals(data.tokens(), arrived.tokens(0, PAIRS).toInts());
            GradCache<TrainBatch, PairwiseOps.Result> planned = GradCache.ofBudget(
                    training.ops,
                    Encoders.of(training.ops, training.model),
                    LossOverEncoders.of(training.loss),
                    1 << 26);
            long peak = planned.plan(training.batch).peak();
            long base = training.ops.memory().currentBytes();
            training.ops.memory().resetPeak();
            planned.step(training.batch, 1).get();
            long measured = training.ops.memory().peakBytes();
            assertTrue(
                    measured <= peak && peak - base <= 1.5 * (measured - base),
                    measured + " bytes, planned " + peak + ", base " + base);
        }
    }
}
