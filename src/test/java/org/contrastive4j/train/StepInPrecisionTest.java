package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.EquivalenceCheck;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.SixteenBitOps;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/**
 * A whole training step, two encoders with dropout, loss, gradient cache, clipping and optimiser, in every precision.
 */
@Tag("gpu")
class StepInPrecisionTest {
    private static final int PAIRS = 11;
    private static final double RATE = 0.01;
    private static final double SCALE = 1024;
    private static final long KEEP_NOTHING = 1L << 17;
    private static final long KEEP_ALL = 1L << 30;
    /** Bound of the error of a gradient or update relative to its norm, in units of the precision. */
    private static final double BOUND = 8;

    /** Results of steps that several tests share: some run on the simulator. */
    private static final Map<String, Outcome> TAKEN = new HashMap<>();

    /** A device with a precision, and the reference operations in 16 bits. */
    private record Place(String device, Precision precision) {
        Ops open() {
            return device.equals("cpu") && precision != Precision.F32
                    ? new SixteenBitOps(Backend.open(device), precision.storage())
                    : Backend.open(device, Long.MAX_VALUE, precision);
        }
    }

    static Stream<Place> places() {
        Stream<Place> plain = Stream.of(Precision.BF16, Precision.F16).map(precision -> new Place("cpu", precision));
        return Stream.concat(
                plain,
                Devices.names()
                        .flatMap(device -> Backend.precisions(device).stream()
                                .filter(precision -> precision != Precision.F32) // StepOnKernelsTest
                                .map(precision -> new Place(device, precision))));
    }

    static Stream<Place> coarsest() {
        return places().filter(place -> place.precision() == Precision.BF16);
    }

    private static double unit(Precision precision) {
        return precision == Precision.BF16 ? 0x1p-8 : 0x1p-11;
    }

    private record Outcome(double loss, Map<String, double[]> gradients, Map<String, double[]> updates) {}

    private static Outcome step(Place place, long budget, double scale) {
        return TAKEN.computeIfAbsent(place + " " + budget + " " + scale, key -> take(place, budget, scale));
    }

