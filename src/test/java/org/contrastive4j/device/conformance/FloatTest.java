package org.contrastive4j.device.conformance;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;
import java.util.function.LongPredicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Arithmetic in single and double precision against exactly rounded results. */
class FloatTest {
    private static final List<Mode> MODES = List.of(Mode.RN, Mode.RZ, Mode.RM, Mode.RP);

    private interface Operation {
        Outcome apply(Arithmetic arithmetic, long[] x);
    }

    @Tag("sampled")
    @TestFactory
    Stream<DynamicNode> instructions_everyRow_agreeWithTheDocumentation() {
        return Row.tests(rows());
    }

    static List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (Kind kind : List.of(Kind.F32, Kind.F64)) {
            Arithmetic nearest = Arithmetic.of(kind.format, Mode.RN);
            String type = "." + kind.ptx();
            rows.add(row("add" + type, kind, 2, x -> nearest.add(x[0], x[1])));
            rows.add(row("sub" + type, kind, 2, x -> nearest.subtract(x[0], x[1])));
            rows.add(row("mul" + type, kind, 2, x -> nearest.multiply(x[0], x[1])));
            for (Mode mode : MODES) {
                rounded(rows, "add", kind, mode, 2, true, (a, x) -> a.add(x[0], x[1]));
                rounded(rows, "sub", kind, mode, 2, true, (a, x) -> a.subtract(x[0], x[1]));
                rounded(rows, "mul", kind, mode, 2, true, (a, x) -> a.multiply(x[0], x[1]));
                rounded(rows, "fma", kind, mode, 3, true, (a, x) -> a.fma(x[0], x[1], x[2]));
                rounded(rows, "mad", kind, mode, 3, true, (a, x) -> a.fma(x[0], x[1], x[2]));
                rounded(rows, "div", kind, mode, 2, false, (a, x) -> a.divide(x[0], x[1]));
                rounded(rows, "rcp", kind, mode, 1, false, (a, x) -> a.reciprocal(x[0]));
                rounded(rows, "sqrt", kind, mode, 1, false, (a, x) -> a.squareRoot(x[0]));
            }
            signs(rows, kind);
            classes(rows, kind);
        }
        extremes(rows);
        return rows;
    }

    /** Adds the plain instruction; in single precision also {@code .ftz} and, where it exists, {@code .sat}. */
    private static void rounded(
            List<Row> rows, String name, Kind kind, Mode mode, int operands, boolean saturates, Operation operation) {
        String rounding = name + "." + mode.ptx();
        Arithmetic plain = Arithmetic.of(kind.format, mode);
        rows.add(row(rounding + "." + kind.ptx(), kind, operands, x -> operation.apply(plain, x)));
        if (kind == Kind.F32) {
            rows.add(row(rounding + ".ftz.f32", kind, operands, x -> operation.apply(plain.withFtz(), x)));
            if (saturates) {
                rows.add(row(rounding + ".sat.f32", kind, operands, x -> operation.apply(plain.withSat(), x)));
                rows.add(row(
                        rounding + ".ftz.sat.f32",
                        kind,
                        operands,
                        x -> operation.apply(plain.withFtz().withSat(), x)));
            }
        }
    }

    /** The sign of NaN is unspecified for {@code abs} and {@code neg}; {@code copysign} only copies bits. */
    private static void signs(List<Row> rows, Kind kind) {
        Format format = kind.format;
        String type = "." + kind.ptx();
        rows.add(row("abs" + type, kind, 1, x -> Outcome.number(format, format.abs(x[0]))));
        rows.add(row("neg" + type, kind, 1, x -> Outcome.number(format, format.negate(x[0]))));
        if (kind == Kind.F32) {
            rows.add(row("abs.ftz.f32", kind, 1, x -> Outcome.number(format, format.abs(format.flush(x[0])))));
            rows.add(row("neg.ftz.f32", kind, 1, x -> Outcome.number(format, format.negate(format.flush(x[0])))));
        }
        rows.add(row(
                "copysign" + type, kind, 2, x -> Outcome.number(format, format.abs(x[1]) | x[0] & format.signBit)));
    }

    /** Tests classes of values; {@code testp} counts zeros as normal numbers. */
    private static void classes(List<Row> rows, Kind kind) {
        Format format = kind.format;
        LongPredicate normal = x -> format.isFinite(x) && !format.isSubnormal(x);
        rows.add(testp("finite", kind, format::isFinite));
        rows.add(testp("infinite", kind, format::isInfinite));
        rows.add(testp("number", kind, x -> !format.isNaN(x)));
        rows.add(testp("notanumber", kind, format::isNaN));
        rows.add(testp("normal", kind, normal));
        rows.add(testp("subnormal", kind, format::isSubnormal));
    }

    private static Row testp(String what, Kind kind, LongPredicate predicate) {
        String name = "testp." + what + "." + kind.ptx();
        return Row.of(name, name + " p, a;\nselp.u32 d, 1, 0, p;", List.of(Kind.U32), List.of(kind), x ->
                new Outcome[] {Outcome.bits(predicate.test(x[0]) ? 1 : 0)});
    }

    private static void extremes(List<Row> rows) {
        for (boolean smallest : new boolean[] {true, false}) {
            String name = smallest ? "min" : "max";
            rows.add(row(name + ".f32", Kind.F32, 2, x -> extreme(Format.F32, smallest, false, false, x)));
            rows.add(row(name + ".ftz.f32", Kind.F32, 2, x -> extreme(Format.F32, smallest, true, false, x)));
            rows.add(row(name + ".NaN.f32", Kind.F32, 2, x -> extreme(Format.F32, smallest, false, true, x)));
            rows.add(row(name + ".ftz.NaN.f32", Kind.F32, 2, x -> extreme(Format.F32, smallest, true, true, x)));
            rows.add(row(name + ".f64", Kind.F64, 2, x -> extreme(Format.F64, smallest, false, false, x)));
            rows.add(row(name + ".xorsign.abs.f32", Kind.F32, 2, x -> xorSign(smallest, x))
                    .from(86));
        }
    }

    /**
     * Returns the number if one operand is NaN; with {@code .NaN}, and for two NaNs, the canonical NaN, all ones but
     * the sign. -0 is less than +0.
     */
    static Outcome extreme(Format format, boolean smallest, boolean ftz, boolean keepsNaN, long[] x) {
        long a = ftz ? format.flush(x[0]) : x[0];
        long b = ftz ? format.flush(x[1]) : x[1];
        if (format.isNaN(a) && format.isNaN(b) || keepsNaN && (format.isNaN(a) || format.isNaN(b))) {
            return format == Format.F64 ? Outcome.nan(format) : Outcome.bits(format.nan());
        }
        if (format.isNaN(a) || format.isNaN(b)) {
            return Outcome.bits(format.isNaN(a) ? b : a);
        }
        double expected = smallest
                ? Math.min(format.toDouble(a), format.toDouble(b))
                : Math.max(format.toDouble(a), format.toDouble(b));
        return Outcome.bits(format.fromDouble(expected, Mode.RN));
    }

    /** Returns the extreme magnitude with the product of both signs; with a NaN the sign is unspecified. */
    private static Outcome xorSign(boolean smallest, long[] x) {
        if (Format.F32.isNaN(x[0]) || Format.F32.isNaN(x[1])) {
            return Outcome.any();
        }
        long sign = (x[0] ^ x[1]) & Format.F32.signBit;
        long a = Format.F32.abs(x[0]);
        long b = Format.F32.abs(x[1]);
        return Outcome.bits(sign | (smallest ? Math.min(a, b) : Math.max(a, b)));
    }

    static Row row(String instruction, Kind kind, int operands, Function<long[], Outcome> expected) {
        return Row.of(instruction, kind, Collections.nCopies(operands, kind), expected);
    }
}
