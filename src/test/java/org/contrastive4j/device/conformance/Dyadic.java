package org.contrastive4j.device.conformance;

import java.math.BigInteger;

/**
 * The number {@code digits} x 2^{@code exponent}, exactly; quotients and roots have a sticky bit, which is set
 * if digits were lost.
 */
record Dyadic(BigInteger digits, int exponent) {
    static final Dyadic ZERO = new Dyadic(BigInteger.ZERO, 0);
    /** More than twice the digits of a double, so that the sticky bit is below any halfway point. */
    private static final int QUOTIENT_BITS = 160;

    static Dyadic of(double value) {
        long bits = Double.doubleToRawLongBits(value);
        int field = (int) (bits >>> 52 & 0x7ff);
        long fraction = bits & (1L << 52) - 1;
        long magnitude = field == 0 ? fraction : fraction | 1L << 52;
        return new Dyadic(BigInteger.valueOf(bits < 0 ? -magnitude : magnitude), Math.max(field, 1) - 1075);
    }

    static Dyadic of(BigInteger value) {
        return new Dyadic(value, 0);
    }

    int signum() {
        return digits.signum();
    }

    Dyadic plus(Dyadic other) {
        int low = Math.min(exponent, other.exponent);
        return new Dyadic(digits.shiftLeft(exponent - low).add(other.digits.shiftLeft(other.exponent - low)), low);
    }

    Dyadic negate() {
        return new Dyadic(digits.negate(), exponent);
    }

    Dyadic times(Dyadic other) {
        return new Dyadic(digits.multiply(other.digits), exponent + other.exponent);
    }

    Dyadic over(Dyadic divisor) {
        BigInteger[] parts = digits.abs().shiftLeft(QUOTIENT_BITS).divideAndRemainder(divisor.digits.abs());
        BigInteger quotient = sticky(parts[0], parts[1]);
        return new Dyadic(
                signum() == divisor.signum() ? quotient : quotient.negate(),
                exponent - divisor.exponent - QUOTIENT_BITS - 1);
    }

    Dyadic root() {
        int shift = QUOTIENT_BITS * 2 + (exponent & 1);
        BigInteger[] parts = digits.shiftLeft(shift).sqrtAndRemainder();
        return new Dyadic(sticky(parts[0], parts[1]), (exponent - shift) / 2 - 1);
    }

    private static BigInteger sticky(BigInteger value, BigInteger remainder) {
        BigInteger twice = value.shiftLeft(1);
        return remainder.signum() == 0 ? twice : twice.setBit(0);
    }

    /** Rounds to a multiple of 2^{@code unit} and returns the factor. */
    BigInteger roundedTo(int unit, Mode mode) {
        int shift = unit - exponent;
        if (shift <= 0) {
            return digits.shiftLeft(-shift);
        }
        BigInteger magnitude = digits.abs();
        BigInteger kept = magnitude.shiftRight(shift);
        BigInteger remainder = magnitude.subtract(kept.shiftLeft(shift));
        int half = remainder.compareTo(BigInteger.ONE.shiftLeft(shift - 1));
        if (mode.up(signum() < 0, kept.testBit(0), remainder.signum() == 0, half)) {
            kept = kept.add(BigInteger.ONE);
        }
        return signum() < 0 ? kept.negate() : kept;
    }
}
