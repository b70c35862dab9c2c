package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice;
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
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.PairTileCase;
import org.contrastive4j.support.PairTileCase.Classes;
import org.contrastive4j.support.PairTileCase.Problem;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** The tiled pairwise engine as kernels against f64, on the simulator with all checkers and on a GPU. */
@Tag("gpu")
class PtxPairTileOpsTest {
    private static final long PROPERTY_SEED = 8;

    static Stream<PairTileCase> cases() {
        return PairTileCase.of(new int[][] {{1, 1, 1}, {3, 2, 33}, {33, 41, 16}});
    }

    /** Returns problems of several tiles, and random shapes with random classes. */
    static Stream<PairTileCase> largerCases() {
        Random random = new Random(PROPERTY_SEED);
        return Stream.concat(
                PairTileCase.of(new int[][] {{65, 129, 5}}),
                IntStream.range(0, 5)
                        .mapToObj(k -> new PairTileCase(
                                1 + random.nextInt(140),
                                1 + random.nextInt(140),
                                1 + random.nextInt(40),
                                Classes.values()[random.nextInt(Classes.values().length)],
                                random.nextLong())));
    }

    private static void onEachDevice(BiConsumer<Ops, PairTileOps> check) {
        Devices.names().forEach(name -> {
            try (Ops ops = Backend.open(name)) {
                check.accept(ops, ops.pairTiles());
            }
        });
    }

    /** Runs the same in stripes of 64 rows. */
    private static void inStripes(BiConsumer<Ops, PairTileOps> check) {
        Devices.names().forEach(name -> {
            try (Ops ops = Backend.open(name)) {
                PtxDevice device = (PtxDevice) ops.memory();
                check.accept(ops, new PtxPairTileOps(new TensorLauncher(device, new Kernels(device)), 1));
            }
        });
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 12)
    void allReductions_agreeWithF64(PairTileCase c) {
        onEachDevice((ops, tiles) -> {
            c.checkReductions(ops, tiles);
            c.checkGradients(ops, tiles);
            for (int bins : new int[] {7, 4099}) { // more than one launch counts
                c.checkHistogram(ops, tiles, bins);
            }
        });
    }

    @ParameterizedTest
    @SampledSource(value = "largerCases", every = 20)
    void manyTiles_agreeWithF64(PairTileCase c) {
        BiConsumer<Ops, PairTileOps> check = (ops, tiles) -> {
            c.checkReductions(ops, tiles, 7);
            c.checkGradients(ops, tiles, 5);
        };
        onEachDevice(check);
        inStripes(check);
        onEachDevice((ops, tiles) -> c.checkHistogram(ops, tiles, 9));
    }

    @Test
    void reduce_cancellingShifts_keepsPrecision() {
        onEachDevice(PtxPairTileOpsTest::checkLargeShifts);
    }

    /** Logits near -96 and shifts near 96 that f32 does not represent: the difference is accurate. */
    static void checkLargeShifts(Ops ops, PairTileOps tiles) {
        int m = 70;
        Shift rows = Shift.rows(Scalars.of(new Random(1).doubles(5, 90, 100).toArray()));
        Shift columns =
                Shift.columns(Scalars.of(new Random(2).doubles(m, 90, 100).toArray()));
        double[] x = {-1, -1, -1, -1, -1};
        double[] y = IntStream.range(0, m).mapToDouble(j -> 0.75 - j / 4096.0).toArray();
        List<Reduction> reductions = Stream.of(Axis.values())
                .flatMap(axis -> Stream.of(rows, columns)
                        .map(shift -> Reduction.sum(PairFunction.EXP, axis, Of.BOTH, shift, null)))
                .toList();
        try (Ops f64 = Backend.open("cpu-f64")) {
            List<double[]> expected = reduce(f64, f64.pairTiles(), x, y, reductions);
            List<double[]> given = reduce(ops, tiles, x, y, reductions);
            for (int k = 0; k < reductions.size(); k++) {
                for (int i = 0; i < expected.get(k).length; i++) {
                    double e = expected.get(k)[i];
                    assertEquals(e, given.get(k)[i], 1e-6 * e, "sum " + k + ", element " + i);
                }
            }
        }
    }

