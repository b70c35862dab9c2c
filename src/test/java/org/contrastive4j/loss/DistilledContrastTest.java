package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.LossReference;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/** InfoNCE whose targets a teacher softens, against whole tables. */
class DistilledContrastTest {
    private static final double SCALE = 5;
    private static final double ALPHA = 0.4;

    private static double[] random(int rows, int d, long seed) {
        return new Random(seed)
                .doubles((long) rows * d, -1, 1)
                .map(x -> (float) x)
                .toArray();
    }

    private static double[] softmax(double[] logits) {
        double largest = Arrays.stream(logits).max().orElseThrow();
        double[] weights = Arrays.stream(logits).map(z -> Math.exp(z - largest)).toArray();
        double sum = Arrays.stream(weights).sum();
        return Arrays.stream(weights).map(weight -> weight / sum).toArray();
    }

    private static double side(double[][] s, double[][] teacher, double alpha) {
        double total = 0;
        for (int i = 0; i < s.length; i++) {
            double[] p = softmax(s[i]);
            double[] q = softmax(teacher[i]);
            for (int j = 0; j < p.length; j++) {
                total -= (alpha * q[j] + (i == j ? 1 - alpha : 0)) * Math.log(p[j]);
            }
        }
        return total / s.length;
    }

    /** The teacher's scale is a constant. */
    private static double expected(
            double[] u, double[] v, double[][] teacher, int n, int d, double scale, double alpha) {
        double[][] s = LossReference.logits(u, v, n, n, d, scale, 0);
        double columns = side(LossReference.transposed(s), LossReference.transposed(teacher), alpha);
        return (side(s, teacher, alpha) + columns) / 2;
    }

    static Stream<Arguments> problems() {
        Stream<Arguments> onHost = Stream.of(
                Arguments.of("cpu-f64", 1, 2, 2),
                Arguments.of("cpu-f64", 2, 1, 3),
                Arguments.of("cpu-f64", 7, 4, 4),
                Arguments.of("cpu-f64", 33, 6, 3),
                Arguments.of("cpu", 1, 1, 1),
                Arguments.of("cpu", 7, 4, 4),
                Arguments.of("cpu", 31, 5, 9),
                Arguments.of("cpu", 103, 8, 8));
        return Stream.concat(
                onHost,
                Devices.names()
                        .flatMap(device -> Stream.of(Arguments.of(device, 1, 1, 1), Arguments.of(device, 31, 5, 9))));
    }

    @ParameterizedTest
    @SampledSource(value = "problems", every = 3)
    @Tag("gpu")
    void valueAndGradient_equalTheirDefinition(String backend, int n, int d, int width) {
        boolean exact = backend.equals("cpu-f64");
        double slope = exact ? 1e-8 : 5e-5;
        double[] u = random(n, d, 1);
        double[] v = random(n, d, 2);
        double[] a = random(n, width, 3);
        double[] b = random(n, width, 4);
        double[][] teacher = LossReference.logits(a, b, n, n, width, SCALE, 0);
        double[] poison =
                DoubleStream.generate(() -> Double.NaN).limit((long) n * d).toArray();
        try (Ops ops = Backend.open(backend);
                DistilledContrast loss = new DistilledContrast(ops, Math.log(SCALE), true);
                Tensor x = ops.tensor(Shape.of(n, d), u);
                Tensor y = ops.tensor(Shape.of(n, d), v);
                Tensor xt = ops.tensor(Shape.of(n, width), a);
                Tensor yt = ops.tensor(Shape.of(n, width), b);
                Tensor dx = ops.tensor(Shape.of(n, d), poison);
                Tensor dy = ops.tensor(Shape.of(n, d), poison)) {
            for (double alpha : new double[] {0, ALPHA}) {
                loss.logScale().zeroGradient();
                double value = loss.valueAndGradient(x, y, xt, yt, alpha, dx, dy, 2)
                        .get()
                        .loss();
                double expected = expected(u, v, teacher, n, d, SCALE, alpha);
                assertEquals(expected, value, (exact ? 1e-12 : 5e-6) * (1 + expected), "alpha " + alpha);
                GradientCheck.require(
                        "u", z -> 2 * expected(z, v, teacher, n, d, SCALE, alpha), u, dx.toDoubles(), slope, 7);
                GradientCheck.require(
                        "v", z -> 2 * expected(u, z, teacher, n, d, SCALE, alpha), v, dy.toDoubles(), slope, 7);
                GradientCheck.require(
                        "log-scale",
                        z -> 2 * expected(u, v, teacher, n, d, Math.exp(z[0]), alpha),
                        new double[] {Math.log(SCALE)},
                        loss.logScale().gradient().toDoubles(),
                        slope,
                        7);
            }
        }
    }

