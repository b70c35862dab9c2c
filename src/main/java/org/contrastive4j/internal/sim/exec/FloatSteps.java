package org.contrastive4j.internal.sim.exec;

import java.util.HashMap;
import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * f32 and f64 arithmetic: correctly rounded where PTX says so, the approximations by the nearest f32 of the exact
 * value.
 *
 * <p>Tested by {@code FloatTest}.
 */
final class FloatSteps {
    static final Map<String, Decoder> FAMILY = family();

    /** A result from operands, before rounding to f32; where it is not exact its last bit is sticky. */
    private interface Exact {
        double of(double a, double b, double c);
    }

    private FloatSteps() {}

    private static Map<String, Decoder> family() {
        Map<String, Decoder> all = new HashMap<>();
        all.put("fma", (in, o) -> switch (Decoder.type(in)) {
            case F32, F64 -> decode(in, o);
            default -> HalfSteps.decode(in, o);
        });
        for (String opcode : new String[] {"rcp", "sqrt", "rsqrt", "sin", "cos", "lg2", "copysign"}) {
            all.put(opcode, FloatSteps::decode);
        }
        for (String opcode : new String[] {"ex2", "tanh"}) {
            all.put(opcode, (in, o) -> Decoder.type(in) == Type.F32 ? decode(in, o) : HalfSteps.decode(in, o));
        }
        return all;
    }

    static @Nullable Step decode(Instruction in, Operands o) {
        return Decoder.type(in) == Type.F32
                ? single(in, o)
                : Decoder.type(in) == Type.F64 ? DoubleSteps.decode(in, o) : null;
    }

    private static @Nullable Step single(Instruction in, Operands o) {
        int d = o.destination(0);
        int a = o.source(1, Type.F32);
        boolean flush = in.has(".ftz");
        boolean saturate = in.has(".sat");
        switch (in.opcode()) {
            case "min", "max" -> {
                return extreme(in, o, d, a, flush);
            }
            case "abs" -> {
                return Lanewise.one(d, a, x -> in(x, flush) & 0x7FFFFFFFL);
            }
            case "neg" -> {
                return Lanewise.one(d, a, x -> in(x, flush) ^ 0x80000000L);
            }
            case "copysign" -> {
                return Lanewise.two(d, a, o.source(2, Type.F32), (x, y) -> y & 0x7FFFFFFFL | x & 0x80000000L);
            }
            default -> {}
        }
        Numbers.Rounding rounding = Decoder.rounding(in);
        if (rounding == Numbers.Rounding.NEAREST && !flush && !saturate) {
            Step plain = plain(in, o, d, a);
            if (plain != null) {
                return plain;
            }
        }
        Exact exact = exact(in);
        if (exact == null) {
            return null;
        }
        int b = o.count() > 2 ? o.source(2, Type.F32) : a;
        int c = o.count() > 3 ? o.source(3, Type.F32) : a;
        return Lanewise.three(d, a, b, c, (x, y, z) -> {
            double value = exact.of(Numbers.f32(in(x, flush)), Numbers.f32(in(y, flush)), Numbers.f32(in(z, flush)));
            long bits = Numbers.encode(value, Type.F32, rounding);
            if (flush) {
                bits = Numbers.bits(Numbers.flush(Numbers.f32(bits)));
            }
            return saturate ? Numbers.bits(Numbers.saturate(Numbers.f32(bits))) : bits;
        });
    }

    /** The common case, without going through f64. */
    private static @Nullable Step plain(Instruction in, Operands o, int d, int a) {
        return switch (in.opcode()) {
            case "add" ->
                Lanewise.two(d, a, o.source(2, Type.F32), (x, y) -> Numbers.bits(Numbers.f32(x) + Numbers.f32(y)));
            case "sub" ->
                Lanewise.two(d, a, o.source(2, Type.F32), (x, y) -> Numbers.bits(Numbers.f32(x) - Numbers.f32(y)));
            case "mul" ->
                Lanewise.two(d, a, o.source(2, Type.F32), (x, y) -> Numbers.bits(Numbers.f32(x) * Numbers.f32(y)));
            case "fma", "mad" ->
                Lanewise.three(
                        d,
                        a,
                        o.source(2, Type.F32),
                        o.source(3, Type.F32),
                        (x, y, z) -> Numbers.bits(Math.fma(Numbers.f32(x), Numbers.f32(y), Numbers.f32(z))));
            default -> null;
        };
    }

