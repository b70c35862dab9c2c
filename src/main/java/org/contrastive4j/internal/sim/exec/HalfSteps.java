package org.contrastive4j.internal.sim.exec;

import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * f16 and bf16 arithmetic, one or two to a register: exact in f64, then rounded once.
 *
 * <p>Tested by {@code HalfTest}.
 */
final class HalfSteps {
    static final Map<String, Decoder> FAMILY = Map.of();

    private interface Exact {
        double of(double a, double b, double c);
    }

    private HalfSteps() {}

    static @Nullable Step decode(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        boolean packed = type == Type.F16X2 || type == Type.BF16X2;
        Type half = type == Type.F16X2 || type == Type.F16 ? Type.F16 : Type.BF16;
        if (!packed && type != half) {
            return null;
        }
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.count() > 2 ? o.source(2, type) : a;
        int c = o.count() > 3 ? o.source(3, type) : a;
        Lanewise.Three f = lane(in, half);
        if (f == null) {
            return null;
        }
        return Lanewise.three(
                d,
                a,
                b,
                c,
                !packed
                        ? f
                        : (x, y, z) ->
                                f.of(x & 0xFFFF, y & 0xFFFF, z & 0xFFFF) | f.of(x >>> 16, y >>> 16, z >>> 16) << 16);
    }

    private static Lanewise.@Nullable Three lane(Instruction in, Type half) {
        boolean flush = in.has(".ftz");
        switch (in.opcode()) {
            case "abs" -> {
                return (x, y, z) -> flush(x, half, flush) & 0x7FFF;
            }
            case "neg" -> {
                return (x, y, z) -> flush(x, half, flush) ^ 0x8000;
            }
            case "min", "max" -> {
                return in.has(".xorsign") ? null : extreme(in, half);
            }
            default -> {}
        }
        Exact exact =
                switch (in.opcode()) {
                    case "add" -> (x, y, z) -> Numbers.oddSum(x, y);
                    case "sub" -> (x, y, z) -> Numbers.oddSum(x, -y);
                    case "mul" -> (x, y, z) -> x * y;
                    case "fma" -> (x, y, z) -> Numbers.oddSum(x * y, z);
                    case "ex2" -> (x, y, z) -> FloatSteps.exp2(x);
                    case "tanh" -> (x, y, z) -> Math.tanh(x);
                    default -> null;
                };
        if (exact == null) {
            return null;
        }
        boolean saturate = in.has(".sat");
        boolean relu = in.has(".relu");
        return (x, y, z) -> {
            double value = exact.of(value(x, half, flush), value(y, half, flush), value(z, half, flush));
            if (saturate) {
                value = Numbers.saturate(value);
            }
            long bits = Numbers.encode(value, half, Numbers.Rounding.NEAREST);
            bits = flush && isSubnormal(bits, half) ? bits & 0x8000 : bits;
            return relu && (bits & 0x8000) != 0 && (bits & 0x7FFF) <= infinity(half) ? 0 : bits;
        };
    }

    private static int infinity(Type half) {
        return half == Type.F16 ? 0x7C00 : 0x7F80;
    }

    private static boolean isSubnormal(long bits, Type half) {
        return (bits & infinity(half)) == 0;
    }

    private static long flush(long bits, Type half, boolean flush) {
        return flush && isSubnormal(bits, half) ? bits & 0x8000 : bits;
    }

    private static double value(long bits, Type half, boolean flush) {
        return Numbers.decode(flush(bits, half, flush), half);
    }

    private static Lanewise.Three extreme(Instruction in, Type half) {
        boolean max = in.opcode().equals("max");
        boolean nan = in.has(".NaN");
        boolean flush = in.has(".ftz");
        return (x, y, z) -> {
            double p = value(x, half, flush);
            double q = value(y, half, flush);
            if (p != p || q != q) {
                return nan || p != p && q != q ? 0x7FFF : flush(p != p ? y : x, half, flush);
            }
            return Numbers.encode(max ? Math.max(p, q) : Math.min(p, q), half, Numbers.Rounding.NEAREST);
        };
    }
}
