package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossCases.Case;
import org.contrastive4j.loss.LossCases.Problem;
import org.contrastive4j.loss.LossCases.Tensors;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** W workers together have the gradient of one. */
class ShardedContrastTest {
    /** Edges of rows and of columns: uneven, and rows not cut where columns are. */
    private static final int[][][] CUTS = {
        {{0, 37}, {0, 45}},
        {{0, 5, 37}, {0, 30, 45}},
        {{0, 12, 13, 37}, {0, 20, 21, 45}},
        {{0, 1, 3, 8, 9, 20, 21, 30, 37}, {0, 6, 7, 14, 15, 22, 30, 44, 45}}
    };

    static Stream<Case> cases() {
        return LossCases.all().stream()
                .filter(c -> c.labels() == LossCases.Labels.NOTHING || c.labels() == LossCases.Labels.IDS_AND_GUIDE)
                .filter(c -> !c.name().contains("four ways"));
    }

    @Test
    void fourWay_sharded_isRefused() {
        try (Ops ops = Backend.open("cpu");
                ContrastiveLoss loss = Losses.named(ops, "infonce-fourway");
                Tensor u = ops.tensor(Shape.of(2, 2), 1, 2, 3, 4);
                Tensor du = ops.allocate(2, 2);
                Tensor dv = ops.allocate(2, 2)) {
            ShardedContrast sharded = new ShardedContrast(ops, loss, ShardedContrast.Order.RING);
            assertThrows(
                    LossOptionException.class,
                    () -> sharded.valueAndGradient(
                            List.of(u), List.of(u), PairLabels.DIAGONAL, List.of(du), List.of(dv), 1));
        }
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 3)
    void gradient_severalShards_equalsOneWorker(Case c) {
        for (String backend : List.of("cpu-f64", "cpu")) {
            try (Ops ops = Backend.open(backend);
                    ContrastiveLoss loss = c.make().apply(ops)) {
                compare(c.toString(), ops, loss, new Problem(c, 37, 45, 6, 4));
            }
        }
    }

    /** By kernels: uneven shards, every kind of reduction, and pairs that are ignored. */
    @Tag("exhaustive")
    @ParameterizedTest
    @MethodSource("devices")
    @Tag("gpu")
    void gradient_severalShardsOnADevice_equalsOneWorker(String device) {
        Case labelled = cases().filter(c -> c.labels() == LossCases.Labels.IDS_AND_GUIDE)
                .findFirst()
                .orElseThrow();
        try (Ops ops = Backend.open(device)) {
            for (String name : List.of("infonce-smoothed", "siglip", "triplet-semihard", "sinkhorn")) {
                try (ContrastiveLoss loss = Losses.named(ops, name)) {
                    compare(name, ops, loss, new Problem(labelled, 37, 45, 6, 4), List.<int[][]>of(CUTS[2]));
                }
            }
        }
    }

    static Stream<String> devices() {
        return Devices.names();
    }

    /** Every kind of result of four blocks, in two orders, is that of the whole. */
    @Test
    void merge_blocksInAnyOrder_equalTheWhole() {
        try (Ops ops = Backend.open("cpu-f64");
                Tensor x = ops.tensor(Shape.of(9, 1), 1, 2, -1, 2, 0.5, 2, 1, -2, 2);
                Tensor y = ops.tensor(Shape.of(11, 1), 1, -1, 1, 0.5, 0.5, -1, 1, 1, 0.25, 1, -1)) {
            Pairing pairing = Pairing.diagonal(9, 11);
            for (PairTileOps.Kind kind : PairTileOps.Kind.values()) {
                for (PairTileOps.Axis axis : PairTileOps.Axis.values()) {
                    List<Reduction> reductions = List.of(new Reduction(
                            kind, PairFunction.SOFTPLUS, axis, PairTileOps.Of.NEGATIVES, Shift.NONE, null));
                    Reduced whole = ops.pairTiles()
                            .reduce(new Pairs(x, y, 1, pairing), reductions)
                            .get()
                            .get(0);
                    boolean rows = axis == PairTileOps.Axis.ROWS;
                    for (int first : new int[] {0, 2}) {
                        ShardMerge merged = new ShardMerge(kind, rows ? 9 : 11);
                        for (int k = first; k < first + 4; k++) {
                            int from = k % 2 == 0 ? 0 : 4;
                            int to = k % 2 == 0 ? 4 : 9;
                            int left = k / 2 % 2 == 0 ? 0 : 7;
                            int right = k / 2 % 2 == 0 ? 7 : 11;
                            Reduced part = ops.pairTiles()
                                    .reduce(
                                            new Pairs(
                                                    x.rows(from, to),
                                                    y.rows(left, right),
                                                    1,
                                                    pairing.block(from, to, left, right)),
                                            reductions)
                                    .get()
                                    .get(0);
                            merged.add(part, rows ? from : left, rows ? left : from);
                        }
                        String what = kind + " " + axis + " from " + first;
                        assertArrayEquals(whole.values(), merged.reduced().values(), 1e-13, what);
                        assertArrayEquals(whole.counts(), merged.reduced().counts(), what);
                        assertArrayEquals(whole.at(), merged.reduced().at(), what);
                    }
                }
            }
        }
    }