    /** @param budget bytes of activations of the first pass that may be kept for the second */
    private static Outcome take(Place place, long budget, double scale) {
        Map<String, double[]> gradients = new LinkedHashMap<>();
        Map<String, double[]> updates = new LinkedHashMap<>();
        try (Ops ops = place.open();
                DualEncoder model = new DualEncoder(ops, TinyPairs.model(0.2), 3);
                InfoNce loss = InfoNce.symmetric(ops);
                TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(PAIRS, 5), 7, 0)) {
            List<Parameter> parameters = new ArrayList<>(model.parameters());
            parameters.addAll(loss.parameters());
            parameters.forEach(
                    parameter -> updates.put(parameter.name(), parameter.value().toDoubles()));
            try (AdamW optimizer = new AdamW(ops, parameters, new AdamW.Config(0.9, 0.98, 1e-3, 0.1))) {
                double value =
                        cache(ops, model, loss, budget).step(batch, scale).get().loss();
                optimizer.step(RATE, GlobalNorm.clip(GlobalNorm.of(ops, parameters) / scale, 1) / scale);
                for (Parameter parameter : parameters) {
                    assertEquals(DType.F32, parameter.gradient().dtype(), parameter.name());
                    double[] gradient = parameter.gradient().toDoubles();
                    double[] update = updates.get(parameter.name());
                    double[] after = parameter.value().toDoubles();
                    for (int i = 0; i < gradient.length; i++) {
                        gradient[i] /= scale;
                        update[i] = after[i] - update[i];
                    }
                    gradients.put(parameter.name(), gradient);
                }
                return new Outcome(value, gradients, updates);
            }
        }
    }

    private static GradCache<TrainBatch, PairwiseOps.Result> cache(
            Ops ops, DualEncoder model, InfoNce loss, long budget) {
        List<ChunkEncoder<TrainBatch>> encoders = Encoders.of(ops, model);
        return budget == KEEP_NOTHING
                ? GradCache.ofChunks(ops, encoders, LossOverEncoders.of(loss), List.of(4, 5))
                : GradCache.ofChunks(ops, encoders, LossOverEncoders.of(loss), List.of(4, 5), budget);
    }

    /** Returns |a - b| / |b| over all parameters. */
    private static double relative(Map<String, double[]> a, Map<String, double[]> b) {
        double squares = 0;
        double norm = 0;
        for (String name : b.keySet()) {
            for (int i = 0; i < b.get(name).length; i++) {
                squares += Math.pow(a.get(name)[i] - b.get(name)[i], 2);
                norm += Math.pow(b.get(name)[i], 2);
            }
        }
        return Math.sqrt(squares / norm);
    }

    @ParameterizedTest
    @SampledSource(value = "places", every = 8)
    void step_equalsF32UpToTheRoundingOfActivations(Place place) {
        Outcome expected = step(new Place("cpu", Precision.F32), KEEP_NOTHING, 1);
        Outcome actual = step(place, KEEP_NOTHING, SCALE);
        double unit = unit(place.precision());
        double loss = Math.abs(actual.loss() - expected.loss()) / expected.loss() / unit;
        double gradients = relative(actual.gradients(), expected.gradients()) / unit;
        double updates = relative(actual.updates(), expected.updates()) / unit;
        String found = loss + ", " + gradients + ", " + updates + " units off: loss, gradients, updates";
        assertTrue(loss <= BOUND && gradients <= BOUND && updates <= 2 * BOUND, found);
        assertTrue(gradients > BOUND / 100, "rounding must show for this to say anything: " + found);
    }

    @ParameterizedTest
    @SampledSource(value = "places", every = 8)
    void step_recomputed_hasTheBitsOfKeptActivations(Place place) {
        Outcome kept = step(place, KEEP_ALL, SCALE);
        Outcome replayed = step(place, KEEP_NOTHING, SCALE);
        assertEquals(kept.loss(), replayed.loss());
        kept.gradients()
                .forEach((name, gradient) ->
                        assertArrayEquals(gradient, replayed.gradients().get(name), name));
        kept.updates()
                .forEach((name, update) ->
                        assertArrayEquals(update, replayed.updates().get(name), name));
    }

    /** The comparison of {@code verify-gradcache}, in bf16, which has the coarsest rounding. */
    @ParameterizedTest
    @SampledSource(value = "coarsest", every = 4)
    void step_chunkedAndWhole_agree(Place place) {
        try (Ops ops = place.open();
                DualEncoder model = new DualEncoder(ops, TinyPairs.model(0.2), 3);
                InfoNce loss = InfoNce.symmetric(ops);
                TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(5, 5), 7, 0)) {
            List<Parameter> parameters = new ArrayList<>(model.parameters());
            parameters.addAll(loss.parameters());
            EquivalenceCheck.Report report = new EquivalenceCheck<>(
                            ops, Encoders.of(ops, model), LossOverEncoders.of(loss), parameters)
                    .run(batch, List.of(2, 3));
            assertTrue(report.agrees(EquivalenceCheck.tolerance(place.precision())), report.toString());
            assertEquals(Map.of(), report.culprits());
        }
    }

    /** A small part of a large batch has gradients that underflow in f16 without scaling. */
    @Test
    void lossScaling_restoresGradientsThatUnderflowInF16() {
        Outcome expected = step(new Place("cpu", Precision.F32), KEEP_NOTHING, 1);
        Place place = new Place("cpu", Precision.F16);
        double lost = relative(step(place, KEEP_NOTHING, 0x1p-20).gradients(), expected.gradients());
        double kept = relative(step(place, KEEP_NOTHING, SCALE).gradients(), expected.gradients());
        assertTrue(lost > 0.1 && kept < BOUND * 0x1p-11, lost + " and " + kept);
    }

    @Test
    void encode_hasActivationsIn16BitsAndRepresentationsInF32() {
        TransformerConfig sizes = new TransformerConfig(6, 1, 2, 10, PointwiseOps.Gelu.EXACT, 0.1);
        for (Pooling pooling : Pooling.values()) {
            DualEncoder.Config config = new DualEncoder.Config(
                    new VisionTransformer.Config(
                            8, 4, 4, 0, sizes, pooling == Pooling.LAST ? Pooling.MEAN : pooling, 5),
                    new TextTransformer.Config(
                            23,
                            6,
                            sizes,
                            true,
                            pooling == Pooling.FLATTEN || pooling == Pooling.ATTENTION ? Pooling.MEAN : pooling,
                            5));
            try (Ops ops = new Place("cpu", Precision.BF16).open();
                    DualEncoder model = new DualEncoder(ops, config, 3);
                    InfoNce loss = InfoNce.symmetric(ops);
                    TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(5, 5), 7, 0)) {
                Map<String, DType> types = new LinkedHashMap<>();
                List<ChunkEncoder<TrainBatch>> encoders = Encoders.of(ops, model);
                encoders.forEach(encoder -> encoder.observe((name, value) -> types.merge(
                        name,
                        value.dtype(),
                        (one, other) -> one == other ? one : fail(name + " is " + one + " and " + other))));
                GradCache.ofChunks(ops, encoders, LossOverEncoders.of(loss), List.of(2, 3))
                        .step(batch, 1);
                assertTrue(types.size() > 20, types.toString());
                types.forEach((name, type) ->
                        assertEquals(name.matches("(image|text)/linear") ? DType.F32 : DType.BF16, type, name));
                for (Parameter parameter : model.parameters()) {
                    assertEquals(DType.F32, parameter.gradient().dtype(), parameter.name());
                    assertTrue(
                            Arrays.stream(parameter.gradient().toDoubles()).anyMatch(g -> g != 0)
                                    || parameter.name().endsWith("qkv.bias"),
                            parameter.name());
                }
            }
        }
    }
}
