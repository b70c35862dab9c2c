package org.contrastive4j.internal.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.GradCache.ChunkPlan;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.LossFunction;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Gradient caching of transformer encoders: the reference is one tape over the whole batch. */
class EncodersTest {
    private static final int PAIRS = 67; // no chunk size divides it

    /** A model with its loss. */
    private static final class Trained implements AutoCloseable {
        private final DualEncoder encoders;
        private final InfoNce loss;

        Trained(Ops ops, DualEncoder.Config config) {
            encoders = new DualEncoder(ops, config, 5);
            loss = InfoNce.symmetric(ops);
        }

        List<Parameter> parameters() {
            List<Parameter> all = new ArrayList<>(encoders.parameters());
            all.addAll(loss.parameters());
            return all;
        }

        @Override
        public void close() {
            encoders.close();
            loss.close();
        }
    }

    /** Returns the gradients of one pass on one tape, with the loss as its last node and without gradient caching. */
    private static List<double[]> wholeTape(Ops ops, Trained model, TrainBatch batch) {
        model.parameters().forEach(Parameter::zeroGradient);
        try (Tape tape = Tape.recording(ops);
                Tensor one = ops.tensor(Shape.of(1), 1)) {
            Variable u = Encoders.picturesOn(tape, model.encoders, batch, 0, batch.pairs());
            Variable v = Encoders.captionsOn(tape, model.encoders, batch, 0, batch.pairs());
            List<Parameter> own = model.loss.parameters();
            Variable[] inputs =
                    own.size() == 1 ? new Variable[] {u, v, own.get(0)} : new Variable[] {u, v, own.get(0), own.get(1)};
            tape.backward(tape.apply(new LossFunction(model.loss, PairLabels.DIAGONAL), inputs), one);
        }
        return gradients(model);
    }

    private static List<double[]> gradients(Trained model) {
        return model.parameters().stream()
                .map(parameter -> parameter.gradient().toDoubles())
                .toList();
    }

    private static List<double[]> cached(Ops ops, Trained model, TrainBatch batch, List<Integer> chunks, double scale) {
        model.parameters().forEach(Parameter::zeroGradient);
        GradCache.ofChunks(ops, Encoders.of(ops, model.encoders), LossOverEncoders.of(model.loss), chunks)
                .step(batch, scale);
        return gradients(model);
    }

    /** Returns |a - b| / |b| over all parameters, after checking a looser bound for each parameter. */
    private static double relative(List<double[]> a, List<double[]> b) {
        double squares = 0;
        double norm = 0;
        for (int k = 0; k < a.size(); k++) {
            for (int i = 0; i < a.get(k).length; i++) {
                squares += Math.pow(a.get(k)[i] - b.get(k)[i], 2);
                norm += Math.pow(b.get(k)[i], 2);
            }
        }
        assertTrue(norm > 0, "all gradients are zero");
        return Math.sqrt(squares / norm);
    }

    @ParameterizedTest
    @CsvSource({"1,1", "7,7", "16,16", "64,64", "67,67", "7,16", "64,1"})
    void step_anyChunksInF64_givesTheGradientOfTheWholeBatch(int imageChunk, int textChunk) {
        try (Ops ops = Backend.open("cpu-f64");
                Trained model = new Trained(ops, TinyPairs.model(0.1));
                TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(PAIRS, 9), 42, 3)) {
            List<double[]> whole = wholeTape(ops, model, batch);
            List<double[]> chunked = cached(ops, model, batch, List.of(imageChunk, textChunk), 1);
            assertTrue(relative(chunked, whole) <= 1e-12, "relative difference " + relative(chunked, whole));
            int scale = model.parameters().indexOf(model.loss.logScale());
            assertEquals(whole.get(scale)[0], chunked.get(scale)[0], 1e-12 * Math.abs(whole.get(scale)[0]));
            assertTrue(Math.abs(whole.get(scale)[0]) > 1e-6, "the log-scale has no gradient to compare");
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1", "7,7", "16,16", "64,64", "16,7"})
    void step_anyChunksInF32_givesTheGradientOfTheWholeBatch(int imageChunk, int textChunk) {
        DualEncoder.Config real = TinyPairs.emojiModel();
        try (Ops ops = Backend.open("cpu");
                Trained model = new Trained(ops, real);
                TrainBatch batch = new TrainBatch(
                        ops,
                        TinyPairs.batch(
                                PAIRS, real.image().imageSize(), real.text().vocabulary(), 9),
                        42,
                        3)) {
            assertTrue(real.image().transformer().dropout() > 0, "the default model trains with dropout");
            List<double[]> whole = wholeTape(ops, model, batch);
            List<double[]> chunked = cached(ops, model, batch, List.of(imageChunk, textChunk), 1);
            assertTrue(relative(chunked, whole) <= 1e-5, "relative difference " + relative(chunked, whole));
        }
    }

    @Test
    void step_anyBudget_givesTheSameBits() {
        try (Ops ops = Backend.open("cpu");
                Trained model = new Trained(ops, TinyPairs.model(0.1));
                TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(PAIRS, 9), 42, 3)) {
            List<double[]> least = cached(ops, model, batch, List.of(8, 8), 1);
            long base = ops.memory().currentBytes();
            int before = Integer.MAX_VALUE;
            for (long room : new long[] {1_200_000, 1_400_000, 1_700_000, 1L << 30}) {
                GradCache<TrainBatch, PairwiseOps.Result> cache = GradCache.ofChunks(
                        ops,
                        Encoders.of(ops, model.encoders),
                        LossOverEncoders.of(model.loss),
                        List.of(8, 8),
                        base + room);
                model.parameters().forEach(Parameter::zeroGradient);
                ChunkPlan plan = cache.plan(batch);
                ops.memory().resetPeak();
                cache.step(batch, 1);
                assertTrue(
                        ops.memory().peakBytes() <= plan.peak(), ops.memory().peakBytes() + " bytes, planned\n" + plan);
                assertTrue(plan.peak() <= base + room, plan.toString());
                List<double[]> budgeted = gradients(model);
                for (int k = 0; k < least.size(); k++) {
                    assertArrayEquals(least.get(k), budgeted.get(k), "budget " + room);
                }
                assertTrue(cache.encodings(batch) <= before);
                before = cache.encodings(batch);
            }
            assertEquals(2 * 9, before, "with room for everything no chunk is encoded twice");
        }
    }

