package org.contrastive4j.ops.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
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
import org.contrastive4j.memory.HostMemory;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairFunction;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The general engine in f32 tiles against plain loops in f64; tiny tilings cross every edge. */
class PairTileOpsTest {
    private static final CpuPairwiseOps.Tiling[] TILINGS = {CpuPairwiseOps.DEFAULT,
        new CpuPairwiseOps.Tiling(8, 1000, 5, 1 << 12, 1 << 12), new CpuPairwiseOps.Tiling(16, 24, 7, 1,
        16 * 24 * 4 * 3)};

    /** What makes pairs positive or ignored. */
    enum Classes {
        PLAIN,
        IDS_IGNORED,
        IDS_POSITIVE,
        WINDOW,
        GUIDE,
        ALL_AT_ONCE
    }

    record Case(int n, int m, int d, Classes classes) {}

    static Stream<Case> cases() {
        int[][] sizes = {{1, 1, 1}, {2, 2, 3}, {1, 5, 2}, {33, 33, 7}, {33, 41, 16}, {103, 130, 5}};
        return Arrays.stream(sizes).flatMap(s -> Arrays.stream(Classes.values()).map(c -> new Case(s[0], s[1], s[2],
                c)));
    }

    /**
     * One problem, the same numbers on every backend. Values are on a coarse grid, so that equal logits are equal in
     * f32 and f64.
     */
    private static final class Problem implements AutoCloseable {
        final Ops ops;
        final Pairs pairs;
        final Tensor[] owned;
        final double[] rowNumbers;
        final double[] columnNumbers;

        Problem(Ops ops, Case c, double scale) {
            this.ops = ops;
            Random random = new Random(1000L * c.n + 10L * c.m + c.d + c.classes.ordinal());
            Tensor x = grid(c.n, c.d, random);
            Tensor y = grid(c.m, c.d, random);
            Tensor guideRows = grid(c.n, 3, random);
            Tensor guideColumns = grid(c.m, 3, random);
            owned = new Tensor[] {x, y, guideRows, guideColumns};
            rowNumbers = random.doubles(c.n, -1, 1).map(v -> (float) v).toArray();
            columnNumbers = random.doubles(c.m, -1, 1).map(v -> (float) v).toArray();
            Pairing pairing = Pairing.of(c.m, IntStream.range(0, c.n).map(i -> (i * 7 + 1) % c.m).toArray());
            boolean all = c.classes == Classes.ALL_AT_ONCE;
            if (c.classes == Classes.IDS_IGNORED || c.classes == Classes.IDS_POSITIVE || all) {
                pairing = pairing.withIds(random.ints(c.n, 0, 6).toArray(), random.ints(c.m, 0, 6).toArray(),
                        c.classes == Classes.IDS_IGNORED ? Pairing.SameId.IGNORED : Pairing.SameId.POSITIVE);
            }
            if (c.classes == Classes.WINDOW || all) {
                pairing = pairing.withWindow(Math.max(1, c.m / 3));
            }
            if (c.classes == Classes.GUIDE || all) {
                pairing = pairing.withGuide(new Pairing.Guide(guideRows, guideColumns,
                        random.doubles(c.n, 0, 1).toArray(), random.doubles(c.m, 0, 1).toArray()));
            }
            pairs = new Pairs(x, y, scale, pairing);
        }

        private Tensor grid(int rows, int width, Random random) {
            return ops.tensor(Shape.of(rows, width),
                    random.ints((long) rows * width, -4, 5).mapToDouble(v -> v / 8.0).toArray());
        }

        @Override
        public void close() {
            for (Tensor tensor : owned) {
                tensor.close();
            }
        }
    }

