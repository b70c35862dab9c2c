package org.contrastive4j.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class CastTest {
    private static final List<DType> TYPES = List.of(DType.F32, DType.BF16, DType.F16);

    static List<String> backends() {
        return Stream.concat(Stream.of("cpu"), Devices.names()).toList();
    }

    /** Numbers of all sizes, halves between neighbours, what overflows, and what is no number. */
    private static double[] values(int count) {
        double[] special = {
            0,
            -0.0,
            1,
            1.00390625,
            1.01171875,
            1.00048828125,
            65504,
            65519,
            65520,
            -1e38,
            3.4e38f,
            0x1p-24,
            0x1p-25,
            0x1.8p-25,
            0x1p-133,
            Float.MIN_VALUE,
            Double.POSITIVE_INFINITY,
            Double.NEGATIVE_INFINITY,
            Double.NaN
        };
        Random random = new Random(count);
        double[] values = new double[count];
        Arrays.setAll(
                values,
                i -> i < special.length
                        ? special[i]
                        : (float) (random.nextGaussian() * Math.pow(2, random.nextInt(60) - 30)));
        return values;
    }

    /** Between any two types, aligned or not: bit for bit what a tensor makes of the numbers, rounded once. */
    @ParameterizedTest
    @MethodSource("backends")
    void cast_anyTypes_roundsOnce(String backend) {
        try (Ops ops = Backend.open(backend)) {
            for (DType from : TYPES) {
                for (DType to : TYPES) {
                    for (int start : new int[] {0, 1, 4}) {
                        check(ops, from, to, start, 1300);
                        check(ops, from, to, start, 19);
                    }
                }
            }
        }
    }

    private static void check(Ops ops, DType from, DType to, int start, int size) {
        try (Tensor wholeX = Tensor.of(ops.memory(), from, Shape.of(size + start), values(size + start));
                Tensor wholeY = Tensor.of(ops.memory(), to, Shape.of(size + start + 8), new double[size + start + 8]);
                Tensor want = Tensor.of(ops.memory(), to, Shape.of(size + start), wholeX.toDoubles())) {
            ops.pointwise().cast(wholeX.rows(start, size + start), wholeY.rows(start, size + start));
            String what = from + " to " + to + " from " + start;
            assertArrayEquals(
                    want.rows(start, size + start).toDoubles(),
                    wholeY.rows(start, size + start).toDoubles(),
                    what);
            assertArrayEquals(new double[start], wholeY.rows(0, start).toDoubles(), what);
            assertArrayEquals(
                    new double[8], wholeY.rows(size + start, size + start + 8).toDoubles(), what);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu-f64", "cpu", "sim"})
    void invalidArguments_areRefused(String backend) {
        try (Ops ops = Backend.open(backend);
                Tensor x = ops.zeros(Shape.of(3));
                Tensor same = ops.zeros(Shape.of(3));
                Tensor other = ops.zeros(Shape.of(4));
                Tensor ints = ops.ints(Shape.of(3), 1, 2, 3);
                Tensor wide =
                        Tensor.allocate(ops.memory(), backend.equals("cpu-f64") ? DType.F32 : DType.F64, Shape.of(3))) {
            ops.pointwise().cast(x, same);
            assertThrows(ShapeException.class, () -> ops.pointwise().cast(x, other));
            assertThrows(ShapeException.class, () -> ops.pointwise().cast(x, ints));
            assertThrows(ShapeException.class, () -> ops.pointwise().cast(x, wide));
            assertThrows(ShapeException.class, () -> ops.pointwise().cast(wide, x));
            assertThrows(ShapeException.class, () -> ops.pointwise().cast(null, x));
        }
    }
}
