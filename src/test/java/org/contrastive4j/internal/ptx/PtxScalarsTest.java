package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.LaunchException;
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
import org.contrastive4j.ops.Scalars.Function;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** Scalars of rows and columns on a device, compared with the same arithmetic on the host. */
class PtxScalarsTest {
    private static final double[] SPECIAL = {
        0,
        1,
        -1,
        0.5,
        Double.NaN,
        Double.POSITIVE_INFINITY,
        Double.NEGATIVE_INFINITY,
        1e-300,
        -1e-300,
        1e300,
        700,
        -700,
        709.7,
        -744,
        -746,
        40,
        -40,
        1e-17,
        -1e-17
    };

    private static void onEachDevice(java.util.function.BiConsumer<Ops, PairTileOps> check) {
        Devices.names().forEach(name -> {
            try (Ops ops = Backend.open(name)) {
                check.accept(ops, ops.pairTiles());
            }
        });
    }

    /** Brings f64 values to the device: as sums of three f32 tensors, which are exact for these values. */
    private static Scalars onDevice(Ops ops, Scalars.Scope scope, double[] values) {
        try (Tensor zeros = ops.zeroParameter(Shape.of(values.length))) {
            Scalars zero = scope.read(zeros);
            Scalars all = zero;
            for (int i = 0; i < values.length; i++) {
                double[] marks = new double[values.length];
                marks[i] = 1;
                try (Tensor mark = ops.parameterTensor(Shape.of(values.length), marks)) {
                    all = scope.read(mark).choose(zero.plus(Scalars.of(values[i])), all);
                }
            }
            return all;
        }
    }

    private static void agree(double[] expected, Scalars got, int ulps, String what) {
        double[] values = got.values().get();
        assertEquals(expected.length, values.length, what);
        for (int i = 0; i < expected.length; i++) {
            double e = expected[i];
            boolean same = Double.compare(e, values[i]) == 0 || e == values[i];
            boolean near = Math.abs(e - values[i]) <= ulps * Math.max(Math.ulp(e), 0x1p-1021);
            assertTrue(same || near, what + "[" + i + "] is " + values[i] + ", expected " + e);
        }
    }

    @Test
    void map_everyFunctionAndSpecialValue_agreesWithTheHost() {
        onEachDevice(PtxScalarsTest::checkFunctions);
    }

    static void checkFunctions(Ops ops, PairTileOps tiles) {
        Random random = new Random(3);
        double[] a = IntStream.range(0, 140)
                .mapToDouble(i -> i < SPECIAL.length ? SPECIAL[i] : 20 * random.nextGaussian())
                .toArray();
        double[] b = IntStream.range(0, a.length)
                .mapToDouble(i -> i < SPECIAL.length ? SPECIAL[(i + 3) % SPECIAL.length] : random.nextGaussian())
                .toArray();
        Scalars c = Scalars.of(0.25);
        try (Scalars.Scope scope = tiles.scope()) {
            Scalars onA = onDevice(ops, scope, a);
            Scalars onB = onDevice(ops, scope, b);
            agree(a, onA, 0, "a");
            for (Function function : Function.values()) {
                int ulps = function == Function.EXP || function == Function.SOFTPLUS ? 3 : 0;
                double[] expected = Scalars.map(function, Scalars.of(a), Scalars.of(b), c)
                        .values()
                        .get();
                agree(expected, Scalars.map(function, onA, onB, c), ulps, function.name());
                double[] ofSingle = Scalars.map(function, Scalars.of(a[30]), Scalars.of(b), Scalars.of(a))
                        .values()
                        .get();
                Scalars single = onA.slice(30, 31);
                agree(ofSingle, Scalars.map(function, single, onB, onA), ulps, function + " of one scalar");
                double[] bySingle = Scalars.map(function, Scalars.of(b), Scalars.of(a[30]), Scalars.of(a))
                        .values()
                        .get();
                agree(bySingle, Scalars.map(function, onB, single, onA), ulps, function + " by one scalar");
            }
        }
    }

    @Test
    void sum_slice_read_products_add_agreeWithTheHost() {
        onEachDevice(PtxScalarsTest::checkOthers);
    }

    static void checkOthers(Ops ops, PairTileOps tiles) {
        int d = 70;
        int n = 600;
        double[] values = new Random(4).ints(n * d, -64, 65).asDoubleStream().toArray();
        double[] others = new Random(5).ints(n * d, -64, 65).asDoubleStream().toArray();
        try (Scalars.Scope scope = tiles.scope();
                Tensor x = ops.parameterTensor(Shape.of(n, d), values);
                Tensor y = ops.parameterTensor(Shape.of(n, d), others);
                Tensor ints = ops.ints(Shape.of(3), 7, -8, Integer.MAX_VALUE);
                Tensor target = ops.parameterTensor(Shape.of(1), 2)) {
            Scalars read = scope.read(x);
            assertArrayEquals(values, read.values().get());
            assertEquals(Arrays.stream(values).sum(), read.sum().values().get()[0]);
            assertArrayEquals(
                    Arrays.copyOfRange(values, 5, 9), read.slice(5, 9).values().get());
            assertEquals(
                    Arrays.stream(values, 5, 309).sum(),
                    read.slice(5, 309).sum().values().get()[0]);
            assertArrayEquals(
                    new double[] {7, -8, Integer.MAX_VALUE},
                    scope.read(ints).values().get());
            double[] expected = tiles.hostScope().products(x, y).values().get();
            assertArrayEquals(expected, scope.products(x, y).values().get());
            scope.add(scope.read(ints).slice(1, 2), 0.5, target);
            assertEquals(-2, target.toDoubles()[0]);
            scope.add(Scalars.of(4), 0.25, target);
            assertEquals(-1, target.toDoubles()[0]);
        }
    }