    private static long in(long bits, boolean flush) {
        return flush ? Float.floatToRawIntBits(Numbers.flush(Numbers.f32(bits))) & 0xFFFFFFFFL : bits;
    }

    private static Step extreme(Instruction in, Operands o, int d, int a, boolean flush) {
        boolean max = in.opcode().equals("max");
        boolean nan = in.has(".NaN");
        boolean signs = in.has(".xorsign");
        Lanewise.Two two = (x, y) -> {
            if (signs) {
                long chosen = choose(in(x, flush) & 0x7FFFFFFFL, in(y, flush) & 0x7FFFFFFFL, max, nan);
                return chosen == Numbers.F32_NAN ? chosen : chosen | (x ^ y) & 0x80000000L;
            }
            return choose(in(x, flush), in(y, flush), max, nan);
        };
        int b = o.source(2, Type.F32);
        return o.count() > 3
                ? Lanewise.three(d, a, b, o.source(3, Type.F32), (x, y, z) -> two.of(two.of(x, y), z))
                : Lanewise.two(d, a, b, two);
    }

    /** The larger or smaller; of a number and a NaN the number, unless NaN is to be kept. */
    private static long choose(long x, long y, boolean max, boolean nan) {
        float p = Numbers.f32(x);
        float q = Numbers.f32(y);
        if (p != p || q != q) {
            return nan || p != p && q != q ? Numbers.F32_NAN : p != p ? y : x;
        }
        return Numbers.bits(max ? Math.max(p, q) : Math.min(p, q));
    }

    /** The sum of numbers that cancel is a negative zero when rounding down. */
    private static double sum(double a, double b, boolean down) {
        double sum = Numbers.oddSum(a, b);
        return down && sum == 0 && (a != 0 || Double.doubleToRawLongBits(a) != Double.doubleToRawLongBits(b))
                ? -0.0
                : sum;
    }

    private static @Nullable Exact exact(Instruction in) {
        boolean down = Decoder.rounding(in) == Numbers.Rounding.DOWN;
        return switch (in.opcode()) {
            case "add" -> (a, b, c) -> sum(a, b, down);
            case "sub" -> (a, b, c) -> sum(a, -b, down);
            case "mul" -> (a, b, c) -> a * b;
            case "fma", "mad" -> (a, b, c) -> sum(a * b, c, down);
            case "div" ->
                in.has(".approx")
                        ? (a, b, c) -> approximateQuotient(a, b)
                        : in.has(".full") ? (a, b, c) -> a / b : (a, b, c) -> Numbers.oddQuotient(a, b);
            case "rcp" -> (a, b, c) -> Numbers.oddQuotient(1, a);
            case "sqrt" -> (a, b, c) -> Numbers.oddRoot(a);
            case "rsqrt" -> (a, b, c) -> 1 / Math.sqrt(a);
            case "sin" -> (a, b, c) -> Math.sin(a);
            case "cos" -> (a, b, c) -> Math.cos(a);
            case "lg2" -> (a, b, c) -> log2(a);
            case "ex2" -> (a, b, c) -> exp2(a);
            case "tanh" -> (a, b, c) -> Math.tanh(a);
            default -> null;
        };
    }

    /** div.approx goes through the reciprocal, which is 0 for divisors above 2^126. */
    private static double approximateQuotient(double a, double b) {
        boolean huge = Math.abs(b) > 0x1p126 && !Double.isInfinite(b);
        return !huge ? a / b : Double.isFinite(a) ? Math.copySign(0, a) * Math.signum(b) : Double.NaN;
    }

    /** Exact for powers of two. */
    static double log2(double a) {
        if (a > 0 && Double.isFinite(a)) {
            int exponent = Math.getExponent(a);
            return exponent + Math.log(Math.scalb(a, -exponent)) / Math.log(2);
        }
        return Math.log(a);
    }

    /** Exact for whole numbers. */
    static double exp2(double a) {
        if (Math.abs(a) < 2000) {
            double whole = Math.rint(a);
            return Math.scalb(Math.exp((a - whole) * Math.log(2)), (int) whole);
        }
        return a > 0 ? Double.POSITIVE_INFINITY : a < 0 ? 0 : a;
    }
}
