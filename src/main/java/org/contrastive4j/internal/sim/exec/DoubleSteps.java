package org.contrastive4j.internal.sim.exec;

import java.math.BigDecimal;
import java.util.function.Supplier;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * f64 arithmetic: rounded to nearest by Java, other directions from the sign of what was lost.
 *
 * <p>Tested by {@code FloatTest}.
 */
final class DoubleSteps {
    private DoubleSteps() {}

    static @Nullable Step decode(Instruction in, Operands o) {
        int d = o.destination(0);
        int a = o.source(1, Type.F64);
        Numbers.Rounding rounding = Decoder.rounding(in);
        return switch (in.opcode()) {
            case "abs" -> Lanewise.one(d, a, x -> x & Long.MAX_VALUE);
            case "neg" -> Lanewise.one(d, a, x -> x ^ Long.MIN_VALUE);
            case "copysign" ->
                Lanewise.two(d, a, o.source(2, Type.F64), (x, y) -> y & Long.MAX_VALUE | x & Long.MIN_VALUE);
            case "min", "max" -> extreme(in, o, d, a);
            case "rcp" ->
                Lanewise.one(
                        d,
                        a,
                        x -> Numbers.bits(
                                in.has(".approx")
                                        ? coarse(1 / Numbers.f64(x))
                                        : quotient(1, Numbers.f64(x), rounding)));
            case "sqrt" -> Lanewise.one(d, a, x -> Numbers.bits(root(Numbers.f64(x), rounding)));
            case "rsqrt" -> Lanewise.one(d, a, x -> Numbers.bits(coarse(1 / Math.sqrt(Numbers.f64(x)))));
            case "add" ->
                Lanewise.two(
                        d,
                        a,
                        o.source(2, Type.F64),
                        (x, y) -> Numbers.bits(sum(Numbers.f64(x), Numbers.f64(y), rounding)));
            case "sub" ->
                Lanewise.two(
                        d,
                        a,
                        o.source(2, Type.F64),
                        (x, y) -> Numbers.bits(sum(Numbers.f64(x), -Numbers.f64(y), rounding)));
            case "mul" ->
                Lanewise.two(
                        d,
                        a,
                        o.source(2, Type.F64),
                        (x, y) -> Numbers.bits(product(Numbers.f64(x), Numbers.f64(y), rounding)));
            case "div" ->
                Lanewise.two(
                        d,
                        a,
                        o.source(2, Type.F64),
                        (x, y) -> Numbers.bits(quotient(Numbers.f64(x), Numbers.f64(y), rounding)));
            case "fma", "mad" ->
                Lanewise.three(
                        d,
                        a,
                        o.source(2, Type.F64),
                        o.source(3, Type.F64),
                        (x, y, z) -> Numbers.bits(fused(Numbers.f64(x), Numbers.f64(y), Numbers.f64(z), rounding)));
            default -> null;
        };
    }

    /** rcp.approx.ftz.f64 and rsqrt.approx.f64 keep the upper word only. */
    private static double coarse(double value) {
        return Double.isFinite(value) ? Numbers.f64(Double.doubleToRawLongBits(value) & 0xFFFFFFFF00000000L) : value;
    }

    private static Step extreme(Instruction in, Operands o, int d, int a) {
        boolean max = in.opcode().equals("max");
        return Lanewise.two(d, a, o.source(2, Type.F64), (x, y) -> {
            double p = Numbers.f64(x);
            double q = Numbers.f64(y);
            if (p != p || q != q) {
                return p != p && q != q ? Numbers.F64_NAN : p != p ? y : x;
            }
            return Numbers.bits(max ? Math.max(p, q) : Math.min(p, q));
        });
    }

    /**
     * The neighbour of the nearest number in the direction of rounding; sign is that of the exact value minus the
     * nearest.
     */
    static double directed(double nearest, int sign, Numbers.Rounding rounding) {
        boolean up =
                switch (rounding) {
                    case UP -> sign > 0;
                    case ZERO -> sign > 0 && nearest < 0;
                    default -> false;
                };
        boolean down =
                switch (rounding) {
                    case DOWN -> sign < 0;
                    case ZERO -> sign < 0 && nearest > 0;
                    default -> false;
                };
        return up ? Math.nextUp(nearest) : down ? Math.nextDown(nearest) : nearest;
    }

    private static double exact(double nearest, Supplier<BigDecimal> exact, Numbers.Rounding rounding) {
        if (rounding == Numbers.Rounding.NEAREST || nearest != nearest) {
            return nearest;
        }
        if (Double.isInfinite(nearest)) {
            return nearest > 0
                    ? rounding == Numbers.Rounding.UP ? nearest : Double.MAX_VALUE
                    : rounding == Numbers.Rounding.DOWN ? nearest : -Double.MAX_VALUE;
        }
        return directed(nearest, exact.get().compareTo(new BigDecimal(nearest)), rounding);
    }

    private static boolean special(double a, double b, double c) {
        return !Double.isFinite(a) || !Double.isFinite(b) || !Double.isFinite(c);
    }

    private static double sum(double a, double b, Numbers.Rounding rounding) {
        return fused(a, 1, b, rounding);
    }

    private static double fused(double a, double b, double c, Numbers.Rounding rounding) {
        double nearest = b == 1 ? a + c : Math.fma(a, b, c);
        if (rounding == Numbers.Rounding.NEAREST || special(a, b, c)) {
            return nearest;
        }
        double rounded = exact(
                nearest, () -> new BigDecimal(a).multiply(new BigDecimal(b)).add(new BigDecimal(c)), rounding);
        boolean zero = rounded == 0
                && new BigDecimal(a)
                                .multiply(new BigDecimal(b))
                                .add(new BigDecimal(c))
                                .signum()
                        == 0;
        boolean bothPositive = Double.doubleToRawLongBits(a * b) == 0 && Double.doubleToRawLongBits(c) == 0;
        return zero && rounding == Numbers.Rounding.DOWN && !bothPositive ? -0.0 : rounded;
    }

    private static double product(double a, double b, Numbers.Rounding rounding) {
        return special(a, b, 0) ? a * b : exact(a * b, () -> new BigDecimal(a).multiply(new BigDecimal(b)), rounding);
    }

    private static double quotient(double a, double b, Numbers.Rounding rounding) {
        double nearest = a / b;
        if (special(a, b, 0) || b == 0 || rounding == Numbers.Rounding.NEAREST) {
            return nearest;
        }
        if (Double.isInfinite(nearest)) {
            return exact(nearest, () -> BigDecimal.ZERO, rounding);
        }
        int sign = new BigDecimal(a).compareTo(new BigDecimal(nearest).multiply(new BigDecimal(b)));
        return directed(nearest, b < 0 ? -sign : sign, rounding);
    }

    private static double root(double a, Numbers.Rounding rounding) {
        double nearest = Math.sqrt(a);
        if (!(a > 0) || Double.isInfinite(a) || rounding == Numbers.Rounding.NEAREST) {
            return nearest;
        }
        return directed(nearest, new BigDecimal(a).compareTo(new BigDecimal(nearest).pow(2)), rounding);
    }
}
