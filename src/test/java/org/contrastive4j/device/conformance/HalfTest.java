package org.contrastive4j.device.conformance;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Both 16-bit formats, scalar and packed; unary operations on all 65536 values. */
class HalfTest {
    private static final List<Kind> KINDS = List.of(Kind.F16, Kind.F16X2, Kind.BF16, Kind.BF16X2);

    @Tag("sampled")
    @TestFactory
    Stream<DynamicNode> instructions_everyRow_agreeWithTheDocumentation() {
        return Row.tests(rows());
    }

    static List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (Kind kind : KINDS) {
            sums(rows, kind);
            fused(rows, kind);
            extremes(rows, kind);
            unary(rows, kind);
        }
        return rows;
    }

    /** Adds {@code add}, {@code sub} and {@code mul}; in bfloat16 they need a newer architecture than {@code fma}. */
    private static void sums(List<Row> rows, Kind kind) {
        Arithmetic nearest = Arithmetic.of(kind.format, Mode.RN);
        boolean half = kind.format == Format.F16;
        for (String modifier : half ? List.of("", ".rn", ".ftz", ".sat", ".ftz.sat") : List.of("", ".rn")) {
            Arithmetic arithmetic = modified(nearest, modifier);
            String suffix = modifier + "." + kind.ptx();
            int architecture = half ? 80 : 90;
            rows.add(row("add" + suffix, kind, 2, x -> arithmetic.add(x[0], x[1]))
                    .from(architecture));
            rows.add(row("sub" + suffix, kind, 2, x -> arithmetic.subtract(x[0], x[1]))
                    .from(architecture));
            rows.add(row("mul" + suffix, kind, 2, x -> arithmetic.multiply(x[0], x[1]))
                    .from(architecture));
        }
    }

    private static void fused(List<Row> rows, Kind kind) {
        Arithmetic nearest = Arithmetic.of(kind.format, Mode.RN);
        boolean half = kind.format == Format.F16;
        for (String modifier :
                half ? List.of("", ".ftz", ".sat", ".ftz.sat", ".relu", ".ftz.relu") : List.of("", ".relu")) {
            Arithmetic arithmetic = modified(nearest, modifier);
            rows.add(row("fma.rn" + modifier + "." + kind.ptx(), kind, 3, x -> {
                Outcome outcome = arithmetic.fma(x[0], x[1], x[2]);
                // .relu returns the canonical NaN
                return arithmetic.relu() && outcome.description().equals("NaN")
                        ? Outcome.bits(kind.format.nan())
                        : outcome;
            }));
        }
    }

    private static Arithmetic modified(Arithmetic plain, String modifier) {
        Arithmetic flushing = modifier.contains(".ftz") ? plain.withFtz() : plain;
        Arithmetic clamping = modifier.contains(".sat") ? flushing.withSat() : flushing;
        return modifier.contains(".relu") ? clamping.withRelu() : clamping;
    }

    private static void extremes(List<Row> rows, Kind kind) {
        for (boolean smallest : new boolean[] {true, false}) {
            for (String modifier :
                    kind.format == Format.F16 ? List.of("", ".NaN", ".ftz", ".ftz.NaN") : List.of("", ".NaN")) {
                boolean flushes = modifier.contains(".ftz");
                boolean keeps = modifier.contains(".NaN");
                rows.add(row(
                        (smallest ? "min" : "max") + modifier + "." + kind.ptx(),
                        kind,
                        2,
                        x -> FloatTest.extreme(kind.format, smallest, flushes, keeps, x)));
            }
        }
    }

    /**
     * {@code ex2.approx}: relative error 2^-9.9 in half precision, 2^-7 in bfloat16, which flushes;
     * {@code tanh.approx}: absolute error 2^-10.987 and 2^-8. Half an ulp is added for rounding to the format.
     */
    private static void unary(List<Row> rows, Kind kind) {
        Format format = kind.format;
        boolean half = format == Format.F16;
        String type = "." + kind.ptx();
        rows.add(every("abs" + type, kind, x -> Outcome.number(format, format.abs(x))));
        rows.add(every("neg" + type, kind, x -> Outcome.number(format, format.negate(x))));
        if (half) {
            rows.add(every("abs.ftz" + type, kind, x -> Outcome.number(format, format.abs(format.flush(x)))));
            rows.add(every("neg.ftz" + type, kind, x -> Outcome.number(format, format.negate(format.flush(x)))));
        }
        int architecture = half ? 80 : 90;
        rows.add(every(
                        (half ? "ex2.approx" : "ex2.approx.ftz") + type,
                        kind,
                        x -> power(format, !half, half ? -9.9 : -7, x))
                .from(architecture));
        rows.add(every("tanh.approx" + type, kind, x -> {
                    double exact = StrictMath.tanh(format.toDouble(x));
                    return Outcome.near(format, exact, Math.pow(2, half ? -10.987 : -8) + format.ulp(exact) / 2);
                })
                .from(architecture));
    }

    private static Outcome power(Format format, boolean ftz, double error, long x) {
        double exact = StrictMath.pow(2, format.toDouble(ftz ? format.flush(x) : x));
        Outcome near = Outcome.near(format, exact, exact * Math.pow(2, error) + format.ulp(exact) / 2);
        boolean tiny = exact < format.toDouble(format.smallestNormal) * (1 + Math.pow(2, error));
        return ftz && tiny ? near.or(Outcome.bits(0)) : near;
    }

    /** Applies the operation to all 65536 values; a packed register holds two different ones. */
    private static Row every(String instruction, Kind kind, Function<Long, Outcome> expected) {
        UnaryOperator<Long> pair = x -> x << 16 | (x * 40_503 + 12_345 & 0xffff);
        Row row = row(instruction, kind, 1, x -> expected.apply(x[0])).on(Samples.all16());
        return kind.packed() ? row.with(0, pair) : row;
    }

    private static Row row(String instruction, Kind kind, int operands, Function<long[], Outcome> expected) {
        List<Kind> kinds = Collections.nCopies(operands, kind);
        if (!kind.packed()) {
            return Row.of(instruction, kind, kinds, expected);
        }
        return Row.of(
                instruction,
                kind,
                kinds,
                x -> Outcome.packed(16, expected.apply(half(x, 16)), expected.apply(half(x, 0))));
    }

    private static long[] half(long[] x, int shift) {
        return java.util.Arrays.stream(x).map(value -> value >>> shift & 0xffff).toArray();
    }
}
