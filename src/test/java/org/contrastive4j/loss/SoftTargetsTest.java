package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.loss.DistilledContrast.Distillation;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.Backends;
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
import org.junit.jupiter.params.provider.MethodSource;

/** Cross-entropies against soft targets in every form, and momentum distillation; the truth has whole tables. */
class SoftTargetsTest {
    private static final double SCALE = 5;

    static Stream<String> backends() {
        return Backends.plain();
    }

    static Stream<Arguments> problems() {
        Stream<Arguments> onHost = Stream.of(
                Arguments.of("cpu-f64", 1, 1, 2),
                Arguments.of("cpu-f64", 5, 7, 3),
                Arguments.of("cpu-f64", 7, 4, 3),
                Arguments.of("cpu-f64", 33, 33, 6),
                Arguments.of("cpu", 1, 1, 2),
                Arguments.of("cpu", 5, 7, 3),
                Arguments.of("cpu", 33, 31, 6),
                Arguments.of("cpu", 103, 129, 8));
        return Stream.concat(
                onHost,
                Devices.names()
                        .flatMap(device -> Stream.of(Arguments.of(device, 1, 1, 2), Arguments.of(device, 33, 31, 6))));
    }

    private static double[] random(int rows, int d, long seed) {
        return new Random(seed)
                .doubles((long) rows * d, -1, 1)
                .map(x -> (float) x)
                .toArray();
    }

    /** A form of targets, its table, and the tensors it reads. */
    private record Form(String name, SoftTargets targets, double[][] table, List<Tensor> tensors)
            implements AutoCloseable {
        @Override
        public void close() {
            tensors.forEach(Tensor::close);
        }
    }

    private static double[][] softmax(double[][] s) {
        double[][] q = new double[s.length][s[0].length];
        for (int i = 0; i < s.length; i++) {
            double largest = Arrays.stream(s[i]).max().orElseThrow();
            double sum = Arrays.stream(s[i]).map(z -> Math.exp(z - largest)).sum();
            for (int j = 0; j < q[i].length; j++) {
                q[i][j] = Math.exp(s[i][j] - largest) / sum;
            }
        }
        return q;
    }

