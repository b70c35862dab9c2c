package org.contrastive4j.internal.sim.exec;

import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * The instruction cvt, each result rounded once. A variant that the simulator does not know gives null, which
 * {@link Decoder#of} reports as an error.
 *
 * <p>Tested by {@code ConvertTest}.
 */
final class ConvertSteps {
    static final Map<String, Decoder> FAMILY = Map.of("cvt", ConvertSteps::decode);

    private ConvertSteps() {}

    private static @Nullable Step decode(Instruction in, Operands o) {
        List<Type> types = Decoder.types(in);
        if (types.size() < 2) {
            return null;
        }
        if (in.has(".pack")) {
            return packWhole(in, o, types);
        }
        if (in.has(".rs") || in.has(".scaled")) {
            return null;
        }
        Type to = types.get(0);
        Type from = types.get(types.size() - 1);
        if (to == Type.F16X2 || to == Type.BF16X2 || to == Type.E4M3X2 || to == Type.E5M2X2) {
            return pack(in, o, to, from);
        }
        if (from == Type.E4M3X2 || from == Type.E5M2X2) {
            return null;
        }
        int d = o.destination(0);
        int a = o.source(1, from);
        if (!to.isFloat() && !from.isFloat()) {
            return Lanewise.one(d, a, spread(o, to, wholeToWhole(to, from, in.has(".sat"))));
        }
        if (!from.isFloat()) {
            return Lanewise.one(d, a, wholeToReal(to, from, Decoder.rounding(in), in.has(".sat")));
        }
        return Lanewise.one(d, a, to.isFloat() ? realToReal(in, to, from) : spread(o, to, realToWhole(in, to, from)));
    }

    /** Sign-extends a signed result where the destination register is wider than the result's type. */
    private static Lanewise.One spread(Operands o, Type to, Lanewise.One f) {
        Type register = o.declared(0);
        if (!to.isSigned() || register == null || register.bytes() <= to.bytes()) {
            return f;
        }
        return a -> Numbers.mask(Numbers.signed(f.of(a), to.bytes()), register.bytes());
    }

    /**
     * cvt.pack: two 32-bit integers, saturated to 16 or 8 bits each, the first above the second. With 8 bits, the upper
     * half of the result is the low half of the third operand.
     */
    private static @Nullable Step packWhole(Instruction in, Operands o, List<Type> types) {
        Type to = types.get(0);
        Lanewise.One one = wholeToWhole(to, Type.S32, true);
        int bits = 8 * to.bytes();
        int d = o.destination(0);
        int a = o.source(1, Type.S32);
        int b = o.source(2, Type.S32);
        if (bits == 16 && types.size() == 2) {
            return Lanewise.two(d, a, b, (x, y) -> one.of(x) << 16 | one.of(y));
        }
        return bits != 8 || types.size() != 3
                ? null
                : Lanewise.three(
                        d, a, b, o.source(3, Type.B32), (x, y, z) -> (z & 0xFFFF) << 16 | one.of(x) << 8 | one.of(y));
    }

    /** Two numbers in one register: from two operands, the first in the upper half, or from a register of two. */
    private static @Nullable Step pack(Instruction in, Operands o, Type to, Type from) {
        Type half =
                switch (to) {
                    case F16X2 -> Type.F16;
                    case BF16X2 -> Type.BF16;
                    case E4M3X2 -> Type.E4M3;
                    default -> Type.E5M2;
                };
        int d = o.destination(0);
        int bits = 8 * half.bytes();
        if (from == Type.F16X2) {
            Lanewise.One one = realToReal(in, half, Type.F16);
            return Lanewise.one(d, o.source(1, Type.B32), a -> one.of(a >>> 16) << bits | one.of(a & 0xFFFF));
        }
        if (from == Type.E4M3X2 || from == Type.E5M2X2) {
            Lanewise.One one = realToReal(in, half, from == Type.E4M3X2 ? Type.E4M3 : Type.E5M2);
            return Lanewise.one(d, o.source(1, Type.B16), a -> one.of(a >>> 8 & 0xFF) << bits | one.of(a & 0xFF));
        }
        if (from != Type.F32) {
            return null;
        }
        Lanewise.One one = realToReal(in, half, from);
        return Lanewise.two(d, o.source(1, from), o.source(2, from), (a, b) -> one.of(a) << bits | one.of(b));
    }

    private static Lanewise.One wholeToWhole(Type to, Type from, boolean saturate) {
        int n = to.bytes();
        if (!saturate) {
            return a -> Numbers.mask(Numbers.whole(a, from), n);
        }
        return a -> {
            long v = Numbers.whole(a, from);
            boolean huge = !from.isSigned() && v < 0;
            if (to.isSigned()) {
                long most = n == 8 ? Long.MAX_VALUE : (1L << 8 * n - 1) - 1;
                return Numbers.mask(huge ? most : Math.max(-most - 1, Math.min(most, v)), n);
            }
            if (from.isSigned() && v < 0) {
                return 0;
            }
            return n == 8 ? v : huge ? (1L << 8 * n) - 1 : Math.min((1L << 8 * n) - 1, v);
        };
    }

    /**
     * A double that had to round a 64-bit integer is made odd (see {@link Numbers#odd}), so that encode rounds
     * correctly.
     */
    private static Lanewise.One wholeToReal(Type to, Type from, Numbers.Rounding rounding, boolean saturate) {
        return a -> {
            long v = Numbers.whole(a, from);
            double value;
            if (from.bytes() < 8) {
                value = v;
            } else {
                BigDecimal exact = from.isSigned() || v >= 0
                        ? BigDecimal.valueOf(v)
                        : BigDecimal.valueOf(v).add(new BigDecimal(0x1p64));
                value = exact.doubleValue();
                int sign = exact.compareTo(new BigDecimal(value));
                value = to == Type.F64 ? DoubleSteps.directed(value, sign, rounding) : Numbers.odd(value, sign);
            }
            long bits = Numbers.encode(value, to, rounding);
            return saturate ? Numbers.encode(Numbers.saturate(Numbers.decode(bits, to)), to, rounding) : bits;
        };
    }

    /**
     * With .satfinite, overflow gives the largest finite number. E4M3 has no infinity, so overflow shows as NaN there.
     */
    private static Lanewise.One realToReal(Instruction in, Type to, Type from) {
        Numbers.Rounding rounding = Decoder.rounding(in);
        boolean whole = in.has(".rni") || in.has(".rzi") || in.has(".rmi") || in.has(".rpi");
        boolean flush = in.has(".ftz");
        boolean saturate = in.has(".sat");
        boolean finite = in.has(".satfinite");
        boolean relu = in.has(".relu");
        return a -> {
            double v = Numbers.decode(a, from);
            if (flush && from == Type.F32) {
                v = Numbers.flush((float) v);
            }
            if (whole) {
                v = Math.copySign(Numbers.whole(Math.abs(v), rounding, v < 0), v);
            }
            if (relu && (v < 0 || v == 0)) {
                v = 0;
            }
            if (saturate) {
                v = Numbers.saturate(v);
            }
            long bits = to == Type.F64 ? Numbers.bits(v) : Numbers.encode(v, to, rounding);
            if (finite && v == v && isInfinite(bits, to)) {
                bits = bits & 0x80 << (to.bytes() - 1) * 8 | largest(to);
            } else if (finite
                    && v == v
                    && v != 0
                    && to == Type.E4M3
                    && Numbers.decode(bits, to) != Numbers.decode(bits, to)) {
                bits = bits & 0x80 | 0x7E;
            }
            return flush && to == Type.F32 ? Numbers.bits(Numbers.flush(Numbers.f32(bits))) : bits;
        };
    }

    private static boolean isInfinite(long bits, Type to) {
        return Double.isInfinite(Numbers.decode(bits, to));
    }

    private static long largest(Type to) {
        return switch (to) {
            case F16 -> 0x7BFF;
            case BF16 -> 0x7F7F;
            case E5M2 -> 0x7B;
            case TF32 -> 0x7F7FE000L;
            default -> 0x7E;
        };
    }

    /** Numbers out of range saturate. NaN gives 0, or only the top bit set if the source or the result has 64 bits. */
    private static Lanewise.One realToWhole(Instruction in, Type to, Type from) {
        Numbers.Rounding rounding = Decoder.rounding(in);
        boolean flush = in.has(".ftz");
        int n = to.bytes();
        return a -> {
            double v = Numbers.decode(a, from);
            if (v != v) {
                return n == 8 || from == Type.F64 ? Numbers.mask(1L << 8 * n - 1, n) : 0;
            }
            if (flush && from == Type.F32) {
                v = Numbers.flush((float) v);
            }
            double whole = Math.copySign(Numbers.whole(Math.abs(v), rounding, v < 0), v);
            if (to.isSigned()) {
                double most = Math.scalb(1.0, 8 * n - 1);
                return Numbers.mask(n == 8 ? (long) whole : (long) Math.max(-most, Math.min(most - 1, whole)), n);
            }
            if (whole <= 0) {
                return 0;
            }
            if (n == 8) {
                return whole >= 0x1p64 ? -1 : whole >= 0x1p63 ? (long) (whole - 0x1p63) + Long.MIN_VALUE : (long) whole;
            }
            return (long) Math.min(Math.scalb(1.0, 8 * n) - 1, whole);
        };
    }
}
