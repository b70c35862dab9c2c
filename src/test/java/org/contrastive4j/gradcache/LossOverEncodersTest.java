package org.contrastive4j.gradcache;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.LossFunction;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.loss.PairPolicy;
import org.contrastive4j.loss.QueueContrast;
import org.contrastive4j.loss.SoftTargetContrast;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.nn.Initializer;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Chunked is unchunked for every loss; the truth is one tape over everything. */
class LossOverEncodersTest {
    private static final int PAIRS = 13;

    static Set<String> names() {
        return Losses.names();
    }

    /** Two or four linear encoders with dropout. */
    private static final class Model implements AutoCloseable {
        private final Ops ops;
        private final Tensor x;
        private final Tensor ids;
        private final List<Parameter> weights = new ArrayList<>();

        Model(Ops ops, int encoders) {
            this.ops = ops;
            x = ops.tensor(
                    Shape.of(PAIRS, 4), new Random(3).doubles(PAIRS * 4, -1, 1).toArray());
            ids = ops.ints(Shape.of(PAIRS), IntStream.range(0, PAIRS).toArray());
            Initializer init = new Initializer(ops, 1);
            for (int e = 0; e < encoders; e++) {
                weights.add(init.normal("encoder" + e, 0.5, 4, 3));
                weights.get(e).freeze(e >= 2);
            }
        }

        private Variable encode(Tape tape, int e, int from, int to) {
            Variable y = Functions.linear(tape, tape.constant("x", x.rows(from, to)), weights.get(e), null);
            return tape.scope(
                    "encoder" + e, () -> Functions.dropout(tape, y, 0.3, ids.rows(from, to), new RandomKey(7, e, 0)));
        }

        List<ChunkEncoder<Model>> encoders() {
            List<ChunkEncoder<Model>> all = new ArrayList<>();
            for (int e = 0; e < weights.size(); e++) {
                int which = e;
                all.add(new TapeEncoder<>(
                        ops,
                        "encoder" + e,
                        3,
                        batch -> PAIRS,
                        List.of(weights.get(e)),
                        (tape, batch, from, to) -> encode(tape, which, from, to)));
            }
            return all;
        }

        @Override
        public void close() {
            x.close();
            ids.close();
            weights.forEach(Parameter::close);
        }
    }

    private static void same(String what, List<double[]> expected, List<Parameter> given) {
        for (int k = 0; k < given.size(); k++) {
            double[] got = given.get(k).gradient().toDoubles();
            for (int i = 0; i < got.length; i++) {
                assertEquals(
                        expected.get(k)[i],
                        got[i],
                        1e-12 * (1 + Math.abs(expected.get(k)[i])),
                        what + " " + given.get(k).name());
            }
        }
    }

    private static List<double[]> gradients(List<Parameter> parameters) {
        return parameters.stream()
                .map(parameter -> parameter.gradient().toDoubles())
                .toList();
    }