    private static List<Reduction> reductions(Problem p) {
        List<Reduction> all = new ArrayList<>();
        Shift both = new Shift(1, p.rowNumbers, p.columnNumbers);
        Shift minus = new Shift(-1, p.rowNumbers, null);
        for (Axis axis : Axis.values()) {
            double[] weight = axis == Axis.ROWS ? p.columnNumbers : p.rowNumbers;
            for (Of of : Of.values()) {
                for (PairFunction f : PairFunction.values()) {
                    all.add(Reduction.sum(f, axis, of,
                            f == PairFunction.EQUAL || f == PairFunction.STEP ? Shift.NONE : both,
                            f == PairFunction.EXP ? weight : null));
                    all.add(Reduction.sum(f, axis, of, f == PairFunction.STEP ? new Shift(-1, null, null) : minus,
                            weight));
                }
                all.add(Reduction.logSumExp(axis, of, both));
                all.add(Reduction.logSumExp(axis, of, minus));
                all.add(Reduction.max(axis, of, Shift.NONE));
                all.add(Reduction.max(axis, of, new Shift(-1, null, null)));
                all.add(Reduction.maxBelow(axis, of, Shift.NONE));
                all.add(Reduction.maxBelow(axis, of, new Shift(1, null, p.columnNumbers)));
            }
        }
        return all;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void reductionsAgreeWithPlainLoops(Case c) {
        try (Ops f64 = Backend.open("cpu-f64"); Ops f32 = Backend.open("cpu");
                Problem truth = new Problem(f64, c, 2); Problem given = new Problem(f32, c, 2)) {
            List<Reduction> wanted = reductions(truth);
            List<Reduced> expected = f64.pairTiles().reduce(truth.pairs, wanted);
            for (CpuPairwiseOps.Tiling tiling : TILINGS) {
                PairTileOps tiles = new CpuPairTileOps((HostMemory) f32.memory(), tiling);
                List<Reduced> got = tiles.reduce(given.pairs, wanted);
                for (int k = 0; k < wanted.size(); k++) {
                    String what = c + " " + tiling + " " + wanted.get(k);
                    double[] e = expected.get(k).values();
                    double[] g = got.get(k).values();
                    for (int i = 0; i < e.length; i++) {
                        assertTrue(e[i] == g[i] || Math.abs(e[i] - g[i]) <= 3e-6 * c.m * (1 + Math.abs(e[i])),
                                what + "[" + i + "] is " + g[i] + ", wanted " + e[i]);
                    }
                    assertArrayEquals(expected.get(k).counts(), got.get(k).counts(), what + " counts");
                    assertArrayEquals(expected.get(k).at(), got.get(k).at(), what + " places");
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void gradientsAgreeWithPlainLoops(Case c) {
        try (Ops f64 = Backend.open("cpu-f64"); Ops f32 = Backend.open("cpu");
                Problem truth = new Problem(f64, c, 2); Problem given = new Problem(f32, c, 2)) {
            List<Term> terms = new ArrayList<>();
            for (Of of : Of.values()) {
                for (PairFunction f : PairFunction.values()) {
                    Shift shift = f == PairFunction.EQUAL || f == PairFunction.STEP ? Shift.NONE
                            : new Shift(-1, truth.rowNumbers, truth.columnNumbers);
                    terms.add(new Term(f, of, shift, truth.rowNumbers, null));
                    terms.add(new Term(f, of, Shift.NONE, null, truth.columnNumbers));
                }
            }
            double[][] expected = gradient(f64, f64.pairTiles(), truth, terms, c);
            for (CpuPairwiseOps.Tiling tiling : TILINGS) {
                double[][] got =
                        gradient(f32, new CpuPairTileOps((HostMemory) f32.memory(), tiling), given, terms, c);
                for (int k = 0; k < expected.length; k++) {
                    double size = Arrays.stream(expected[k]).map(Math::abs).max().orElse(0);
                    for (int i = 0; i < expected[k].length; i++) {
                        assertEquals(expected[k][i], got[k][i], 2e-5 * (1 + size), c + " " + tiling + " result " + k);
                    }
                }
            }
        }
    }

    private static double[][] gradient(Ops ops, PairTileOps tiles, Problem p, List<Term> terms, Case c) {
        try (Tensor dx = ops.allocate(c.n, c.d); Tensor dy = ops.allocate(c.m, c.d);
                Tensor dLogScale = ops.tensor(Shape.of(1), 2); Tensor dBias = ops.tensor(Shape.of(1), 4);
                Tensor alone = ops.tensor(Shape.of(1), 0)) {
            dx.set(IntStream.range(0, c.n * c.d).mapToDouble(i -> Double.NaN).toArray());
            dy.set(IntStream.range(0, c.m * c.d).mapToDouble(i -> Double.NaN).toArray());
            tiles.gradient(p.pairs, terms, new PairwiseOps.Gradients(dx, dy, dLogScale, dBias), 0.5);
            tiles.gradient(p.pairs, terms, new PairwiseOps.Gradients(null, null, alone, null), 0.5);
            return new double[][] {dx.toDoubles(), dy.toDoubles(), {dLogScale.toDoubles()[0] - 2,
                    dBias.toDoubles()[0] - 4,
                alone.toDoubles()[0]}};
        }
    }

    @ParameterizedTest
    @EnumSource(Classes.class)
    void histogramsAgree(Classes classes) {
        Case c = new Case(33, 41, 16, classes);
        try (Ops f64 = Backend.open("cpu-f64"); Ops f32 = Backend.open("cpu");
                Problem truth = new Problem(f64, c, 2); Problem given = new Problem(f32, c, 2)) {
            PairTileOps.Histogram expected = f64.pairTiles().histogram(truth.pairs, 7);
            long all = expected.ignored() + Arrays.stream(expected.positives()).sum()
                    + Arrays.stream(expected.negatives()).sum();
            assertEquals(33 * 41, all);
            for (CpuPairwiseOps.Tiling tiling : TILINGS) {
                PairTileOps.Histogram got =
                        new CpuPairTileOps((HostMemory) f32.memory(), tiling).histogram(given.pairs, 7);
                assertArrayEquals(expected.positives(), got.positives());
                assertArrayEquals(expected.negatives(), got.negatives());
                assertEquals(expected.ignored(), got.ignored());
            }
        }
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        Case c = new Case(103, 130, 5, Classes.ALL_AT_ONCE);
        try (Ops ops = Backend.open("cpu"); Problem p = new Problem(ops, c, 3)) {
            PairTileOps tiles = new CpuPairTileOps((HostMemory) ops.memory(), TILINGS[1]);
            List<double[]> many = tiles.reduce(p.pairs, reductions(p)).stream().map(Reduced::values).toList();
            List<Term> terms = List.of(new Term(PairFunction.SIGMOID, Of.BOTH, Shift.NONE, p.rowNumbers, null));
            double[][] alone = gradient(ops, tiles, p, terms, c);
            int before = Workers.threads();
            try {
                Workers.useThreads(1);
                List<double[]> one = tiles.reduce(p.pairs, reductions(p)).stream().map(Reduced::values).toList();
                for (int k = 0; k < one.size(); k++) {
                    assertArrayEquals(one.get(k), many.get(k));
                }
                assertArrayEquals(alone, gradient(ops, tiles, p, terms, c));
            } finally {
                Workers.useThreads(before);
            }
        }
    }

    @Test
    void vectorFunctionsKeepTheirRelativeAccuracy() {
        for (PairFunction f : List.of(PairFunction.SIGMOID, PairFunction.SOFTPLUS, PairFunction.HINGE,
                PairFunction.STEP)) {
            float[] z = new float[4001];
            for (int i = 0; i < z.length; i++) {
                z[i] = (i - 2000) / 30f; // below -70 VectorExp fades out
            }
            float[] y = z.clone();
            PairFunctions.apply(f, y, new float[z.length], z.length);
            for (int i = 0; i < z.length; i++) {
                assertEquals(f.of(z[i]), y[i], 1e-6 * f.of(z[i]), f + " of " + z[i]);
            }
        }
        float[] far = {-1e4f, 1e4f, Float.NEGATIVE_INFINITY};
        for (PairFunction f : List.of(PairFunction.SIGMOID, PairFunction.SOFTPLUS, PairFunction.EXP)) {
            float[] y = far.clone();
            PairFunctions.apply(f, y, new float[3], 3);
            assertEquals(0, y[0], 1e-30);
            assertEquals(0, y[2], 1e-30);
            assertTrue(Float.isFinite(y[1]));
        }
    }

    @Test
    void memoryIsTheWorkspace() {
        Case c = new Case(300, 700, 24, Classes.PLAIN);
        try (Ops ops = Backend.open("cpu"); Problem p = new Problem(ops, c, 1)) {
            long before = ops.memory().currentBytes();
            ops.memory().resetPeak();
            ops.pairTiles().reduce(p.pairs, List.of(Reduction.max(Axis.ROWS, Of.BOTH, Shift.NONE)));
            assertEquals(ops.pairTiles().workspaceBytes(300, 700, 24), ops.memory().peakBytes() - before);
            assertEquals(before, ops.memory().currentBytes());
        }
    }

    @Test
    void whatDoesNotFitIsRefused() {
        Case c = new Case(3, 4, 2, Classes.PLAIN);
        try (Ops ops = Backend.open("cpu"); Problem p = new Problem(ops, c, 1);
                Tensor narrow = ops.zeros(Shape.of(4, 1)); Tensor three = ops.zeros(Shape.of(3, 2))) {
            PairTileOps tiles = ops.pairTiles();
            List<Reduction> max = List.of(Reduction.max(Axis.ROWS, Of.BOTH, Shift.NONE));
            Pairing pairing = p.pairs.pairing();
            assertThrows(ShapeException.class, () -> tiles.reduce(new Pairs(p.pairs.x(), narrow, 1, pairing), max));
            assertThrows(ShapeException.class, () -> tiles.reduce(new Pairs(p.pairs.x(), three, 1, pairing), max));
            assertThrows(ShapeException.class, () -> tiles.reduce(new Pairs(p.pairs.x(), p.pairs.y(), 0, pairing),
                    max));
            assertThrows(ShapeException.class, () -> tiles.reduce(
                    p.pairs, List.of(Reduction.max(Axis.ROWS, Of.BOTH, Shift.rows(new double[4])))));
            assertThrows(ShapeException.class, () -> tiles.reduce(p.pairs, List.of(Reduction.sum(
                    PairFunction.ONE, Axis.ROWS, Of.BOTH, Shift.NONE, new double[3]))));
            assertThrows(ShapeException.class, () -> tiles.gradient(
                    p.pairs, List.of(), new PairwiseOps.Gradients(narrow, null, null, null), 1));
            assertThrows(ShapeException.class, () -> Pairing.of(2, new int[] {0, 2}));
            assertThrows(ShapeException.class, () -> Pairing.diagonal(3, 2));
            assertThrows(ShapeException.class, () -> pairing.withIds(new int[3], new int[3], Pairing.SameId.IGNORED));
            assertThrows(ShapeException.class, () -> pairing.withWindow(-1));
        }
    }

    @Test
    void blocksSeeTheirPartOfTheWhole() {
        Pairing whole = Pairing.diagonal(9, 11).withIds(IntStream.range(0, 9).map(i -> i / 2).toArray(),
                IntStream.range(0, 11).map(j -> j / 3).toArray(), Pairing.SameId.POSITIVE).withWindow(4);
        for (int[] b : new int[][] {{0, 9, 0, 11}, {2, 7, 3, 4}, {8, 9, 0, 8}, {0, 3, 9, 11}}) {
            Pairing block = whole.block(b[0], b[1], b[2], b[3]);
            for (int i = b[0]; i < b[1]; i++) {
                for (int j = b[2]; j < b[3]; j++) {
                    assertEquals(whole.isPositive(i, j), block.isPositive(i - b[0], j - b[2]));
                    assertEquals(whole.isIgnored(i, j, 0), block.isIgnored(i - b[0], j - b[2], 0));
                }
            }
        }
    }
}
