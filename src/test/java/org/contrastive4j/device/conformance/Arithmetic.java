package org.contrastive4j.device.conformance;

/**
 * Floating-point operations computed exactly and rounded once.
 *
 * @param ftz subnormal operands and results become zeros of the same sign
 * @param sat the result is clamped to [0, 1], NaN becomes +0
 * @param relu a negative result becomes +0
 */
record Arithmetic(Format format, Mode mode, boolean ftz, boolean sat, boolean relu) {
    static Arithmetic of(Format format, Mode mode) {
        return new Arithmetic(format, mode, false, false, false);
    }

    Arithmetic withFtz() {
        return new Arithmetic(format, mode, true, sat, relu);
    }

    Arithmetic withSat() {
        return new Arithmetic(format, mode, ftz, true, relu);
    }

    Arithmetic withRelu() {
        return new Arithmetic(format, mode, ftz, sat, true);
    }

    private double value(long bits) {
        return format.toDouble(ftz ? format.flush(bits) : bits);
    }

    Outcome add(long a, long b) {
        double x = value(a);
        double y = value(b);
        return finite(x, y) ? sum(Dyadic.of(x), negative(x), Dyadic.of(y), negative(y)) : special(x + y);
    }

    Outcome subtract(long a, long b) {
        return add(a, format.isNaN(b) ? b : format.negate(b));
    }

    Outcome multiply(long a, long b) {
        double x = value(a);
        double y = value(b);
        return finite(x, y) ? finish(Dyadic.of(x).times(Dyadic.of(y)), negative(x) != negative(y)) : special(x * y);
    }

    Outcome fma(long a, long b, long c) {
        double x = value(a);
        double y = value(b);
        double z = value(c);
        if (!finite(x, y) || !finite(z, z)) {
            return special(Math.fma(x, y, z));
        }
        return sum(Dyadic.of(x).times(Dyadic.of(y)), negative(x) != negative(y), Dyadic.of(z), negative(z));
    }

    Outcome divide(long a, long b) {
        double x = value(a);
        double y = value(b);
        return finite(x, y) && y != 0
                ? finish(Dyadic.of(x).over(Dyadic.of(y)), negative(x) != negative(y))
                : special(x / y);
    }

    Outcome reciprocal(long a) {
        return divide(format.fromDouble(1, Mode.RN), a);
    }

    Outcome squareRoot(long a) {
        double x = value(a);
        return x > 0 && finite(x, x) ? finish(Dyadic.of(x).root(), false) : special(Math.sqrt(x));
    }

    /** Rounds an exact value to this format. */
    Outcome convert(double value) {
        return finite(value, value) ? finish(Dyadic.of(value), negative(value)) : special(value);
    }

    Outcome convert(java.math.BigInteger value) {
        return finish(Dyadic.of(value), false);
    }

    private Outcome sum(Dyadic x, boolean negativeX, Dyadic y, boolean negativeY) {
        boolean negativeZero =
                x.signum() == 0 && y.signum() == 0 && negativeX == negativeY ? negativeX : mode == Mode.RM;
        return finish(x.plus(y), negativeZero);
    }

    private Outcome special(double value) {
        if (Double.isNaN(value)) {
            return sat ? Outcome.bits(0) : Outcome.nan(format);
        }
        return clamped(format.fromDouble(value, mode));
    }

    private Outcome finish(Dyadic exact, boolean negativeZero) {
        long bits = format.round(exact, mode, negativeZero);
        if (!ftz || exact.signum() == 0) {
            return clamped(bits);
        }
        Dyadic smallest = Dyadic.of(format.toDouble(format.smallestNormal << format.unused));
        boolean tiny = new Dyadic(exact.digits().abs(), exact.exponent())
                        .plus(smallest.negate())
                        .signum()
                < 0;
        if (!tiny) {
            return clamped(bits);
        }
        Outcome flushed = clamped(format.zero(exact.signum() < 0));
        // The documentation does not state whether a value that rounds up to the smallest normal number is flushed.
        boolean roundsUp = !format.isSubnormal(bits) && !format.isZero(bits);
        return roundsUp ? flushed.or(clamped(bits)) : flushed;
    }

    private Outcome clamped(long bits) {
        if (!sat && !relu) {
            return Outcome.bits(bits);
        }
        if (format.isZero(bits) && format.isNegative(bits)) {
            return Outcome.bits(0).or(Outcome.bits(bits));
        }
        if (format.isNegative(bits)) {
            return Outcome.bits(0);
        }
        return Outcome.bits(sat && format.toDouble(bits) > 1 ? format.fromDouble(1, Mode.RN) : bits);
    }

    private static boolean finite(double x, double y) {
        return Double.isFinite(x) && Double.isFinite(y);
    }

    private static boolean negative(double x) {
        return Double.doubleToRawLongBits(x) < 0;
    }
}