    private static List<double[]> reduce(
            Ops ops, PairTileOps tiles, double[] x, double[] y, List<Reduction> reductions) {
        try (Tensor left = ops.tensor(Shape.of(x.length, 1), x);
                Tensor right = ops.tensor(Shape.of(y.length, 1), y)) {
            return tiles
                    .reduce(new Pairs(left, right, 128, Pairing.diagonal(x.length, y.length)), reductions)
                    .get()
                    .stream()
                    .map(Reduced::values)
                    .toList();
        }
    }

    /** A shift of minus infinity excludes a row; a sum over no pair is defined. */
    @Test
    void reduce_infiniteShiftsAndEmptyRows_areDefined() {
        double[] rows = {Double.NEGATIVE_INFINITY, 0, 3};
        List<Reduction> reductions = List.of(
                Reduction.logSumExp(Axis.ROWS, Of.BOTH, Shift.rows(Scalars.of(rows))),
                Reduction.sum(PairFunction.EXP, Axis.ROWS, Of.BOTH, Shift.rows(Scalars.of(rows)), null),
                Reduction.sum(PairFunction.HINGE, Axis.COLUMNS, Of.BOTH, Shift.rows(Scalars.of(rows)), null),
                Reduction.logSumExp(Axis.COLUMNS, Of.POSITIVES, Shift.rows(Scalars.of(rows))),
                Reduction.max(Axis.COLUMNS, Of.POSITIVES, Shift.NONE));
        onEachDevice((ops, tiles) -> {
            try (Tensor x = ops.tensor(Shape.of(3, 1), 1, 0.5, -1);
                    Tensor y = ops.tensor(Shape.of(2, 1), 0.5, 1)) {
                List<Reduced> got = tiles.reduce(new Pairs(x, y, 100, Pairing.of(2, new int[] {0, 0, 0})), reductions)
                        .get();
                assertEquals(Double.NEGATIVE_INFINITY, got.get(0).values()[0]);
                assertEquals(50, got.get(0).values()[1], 1e-4);
                assertEquals(0, got.get(1).values()[0]);
                assertArrayEquals(new double[] {25, 50}, got.get(2).values(), 1e-5);
                assertEquals(25, got.get(3).values()[0], 1e-4);
                assertEquals(Double.NEGATIVE_INFINITY, got.get(3).values()[1]);
                assertArrayEquals(new int[] {1, 0}, got.get(4).counts());
                assertArrayEquals(new int[] {0, -1}, got.get(4).at());
            }
        });
    }

    /** A block of a larger pairing has windows that begin outside of it. */
    @Test
    void reduce_blockOfWindow_agreesWithF64() {
        try (Ops f64 = Backend.open("cpu-f64");
                Problem truth = new Problem(f64, new PairTileCase(40, 70, 3, Classes.WINDOW), 2)) {
            List<Reduction> reductions = List.of(
                    Reduction.sum(PairFunction.ONE, Axis.ROWS, Of.NEGATIVES, Shift.NONE, null),
                    Reduction.sum(PairFunction.ONE, Axis.COLUMNS, Of.POSITIVES, Shift.NONE, null));
            onEachDevice((ops, tiles) -> {
                try (Problem given = new Problem(ops, new PairTileCase(40, 70, 3, Classes.WINDOW), 2)) {
                    for (int[] b : new int[][] {{0, 40, 0, 70}, {3, 40, 20, 31}, {39, 40, 69, 70}, {0, 9, 1, 66}}) {
                        List<Reduced> expected = f64.pairTiles()
                                .reduce(block(truth.pairs, b), reductions)
                                .get();
                        List<Reduced> got =
                                tiles.reduce(block(given.pairs, b), reductions).get();
                        for (int k = 0; k < reductions.size(); k++) {
                            assertArrayEquals(
                                    expected.get(k).values(), got.get(k).values());
                        }
                    }
                }
            });
        }
    }

