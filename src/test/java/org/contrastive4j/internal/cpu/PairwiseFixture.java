package org.contrastive4j.internal.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.contrastive4j.Backend;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.PairwiseReference;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** Backends, problems and comparisons with the definition for tests of InfoNCE on the CPU. */
final class PairwiseFixture {
    private PairwiseFixture() {}

    /** A backend under test. */
    record Subject(String name, Ops ops, PairwiseOps pairwise) implements AutoCloseable {
        @Override
        public String toString() {
            return name;
        }

        @Override
        public void close() {
            ops.close();
        }
    }

    static List<Subject> subjects() {
        Ops f32 = Backend.open("cpu");
        Ops f64 = Backend.open("cpu-f64");
        Ops tiny = Backend.open("cpu");
        Ops panels = Backend.open("cpu");
        return List.of(
                new Subject("cpu", f32, f32.pairwise()),
                new Subject("cpu-f64", f64, f64.pairwise()),
                new Subject(
                        "cpu tiny tiles",
                        tiny,
                        new CpuPairwiseOps(
                                (HostMemory) tiny.memory(), new CpuPairwiseOps.Tiling(8, 1000, 5, 1 << 12, 1 << 12))),
                new Subject(
                        "cpu many panels",
                        panels,
                        new CpuPairwiseOps(
                                (HostMemory) panels.memory(),
                                new CpuPairwiseOps.Tiling(16, 24, 7, 1, 16 * 24 * 4 * 3))));
    }

    /** One problem and its reference; values are floats, so that both precisions compute on the same numbers. */
    static final class Problem {
        final int n;
        final int m;
        final int d;
        final double[] x;
        final double[] y;
        final int[] targets;
        double logScale = (float) Math.log(14.3);
        double bias = 0.25;
        double rowWeight = 0.5;
        double columnWeight = 0.5;

        Problem(int n, int m, int d, boolean diagonal, long seed) {
            this.n = n;
            this.m = m;
            this.d = d;
            Random random = new Random(seed);
            x = unit(n, d, random);
            y = unit(m, d, random);
            targets = IntStream.range(0, n)
                    .map(i -> diagonal ? i : random.nextInt(m))
                    .toArray();
        }

        static double[] unit(int rows, int d, Random random) {
            double[] values = new double[rows * d];
            for (int r = 0; r < rows; r++) {
                double norm = 0;
                for (int k = 0; k < d; k++) {
                    values[r * d + k] = random.nextGaussian();
                    norm += values[r * d + k] * values[r * d + k];
                }
                for (int k = 0; k < d; k++) {
                    values[r * d + k] = (float) (values[r * d + k] / Math.sqrt(norm));
                }
            }
            return values;
        }

        PairwiseReference truth() {
            return new PairwiseReference(n, m, d, x, y, targets, logScale, bias, rowWeight, columnWeight);
        }
    }

    /** The outputs of a backend. */
    record Answer(PairwiseOps.Result result, double[] dx, double[] dy, double dLogScale, double dBias, int[] hardest) {}

    static Answer ask(Subject subject, Problem p, double gradientScale) {
        Ops ops = subject.ops();
        try (Tensor x = ops.tensor(Shape.of(p.n, p.d), p.x);
                Tensor y = ops.tensor(Shape.of(p.m, p.d), p.y);
                Tensor targets = ops.ints(Shape.of(p.n), p.targets);
                Tensor logScale = ops.tensor(Shape.of(1), p.logScale);
                Tensor bias = ops.tensor(Shape.of(1), p.bias);
                Tensor dx = poisoned(ops, p.n, p.d);
                Tensor dy = poisoned(ops, p.m, p.d);
                Tensor dLogScale = ops.tensor(Shape.of(1), 2);
                Tensor dBias = ops.tensor(Shape.of(1), 4);
                Tensor hardest = ops.ints(
                        Shape.of(p.n), IntStream.range(0, p.n).map(i -> -7).toArray())) {
            PairwiseOps.InfoNce inputs =
                    new PairwiseOps.InfoNce(x, y, targets, logScale, bias, p.rowWeight, p.columnWeight);
            PairwiseOps.Result result = subject.pairwise()
                    .infoNce(inputs, new PairwiseOps.Gradients(dx, dy, dLogScale, dBias), gradientScale, hardest)
                    .get();
            return new Answer(
                    result,
                    dx.toDoubles(),
                    dy.toDoubles(),
                    dLogScale.toDoubles()[0] - 2,
                    dBias.toDoubles()[0] - 4,
                    hardest.toInts());
        }
    }

    static Tensor poisoned(Ops ops, int... dims) {
        Tensor tensor = ops.allocate(dims);
        double[] nan = new double[(int) tensor.size()];
        Arrays.fill(nan, Double.NaN);
        tensor.set(nan);
        return tensor;
    }

    static void compare(Subject subject, Problem p, double gradientScale) {
        compare(subject, p, gradientScale, ask(subject, p, gradientScale));
    }

    static void compare(Subject subject, Problem p, double gradientScale, Answer answer) {
        PairwiseReference truth = p.truth();
        boolean f64 = subject.ops().dtype() == DType.F64;
        double scale = Math.exp(p.logScale);
        double unit = f64 ? 1e-12 : 4e-7 * Math.max(1, scale / 4); // a logit of size s is known to s ulps of 1
        String what = subject + " n " + p.n + " m " + p.m + " d " + p.d + " scale " + scale;
        assertEquals(truth.loss, answer.result().loss(), unit * (1 + truth.loss), what + ": loss");
        assertEquals(truth.meanPositive, answer.result().meanPositive(), unit * (1 + scale), what + ": mean positive");
        assertEquals(truth.result().rowAccuracy(), answer.result().rowAccuracy(), 0, what);
        assertEquals(truth.result().columnAccuracy(), answer.result().columnAccuracy(), 0, what);
        assertArrayEquals(truth.hardest, answer.hardest(), what + ": hardest negatives");
        close(what + ": dx", truth.dx, answer.dx(), gradientScale, unit, scale / p.n);
        close(what + ": dy", truth.dy, answer.dy(), gradientScale, unit, scale / p.n);
        double size = scale * gradientScale;
        assertEquals(gradientScale * truth.dLogScale, answer.dLogScale(), 4 * unit * (1 + size), what + ": dLogScale");
        assertEquals(gradientScale * truth.dBias, answer.dBias(), 4 * unit * (1 + gradientScale), what + ": dBias");
    }

    /**
     * Compares each element; a gradient is a sum of terms of up to {@code term} that may cancel, and carries their
     * rounding errors.
     */
    static void close(String what, double[] want, double[] got, double factor, double tolerance, double term) {
        double largest = Arrays.stream(want).map(Math::abs).max().orElse(0);
        for (int i = 0; i < want.length; i++) {
            double error = Math.abs(got[i] - factor * want[i]);
            assertTrue(
                    error <= factor * tolerance * (largest + term),
                    what + "[" + i + "]: " + got[i] + ", expected " + factor * want[i]);
        }
    }

    static void forAll(Consumer<Subject> test) {
        for (Subject subject : subjects()) {
            try (subject) {
                test.accept(subject);
            }
        }
    }
}