    @ParameterizedTest
    @MethodSource("names")
    void step_everyLossInChunks_equalsTheWholeBatch(String name) {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss loss = Losses.named(ops, name);
                Model model = new Model(ops, 2);
                Tensor groups = ops.ints(
                        Shape.of(PAIRS),
                        IntStream.range(0, PAIRS).map(i -> i / 3).toArray());
                Tensor one = ops.tensor(Shape.of(1), 1)) {
            PairLabels labels = PairLabels.ids(groups, groups);
            List<Parameter> all = new ArrayList<>(model.weights);
            all.addAll(loss.parameters());
            List<double[]> whole;
            try (Tape tape = Tape.recording(ops)) {
                List<Variable> inputs =
                        new ArrayList<>(List.of(model.encode(tape, 0, 0, PAIRS), model.encode(tape, 1, 0, PAIRS)));
                inputs.addAll(loss.parameters());
                tape.backward(tape.apply(new LossFunction(loss, labels), inputs.toArray(new Variable[0])), one);
                whole = gradients(all);
            }
            assertTrue(whole.get(0)[0] != 0, "nothing to compare");
            for (int chunk : new int[] {1, 5, 13}) {
                all.forEach(Parameter::zeroGradient);
                GradCache.ofChunks(
                                ops,
                                model.encoders(),
                                LossOverEncoders.<Model>of(loss, batch -> labels),
                                List.of(chunk, Math.max(1, chunk - 2)))
                        .step(model, 1);
                same(name + " chunk " + chunk, whole, all);
            }
        }
    }

    private static List<double[]> after(BatchStep<Model, ?> step, Model model, List<Parameter> all) {
        all.forEach(Parameter::zeroGradient);
        step.step(model, 0.5);
        return gradients(all);
    }

    @ParameterizedTest
    @MethodSource("names")
    void accumulatedFeatures_everyLoss_countScaleAndBiasOnce(String name) {
        for (String backend : List.of("cpu-f64", "cpu")) {
            try (Ops ops = Backend.open(backend);
                    ContrastiveLoss loss = Losses.named(ops, name);
                    Model model = new Model(ops, 2);
                    Tensor groups = ops.ints(
                            Shape.of(PAIRS),
                            IntStream.range(0, PAIRS).map(i -> i / 3).toArray())) {
                PairLabels labels = PairLabels.ids(groups, groups);
                RepresentationLoss<Model, ?> over = LossOverEncoders.of(loss, batch -> labels);
                List<Parameter> own = loss.parameters();
                List<Parameter> all = new ArrayList<>(model.weights);
                all.addAll(own);
                List<double[]> exact =
                        after(GradCache.ofChunks(ops, model.encoders(), over, List.of(5, 4)), model, all);
                for (int k : new int[] {1, 2, 3, 13}) {
                    List<double[]> once =
                            after(new AccumulatedFeatures<>(ops, model.encoders(), over, own, k), model, all);
                    List<double[]> each =
                            after(new AccumulatedFeatures<>(ops, model.encoders(), over, List.of(), k), model, all);
                    String what = name + " on " + backend + ", " + k + " micro-batches";
                    double rounding = backend.equals("cpu") ? 1e-5 : 1e-12;
                    near(what, exact, once, 1, 0, all.size(), rounding);
                    near(what, exact, each, 1, 0, model.weights.size(), rounding);
                    near(what, exact, each, k, model.weights.size(), all.size(), rounding); // as in open_clip
                }
                assertTrue(own.stream().allMatch(parameter -> parameter.isFrozen() == name.startsWith("triplet")));
            }
        }
    }

    private static void near(
            String what,
            List<double[]> expected,
            List<double[]> given,
            double factor,
            int from,
            int to,
            double rounding) {
        for (int p = from; p < to; p++) {
            for (int i = 0; i < expected.get(p).length; i++) {
                double scaled = factor * expected.get(p)[i];
                assertEquals(scaled, given.get(p)[i], rounding * (1 + Math.abs(scaled)), what + ", parameter " + p);
            }
        }
    }

    @Test
    void accumulatedFeatures_sameChunks_haveTheSameBits() {
        try (Ops ops = Backend.open("cpu");
                ContrastiveLoss loss = Losses.named(ops, "siglip");
                Model model = new Model(ops, 2)) {
            List<Parameter> all = new ArrayList<>(model.weights);
            all.addAll(loss.parameters());
            RepresentationLoss<Model, ?> over = LossOverEncoders.of(loss);
            List<double[]> exact = after(GradCache.ofChunks(ops, model.encoders(), over, List.of(1, 1)), model, all);
            List<double[]> accumulated =
                    after(new AccumulatedFeatures<>(ops, model.encoders(), over, loss.parameters(), PAIRS), model, all);
            for (int p = 0; p < all.size(); p++) {
                assertArrayEquals(exact.get(p), accumulated.get(p));
            }
        }
    }

    @Test
    void accumulatedFeatures_invalidChunks_areRefusedWithoutLeaks() {
        try (Ops ops = Backend.open("cpu");
                ContrastiveLoss loss = Losses.named(ops, "siglip");
                Model model = new Model(ops, 2)) {
            long before = ops.memory().currentBytes();
            RepresentationLoss<Model, ?> over = LossOverEncoders.of(loss);
            assertThrows(
                    IllegalArgumentException.class,
                    () -> new AccumulatedFeatures<>(ops, model.encoders(), over, loss.parameters(), 0));
            assertThrows(
                    ShapeException.class,
                    () -> new AccumulatedFeatures<>(ops, model.encoders(), over, loss.parameters(), PAIRS + 1)
                            .step(model, 1));
            double[] weights = model.weights.get(0).value().toDoubles();
            model.weights
                    .get(0)
                    .value()
                    .set(DoubleStream.generate(() -> Double.NaN).limit(12).toArray());
            assertThrows(
                    NonFiniteException.class,
                    () -> new AccumulatedFeatures<>(ops, model.encoders(), over, loss.parameters(), 3).step(model, 1));
            model.weights.get(0).value().set(weights);
            assertTrue(loss.parameters().stream().noneMatch(Parameter::isFrozen));
            assertEquals(before, ops.memory().currentBytes());
        }
    }

    @Test
    void step_softTargets_equalTheWholeBatch() {
        try (Ops ops = Backend.open("cpu-f64");
                Model model = new Model(ops, 2);
                SoftTargetContrast loss = new SoftTargetContrast(ops);
                Tensor half = ops.tensor(
                        Shape.of(PAIRS, 1),
                        DoubleStream.generate(() -> 1).limit(PAIRS).toArray());
                Tensor even = ops.tensor(
                        Shape.of(PAIRS, 1),
                        DoubleStream.generate(() -> 1.0 / PAIRS).limit(PAIRS).toArray())) {
            SoftTargets targets = SoftTargets.mixed(
                    0.3, SoftTargets.lowRank(half, even), SoftTargets.diagonal(PAIRS, PAIRS)); // label smoothing
            RepresentationLoss<Model, ?> over = LossOverEncoders.of(loss, batch -> targets, batch -> targets);
            List<Parameter> all = new ArrayList<>(model.weights);
            all.addAll(loss.parameters());
            List<double[]> whole = after(GradCache.ofChunks(ops, model.encoders(), over, List.of(13, 13)), model, all);
            after(GradCache.ofChunks(ops, model.encoders(), over, List.of(5, 1)), model, all);
            same("chunked", whole, all);
            after(new AccumulatedFeatures<>(ops, model.encoders(), over, loss.parameters(), 4), model, all);
            same("accumulated", whole, all);
            try (ContrastiveLoss smoothed =
                    InfoNce.withPolicy(ops, InfoNce.Direction.SYMMETRIC, 0.3, PairPolicy.DEFAULT)) {
                List<Parameter> others = new ArrayList<>(model.weights);
                others.addAll(smoothed.parameters());
                after(
                        GradCache.ofChunks(ops, model.encoders(), LossOverEncoders.of(smoothed), List.of(5, 5)),
                        model,
                        others);
                same("label smoothing", whole, others);
            }
        }
    }

    @Test
    void step_queueOfFourEncoders_equalsTheWholeBatch() {
        try (Ops ops = Backend.open("cpu-f64");
                Model model = new Model(ops, 4);
                Model two = new Model(ops, 2);
                QueueContrast loss = new QueueContrast(ops, 20, 3, PairPolicy.DEFAULT, 1.5, true);
                Tensor keys = ops.tensor(
                        Shape.of(17, 3), new Random(9).doubles(51, -1, 1).toArray())) {
            loss.enqueue(keys, keys, null);
            List<Parameter> all = new ArrayList<>(model.weights.subList(0, 2));
            all.addAll(loss.parameters());
            List<Double> slopes = new ArrayList<>();
            for (double alpha : new double[] {0, 0.4}) {
                List<double[]> whole = null;
                for (int chunk : new int[] {13, 1, 5}) {
                    all.forEach(Parameter::zeroGradient);
                    GradCache.ofChunks(
                                    ops,
                                    model.encoders(),
                                    LossOverEncoders.<Model>of(loss, batch -> batch.ids, batch -> alpha),
                                    List.of(chunk, chunk, chunk, chunk))
                            .step(model, 1)
                            .get();
                    whole = whole == null ? gradients(all) : whole;
                    same("queue chunk " + chunk, whole, all);
                }
                slopes.add(whole.get(2)[0]);
            }
            assertTrue(Math.abs(slopes.get(0)) > 1e-6, "the log-scale has a gradient");
            assertTrue(Math.abs(slopes.get(0) - slopes.get(1)) > 1e-6, "distillation changes it");
            assertThrows(
                    ShapeException.class,
                    () -> GradCache.ofChunks(
                                    ops,
                                    two.encoders(),
                                    LossOverEncoders.<Model>of(loss, batch -> null, batch -> 0),
                                    List.of(5, 5))
                            .step(two, 1)
                            .get());
        }
    }
}
