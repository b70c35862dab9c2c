package org.contrastive4j.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.LossFunction;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.memory.Memory.MemoryLeakException;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.support.PairEncoding;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Encoders of pictures and captions: gradients, independence of chunks, dropout and initial values. */
class DualEncoderTest {
    private static final TransformerConfig TINY = new TransformerConfig(4, 1, 2, 6, PointwiseOps.Gelu.EXACT, 0.2);

    private static DualEncoder.Config config(Pooling image, Pooling text, boolean causal, int kernel, int padding) {
        return new DualEncoder.Config(
                new VisionTransformer.Config(8, kernel, 4, padding, TINY, image, 3),
                new TextTransformer.Config(23, 6, TINY, causal, text, 3));
    }

    @ParameterizedTest
    @CsvSource({"MEAN,MEAN,false,4,0", "CLASS,LAST,true,4,0", "FLATTEN,CLASS,false,6,1"})
    void gradients_everyParameter_agreeWithDifferences(
            Pooling image, Pooling text, boolean causal, int kernel, int padding) {
        try (Ops ops = Backend.open("cpu-f64");
                DualEncoder model = new DualEncoder(ops, config(image, text, causal, kernel, padding), 1);
                InfoNce loss = InfoNce.symmetric(ops);
                PairEncoding batch = new PairEncoding(ops, model, 5, 3)) {
            List<Parameter> parameters = new ArrayList<>(model.parameters());
            parameters.addAll(loss.parameters());
            new GradientCheck(ops, 1, 1e-6)
                    .run(
                            tape -> tape.apply(
                                    new LossFunction(loss, PairLabels.DIAGONAL),
                                    batch.pictures(tape, 0, 5),
                                    batch.captions(tape, 0, 5),
                                    loss.logScale()),
                            parameters)
                    .require(1e-6);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "cpu-f64"})
    void forward_anyChunk_sameBits(String backend) {
        try (Ops ops = Backend.open(backend);
                DualEncoder model = new DualEncoder(ops, TinyPairs.model(0.3), 1);
                PairEncoding batch = new PairEncoding(ops, model, 9, 3)) {
            double[] whole = encode(ops, batch, 0, 9);
            for (int k = 0; k < 9; k++) {
                double[] alone = encode(ops, batch, k, k + 1);
                assertArrayEquals(
                        Arrays.copyOfRange(whole, 10 * k, 10 * k + 10), alone, backend.equals("cpu") ? 1e-5 : 1e-14);
            }
        }
    }

    /** Returns the representations of picture and caption of each pair, concatenated. */
    private static double[] encode(Ops ops, PairEncoding batch, int from, int to) {
        double[] both = new double[(to - from) * 10];
        try (Tape tape = Tape.inference(ops)) {
            double[] pictures = batch.pictures(tape, from, to).value().toDoubles();
            double[] captions = batch.captions(tape, from, to).value().toDoubles();
            for (int i = 0; i < to - from; i++) {
                System.arraycopy(pictures, 5 * i, both, 10 * i, 5);
                System.arraycopy(captions, 5 * i, both, 10 * i + 5, 5);
            }
        }
        return both;
    }

    @Test
    void dropout_dependsOnSeedStepAndSampleOnly() {
        try (Ops ops = Backend.open("cpu-f64");
                DualEncoder model = new DualEncoder(ops, TinyPairs.model(0.3), 1);
                PairEncoding once = new PairEncoding(ops, model, 4, 3);
                PairEncoding later = new PairEncoding(ops, model, 4, 4);
                PairEncoding evaluation = new PairEncoding(ops, model, 4, -1)) {
            double[] first = encode(ops, once, 0, 4);
            assertArrayEquals(first, encode(ops, once, 0, 4));
            assertFalse(Arrays.equals(first, encode(ops, later, 0, 4)));
            assertFalse(Arrays.equals(first, encode(ops, evaluation, 0, 4)));
        }
    }

