package org.contrastive4j.internal.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.internal.memory.HostMemory;
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
import org.contrastive4j.support.PairTileCase;
import org.contrastive4j.support.PairTileCase.Classes;
import org.contrastive4j.support.PairTileCase.Problem;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The tiled pairwise engine on the CPU against f64; tiny tilings cross every edge. */
class CpuPairTileOpsTest {
    private static final CpuPairwiseOps.Tiling[] TILINGS = {
        CpuPairwiseOps.DEFAULT,
        new CpuPairwiseOps.Tiling(8, 1000, 5, 1 << 12, 1 << 12),
        new CpuPairwiseOps.Tiling(16, 24, 7, 1, 16 * 24 * 4 * 3)
    };

    static Stream<PairTileCase> cases() {
        return PairTileCase.of(new int[][] {{1, 1, 1}, {2, 2, 3}, {1, 5, 2}, {33, 33, 7}, {33, 41, 16}, {103, 130, 5}});
    }

    private static void onEachTiling(BiConsumer<Ops, PairTileOps> check) {
        try (Ops ops = Backend.open("cpu")) {
            for (CpuPairwiseOps.Tiling tiling : TILINGS) {
                check.accept(ops, new CpuPairTileOps((HostMemory) ops.memory(), tiling));
            }
        }
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 4)
    void reduce_everyCase_agreesWithF64(PairTileCase c) {
        onEachTiling(c::checkReductions);
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 3)
    void gradient_everyCase_agreesWithF64(PairTileCase c) {
        onEachTiling(c::checkGradients);
    }

    @ParameterizedTest
    @EnumSource(Classes.class)
    void histogram_everyClass_agreesWithF64(Classes classes) {
        onEachTiling((ops, tiles) -> new PairTileCase(33, 41, 16, classes).checkHistogram(ops, tiles, 7));
    }

    @Test
    void anyNumberOfThreads_sameBits() {
        PairTileCase c = new PairTileCase(103, 130, 5, Classes.ALL_AT_ONCE);
        try (Ops ops = Backend.open("cpu");
                Problem p = new Problem(ops, c, 3)) {
            PairTileOps tiles = new CpuPairTileOps((HostMemory) ops.memory(), TILINGS[1]);
            List<double[]> many = tiles.reduce(p.pairs, PairTileCase.reductions(p)).get().stream()
                    .map(Reduced::values)
                    .toList();
            List<Term> terms = List.of(new Term(PairFunction.SIGMOID, Of.BOTH, Shift.NONE, p.rowNumbers, null));
            double[][] alone = c.gradient(ops, tiles, p, terms);
            int before = Workers.threads();
            try {
                Workers.useThreads(1);
                List<double[]> one = tiles.reduce(p.pairs, PairTileCase.reductions(p)).get().stream()
                        .map(Reduced::values)
                        .toList();
                for (int k = 0; k < one.size(); k++) {
                    assertArrayEquals(one.get(k), many.get(k));
                }
                assertArrayEquals(alone, c.gradient(ops, tiles, p, terms));
            } finally {
                Workers.useThreads(before);
            }
        }
    }

    @Test
    void vectorFunctions_keepRelativeAccuracy() {
        for (PairFunction f :
                List.of(PairFunction.SIGMOID, PairFunction.SOFTPLUS, PairFunction.HINGE, PairFunction.STEP)) {
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
    void workspaceBytes_equalsMemory() {
        PairTileCase c = new PairTileCase(300, 700, 24, Classes.PLAIN);
        try (Ops ops = Backend.open("cpu");
                Problem p = new Problem(ops, c, 1)) {
            long before = ops.memory().currentBytes();
            ops.memory().resetPeak();
            ops.pairTiles().reduce(p.pairs, List.of(Reduction.max(Axis.ROWS, Of.BOTH, Shift.NONE)));
            assertEquals(
                    ops.pairTiles().workspaceBytes(300, 700, 24), ops.memory().peakBytes() - before);
            assertEquals(before, ops.memory().currentBytes());
        }
    }

    @Test
    void invalidArguments_areRefused() {
        PairTileCase c = new PairTileCase(3, 4, 2, Classes.PLAIN);
        try (Ops ops = Backend.open("cpu");
                Problem p = new Problem(ops, c, 1);
                Tensor narrow = ops.zeros(Shape.of(4, 1));
                Tensor three = ops.zeros(Shape.of(3, 2))) {
            PairTileOps tiles = ops.pairTiles();
            List<Reduction> max = List.of(Reduction.max(Axis.ROWS, Of.BOTH, Shift.NONE));
            Pairing pairing = p.pairs.pairing();
            assertThrows(ShapeException.class, () -> tiles.reduce(new Pairs(p.pairs.x(), narrow, 1, pairing), max));
            assertThrows(ShapeException.class, () -> tiles.reduce(new Pairs(p.pairs.x(), three, 1, pairing), max));
            assertThrows(
                    ShapeException.class, () -> tiles.reduce(new Pairs(p.pairs.x(), p.pairs.y(), 0, pairing), max));
            assertThrows(
                    ShapeException.class,
                    () -> tiles.reduce(
                            p.pairs,
                            List.of(Reduction.max(Axis.ROWS, Of.BOTH, Shift.rows(Scalars.of(new double[4]))))));
            assertThrows(
                    ShapeException.class,
                    () -> tiles.reduce(
                            p.pairs,
                            List.of(Reduction.sum(
                                    PairFunction.ONE, Axis.ROWS, Of.BOTH, Shift.NONE, Scalars.of(new double[3])))));
            assertThrows(
                    ShapeException.class,
                    () -> tiles.gradient(p.pairs, List.of(), new PairwiseOps.Gradients(narrow, null, null, null), 1));
            assertThrows(ShapeException.class, () -> Pairing.of(2, new int[] {0, 2}));
            assertThrows(ShapeException.class, () -> Pairing.diagonal(3, 2));
            assertThrows(ShapeException.class, () -> pairing.withIds(new int[3], new int[3], Pairing.SameId.IGNORED));
            assertThrows(ShapeException.class, () -> pairing.withWindow(-1));
        }
    }

    @Test
    void blockOfPairing_agreesWithWhole() {
        Pairing whole = Pairing.diagonal(9, 11)
                .withIds(
                        IntStream.range(0, 9).map(i -> i / 2).toArray(),
                        IntStream.range(0, 11).map(j -> j / 3).toArray(),
                        Pairing.SameId.POSITIVE)
                .withWindow(4);
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
