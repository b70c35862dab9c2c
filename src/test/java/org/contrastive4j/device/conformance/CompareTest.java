package org.contrastive4j.device.conformance;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Comparisons and selections. */
class CompareTest {
    private static final List<String> EQUAL = List.of("eq", "ne");
    private static final List<String> ORDERED = List.of("eq", "ne", "lt", "le", "gt", "ge");
    private static final List<String> UNSIGNED = List.of("eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs");
    private static final List<String> FLOAT =
            List.of("eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan");
    private static final List<String> JOINS = List.of("and", "or", "xor");

    @Tag("sampled")
    @TestFactory
    Stream<DynamicNode> instructions_everyRow_agreeWithTheDocumentation() {
        return Row.tests(rows());
    }

    static List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (Kind kind : List.of(
                Kind.B16, Kind.B32, Kind.B64, Kind.U16, Kind.U32, Kind.U64, Kind.S16, Kind.S32, Kind.S64, Kind.F32,
                Kind.F64, Kind.F16, Kind.BF16)) {
            int architecture = kind == Kind.BF16 ? 90 : 80;
            operators(kind)
                    .forEach(operator -> rows.add(setp(operator, kind, false).from(architecture)));
        }
        for (Kind kind : List.of(Kind.F32, Kind.F16)) {
            FLOAT.forEach(operator -> rows.add(setp(operator, kind, true)));
        }
        for (String join : JOINS) {
            for (Kind kind : List.of(Kind.S32, Kind.U64, Kind.F32, Kind.F64)) {
                rows.add(joined("lt", join, kind, false));
                rows.add(joined("ge", join, kind, true));
            }
        }
        sets(rows);
        selections(rows);
        return rows;
    }

    private static List<String> operators(Kind kind) {
        if (kind.format != null) {
            return FLOAT;
        }
        return kind.name().startsWith("B") ? EQUAL : kind.signed ? ORDERED : UNSIGNED;
    }

    private static Row setp(String operator, Kind kind, boolean ftz) {
        String name = "setp." + operator + (ftz ? ".ftz." : ".") + kind.ptx();
        String body = name + " p, a, b;\nselp.u32 d, 1, 0, p;";
        return Row.of(name, body, List.of(Kind.U32), List.of(kind, kind), x -> one(compare(operator, kind, ftz, x)));
    }

    /** {@code p} = comparison join c, {@code q} = not comparison join c. */
    private static Row joined(String operator, String join, Kind kind, boolean negated) {
        String instruction = "setp." + operator + "." + join + "." + kind.ptx();
        String body = """
                setp.ne.u32 r, c, 0;
                %s p|q, a, b, %sr;
                selp.u32 d, 1, 0, p;
                selp.u32 d1, 1, 0, q;""".formatted(instruction, negated ? "!" : "");
        String name = instruction + (negated ? " p|q, a, b, !r" : " p|q, a, b, r");
        return Row.of(name, body, List.of(Kind.U32, Kind.U32), List.of(kind, kind, Kind.U32), x -> {
                    boolean compared = compare(operator, kind, false, x);
                    boolean third = x[2] != 0 != negated;
                    return new Outcome[] {
                        Outcome.bits(join(join, compared, third) ? 1 : 0),
                        Outcome.bits(join(join, !compared, third) ? 1 : 0)
                    };
                })
                .with(2, value -> value & 1);
    }

    private static boolean join(String join, boolean a, boolean b) {
        return switch (join) {
            case "and" -> a && b;
            case "or" -> a || b;
            default -> a != b;
        };
    }

    private static void sets(List<Row> rows) {
        for (Kind kind : List.of(Kind.B32, Kind.U16, Kind.S32, Kind.U64, Kind.F32, Kind.F64)) {
            for (String operator : kind.format == null ? EQUAL : List.of("lt", "geu", "nan")) {
                rows.add(set(operator, Kind.U32, kind));
                rows.add(set(operator, Kind.S32, kind));
                rows.add(set(operator, Kind.F32, kind));
            }
        }
        for (String join : JOINS) {
            String instruction = "set.gt." + join + ".u32.s32";
            rows.add(Row.of(
                            instruction,
                            "setp.ne.u32 r, c, 0;\n" + instruction + " d, a, b, !r;",
                            List.of(Kind.U32),
                            List.of(Kind.S32, Kind.S32, Kind.U32),
                            x -> new Outcome[] {Outcome.bits(join(join, x[0] > x[1], x[2] == 0) ? 0xffff_ffffL : 0)})
                    .with(2, value -> value & 1));
        }
        rows.add(Row.of(
                "set.lt.ftz.u32.f32",
                Kind.U32,
                List.of(Kind.F32, Kind.F32),
                x -> Outcome.bits(compare("lt", Kind.F32, true, x) ? 0xffff_ffffL : 0)));
    }

    /** True is all ones, or 1.0. */
    private static Row set(String operator, Kind result, Kind kind) {
        long truth = result == Kind.F32 ? 0x3f80_0000L : 0xffff_ffffL;
        return Row.of(
                "set." + operator + "." + result.ptx() + "." + kind.ptx(),
                result,
                List.of(kind, kind),
                x -> Outcome.bits(compare(operator, kind, false, x) ? truth : 0));
    }

    private static void selections(List<Row> rows) {
        for (Kind kind : List.of(
                Kind.B16, Kind.U16, Kind.S16, Kind.B32, Kind.U32, Kind.S32, Kind.F32, Kind.B64, Kind.U64, Kind.S64,
                Kind.F64)) {
            Kind plain = Kind.valueOf("B" + kind.bits);
            String body = "setp.ne.u32 p, c, 0;\nselp." + kind.ptx() + " d, a, b, p;";
            rows.add(Row.of("selp." + kind.ptx(), body, List.of(kind), List.of(plain, plain, Kind.U32), x ->
                            new Outcome[] {Outcome.bits(x[2] != 0 ? x[0] : x[1])})
                    .with(2, value -> value & 1));
            rows.add(slct(kind, plain, ".s32", Kind.S32, c -> c >= 0));
            rows.add(slct(kind, plain, ".f32", Kind.F32, c -> Format.F32.toDouble(c) >= 0));
        }
        rows.add(
                slct(Kind.U32, Kind.B32, ".f32", Kind.F32, c -> Format.F32.toDouble(Format.F32.flush(c)) >= 0, ".ftz"));
    }

    private static Row slct(
            Kind kind, Kind plain, String type, Kind third, Function<Long, Boolean> first, String... flush) {
        String instruction = "slct" + String.join("", flush) + "." + kind.ptx() + type;
        return Row.of(
                instruction, kind, List.of(plain, plain, third), x -> Outcome.bits(first.apply(x[2]) ? x[0] : x[1]));
    }

    private static Outcome[] one(boolean truth) {
        return new Outcome[] {Outcome.bits(truth ? 1 : 0)};
    }

    private static boolean compare(String operator, Kind kind, boolean ftz, long[] x) {
        if (kind.format == null) {
            int order = kind.signed ? Long.compare(x[0], x[1]) : Long.compareUnsigned(x[0], x[1]);
            return holds(operator, order);
        }
        double a = kind.format.toDouble(ftz ? kind.format.flush(x[0]) : x[0]);
        double b = kind.format.toDouble(ftz ? kind.format.flush(x[1]) : x[1]);
        boolean unordered = Double.isNaN(a) || Double.isNaN(b);
        if (operator.equals("num") || operator.equals("nan")) {
            return unordered == operator.equals("nan");
        }
        if (unordered) {
            return operator.length() == 3;
        }
        return holds(operator.substring(0, 2), a < b ? -1 : a > b ? 1 : 0);
    }

    private static boolean holds(String operator, int order) {
        return switch (operator) {
            case "eq" -> order == 0;
            case "ne" -> order != 0;
            case "lt", "lo" -> order < 0;
            case "le", "ls" -> order <= 0;
            case "gt", "hi" -> order > 0;
            case "ge", "hs" -> order >= 0;
            default -> throw new IllegalArgumentException(operator);
        };
    }
}
