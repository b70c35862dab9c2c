package org.contrastive4j.device.conformance;

import java.math.BigInteger;

/** Binary floating-point formats, with conversion between bits and exact values, rounded once. */
enum Format {
    E4M3(3, 4, 0),
    E5M2(2, 5, 0),
    F16(10, 5, 0),
    BF16(7, 8, 0),
    F32(23, 8, 0),
    F64(52, 11, 0),
    /** The upper 19 bits of a 32-bit word. */
    TF32(10, 8, 13);

    final int fraction;
    /** Number of unused bits below the fraction. */
    final int unused;

    final long signBit;
    /** Bits of infinity; in E4M3, which has no infinity, of its NaN. */
    final long infinity;

    final long largest;
    final long smallestNormal;
    private final int smallestUnit;

    Format(int fraction, int exponent, int unused) {
        this.fraction = fraction;
        this.unused = unused;
        signBit = 1L << fraction + exponent;
        boolean finiteOnly = fraction == 3;
        infinity = finiteOnly ? 0x7f : signBit - (1L << fraction);
        largest = infinity - 1;
        smallestNormal = 1L << fraction;
        smallestUnit = 2 - (1 << exponent - 1) - fraction;
    }

    private long compact(long bits) {
        return (bits & Kind.mask(64 - unused) << unused) >>> unused & (signBit | signBit - 1);
    }

    boolean isNaN(long bits) {
        long magnitude = compact(bits) & signBit - 1;
        return this == E4M3 ? magnitude == infinity : magnitude > infinity;
    }

    boolean isInfinite(long bits) {
        return this != E4M3 && (compact(bits) & signBit - 1) == infinity;
    }

    boolean isFinite(long bits) {
        return !isNaN(bits) && !isInfinite(bits);
    }

    boolean isNegative(long bits) {
        return (compact(bits) & signBit) != 0;
    }

    boolean isZero(long bits) {
        return (compact(bits) & signBit - 1) == 0;
    }

    boolean isSubnormal(long bits) {
        return !isZero(bits) && (compact(bits) & signBit - 1) < smallestNormal;
    }

    long negate(long bits) {
        return bits ^ signBit << unused;
    }

    long abs(long bits) {
        return bits & ~(signBit << unused);
    }

    /** Replaces subnormal numbers by a zero of the same sign. */
    long flush(long bits) {
        return isSubnormal(bits) ? bits & signBit << unused : bits;
    }

    /** Returns a quiet NaN. */
    long nan() {
        return this == E4M3 ? infinity : signBit - 1 << unused;
    }

    /** Returns the exact value; double holds the values of every format. */
    double toDouble(long bits) {
        if (this == F64) {
            return Double.longBitsToDouble(bits);
        }
        long compact = compact(bits);
        double sign = (compact & signBit) != 0 ? -1 : 1;
        if (isNaN(bits)) {
            return Double.NaN;
        }
        if (isInfinite(bits)) {
            return sign * Double.POSITIVE_INFINITY;
        }
        int field = (int) ((compact & signBit - 1) >>> fraction);
        long digits = (compact & smallestNormal - 1) + (field == 0 ? 0 : smallestNormal);
        return sign * digits * Math.scalb(1.0, smallestUnit + Math.max(field, 1) - 1);
    }

    /** Returns the unit in the last place at a value. */
    double ulp(double value) {
        return Math.scalb(1.0, Math.max(Math.getExponent(value) - fraction, smallestUnit));
    }

    long zero(boolean negative) {
        return negative ? signBit << unused : 0;
    }

    long infinity(boolean negative) {
        return infinity << unused | zero(negative);
    }

    /** Rounds a value; NaN, infinities and zeros are kept. */
    long fromDouble(double value, Mode mode) {
        if (Double.isNaN(value)) {
            return nan();
        }
        boolean negative = value < 0 || 1 / value < 0;
        return Double.isInfinite(value) ? infinity(negative) : round(Dyadic.of(value), mode, negative);
    }

    /**
     * Rounds once; overflow gives infinity or the largest number as IEEE 754 specifies, and zero gets the given sign.
     */
    long round(Dyadic value, Mode mode, boolean negativeZero) {
        if (value.signum() == 0) {
            return zero(negativeZero);
        }
        boolean negative = value.signum() < 0;
        int leading = value.digits().abs().bitLength() - 1 + value.exponent();
        int unit = Math.max(leading - fraction, smallestUnit);
        BigInteger digits = value.roundedTo(unit, mode).abs();
        BigInteger magnitude =
                digits.add(BigInteger.valueOf(unit - smallestUnit).shiftLeft(fraction));
        if (magnitude.compareTo(BigInteger.valueOf(infinity)) >= 0) {
            boolean toInfinity =
                    mode == Mode.RN || mode == Mode.RNA || mode == Mode.RM && negative || mode == Mode.RP && !negative;
            return (toInfinity ? infinity : largest) << unused | zero(negative);
        }
        return magnitude.longValue() << unused | zero(negative);
    }
}
