package org.contrastive4j.tensor;

/** Converts numbers to the bits of {@link DType#F16} and {@link DType#BF16}, and back. */
final class SixteenBits {
    private static final short NAN = 0x7FFF;

    private SixteenBits() {}

    private static int mantissaBits(DType dtype) {
        return dtype == DType.F16 ? 10 : 7;
    }

    /**
     * Returns the bits of the nearest number of the type, ties to even, rounded once. A magnitude that rounds beyond
     * the largest finite number gives infinity; every NaN gives 0x7FFF.
     */
    static short encode(double value, DType dtype) {
        if (value != value) {
            return NAN;
        }
        int mantissa = mantissaBits(dtype);
        int infinity = 0x7FFF >> mantissa << mantissa;
        int smallest = 1 - (infinity >> mantissa + 1); // exponent of the smallest normal number: 1 - bias
        double magnitude = Math.abs(value);
        int exponent = Math.max(Math.getExponent(magnitude), smallest);
        // The field of a normal number is exponent - smallest + 1. The leading 1 of the rounded mantissa adds that 1,
        // and a carry of the rounding adds another; a subnormal number has no leading 1, so its field is 0.
        int bits = Double.isInfinite(magnitude)
                ? infinity
                : Math.min(
                        infinity,
                        (exponent - smallest << mantissa)
                                + (int) Math.rint(Math.scalb(magnitude, mantissa - exponent)));
        return (short) (Double.doubleToRawLongBits(value) < 0 ? bits | 0x8000 : bits);
    }

    /**
     * Returns the number that the bits stand for; exact. In F16 the unit of the fraction is 2^(max(1, exponent) - 25).
     */
    static float decode(short bits, DType dtype) {
        if (dtype == DType.BF16) {
            return Float.intBitsToFloat(bits << 16);
        }
        int exponent = bits >> 10 & 31;
        int fraction = bits & 1023;
        float magnitude = exponent == 31
                ? fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN
                : exponent == 0
                        ? Math.scalb((float) fraction, -24)
                        : Math.scalb((float) (fraction | 1024), exponent - 25);
        return bits < 0 ? -magnitude : magnitude;
    }
}
