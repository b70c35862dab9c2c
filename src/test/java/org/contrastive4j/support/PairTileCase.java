package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** One problem for pair-tile operations: a backend in f32 is compared with plain loops in f64 in all operations. */
public record PairTileCase(int n, int m, int d, Classes classes, long seed) {
    /** Kinds of labels that make pairs positive or ignored. */
    public enum Classes {
        PLAIN,
        IDS_IGNORED,
        IDS_POSITIVE,
        WINDOW,
        GUIDE,
        ALL_AT_ONCE
    }

    public PairTileCase(int n, int m, int d, Classes classes) {
        this(n, m, d, classes, 1000L * n + 10L * m + d + classes.ordinal());
    }

    /** Returns the sizes n, m, d, each with every kind of labels. */
    public static Stream<PairTileCase> of(int[]... sizes) {
        return Arrays.stream(sizes)
                .flatMap(s ->
                        Arrays.stream(Classes.values()).map(classes -> new PairTileCase(s[0], s[1], s[2], classes)));
    }

    /**
     * The tensors of a case, with the same values on every backend. Values are on a coarse grid, so that equal logits
     * in f64 are equal in f32.
     */
    public static final class Problem implements AutoCloseable {
        public final Pairs pairs;
        public final Scalars rowNumbers;
        public final Scalars columnNumbers;
        private final Ops ops;
        private final Tensor[] owned;

        public Problem(Ops ops, PairTileCase c, double scale) {
            this.ops = ops;
            Random random = new Random(c.seed);
            Tensor x = grid(c.n, c.d, random);
            Tensor y = grid(c.m, c.d, random);
            Tensor guideRows = grid(c.n, 3, random);
            Tensor guideColumns = grid(c.m, 3, random);
            owned = new Tensor[] {x, y, guideRows, guideColumns};
            rowNumbers =
                    Scalars.of(random.doubles(c.n, -1, 1).map(v -> (float) v).toArray());
            columnNumbers =
                    Scalars.of(random.doubles(c.m, -1, 1).map(v -> (float) v).toArray());
            Pairing pairing = Pairing.of(
                    c.m, IntStream.range(0, c.n).map(i -> (i * 7 + 1) % c.m).toArray());
            boolean all = c.classes == Classes.ALL_AT_ONCE;
            if (c.classes == Classes.IDS_IGNORED || c.classes == Classes.IDS_POSITIVE || all) {
                pairing = pairing.withIds(
                        random.ints(c.n, 0, 6).toArray(),
                        random.ints(c.m, 0, 6).toArray(),
                        c.classes == Classes.IDS_IGNORED ? Pairing.SameId.IGNORED : Pairing.SameId.POSITIVE);
            }
            if (c.classes == Classes.WINDOW || all) {
                pairing = pairing.withWindow(Math.max(1, c.m / 3));
            }
            if (c.classes == Classes.GUIDE || all) {
                pairing = pairing.withGuide(new Pairing.Guide(
                        guideRows,
                        guideColumns,
                        random.doubles(c.n, 0, 1).toArray(),
                        random.doubles(c.m, 0, 1).toArray()));
            }
            pairs = new Pairs(x, y, scale, pairing);
        }

        private Tensor grid(int rows, int width, Random random) {
            return ops.tensor(
                    Shape.of(rows, width),
                    random.ints((long) rows * width, -4, 5)
                            .mapToDouble(v -> v / 8.0)
                            .toArray());
        }

        @Override
        public void close() {
            for (Tensor tensor : owned) {
                tensor.close();
            }
        }
    }

    /**
     * Returns reductions of every kind, function, axis and class of pairs, with and without shifts, signs and weights.
     */
    public static List<Reduction> reductions(Problem p) {
        List<Reduction> all = new ArrayList<>();
        Shift both = new Shift(1, p.rowNumbers, p.columnNumbers);
        Shift minus = new Shift(-1, p.rowNumbers, null);
        for (Axis axis : Axis.values()) {
            Scalars weight = axis == Axis.ROWS ? p.columnNumbers : p.rowNumbers;
            for (Of of : Of.values()) {
                for (PairFunction f : PairFunction.values()) {
                    all.add(Reduction.sum(
                            f,
                            axis,
                            of,
                            f == PairFunction.EQUAL || f == PairFunction.STEP ? Shift.NONE : both,
                            f == PairFunction.EXP ? weight : null));
                    all.add(Reduction.sum(f, axis, of, f == PairFunction.STEP ? Shift.NEGATIVE : minus, weight));
                }
                all.add(Reduction.logSumExp(axis, of, both));
                all.add(Reduction.logSumExp(axis, of, minus));
                all.add(Reduction.max(axis, of, Shift.NONE));
                all.add(Reduction.max(axis, of, Shift.NEGATIVE));
                all.add(Reduction.maxBelow(axis, of, Shift.NONE));
                all.add(Reduction.maxBelow(axis, of, new Shift(1, null, p.columnNumbers)));
            }
        }
        return all;
    }

    /** Selects one case in {@code step}, different ones for each case. */
    private <T> List<T> some(List<T> all, int step) {
        int first = (int) Math.floorMod(seed, (long) step);
        return IntStream.range(0, all.size())
                .filter(k -> k % step == first)
                .mapToObj(all::get)
                .toList();
    }

