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
import org.contrastive4j.autograd.AutogradException;
import org.contrastive4j.autograd.Parameter;
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
import org.contrastive4j.loss.NonFiniteException;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.memory.Storage;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.CapturedGraph;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.support.DirectOps;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A step on a device: what it asks of the host, and that recorded it is the same step. */
class CapturedStepTest {
    private static final int PAIRS = 5;

    /** What a step leaves for the host. */
    private record Report(Deferred<PairwiseOps.Result> result, Deferred<Double> norm) {}

    /** Two encoders with dropout, loss, cache and optimiser on the simulator, recorded or not. */
    private static final class Training implements AutoCloseable {
        final Ops ops;
        final DualEncoder model;
        final InfoNce loss;
        final List<Parameter> parameters = new ArrayList<>();
        final AdamW optimizer;
        final GradCache<TrainBatch, PairwiseOps.Result> cache;
        final CapturedStep<TrainBatch, Report> recorded;
        final BatchBuffers place;
        final boolean records;
        TrainBatch batch;
        CapturedGraph update;
        int step;

        /** @param checks of the simulator, which cost time */
        Training(boolean records, boolean checks) {
            this.records = records;
            SimOptions options = SimOptions.defaults();
            ops = new PtxOps("sim", SimDevice.open(checks ? options : options.withoutChecks()));
            model = new DualEncoder(ops, TinyPairs.model(0.2), 3);
            loss = InfoNce.symmetric(ops);
            place = new BatchBuffers(ops, 7, new TrainBatch.Layout(PAIRS, 8, 6));
            batch = place.send(TinyPairs.batch(PAIRS, 5), 0);
            parameters.addAll(model.parameters());
            parameters.addAll(loss.parameters());
            optimizer = new AdamW(ops, parameters, new AdamW.Config(0.9, 0.98, 1e-3, 0.1));
            cache = GradCache.ofChunks(ops, Encoders.of(ops, model), LossOverEncoders.of(loss), List.of(3, 4));
            recorded = new CapturedStep<>(ops, this::forwardAndBack, TrainBatch::layout);
        }

        private Deferred<Report> forwardAndBack(TrainBatch of, double scale) {
            parameters.forEach(Parameter::zeroGradient);
            Deferred<PairwiseOps.Result> result = cache.step(of, scale);
            return Deferred.of(new Report(result, GlobalNorm.deferred(ops, parameters)));
        }

        double[] step(Batch data) {
            if (step > 0) {
                batch = place.send(data, step);
            }
            Report report = (records ? recorded.step(batch, 1) : forwardAndBack(batch, 1)).get();
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
            if (!records || step == 0) {
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
            recorded.close();
            place.close();
            optimizer.close();
            loss.close();
            model.close();
            ops.close();
        }
    }

    /**
     * Dropout differs from step to step, and so do learning rate, clipping and all that is in a batch. A step waits
     * once, for the loss and the norm together; four small copies bring them and what finds NaN.
     */
    @Test
    void aRecordedStepHasTheBitsOfADirectOneAndBothWaitOnce() {
        try (Training direct = new Training(false, false);
                Training recorded = new Training(true, true)) {
            double before = 0;
            for (int step = 0; step < 3; step++) {
                Batch data = TinyPairs.batch(PAIRS, 5 + step);
                HostTraffic ofDirect = direct.device().traffic();
                HostTraffic ofRecorded = recorded.device().traffic();
                double[] expected = direct.step(data);
                assertArrayEquals(expected, recorded.step(data), "step " + step);
                assertFalse(expected[0] == before, "steps must differ for this to say anything");
                before = expected[0];
                if (step > 0) {
                    assertAsked(direct.device().traffic().since(ofDirect), "direct step " + step);
                    assertAsked(recorded.device().traffic().since(ofRecorded), "recorded step " + step);
                }
            }
            assertArrayEquals(direct.weights(), recorded.weights());
            assertTrue(recorded.recorded.nodes(recorded.batch, 1) > 100, "the whole step is one recording");
        }
    }

    private static void assertAsked(HostTraffic asked, String what) {
        assertEquals(1, asked.waits(), what + ": waits");
        assertEquals(4, asked.downloads(), what + ": loss, norm, first that is not finite of either side");
        assertEquals(5 + 2, asked.uploads(), what + ": five parts of a batch, numbers of two kinds of updates");
        assertTrue(asked.launches() > 100, what + ": launches");
    }

