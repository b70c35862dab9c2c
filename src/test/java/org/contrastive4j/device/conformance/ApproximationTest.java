package org.contrastive4j.device.conformance;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * Single-precision approximations, within the error that the PTX documentation states, compared with double precision.
 *
 * <p>Relative 2^-23: {@code sqrt}; 2^-22.9: {@code rsqrt}; 2^-22: {@code ex2}, and {@code lg2} outside (0.5, 2), inside
 * of which the error is absolute; 2^-11: {@code tanh}. Units in the last place: {@code rcp} 1, {@code div.full} 2,
 * {@code div.approx} 2 for a divisor in [2^-126, 2^126]. Absolute: {@code sin} and {@code cos} 2^-20.5 in [-2 pi, 2 pi]
 * and 2^-14.7 in [-100 pi, 100 pi]. Relative bounds are enlarged by half an ulp for rounding the result to its format.
 */
class ApproximationTest {
    private static final Format SINGLE = Format.F32;
    private static final double SMALLEST = Math.scalb(1.0, -126);
    private static final int RANDOM = 480;

    private interface Tolerance {
        double of(double x, double exact);
    }

    @Tag("sampled")
    @TestFactory
    Stream<DynamicNode> instructions_everyRow_agreeWithTheDocumentation() {
        return Row.tests(rows());
    }

    static List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (boolean ftz : new boolean[] {false, true}) {
            divisions(rows, ftz);
            roots(rows, ftz);
            exponentials(rows, ftz);
            waves(rows, ftz);
        }
        rows.add(unary("tanh.approx.f32", false, x -> StrictMath.tanh(x), (x, exact) -> relative(exact, -11))
                .on(around(5)));
        return rows;
    }

    private static void divisions(List<Row> rows, boolean ftz) {
        String suffix = ftz ? ".ftz.f32" : ".f32";
        rows.add(FloatTest.row("div.approx" + suffix, Kind.F32, 2, x -> quotient(x, ftz, true)));
        rows.add(FloatTest.row("div.full" + suffix, Kind.F32, 2, x -> quotient(x, ftz, false)));
        rows.add(FloatTest.row("rcp.approx" + suffix, Kind.F32, 1, x -> {
            double a = value(x[0], ftz);
            return near(a, 1 / a, SINGLE.ulp(1 / a), ftz);
        }));
    }

    private static Outcome quotient(long[] x, boolean ftz, boolean approximate) {
        double a = value(x[0], ftz);
        double b = value(x[1], ftz);
        double exact = a / b;
        double magnitude = Math.abs(b);
        boolean beyond = magnitude > Math.scalb(1.0, 126) && magnitude < Double.POSITIVE_INFINITY;
        if (approximate && beyond) {
            return Double.isInfinite(a) || Double.isNaN(a)
                    ? Outcome.nan(SINGLE)
                    : Outcome.bits(0).or(Outcome.bits(SINGLE.signBit));
        }
        if (subnormal(a) || subnormal(b)) {
            return Outcome.any();
        }
        return near(a, exact, 2 * SINGLE.ulp(exact), ftz || subnormal(exact));
    }

    private static void roots(List<Row> rows, boolean ftz) {
        String suffix = ftz ? ".ftz.f32" : ".f32";
        rows.add(unary("sqrt.approx" + suffix, ftz, Math::sqrt, (x, exact) -> relative(exact, -23)));
        rows.add(unary(
                "rsqrt.approx" + suffix,
                ftz,
                x -> x == 0 ? 1 / x : 1 / Math.sqrt(x),
                (x, exact) -> relative(exact, -22.9)));
    }

    private static void exponentials(List<Row> rows, boolean ftz) {
        String suffix = ftz ? ".ftz.f32" : ".f32";
        rows.add(unary("ex2.approx" + suffix, ftz, x -> StrictMath.pow(2, x), (x, exact) -> relative(exact, -22))
                .on(around(150)));
        rows.add(unary(
                "lg2.approx" + suffix,
                ftz,
                x -> StrictMath.log(x) / StrictMath.log(2),
                (x, exact) -> x > 0.5 && x < 2 ? Math.pow(2, -22) : relative(exact, -22)));
    }

    private static void waves(List<Row> rows, boolean ftz) {
        String suffix = ftz ? ".ftz.f32" : ".f32";
        rows.add(unary("sin.approx" + suffix, ftz, StrictMath::sin, (x, exact) -> waveError(x))
                .on(around(400)));
        rows.add(unary("cos.approx" + suffix, ftz, StrictMath::cos, (x, exact) -> waveError(x))
                .on(around(400)));
    }

    private static double waveError(double x) {
        double turns = Math.abs(x) / Math.PI;
        return turns <= 2 ? Math.pow(2, -20.5) : turns <= 100 ? Math.pow(2, -14.7) : Double.POSITIVE_INFINITY;
    }

    private static double relative(double exact, double power) {
        return Math.abs(exact) * Math.pow(2, power) + SINGLE.ulp(exact) / 2;
    }

    private static Row unary(String instruction, boolean ftz, DoubleUnaryOperator function, Tolerance tolerance) {
        return FloatTest.row(instruction, Kind.F32, 1, x -> {
            double a = value(x[0], ftz);
            double exact = function.applyAsDouble(a);
            double error = tolerance.of(a, exact);
            return Double.isFinite(exact) && Double.isInfinite(error) ? Outcome.any() : near(a, exact, error, ftz);
        });
    }

    /** Accepts a flushed subnormal result; the sign of a zero is that of the exact result. */
    private static Outcome near(double a, double exact, double tolerance, boolean ftz) {
        Outcome near = Outcome.near(SINGLE, exact, tolerance);
        boolean flushable = ftz && Math.abs(exact) < SMALLEST * 1.0001;
        if (exact == 0 && a == 0) {
            return Outcome.number(SINGLE, SINGLE.fromDouble(exact, Mode.RN));
        }
        return flushable ? near.or(Outcome.bits(SINGLE.zero(exact < 0 || 1 / exact < 0))) : near;
    }

    private static boolean subnormal(double value) {
        return value != 0 && Math.abs(value) < SMALLEST;
    }

    private static double value(long bits, boolean ftz) {
        return SINGLE.toDouble(ftz ? SINGLE.flush(bits) : bits);
    }

    /** Returns edge values, and random values in [-range, range]. */
    private static List<long[]> around(double range) {
        List<long[]> lanes = new ArrayList<>();
        Samples.edges(Kind.F32).forEach(value -> lanes.add(new long[] {value}));
        Random random = new Random(Double.hashCode(range));
        while (lanes.size() < RANDOM) {
            double scale = random.nextBoolean() ? range : range / 40;
            lanes.add(new long[] {SINGLE.fromDouble((random.nextDouble() * 2 - 1) * scale, Mode.RN)});
        }
        return lanes;
    }
}