    private static Pairs block(Pairs of, int[] b) {
        return new Pairs(
                of.x().rows(b[0], b[1]),
                of.y().rows(b[2], b[3]),
                of.scale(),
                of.pairing().block(b[0], b[1], b[2], b[3]));
    }

    @Test
    void reduce_repeated_sameBits() {
        PairTileCase c = new PairTileCase(70, 66, 9, Classes.ALL_AT_ONCE);
        onEachDevice((ops, tiles) -> {
            try (Problem p = new Problem(ops, c, 3)) {
                List<Reduction> reductions = PairTileCase.reductions(p).subList(0, 22);
                List<Reduced> first = tiles.reduce(p.pairs, reductions).get();
                List<Reduced> second = tiles.reduce(p.pairs, reductions).get();
                for (int k = 0; k < reductions.size(); k++) {
                    assertArrayEquals(first.get(k).values(), second.get(k).values());
                }
                List<Term> terms = PairTileCase.terms(p).subList(0, 9);
                assertArrayEquals(c.gradient(ops, tiles, p, terms), c.gradient(ops, tiles, p, terms));
            }
        });
    }

    /**
     * Passes of the largest documented size stay within the workspace, leak nothing, and the workspace is linear in n
     * + m.
     */
    @Test
    void workspaceBytes_boundsMemory() {
        PairTileCase c = new PairTileCase(20, 300, 9, Classes.ALL_AT_ONCE);
        try (Ops ops = Backend.open("sim");
                Problem p = new Problem(ops, c, 1);
                Tensor dx = ops.allocate(20, 9);
                Tensor dy = ops.allocate(300, 9)) {
            PairTileOps tiles = ops.pairTiles();
            List<Reduction> most = IntStream.range(0, 24)
                    .mapToObj(k -> Reduction.sum(
                            PairFunction.EXP,
                            Axis.values()[k % 2],
                            Of.NEGATIVES,
                            new Shift(1, copy(p.rowNumbers), copy(p.columnNumbers)),
                            k >= 16 ? null : copy(k % 2 == 0 ? p.columnNumbers : p.rowNumbers)))
                    .toList();
            List<Term> terms = IntStream.range(0, 16)
                    .mapToObj(k -> new Term(
                            PairFunction.EXP,
                            Of.NEGATIVES,
                            new Shift(1, copy(p.rowNumbers), copy(p.columnNumbers)),
                            copy(p.rowNumbers),
                            copy(p.columnNumbers)))
                    .toList();
            long before = ops.memory().currentBytes();
            ops.memory().resetPeak();
            tiles.reduce(p.pairs, most);
            tiles.gradient(p.pairs, terms, new PairwiseOps.Gradients(dx, dy, null, null), 1);
            ops.synchronize();
            long used = ops.memory().peakBytes() - before;
            long stated = tiles.workspaceBytes(20, 300, 9);
            assertTrue(used <= stated && used > stated / 2, used + " bytes, said " + stated);
            assertEquals(before, ops.memory().currentBytes());
            assertTrue(tiles.workspaceBytes(1 << 18, 1 << 18, 512) <= 4 * tiles.workspaceBytes(1 << 16, 1 << 16, 512));
        }
    }

    private static Scalars copy(Scalars of) {
        return of.slice(0, of.size());
    }

    @Test
    void gradient_overlappingInputs_isRefused() {
        try (Ops ops = Backend.open("sim");
                Tensor x = ops.zeros(Shape.of(3, 2))) {
            Pairs pairs = new Pairs(x, x, 1, Pairing.diagonal(3, 3));
            assertThrows(
                    LaunchException.class,
                    () -> ops.pairTiles()
                            .gradient(pairs, List.of(), new PairwiseOps.Gradients(x, null, null, null), 1));
        }
    }
}
