package org.contrastive4j.device.conformance;

import java.util.function.LongPredicate;

/** The results that are accepted from a lane: one value, one of several, or one near a value. */
record Outcome(LongPredicate accepts, String description) {
    static Outcome bits(long bits) {
        return new Outcome(got -> got == bits, "0x" + Long.toHexString(bits));
    }

    /** Accepts any result, where the documentation does not specify it. */
    static Outcome any() {
        return new Outcome(got -> true, "anything");
    }

    boolean isAny() {
        return description.equals("anything");
    }

    Outcome or(Outcome other) {
        return new Outcome(accepts.or(other.accepts), description + " or " + other.description);
    }

    /**
     * Accepts any NaN: "single-precision instructions return an unspecified NaN", and the payload is unspecified too.
     */
    static Outcome nan(Format format) {
        return new Outcome(format::isNaN, "NaN");
    }

    /** Accepts these bits, or any NaN if they are a NaN. */
    static Outcome number(Format format, long bits) {
        return format.isNaN(bits) ? nan(format) : bits(bits);
    }

    /** Accepts |got - value| <= tolerance, and infinity if the value exceeds the largest number. */
    static Outcome near(Format format, double value, double tolerance) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return number(format, format.fromDouble(value, Mode.RN));
        }
        boolean overflows = Math.abs(value) + tolerance > format.toDouble(format.largest);
        return new Outcome(
                got -> {
                    double number = format.toDouble(got);
                    return Math.abs(number - value) <= tolerance
                            || overflows && number == Math.copySign(Double.POSITIVE_INFINITY, value);
                },
                value + " +- " + tolerance);
    }

    /** Accepts a packed result if both halves are accepted. */
    static Outcome packed(int elementBits, Outcome high, Outcome low) {
        long mask = Kind.mask(elementBits);
        return new Outcome(
                got -> high.accepts.test(got >>> elementBits & mask) && low.accepts.test(got & mask),
                "{" + high.description + ", " + low.description + "}");
    }
}
