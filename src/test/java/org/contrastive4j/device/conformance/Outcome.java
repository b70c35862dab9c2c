package org.contrastive4j.device.conformance;

import java.util.function.LongPredicate;

/** What a lane may give: one value, one of several, or one near a number. */
record Outcome(LongPredicate accepts, String expected) {
    static Outcome bits(long bits) {
        return new Outcome(got -> got == bits, "0x" + Long.toHexString(bits));
    }

    /** Where the documentation says nothing, or that the result is not specified. */
    static Outcome any() {
        return new Outcome(got -> true, "anything");
    }

    boolean isAny() {
        return expected.equals("anything");
    }

    Outcome or(Outcome other) {
        return new Outcome(accepts.or(other.accepts), expected + " or " + other.expected);
    }

    /**
     * Any NaN: "single-precision instructions return an unspecified NaN", and which payload of two survives is not said
     * either.
     */
    static Outcome nan(Format format) {
        return new Outcome(format::isNaN, "NaN");
    }

    /** The same bits, or any NaN when they are a NaN. */
    static Outcome number(Format format, long bits) {
        return format.isNaN(bits) ? nan(format) : bits(bits);
    }

    /** |got - value| <= tolerance; where value is beyond the largest number, infinity too. */
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

    /** Both halves of a packed result. */
    static Outcome packed(int elementBits, Outcome high, Outcome low) {
        long mask = Kind.mask(elementBits);
        return new Outcome(
                got -> high.accepts.test(got >>> elementBits & mask) && low.accepts.test(got & mask),
                "{" + high.expected + ", " + low.expected + "}");
    }
}