    private static Form sparse(int n, int m, long seed) {
        Random random = new Random(seed);
        double[][] table = new double[n][m];
        int[] offsets = new int[n + 1];
        List<Integer> columns = new ArrayList<>();
        List<Double> weights = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            int count = 1 + random.nextInt(3);
            for (int k = 0; k < count; k++) {
                int column = random.nextInt(m); // may come twice
                columns.add(column);
                weights.add(1.0 / count);
                table[i][column] += 1.0 / count;
            }
            offsets[i + 1] = columns.size();
        }
        return new Form(
                "sparse",
                new SparseTargets(
                        m,
                        offsets,
                        columns.stream().mapToInt(Integer::intValue).toArray(),
                        weights.stream().mapToDouble(Double::doubleValue).toArray()),
                table,
                List.of());
    }

    private static Form lowRank(Ops ops, int n, int m, int r, long seed) {
        Random random = new Random(seed);
        double[] a = random.doubles((long) n * r, 0, 1).toArray();
        double[] b = random.doubles((long) m * r, 0, 1).toArray();
        for (int k = 0; k < r; k++) {
            int of = k;
            normalise(b, IntStream.range(0, m).map(j -> j * r + of).toArray());
        }
        for (int i = 0; i < n; i++) {
            int of = i;
            normalise(a, IntStream.range(0, r).map(k -> of * r + k).toArray());
        }
        double[][] table = new double[n][m];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                for (int k = 0; k < r; k++) {
                    table[i][j] += a[i * r + k] * b[j * r + k];
                }
            }
        }
        Tensor left = ops.tensor(Shape.of(n, r), a);
        Tensor right = ops.tensor(Shape.of(m, r), b);
        return new Form("low rank", new LowRankTargets(left, right), table, List.of(left, right));
    }

    private static void normalise(double[] values, int[] at) {
        double sum = Arrays.stream(at).mapToDouble(k -> values[k]).sum();
        Arrays.stream(at).forEach(k -> values[k] /= sum);
    }

    private static Form similarity(Ops ops, int n, int m, int d, long seed) {
        double[] a = random(n, d, seed);
        double[] b = random(m, d, seed + 1);
        List<Tensor> unit = new ArrayList<>();
        for (double[] values : List.of(a, b)) {
            int rows = values.length / d;
            Tensor y = ops.allocate(rows, d);
            try (Tensor raw = ops.tensor(Shape.of(rows, d), values);
                    Tensor norms = ops.allocate(rows)) {
                ops.norm().l2Normalize(raw, y, norms);
            }
            unit.add(y);
        }
        return new Form(
                "similarity",
                new SimilarityTargets(ops, unit.get(0), unit.get(1), 7),
                softmax(LossReference.logits(a, b, n, m, d, 7, 0)),
                unit);
    }

    private static Form mixed(Ops ops, int n, int m, int d, long seed) {
        Form soft = similarity(ops, n, m, d, seed);
        Form hard = sparse(n, m, seed);
        double[][] table = new double[n][m];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                table[i][j] = 0.4 * soft.table[i][j] + 0.6 * hard.table[i][j];
            }
        }
        return new Form("mixed", SoftTargets.mixed(0.4, soft.targets, hard.targets), table, soft.tensors);
    }

    private static List<Form> forms(Ops ops, int n, int m, long seed) {
        return List.of(
                sparse(n, m, seed),
                lowRank(ops, n, m, 3, seed),
                similarity(ops, n, m, 4, seed),
                mixed(ops, n, m, 2, seed));
    }

    private static double crossEntropy(double[][] s, double[][] q) {
        double total = 0;
        double[][] p = softmax(s);
        for (int i = 0; i < s.length; i++) {
            for (int j = 0; j < s[i].length; j++) {
                total -= q[i][j] * Math.log(p[i][j]);
            }
        }
        return total / s.length;
    }

    private static double expected(
            double[] u, double[] v, int n, int m, int d, double scale, double[][] q, double[][] p) {
        double[][] s = LossReference.logits(u, v, n, m, d, scale, 0);
        return p == null ? crossEntropy(s, q) : (crossEntropy(s, q) + crossEntropy(LossReference.transposed(s), p)) / 2;
    }

    @ParameterizedTest
    @SampledSource(value = "problems", every = 4)
    @Tag("gpu")
    void valueAndGradient_equalTheirDefinition(String backend, int n, int m, int d) {
        boolean exact = backend.equals("cpu-f64");
        double[] u = random(n, d, 1);
        double[] v = random(m, d, 2);
        try (Ops ops = Backend.open(backend);
                SoftTargetContrast loss = new SoftTargetContrast(ops, Math.log(SCALE), true);
                Tensor a = ops.tensor(Shape.of(n, d), u);
                Tensor b = ops.tensor(Shape.of(m, d), v);
                Tensor da = ops.allocate(n, d);
                Tensor db = ops.allocate(m, d)) {
            List<Form> ofRows = forms(ops, n, m, 3);
            List<Form> ofColumns = forms(ops, m, n, 4);
            for (int k = 0; k < ofRows.size(); k++) {
                for (boolean both : new boolean[] {true, false}) {
                    double[][] q = ofRows.get(k).table;
                    double[][] p = both ? ofColumns.get(k).table : null;
                    SoftTargets columns = both ? ofColumns.get(k).targets : null;
                    String what = ofRows.get(k).name + (both ? " both ways" : " rows");
                    loss.logScale().zeroGradient();
                    da.set(nan(n * d));
                    db.set(nan(m * d));
                    double value = loss.valueAndGradient(a, b, ofRows.get(k).targets, columns, da, db, 2)
                            .get()
                            .loss();
                    double expected = expected(u, v, n, m, d, SCALE, q, p);
                    assertEquals(expected, value, (exact ? 1e-12 : 3e-6) * (1 + expected), what);
                    assertEquals(
                            value,
                            loss.value(a, b, ofRows.get(k).targets, columns)
                                    .get()
                                    .loss());
                    double slope = exact ? 1e-8 : 5e-5;
                    GradientCheck.require(
                            what + " u", x -> 2 * expected(x, v, n, m, d, SCALE, q, p), u, da.toDoubles(), slope, 7);
                    GradientCheck.require(
                            what + " v", x -> 2 * expected(u, x, n, m, d, SCALE, q, p), v, db.toDoubles(), slope, 7);
                    GradientCheck.require(
                            what + " log-scale",
                            x -> 2 * expected(u, v, n, m, d, Math.exp(x[0]), q, p),
                            new double[] {Math.log(SCALE)},
                            loss.logScale().gradient().toDoubles(),
                            slope,
                            7);
                }
            }
            ofRows.forEach(Form::close);
            ofColumns.forEach(Form::close);
        }
    }

    private static double[] nan(int size) {
        double[] values = new double[size];
        Arrays.fill(values, Double.NaN);
        return values;
    }

    @Test
    void value_allWeightOnTheDiagonal_equalsInfoNce() {
        try (Ops ops = Backend.open("cpu-f64");
                SoftTargetContrast soft = new SoftTargetContrast(ops);
                ContrastiveLoss hard = InfoNce.symmetric(ops);
                Tensor u = ops.tensor(Shape.of(9, 4), random(9, 4, 1));
                Tensor v = ops.tensor(Shape.of(9, 4), random(9, 4, 2))) {
            SoftTargets diagonal = SparseTargets.diagonal(9, 9);
            assertEquals(
                    hard.value(u, v, PairLabels.DIAGONAL).get().loss(),
                    soft.value(u, v, diagonal, diagonal).get().loss(),
                    1e-12);
            assertEquals(
                    hard.value(u, v, PairLabels.DIAGONAL).get().rowAccuracy(),
                    soft.value(u, v, diagonal, diagonal).get().rowAccuracy());
        }
    }

    @Test
    void valueAndGradient_largestScale_isFinite() {
        try (Ops ops = Backend.open("cpu");
                SoftTargetContrast loss = new SoftTargetContrast(ops, Math.log(100), true);
                Tensor u = ops.tensor(Shape.of(40, 4), random(40, 4, 1));
                Tensor du = ops.allocate(40, 4);
                Form form = similarity(ops, 40, 40, 4, 5)) {
            assertTrue(Double.isFinite(loss.valueAndGradient(u, u, form.targets, form.targets, du, null, 1)
                    .get()
                    .loss()));
            assertTrue(Arrays.stream(du.toDoubles()).allMatch(Double::isFinite));
        }
    }

    @Test
    void targets_thatAreNoDistribution_areRefused() {
        int[] offsets = {0, 2, 3};
        int[] columns = {0, 1, 2};
        String message = assertThrows(
                        LossOptionException.class,
                        () -> new SparseTargets(3, offsets, columns, new double[] {0.5, 0.6, 1}))
                .getMessage();
        assertTrue(message.contains("row 0 sum to 1.1"), message);
        for (double[] weights : new double[][] {{1.5, -0.5, 1}, {0.5, 0.5, Double.NaN}, {0.5, 0.5, 0}}) {
            assertThrows(LossOptionException.class, () -> new SparseTargets(3, offsets, columns, weights));
        }
        double[] fine = {0.5, 0.5, 1};
        new SparseTargets(3, offsets, columns, fine);
        assertThrows(ShapeException.class, () -> new SparseTargets(2, offsets, columns, fine));
        assertThrows(ShapeException.class, () -> new SparseTargets(3, new int[] {0, 2, 2}, columns, fine));
        assertThrows(ShapeException.class, () -> new SparseTargets(3, new int[] {0, 4, 3}, columns, fine));
        assertThrows(LossOptionException.class, () -> new SparseTargets(3, new int[] {0, 0, 3}, columns, fine));
        SoftTargets two = SparseTargets.diagonal(2, 3);
        assertThrows(LossOptionException.class, () -> SoftTargets.mixed(1.1, two, two));
        assertThrows(ShapeException.class, () -> SoftTargets.mixed(0.5, two, SparseTargets.diagonal(3, 3)));
        try (Ops ops = Backend.open("cpu");
                SoftTargetContrast loss = new SoftTargetContrast(ops);
                Tensor a = ops.tensor(Shape.of(2, 1), 1, 1);
                Tensor b = ops.tensor(Shape.of(3, 1), 0.5, 0.25, 0.2);
                Tensor wide = ops.tensor(Shape.of(3, 2), 1, 1, 1, 1, 1, 1);
                Tensor below = ops.tensor(Shape.of(3, 1), 1.5, -0.25, -0.25)) {
            assertThrows(LossOptionException.class, () -> new LowRankTargets(a, b));
            assertThrows(LossOptionException.class, () -> new LowRankTargets(a, below));
            assertThrows(ShapeException.class, () -> new LowRankTargets(a, wide));
            assertThrows(ShapeException.class, () -> loss.value(b, a, two, null));
        }
    }

    @Test
    void ramp_manySteps_rises() {
        Distillation ramp = new Distillation(0.4, 200);
        assertEquals(0, ramp.at(0));
        assertEquals(0.2, ramp.at(100), 1e-15);
        assertEquals(0.4, ramp.at(200), 1e-15);
        assertEquals(0.4, ramp.at(20000), 1e-15);
        assertEquals(0, Distillation.NONE.at(3));
        assertEquals(0.3, new Distillation(0.3, 0).at(0));
        assertThrows(LossOptionException.class, () -> new Distillation(1, 0));
        assertThrows(LossOptionException.class, () -> new Distillation(0.4, -1));
    }

    /** As written in ALBEF: -sum_j log softmax(S)_ij (alpha softmax(S')_ij + (1 - alpha) [i = j]), both ways. */
    @ParameterizedTest
    @MethodSource("backends")
    @Tag("gpu")
    void queue_distillation_equalsItsDefinition(String backend) {
        int n = 5;
        int past = 8;
        int d = 3;
        double alpha = 0.4;
        double[][] r = new double[6][];
        Arrays.setAll(r, k -> random(k < 4 ? n : past, d, k + 1)); // u, v, keys of both, past keys of both
        double slope = backend.equals("cpu-f64") ? 1e-8 : 5e-5;
        try (Ops ops = Backend.open(backend);
                QueueContrast loss = new QueueContrast(ops, past, d, PairPolicy.DEFAULT, Math.log(SCALE), true);
                Tensor u = ops.tensor(Shape.of(n, d), r[0]);
                Tensor v = ops.tensor(Shape.of(n, d), r[1]);
                Tensor ku = ops.tensor(Shape.of(n, d), r[2]);
                Tensor kv = ops.tensor(Shape.of(n, d), r[3]);
                Tensor pu = ops.tensor(Shape.of(past, d), r[4]);
                Tensor pv = ops.tensor(Shape.of(past, d), r[5]);
                Tensor du = ops.allocate(n, d);
                Tensor dv = ops.allocate(n, d)) {
            loss.enqueue(pu, pv, null);
            double value = loss.valueAndGradient(u, v, ku, kv, null, alpha, du, dv, 2)
                    .get()
                    .loss();
            assertEquals(distilled(r, r[0], r[1], SCALE, alpha), value, backend.equals("cpu-f64") ? 1e-12 : 5e-6);
            GradientCheck.require("u", x -> 2 * distilled(r, x, r[1], SCALE, alpha), r[0], du.toDoubles(), slope, 7);
            GradientCheck.require("v", x -> 2 * distilled(r, r[0], x, SCALE, alpha), r[1], dv.toDoubles(), slope, 7);
            GradientCheck.require(
                    "log-scale",
                    x -> 2 * distilled(r, r[0], r[1], Math.exp(x[0]), alpha),
                    new double[] {Math.log(SCALE)},
                    loss.logScale().gradient().toDoubles(),
                    slope,
                    7);
            assertThrows(LossOptionException.class, () -> loss.valueAndGradient(u, v, ku, kv, null, 1, du, dv, 1));
        }
    }

    private static double distilled(double[][] r, double[] u, double[] v, double scale, double alpha) {
        return (distilledSide(u, r[2], r[3], r[5], scale, alpha) + distilledSide(v, r[3], r[2], r[4], scale, alpha))
                / 2;
    }

    /** The teacher's scale is a constant. */
    private static double distilledSide(
            double[] queries, double[] teacher, double[] keys, double[] past, double scale, double alpha) {
        int d = 3;
        int n = keys.length / d;
        int m = n + past.length / d;
        double[] all = Arrays.copyOf(keys, m * d);
        System.arraycopy(past, 0, all, n * d, past.length);
        double[][] q = softmax(LossReference.logits(teacher, all, n, m, d, SCALE, 0));
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                q[i][j] = alpha * q[i][j] + (i == j ? 1 - alpha : 0);
            }
        }
        return crossEntropy(LossReference.logits(queries, all, n, m, d, scale, 0), q);
    }
}
