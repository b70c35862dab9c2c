package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.internal.parse.Type;

/**
 * Bits of a lane as numbers and back, with the roundings of PTX. A lane holds 64 bits, narrower values zero-extended.
 *
 * <p>Tested by {@code FloatTest}.
 */
final class Numbers {
    static final int F32_NAN = 0x7FFFFFFF;
    static final long F64_NAN = 0x7FF8000000000000L;

    /** Rounding of a result that is not exact. */
    enum Rounding {
        NEAREST,
        NEAREST_AWAY,
        ZERO,
        DOWN,
        UP
    }

    private Numbers() {}

    static long mask(long value, int bytes) {
        return bytes >= 8 ? value : value & ((1L << 8 * bytes) - 1);
    }

    static long signed(long value, int bytes) {
        int shift = 64 - 8 * bytes;
        return value << shift >> shift;
    }

    /** An integer of that type, as a long. */
    static long whole(long bits, Type type) {
        return type.isSigned() ? signed(bits, type.bytes()) : mask(bits, type.bytes());
    }

    static float f32(long bits) {
        return Float.intBitsToFloat((int) bits);
    }

    static double f64(long bits) {
        return Double.longBitsToDouble(bits);
    }

    static long bits(float value) {
        return value != value ? F32_NAN : Float.floatToRawIntBits(value) & 0xFFFFFFFFL;
    }

    static long bits(double value) {
        return value != value ? F64_NAN : Double.doubleToRawLongBits(value);
    }

    /** Subnormal numbers as zeros of their sign. */
    static float flush(float value) {
        return Math.abs(value) < Float.MIN_NORMAL ? Math.copySign(0f, value) : value;
    }

    static float saturate(float value) {
        return value > 0 ? Math.min(value, 1f) : 0f;
    }

    static double saturate(double value) {
        return value > 0 ? Math.min(value, 1.0) : 0.0;
    }

    static int mantissaBits(Type type) {
        return switch (type) {
            case F64 -> 52;
            case F32 -> 23;
            case TF32, F16 -> 10;
            case BF16 -> 7;
            case E4M3 -> 3;
            case E5M2 -> 2;
            default -> throw new IllegalArgumentException(type + " is not a floating-point type");
        };
    }

    static int exponentBits(Type type) {
        return switch (type) {
            case F64 -> 11;
            case F32, TF32, BF16 -> 8;
            case F16, E5M2 -> 5;
            case E4M3 -> 4;
            default -> throw new IllegalArgumentException(type + " is not a floating-point type");
        };
    }

    /** The number that bits of a floating-point type stand for; exact. */
    static double decode(long bits, Type type) {
        if (type == Type.F32 || type == Type.TF32) {
            return f32(bits);
        }
        if (type == Type.F64) {
            return f64(bits);
        }
        if (type == Type.BF16) {
            return Float.intBitsToFloat((int) bits << 16);
        }
        int m = mantissaBits(type);
        int e = exponentBits(type);
        int bias = (1 << e - 1) - 1;
        int exponent = (int) (bits >>> m) & (1 << e) - 1;
        long fraction = bits & (1L << m) - 1;
        double sign = (bits >>> m + e & 1) != 0 ? -1 : 1;
        boolean top = exponent == (1 << e) - 1;
        if (type == Type.E4M3 && top && fraction == 7) {
            return Double.NaN;
        }
        if (top && type != Type.E4M3) {
            return fraction != 0 ? Double.NaN : sign * Double.POSITIVE_INFINITY;
        }
        return sign
                * (exponent == 0
                        ? Math.scalb((double) fraction, 1 - bias - m)
                        : Math.scalb((double) (fraction | 1L << m), exponent - bias - m));
    }

    /** Bits of the floating-point number nearest to value in the direction given; overflow as IEEE 754 has it. */
    static long encode(double value, Type type, Rounding rounding) {
        if (type == Type.F64) {
            return bits(value);
        }
        if (type == Type.F32 && rounding == Rounding.NEAREST) {
            return bits((float) value);
        }
        int m = mantissaBits(type);
        int e = exponentBits(type);
        int bias = (1 << e - 1) - 1;
        if (value != value) {
            return type == Type.F32 || type == Type.TF32
                    ? F32_NAN
                    : type == Type.E4M3 || type == Type.E5M2 ? 0x7F : 0x7FFF;
        }
        boolean negative = Double.doubleToRawLongBits(value) < 0;
        double magnitude = Math.abs(value);
        int top = type == Type.E4M3 ? bias + 1 : bias;
        double largest = Math.scalb(type == Type.E4M3 ? 1.75 : 2 - Math.scalb(1.0, -m), top);
        double rounded;
        if (Double.isInfinite(magnitude)) {
            rounded = magnitude;
        } else {
            int exponent = Math.max(Math.getExponent(magnitude), 1 - bias);
            rounded = Math.scalb(whole(Math.scalb(magnitude, m - exponent), rounding, negative), exponent - m);
            if (rounded > largest) {
                boolean toInfinity =
                        switch (rounding) {
                            case NEAREST, NEAREST_AWAY -> true;
                            case ZERO -> false;
                            case DOWN -> negative;
                            case UP -> !negative;
                        };
                rounded = toInfinity ? Double.POSITIVE_INFINITY : largest;
            }
        }
        return pack(rounded, negative, type, m, e, bias);
    }

    private static long pack(double rounded, boolean negative, Type type, int m, int e, int bias) {
        int width = type == Type.TF32 ? 23 : m;
        long sign = negative ? 1L << width + e : 0;
        if (Double.isInfinite(rounded)) {
            return sign | (type == Type.E4M3 ? 0x7F : (1L << e) - 1 << width);
        }
        int exponent = Math.max(Math.getExponent(rounded), 1 - bias);
        long units = (long) Math.scalb(rounded, m - exponent);
        long magnitude = units < 1L << m ? units : ((long) (exponent + bias) << m) + (units - (1L << m));
        return sign | magnitude << width - m;
    }

    /** A magnitude rounded to a whole number; rounding up and down depend on the sign. */
    static double whole(double magnitude, Rounding rounding, boolean negative) {
        return switch (rounding) {
            case NEAREST -> Math.rint(magnitude);
            case NEAREST_AWAY -> Math.floor(magnitude + 0.5);
            case ZERO -> Math.floor(magnitude);
            case DOWN -> negative ? Math.ceil(magnitude) : Math.floor(magnitude);
            case UP -> negative ? Math.floor(magnitude) : Math.ceil(magnitude);
        };
    }

    /**
     * value + error, where error is below half a unit in the last place: made odd, so that rounding it again to fewer
     * bits is right.
     */
    static double odd(double value, double error) {
        if (error == 0 || error != error || Double.isInfinite(value)) {
            return value;
        }
        if ((Double.doubleToRawLongBits(value) & 1) != 0) {
            return value;
        }
        return error > 0 ? Math.nextUp(value) : Math.nextDown(value);
    }

    /** a + b with the lost part sticky in the last bit. */
    static double oddSum(double a, double b) {
        double sum = a + b;
        double back = sum - a;
        return odd(sum, (a - (sum - back)) + (b - back));
    }

    /** a / b with the lost part sticky in the last bit; for operands of at most 24 significant bits. */
    static double oddQuotient(double a, double b) {
        double quotient = a / b;
        double rest = Math.fma(-quotient, b, a);
        return odd(quotient, b < 0 ? -rest : rest);
    }

    static double oddRoot(double a) {
        double root = Math.sqrt(a);
        return odd(root, Math.fma(-root, root, a));
    }
}
