package org.contrastive4j.gradcache;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** Gradient caching of linear, tied and tapeless encoders; {@code EncodersTest} has those of transformers. */
class GradCacheTest {
    /**
     * A bias cancels in the softmax; a loss that sees only rows leaves it a gradient of rounding, so scale and bias are
     * compared on the loss alone.
     */
    @Test
    void step_anyChunks_givesTheSameGradientsOfScaleAndBias() {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.of(ops, InfoNce.Direction.SYMMETRIC, 1.5, 0.25);
                LinearEncoders linears = new LinearEncoders(ops, 0)) {
            List<Double> scales = new ArrayList<>();
            List<Double> biases = new ArrayList<>();
            for (int chunk : new int[] {12, 1, 5}) {
                loss.parameters().forEach(Parameter::zeroGradient);
                linears.cache(loss, List.of(chunk, chunk)).step(linears, 1);
                scales.add(loss.parameters().get(0).gradient().toDoubles()[0]);
                biases.add(loss.parameters().get(1).gradient().toDoubles()[0]);
            }
            assertTrue(Math.abs(scales.get(0)) > 1e-3);
            for (int k = 1; k < 3; k++) {
                assertEquals(scales.get(0), scales.get(k), 1e-13);
                assertEquals(biases.get(0), biases.get(k), 1e-13);
            }
        }
    }

    @Test
    void step_tiedEncoders_addTheirGradients() {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.symmetric(ops);
                LinearEncoders linears = new LinearEncoders(ops, 0)) {
            ChunkEncoder<LinearEncoders> left = linears.encoders().get(0);
            List<double[]> results = new ArrayList<>();
            for (int chunk : new int[] {12, 5}) {
                linears.weights.forEach(Parameter::zeroGradient);
                GradCache.ofChunks(
                                ops, List.of(left, left), LossOverEncoders.<LinearEncoders>of(loss), List.of(chunk, 3))
                        .step(linears, 1);
                results.add(linears.weights.get(0).gradient().toDoubles());
            }
            assertArrayEquals(results.get(0), results.get(1), 1e-13);
        }
    }

    /** An encoder that does not use a tape: r = w x in plain Java. */
    private static final class Foreign implements ChunkEncoder<double[]> {
        private double weight = 0.7;
        private double gradient;

        @Override
        public String name() {
            return "foreign";
        }

        @Override
        public int samples(double[] batch) {
            return batch.length;
        }

        @Override
        public int width() {
            return 2;
        }

        @Override
        public void encode(double[] batch, int from, int to, Tensor into) {
            double[] rows = new double[2 * (to - from)];
            for (int i = from; i < to; i++) {
                rows[2 * (i - from)] = weight * batch[i];
                rows[2 * (i - from) + 1] = 1;
            }
            into.set(rows);
        }

        @Override
        public Pass encodeForBackward(double[] batch, int from, int to, Tensor into) {
            encode(batch, from, to, into);
            return new Pass() {
                @Override
                public void backward(Tensor upstream) {
                    double[] rows = upstream.toDoubles();
                    for (int i = from; i < to; i++) {
                        gradient += rows[2 * (i - from)] * batch[i];
                    }
                }

                @Override
                public void close() {}
            };
        }
    }

    @Test
    void step_encoderWithoutTape_isSupported() {
        double[] batch = {-1, 0.5, 2, 0.1, -0.7};
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.symmetric(ops)) {
            Foreign foreign = new Foreign();
            GradCache.ofChunks(ops, List.of(foreign, foreign), LossOverEncoders.<double[]>of(loss), List.of(2, 3))
                    .step(batch, 1)
                    .get();
            double[] values = new double[2];
            for (int side = 0; side < 2; side++) {
                foreign.weight = 0.7 + (side == 0 ? 1e-6 : -1e-6);
                try (Tensor u = ops.allocate(5, 2)) {
                    foreign.encode(batch, 0, 5, u);
                    values[side] = loss.value(u, u, PairLabels.DIAGONAL).get().loss();
                }
            }
            assertEquals((values[0] - values[1]) / 2e-6, foreign.gradient, 1e-7);
        }
    }

    @Test
    void step_invalidChunks_areRefusedBeforeEncoding() {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.symmetric(ops);
                LinearEncoders linears = new LinearEncoders(ops, 0)) {
            assertThrows(IllegalArgumentException.class, () -> linears.cache(loss, List.of(0, 4)));
            ShapeException large = assertThrows(
                    ShapeException.class,
                    () -> linears.cache(loss, List.of(4, 13)).step(linears, 1));
            assertTrue(large.getMessage().contains("13") && large.getMessage().contains("right"), large.getMessage());
            assertThrows(
                    ShapeException.class, () -> linears.cache(loss, List.of(4)).step(linears, 1));
        }
    }
}