    @Test
    void valueAndGradient_largestScale_isFiniteWithinItsWorkspace() {
        int n = 300;
        int d = 24;
        try (Ops ops = Backend.open("cpu");
                DistilledContrast loss = new DistilledContrast(ops, Math.log(100), true);
                Tensor u = ops.tensor(Shape.of(n, d), random(n, d, 1));
                Tensor opposed = ops.tensor(
                        Shape.of(n, d),
                        Arrays.stream(random(n, d, 1)).map(x -> -x).toArray());
                Tensor du = ops.allocate(n, d);
                Tensor dv = ops.allocate(n, d)) {
            loss.logScale().gradient(); // allocated at first use
            long before = ops.memory().currentBytes();
            for (Tensor teacher : new Tensor[] {u, opposed}) {
                ops.memory().resetPeak();
                assertTrue(Double.isFinite(loss.valueAndGradient(u, u, u, teacher, ALPHA, du, dv, 1)
                        .get()
                        .loss()));
                long used = ops.memory().peakBytes() - before;
                assertTrue(used <= loss.workspaceBytes(n, d), used + " bytes, said " + loss.workspaceBytes(n, d));
                assertTrue(Arrays.stream(du.toDoubles()).allMatch(Double::isFinite));
                assertTrue(Arrays.stream(dv.toDoubles()).allMatch(Double::isFinite));
            }
            assertEquals(before, ops.memory().currentBytes());
            assertTrue(loss.workspaceBytes(1 << 18, 512) <= 4 * loss.workspaceBytes(1 << 16, 512), "linear in n");
            assertEquals(1, loss.metrics(u, u).positives().mean(), 1e-3);
        }
    }

    @Test
    void valueAndGradient_invalidShapes_areRefused() {
        try (Ops ops = Backend.open("cpu");
                DistilledContrast loss = new DistilledContrast(ops);
                Tensor u = ops.tensor(Shape.of(3, 2), random(3, 2, 1));
                Tensor two = ops.tensor(Shape.of(2, 2), random(2, 2, 1));
                Tensor wide = ops.tensor(Shape.of(3, 4), random(3, 4, 1));
                Tensor bad = ops.tensor(Shape.of(3, 2), 1, 2, Double.NaN, 4, 5, 6)) {
            long before = ops.memory().currentBytes();
            assertThrows(ShapeException.class, () -> loss.valueAndGradient(u, two, u, u, ALPHA, null, null, 1));
            assertThrows(ShapeException.class, () -> loss.valueAndGradient(u, u, two, two, ALPHA, null, null, 1));
            assertThrows(ShapeException.class, () -> loss.valueAndGradient(u, u, u, wide, ALPHA, null, null, 1));
            for (double alpha : new double[] {-0.1, 1, Double.NaN}) {
                assertThrows(LossOptionException.class, () -> loss.valueAndGradient(u, u, u, u, alpha, null, null, 1));
            }
            assertEquals(
                    1,
                    assertThrows(
                                    NonFiniteException.class,
                                    () -> loss.valueAndGradient(u, u, u, bad, ALPHA, null, null, 1))
                            .row());
            assertThrows(LossOptionException.class, () -> new DistilledContrast(ops, 5, true));
            assertEquals(before, ops.memory().currentBytes());
        }
    }
}