    @Test
    void anotherShapeIsRecordedAnewAndTheScratchIsShared() {
        try (Ops ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
                CapturedStep<Integer, Long> recorded = new CapturedStep<>(
                        ops,
                        (count, scale) -> {
                            try (Tensor zeros = ops.zeros(Shape.of(count))) {
                                return ops.update().firstNonFinite(zeros);
                            }
                        },
                        count -> count)) {
            for (int count : new int[] {100, 100, 50, 50, 100}) {
                assertEquals(-1, recorded.step(count, 1).get());
            }
            assertTrue(recorded.arenaBytes() > 400);
            assertTrue(recorded.nodes(100, 1) == 4 && recorded.nodes(50, 1) == 4, "fill, reduce, copy");
            recorded.step(10_000, 1).get();
            assertEquals(0, recorded.arenaBytes(), "a first step is direct, and has the memory to itself");
            assertEquals(-1, recorded.step(10_000, 1).get());
            assertTrue(recorded.arenaBytes() >= 40_000, "it is as large as the largest step needs");
            assertEquals(0, recorded.nodes(100, 1), "what was in the old one is dropped");
            assertEquals(-1, recorded.step(100, 1).get());
            assertEquals(4, recorded.nodes(100, 1));
            assertEquals(0, recorded.nodes(100, 2), "another gradient scale is another shape");
        }
    }