    @Test
    void plan_budgetOnly_choosesChunks() {
        try (Ops ops = Backend.open("cpu");
                Trained model = new Trained(ops, TinyPairs.model(0.1));
                TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(PAIRS, 9), 42, 3)) {
            List<double[]> whole = wholeTape(ops, model, batch);
            long base = ops.memory().currentBytes();
            GradCache<TrainBatch, PairwiseOps.Result> cache = GradCache.ofBudget(
                    ops, Encoders.of(ops, model.encoders), LossOverEncoders.of(model.loss), base + 1_200_000);
            model.parameters().forEach(Parameter::zeroGradient);
            ops.memory().resetPeak();
            cache.step(batch, 1);
            assertTrue(
                    ops.memory().peakBytes() <= base + 1_200_000,
                    cache.plan(batch).toString());
            assertTrue(relative(gradients(model), whole) < 1e-5);
            assertThrows(
                    OutOfBudgetException.class,
                    () -> GradCache.ofBudget(
                                    ops,
                                    Encoders.of(ops, model.encoders),
                                    LossOverEncoders.of(model.loss),
                                    base + 20_000)
                            .step(batch, 1));
            assertEquals(base, ops.memory().currentBytes(), "a refused plan leaves nothing behind");
        }
    }

    @Test
    void step_doubledBatch_addsOnlyRepresentationsToThePeak() {
        try (Ops ops = Backend.open("cpu");
                Trained model = new Trained(ops, TinyPairs.model(0.1))) {
            model.parameters().forEach(Parameter::gradient);
            int d = model.encoders.config().image().embedding();
            long previous = -1;
            for (int n = 256; n <= 8 * 256; n *= 2) {
                try (TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(n, 9), 42, 3)) {
                    long before = ops.memory().currentBytes();
                    ops.memory().resetPeak();
                    GradCache.ofChunks(
                                    ops,
                                    Encoders.of(ops, model.encoders),
                                    LossOverEncoders.of(model.loss),
                                    List.of(128, 128))
                            .step(batch, 1);
                    long bytes = ops.memory().peakBytes() - before;
                    // per pair and side: representation, its gradient, its unit copy, as much again for logits, and 1 /
                    // norm
                    long perPair = 2L * Float.BYTES * (4L * d + 1);
                    if (previous >= 0) {
                        assertTrue(
                                bytes - previous <= n / 2 * perPair,
                                "n = " + n + ": " + bytes + " bytes after " + previous + ", at most " + perPair
                                        + " a pair");
                    }
                    previous = bytes;
                }
            }
        }
    }

    @Test
    void step_twice_accumulatesScaledGradients() {
        try (Ops ops = Backend.open("cpu-f64");
                Trained model = new Trained(ops, TinyPairs.model(0.1));
                TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(20, 9), 42, 3)) {
            List<double[]> once = cached(ops, model, batch, List.of(6, 6), 1);
            GradCache<TrainBatch, PairwiseOps.Result> cache = GradCache.ofChunks(
                    ops, Encoders.of(ops, model.encoders), LossOverEncoders.of(model.loss), List.of(6, 6));
            model.parameters().forEach(Parameter::zeroGradient);
            cache.step(batch, 0.5);
            cache.step(batch, 0.5);
            assertTrue(relative(gradients(model), once) < 1e-13);
        }
    }

    @Test
    void step_frozenEncoder_isEncodedOnceWithoutGradient() {
        try (Ops ops = Backend.open("cpu-f64");
                Trained model = new Trained(ops, TinyPairs.model(0.1));
                TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(20, 9), 42, 3)) {
            List<double[]> free = cached(ops, model, batch, List.of(6, 6), 1);
            model.encoders.image().parameters().forEach(parameter -> parameter.freeze(true));
            List<double[]> locked = cached(ops, model, batch, List.of(6, 6), 1);
            GradCache<TrainBatch, PairwiseOps.Result> cache = GradCache.ofChunks(
                    ops, Encoders.of(ops, model.encoders), LossOverEncoders.of(model.loss), List.of(6, 6));
            assertEquals(4 + 8, cache.encodings(batch));
            for (int k = 0; k < free.size(); k++) {
                if (model.parameters().get(k).isFrozen()) {
                    assertArrayEquals(new double[free.get(k).length], locked.get(k));
                } else {
                    assertArrayEquals(free.get(k), locked.get(k));
                }
            }
        }
    }
}