    @Test
    void initialValues_dependOnSeedAndNameOnly() {
        try (Ops ops = Backend.open("cpu-f64");
                DualEncoder one = new DualEncoder(ops, TinyPairs.model(0), 1);
                DualEncoder other = new DualEncoder(ops, TinyPairs.model(0), 1);
                DualEncoder seeded = new DualEncoder(ops, TinyPairs.model(0), 2)) {
            Set<String> names = new HashSet<>();
            boolean differs = false;
            for (int k = 0; k < one.parameters().size(); k++) {
                Parameter p = one.parameters().get(k);
                names.add(p.name());
                assertArrayEquals(
                        p.value().toDoubles(), other.parameters().get(k).value().toDoubles());
                differs |= !Arrays.equals(
                        p.value().toDoubles(),
                        seeded.parameters().get(k).value().toDoubles());
                boolean matrix = p.shape().rank() > 1;
                assertEquals(matrix, p.decays(), p.name() + ": only matrices decay");
            }
            assertEquals(one.parameters().size(), names.size(), "names are unique");
            assertEquals(true, differs);
        }
    }

    @Test
    void config_impossible_isRefused() {
        assertThrows(
                IllegalArgumentException.class, () -> new TransformerConfig(6, 1, 4, 8, PointwiseOps.Gelu.EXACT, 0));
        assertThrows(
                IllegalArgumentException.class, () -> new TransformerConfig(8, 1, 4, 8, PointwiseOps.Gelu.EXACT, 1));
        assertThrows(
                IllegalArgumentException.class, () -> new VisionTransformer.Config(8, 9, 4, 0, TINY, Pooling.MEAN, 3));
        assertThrows(
                IllegalArgumentException.class, () -> new VisionTransformer.Config(8, 4, 4, 0, TINY, Pooling.LAST, 3));
        assertThrows(
                IllegalArgumentException.class,
                () -> new TextTransformer.Config(5, 6, TINY, false, Pooling.FLATTEN, 3));
        DualEncoder.Config good = TinyPairs.model(0);
        assertThrows(
                IllegalArgumentException.class,
                () -> new DualEncoder.Config(
                        good.image(), new TextTransformer.Config(23, 6, TINY, false, Pooling.MEAN, 4)));
    }

    @Test
    void forward_picturesOfOtherSize_isRefused() {
        try (Ops ops = Backend.open("cpu");
                DualEncoder model = new DualEncoder(ops, TinyPairs.model(0), 1);
                Tensor small = ops.zeros(Shape.of(2, 4, 4, 3));
                Tape tape = Tape.inference(ops)) {
            assertThrows(ShapeException.class, () -> model.image().forward(tape, tape.constant("small", small), null));
        }
    }

    @Test
    void close_freesEverything() {
        Ops ops = Backend.open("cpu");
        DualEncoder model = new DualEncoder(ops, TinyPairs.model(0), 1);
        model.parameters().forEach(Parameter::gradient);
        model.close();
        assertEquals(0, ops.memory().currentBytes());
        Tensor forgotten = ops.zeros(Shape.of(1));
        assertThrows(MemoryLeakException.class, ops::close);
        assertThrows(IllegalStateException.class, forgotten::toDoubles);
    }

    @Test
    void constructor_outOfMemory_freesEverything() {
        for (long limit = 64; limit < 4096; limit += 64) {
            try (Ops ops = Backend.open("cpu", limit)) { // closing it finds what leaked
                assertThrows(OutOfBudgetException.class, () -> new DualEncoder(ops, TinyPairs.model(0.1), 1));
                assertEquals(0, ops.memory().currentBytes(), "limit " + limit);
            }
        }
    }

    @Test
    void initialValues_differentSeeds_unrelated() {
        try (Ops ops = Backend.open("cpu")) {
            double[][] values = new double[2][];
            for (int seed = 0; seed < 2; seed++) {
                try (Parameter weight = new Initializer(ops, seed + 1).normal("a.weight", 1, 64, 64)) {
                    values[seed] = weight.value().toDoubles();
                }
            }
            int equal = 0; // a run of one seed shifted against the other would repeat its values
            for (int shift = 0; shift < 8; shift++) {
                for (int i = 0; i + shift < values[0].length; i++) {
                    equal += values[0][i] == values[1][i + shift] || values[0][i + shift] == values[1][i] ? 1 : 0;
                }
            }
            assertEquals(0, equal);
        }
    }
}