    public void checkReductions(Ops f32, PairTileOps tiles) {
        checkReductions(f32, tiles, 1);
    }

    /** Compares every {@code step}th reduction; a step of 7 mixes kinds, functions, axes and classes. */
    public void checkReductions(Ops f32, PairTileOps tiles, int step) {
        try (Ops f64 = Backend.open("cpu-f64");
                Problem truth = new Problem(f64, this, 2);
                Problem given = new Problem(f32, this, 2)) {
            List<Reduction> selected = some(reductions(truth), step);
            agree(
                    selected,
                    f64.pairTiles().reduce(truth.pairs, selected).get(),
                    tiles.reduce(given.pairs, selected).get());
        }
    }

    private void agree(List<Reduction> reductions, List<Reduced> expected, List<Reduced> got) {
        for (int k = 0; k < reductions.size(); k++) {
            String what = this + " " + reductions.get(k).kind() + " " + reductions.get(k);
            double[] e = expected.get(k).values();
            double[] g = got.get(k).values();
            assertEquals(e.length, g.length, what);
            for (int i = 0; i < e.length; i++) {
                assertTrue(
                        e[i] == g[i] || Math.abs(e[i] - g[i]) <= 3e-6 * m * (1 + Math.abs(e[i])),
                        what + "[" + i + "] is " + g[i] + ", expected " + e[i]);
            }
            assertArrayEquals(expected.get(k).counts(), got.get(k).counts(), what + " counts");
            assertArrayEquals(expected.get(k).at(), got.get(k).at(), what + " places");
        }
    }

    /** Returns terms of every function and class of pairs, with shifts, signs and weights. */
    public static List<Term> terms(Problem p) {
        List<Term> terms = new ArrayList<>();
        for (Of of : Of.values()) {
            for (PairFunction f : PairFunction.values()) {
                Shift shift = f == PairFunction.EQUAL || f == PairFunction.STEP
                        ? Shift.NONE
                        : new Shift(-1, p.rowNumbers, p.columnNumbers);
                terms.add(new Term(f, of, shift, p.rowNumbers, null));
                terms.add(new Term(f, of, Shift.NONE, null, p.columnNumbers));
            }
        }
        return terms;
    }

    public void checkGradients(Ops f32, PairTileOps tiles) {
        checkGradients(f32, tiles, 1);
    }

    /** Compares the gradients of every {@code step}th term. */
    public void checkGradients(Ops f32, PairTileOps tiles, int step) {
        try (Ops f64 = Backend.open("cpu-f64");
                Problem truth = new Problem(f64, this, 2);
                Problem given = new Problem(f32, this, 2)) {
            double[][] expected = gradient(f64, f64.pairTiles(), truth, some(terms(truth), step));
            double[][] got = gradient(f32, tiles, given, some(terms(given), step));
            for (int k = 0; k < expected.length; k++) {
                double size = Arrays.stream(expected[k]).map(Math::abs).max().orElse(0);
                for (int i = 0; i < expected[k].length; i++) {
                    assertEquals(expected[k][i], got[k][i], 2e-5 * (1 + size), this + " result " + k);
                }
            }
        }
    }

    /** Compares dx, dy, both scalars together, and d log-scale alone, with poisoned and with accumulated outputs. */
    public double[][] gradient(Ops ops, PairTileOps tiles, Problem p, List<Term> terms) {
        try (Tensor dx = ops.allocate(n, d);
                Tensor dy = ops.allocate(m, d);
                Tensor dLogScale = ops.tensor(Shape.of(1), 2);
                Tensor dBias = ops.tensor(Shape.of(1), 4);
                Tensor alone = ops.tensor(Shape.of(1), 0)) {
            dx.set(IntStream.range(0, n * d).mapToDouble(i -> Double.NaN).toArray());
            dy.set(IntStream.range(0, m * d).mapToDouble(i -> Double.NaN).toArray());
            tiles.gradient(p.pairs, terms, new PairwiseOps.Gradients(dx, dy, dLogScale, dBias), 0.5);
            tiles.gradient(p.pairs, terms, new PairwiseOps.Gradients(null, null, alone, null), 0.5);
            return new double[][] {
                dx.toDoubles(),
                dy.toDoubles(),
                {dLogScale.toDoubles()[0] - 2, dBias.toDoubles()[0] - 4, alone.toDoubles()[0]}
            };
        }
    }

    public void checkHistogram(Ops f32, PairTileOps tiles, int bins) {
        try (Ops f64 = Backend.open("cpu-f64");
                Problem truth = new Problem(f64, this, 2);
                Problem given = new Problem(f32, this, 2)) {
            PairTileOps.Histogram expected =
                    f64.pairTiles().histogram(truth.pairs, bins).get();
            assertEquals(
                    (long) n * m,
                    expected.ignored()
                            + Arrays.stream(expected.positives()).sum()
                            + Arrays.stream(expected.negatives()).sum());
            PairTileOps.Histogram got = tiles.histogram(given.pairs, bins).get();
            assertArrayEquals(expected.positives(), got.positives(), this + " positives");
            assertArrayEquals(expected.negatives(), got.negatives(), this + " negatives");
            assertEquals(expected.ignored(), got.ignored(), this + " ignored");
        }
    }
}