    @Test
    void warmup_severalShards_countsNegativesAcrossShards() {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss loss = Losses.named(ops, "bce-warmup")) {
            loss.restore(Map.of("warmup.negatives", 17.5, "warmup.accuracy", 0.5));
            compare("warm-up", ops, loss, new Problem(LossCases.all().get(0), 37, 45, 6, 4));
        }
    }

    private static void compare(String what, Ops ops, ContrastiveLoss loss, Problem p) {
        compare(what, ops, loss, p, List.of(CUTS));
    }

    private static void compare(String what, Ops ops, ContrastiveLoss loss, Problem p, List<int[][]> ways) {
        double tolerance = ops.dtype() == DType.F64 ? 1e-12 : 1e-5;
        try (Tensors t = new Tensors(ops, p);
                Tensor du = ops.allocate(p.n, p.d);
                Tensor dv = ops.allocate(p.m, p.d)) {
            loss.parameters().forEach(Parameter::zeroGradient);
            PairwiseOps.Result whole =
                    loss.valueAndGradient(t.u, t.v, t.labels, du, dv, 0.5).get();
            List<double[]> own = loss.parameters().stream()
                    .map(q -> q.gradient().toDoubles())
                    .toList();
            for (int[][] cuts : ways) {
                for (ShardedContrast.Order order : ShardedContrast.Order.values()) {
                    String where = what + " " + ops.name() + " W " + (cuts[0].length - 1) + " " + order;
                    loss.parameters().forEach(Parameter::zeroGradient);
                    try (Tensor sharedU = poisoned(ops, p.n, p.d);
                            Tensor sharedV = poisoned(ops, p.m, p.d)) {
                        PairwiseOps.Result result = new ShardedContrast(ops, loss, order)
                                .valueAndGradient(
                                        cut(t.u, cuts[0]),
                                        cut(t.v, cuts[1]),
                                        t.labels,
                                        cut(sharedU, cuts[0]),
                                        cut(sharedV, cuts[1]),
                                        0.5)
                                .get();
                        assertEquals(whole.loss(), result.loss(), tolerance * (1 + whole.loss()), where);
                        assertEquals(whole.rowAccuracy(), result.rowAccuracy(), where);
                        assertEquals(whole.columnAccuracy(), result.columnAccuracy(), where);
                        close(where + " du", du.toDoubles(), sharedU.toDoubles(), tolerance);
                        close(where + " dv", dv.toDoubles(), sharedV.toDoubles(), tolerance);
                        for (int k = 0; k < own.size(); k++) {
                            close(
                                    where + " own",
                                    own.get(k),
                                    loss.parameters().get(k).gradient().toDoubles(),
                                    4 * tolerance);
                        }
                    }
                }
            }
        }
    }

    private static List<Tensor> cut(Tensor rows, int[] edges) {
        List<Tensor> shards = new ArrayList<>();
        for (int w = 0; w + 1 < edges.length; w++) {
            shards.add(rows.rows(edges[w], edges[w + 1]));
        }
        return shards;
    }

    private static Tensor poisoned(Ops ops, int... dims) {
        Tensor tensor = ops.allocate(dims);
        double[] nan = new double[(int) tensor.size()];
        Arrays.fill(nan, Double.NaN);
        tensor.set(nan);
        return tensor;
    }

    private static void close(String what, double[] expected, double[] given, double tolerance) {
        double size = Arrays.stream(expected).map(Math::abs).max().orElse(0);
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], given[i], tolerance * (size + 0.1), what + "[" + i + "]");
        }
    }

    @Test
    void shards_invalidSizes_areRefusedWithoutLeaks() {
        try (Ops ops = Backend.open("cpu");
                ContrastiveLoss loss = Losses.named(ops, "siglip");
                Tensor a = ops.zeros(Shape.of(3, 2));
                Tensor b = ops.zeros(Shape.of(3, 3));
                Tensor bad = ops.tensor(Shape.of(1, 2), 1, Double.NaN)) {
            ShardedContrast sharded = new ShardedContrast(ops, loss, ShardedContrast.Order.RING);
            long before = ops.memory().currentBytes();
            assertThrows(
                    ShapeException.class,
                    () -> sharded.valueAndGradient(
                            List.of(a, a), List.of(a), PairLabels.DIAGONAL, List.of(a, a), List.of(a), 1));
            assertThrows(
                    ShapeException.class,
                    () -> sharded.valueAndGradient(
                            List.of(a, b), List.of(a, b), PairLabels.DIAGONAL, List.of(a, b), List.of(a, b), 1));
            NonFiniteException refused = assertThrows(
                    NonFiniteException.class,
                    () -> sharded.valueAndGradient(
                            List.of(a, bad), List.of(a, a), PairLabels.DIAGONAL, List.of(a, bad), List.of(a, a), 1));
            assertTrue(refused.getMessage().contains("shard 1"), refused.getMessage());
            assertEquals(before, ops.memory().currentBytes());
        }
    }
}