    /** Nor are more than 16 shapes remembered: the first one is direct again. */
    @Test
    void aScratchThatTheBudgetHasNoRoomForIsNotMade() {
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
                assertEquals(4, all.nodes(30_000, 1) + all.nodes(100, 1), "one is dropped for the other");
                assertEquals(1, none.graphs());
                for (int count = 1; count <= 16; count++) {
                    all.step(count, 1).get();
                }
                all.step(100, 1).get();
                assertEquals(0, all.graphs(), "it was forgotten");
                all.step(16, 1).get();
                assertEquals(1, all.graphs());
            }
        }
    }

    /**
     * Without a budget, where the device has room for the step but not for the scratch; others stay recorded beside it.
     */
    @Test
    void whereTheDeviceHasNoRoomForAScratchAStepIsDirect() {
        try (Ops ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults().withMemoryLimit(190_000)));
                CapturedStep<Integer, Long> recorded = new CapturedStep<>(
                        ops,
                        (count, scale) -> {
                            try (Tensor zeros = ops.zeros(Shape.of(count))) {
                                return ops.update().firstNonFinite(zeros);
                            }
                        },
                        count -> count)) {
            for (int count : new int[] {30_000, 30_000, 30_000, 100, 100}) {
                assertEquals(-1, recorded.step(count, 1).get());
            }
            assertEquals(4, recorded.nodes(100, 1));
            for (int turn = 0; turn < 2; turn++) {
                assertEquals(-1, recorded.step(30_000, 1).get());
                assertEquals(0, recorded.nodes(30_000, 1), "it needs a scratch of 193,000 bytes");
                assertEquals(4, recorded.nodes(100, 1), "there is room for a direct step beside its scratch");
            }
        }
    }

    /**
     * A recording takes memory of the device beside the scratch; what else goes wrong is no reason to do without it.
     */
    @Test
    void whereTheDeviceHasNoRoomForARecordingAStepIsDirect() {
        RuntimeException[] refusal = {new OutOfBudgetException(-1, 7, 7, "the test wants it so")};
        Ops ops = new DirectOps(new PtxOps("sim", SimDevice.open(SimOptions.defaults()))) {
            @Override
            public CapturedGraph capture(Runnable work, Storage scratch) {
                throw refusal[0];
            }
        };
        try (ops;
                CapturedStep<Integer, Long> recorded = new CapturedStep<>(
                        ops,
                        (count, scale) -> {
                            try (Tensor zeros = ops.zeros(Shape.of(count))) {
                                return ops.update().firstNonFinite(zeros);
                            }
                        },
                        count -> count)) {
            for (int step = 0; step < 3; step++) {
                assertEquals(-1, recorded.step(100, 1).get());
            }
            assertEquals(0, recorded.graphs());
            refusal[0] = new IllegalStateException("another");
            recorded.step(50, 1).get();
            assertSame(refusal[0], assertThrows(IllegalStateException.class, () -> recorded.step(50, 1)));
        }
    }

    /** A tape says in which operation memory was out: that is a scratch too small all the same. */
    @Test
    void aScratchGrowsForTheGapsOfAStepOnATape() {
        try (Ops ops = new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
                CapturedStep<Integer, Long> recorded = new CapturedStep<>(
                        ops,
                        (count, scale) -> {
                            try {
                                Tensor first = ops.zeros(Shape.of(count));
                                try (Tensor between = ops.zeros(Shape.of(8))) {
                                    first.close();
                                    try (Tensor larger = ops.zeros(Shape.of(count + 100))) { // not where the first was
                                        return ops.update().firstNonFinite(larger);
                                    }
                                }
                            } catch (OutOfBudgetException out) {
                                throw new AutogradException("an operation", "forward", out);
                            }
                        },
                        count -> count)) {
            for (int step = 0; step < 3; step++) {
                assertEquals(-1, recorded.step(50_000, 1).get());
            }
            assertTrue(recorded.arenaBytes() >= 400_000, recorded.arenaBytes() + " bytes of scratch");
            assertEquals(1, recorded.graphs());
        }
    }

    @Test
    void aRecordedStepStillSaysWhatIsNotFinite() {
        try (Training training = new Training(true, false)) {
            training.step(TinyPairs.batch(PAIRS, 5));
            training.step(TinyPairs.batch(PAIRS, 6));
            Batch bad = TinyPairs.batch(PAIRS, 7);
            Arrays.fill(bad.pictures(), 4 * 8 * 8 * 3, 5 * 8 * 8 * 3, Float.NaN);
            training.batch = training.place.send(bad, 2);
            double[] weights = training.weights();
            Report report = training.recorded.step(training.batch, 1).get();
            NonFiniteException found = assertThrows(NonFiniteException.class, report.result::get);
            assertEquals(4, found.row());
            assertThrows(GlobalNorm.NonFiniteGradientException.class, report.norm::get);
            assertArrayEquals(weights, training.weights());
        }
    }

    @Test
    void idsThatWereNotCheckedAreRefusedAtTheDoor() {
        try (Training training = new Training(true, false)) {
            training.step(TinyPairs.batch(PAIRS, 5));
            Batch next = TinyPairs.batch(PAIRS, 6);
            next.tokens()[3] = 23;
            String message = assertThrows(ShapeException.class, () -> training.place.send(next, 1))
                    .getMessage();
            assertTrue(message.contains("23"), message);
            Batch tooLong = TinyPairs.batch(PAIRS, 6);
            tooLong.lengths()[2] = 7;
            assertThrows(ShapeException.class, () -> training.place.send(tooLong, 1));
            assertThrows(ShapeException.class, () -> training.place.send(TinyPairs.batch(PAIRS + 1, 6), 1));
        }
    }

    /** A loss that is asked for its value on the way cannot be recorded, and says so instead of giving old numbers. */
    @Test
    void aStepThatWaitsIsRefused() {
        try (Training training = new Training(false, false);
                CapturedStep<TrainBatch, Double> waiting = new CapturedStep<>(
                        training.ops,
                        (batch, scale) -> Deferred.of(training.forwardAndBack(batch, scale)
                                .get()
                                .norm()
                                .get()),
                        TrainBatch::layout)) {
            assertTrue(Double.isFinite(waiting.step(training.batch, 1).get()));
            assertThrows(DeviceException.class, () -> waiting.step(training.batch, 1));
            assertThrows(UnsupportedOperationException.class, () -> {
                try (Ops cpu = Backend.open("cpu")) {
                    new CapturedStep<TrainBatch, Double>(cpu, (batch, scale) -> Deferred.of(0.0), TrainBatch::layout)
                            .close();
                }
            });
        }
    }

    /** What is sent ahead is there after its arrival, and nothing waited for it; the plan covers what a step takes. */
    @Tag("exhaustive")
    @Test
    void batchesAreSentAheadAndThePlanHolds() {
        try (Training training = new Training(false, true)) {
            training.step(TinyPairs.batch(PAIRS, 5));
            Batch data = TinyPairs.batch(PAIRS, 6);
            double[] there = training.batch.pictures(0, PAIRS).toDoubles();
            HostTraffic before = training.device().traffic();
            Ops.PrefetchStream prefetch = training.ops.prefetchStream();
            training.forwardAndBack(training.batch, 1);
            training.place.prefetch(data, 1, prefetch);
            assertArrayEquals(
                    there, training.batch.pictures(0, PAIRS).toDoubles(), "it is beside the batch of the step");
            TrainBatch arrived = training.place.arrive();
            assertEquals(1, training.device().traffic().since(before).waits(), "waits, but for looking here");
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