    /** Reductions whose shifts, weights and scale are on the device give the bits of those that are uploaded. */
    @Test
    void reduceAndGradient_ofDeviceScalars_haveTheBitsOfUploadedOnes() {
        onEachDevice(PtxScalarsTest::checkInputs);
    }

    static void checkInputs(Ops ops, PairTileOps tiles) {
        int n = 5;
        int m = 67;
        Random random = new Random(6);
        double[] rows = random.doubles(n, -3, 3).toArray();
        double[] columns = random.doubles(m, -3, 3).toArray();
        columns[3] = Double.NEGATIVE_INFINITY;
        try (Scalars.Scope scope = tiles.scope();
                Tensor x = ops.parameterTensor(
                        Shape.of(n, 3), random.doubles(n * 3, -1, 1).toArray());
                Tensor y = ops.parameterTensor(
                        Shape.of(m, 3), random.doubles(m * 3, -1, 1).toArray());
                Tensor dx = ops.allocateParameter(n, 3);
                Tensor dScale = ops.zeroParameter(Shape.of(1))) {
            Scalars onRows = onDevice(ops, scope, rows);
            Scalars onColumns = onDevice(ops, scope, columns);
            Scalars scale = onDevice(ops, scope, new double[] {1.75});
            Pairing pairing = Pairing.diagonal(n, m);
            List<Reduced> host = tiles.reduce(
                            new Pairs(x, y, 1.75, pairing), reductions(Scalars.of(rows), Scalars.of(columns)))
                    .get();
            List<Reduced> device = scope.reduce(new Pairs(x, y, scale, pairing), reductions(onRows, onColumns));
            for (int k = 0; k < host.size(); k++) {
                agree(host.get(k).values(), device.get(k).scalars(), 2, "reduction " + k);
                assertArrayEquals(host.get(k).counts(), device.get(k).counts());
                assertArrayEquals(host.get(k).at(), device.get(k).at());
            }
            PairwiseOps.Gradients gradients = new PairwiseOps.Gradients(dx, null, dScale, null);
            tiles.gradient(
                    new Pairs(x, y, 1.75, pairing), terms(Scalars.of(rows), Scalars.of(columns)), gradients, 0.5);
            double[] expected = dx.toDoubles();
            double ofScale = dScale.toDoubles()[0];
            dScale.set(0);
            tiles.gradient(new Pairs(x, y, scale, pairing), terms(onRows, onColumns), gradients, 0.5);
            assertArrayEquals(expected, dx.toDoubles());
            assertEquals(ofScale, dScale.toDoubles()[0]);
        }
    }

    private static List<Reduction> reductions(Scalars rows, Scalars columns) {
        Shift both = new Shift(1, rows, columns);
        return List.of(
                Reduction.sum(PairFunction.EXP, Axis.ROWS, Of.BOTH, both, Scalars.of(3)),
                Reduction.sum(PairFunction.SIGMOID, Axis.COLUMNS, Of.NEGATIVES, both, rows),
                Reduction.logSumExp(Axis.ROWS, Of.NEGATIVES, both),
                Reduction.logSumExp(Axis.COLUMNS, Of.POSITIVES, Shift.rows(rows)),
                Reduction.max(Axis.ROWS, Of.NEGATIVES, Shift.rows(rows.slice(0, 1))),
                Reduction.max(Axis.COLUMNS, Of.POSITIVES, Shift.NONE));
    }

    private static List<Term> terms(Scalars rows, Scalars columns) {
        return List.of(
                new Term(PairFunction.SIGMOID, Of.BOTH, new Shift(-1, rows, columns), rows, null),
                new Term(PairFunction.ONE, Of.POSITIVES, Shift.NONE, null, rows.slice(1, 2)));
    }

    @Test
    void map_operandsThatDoNotFit_areRefused() {
        onEachDevice((ops, tiles) -> {
            try (Scalars.Scope scope = tiles.scope();
                    Tensor x = ops.zeroParameter(Shape.of(3))) {
                Scalars three = scope.read(x);
                assertThrows(ShapeException.class, () -> three.plus(three.slice(0, 2)));
                assertThrows(LaunchException.class, () -> three.plus(Scalars.of(1, 2, 3)));
                assertThrows(UnsupportedOperationException.class, () -> three.at(0));
            }
        });
    }
}
