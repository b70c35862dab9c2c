package org.contrastive4j.cli;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.Collectors;

/** Element types of kernel arguments on the command line. The low bits of a long hold the bits of a value. */
enum Element {
    F32(4),
    F16(2),
    BF16(2),
    I32(4),
    U32(4),
    F64(8),
    I64(8),
    U8(1);

    private static final int RANDOM_INTEGERS = 100;

    private final int bytes;

    Element(int bytes) {
        this.bytes = bytes;
    }

    /** @throws IllegalArgumentException with the list of names when the name is unknown */
    static Element of(String name) {
        for (Element element : values()) {
            if (element.label().equals(name)) {
                return element;
            }
        }
        throw new IllegalArgumentException("unknown element type \"" + name + "\", expected one of "
                + Arrays.stream(values()).map(Element::label).collect(Collectors.joining(", ")));
    }

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    int bytes() {
        return bytes;
    }

    private boolean isFloat() {
        return this == F32 || this == F16 || this == BF16 || this == F64;
    }

    /** @throws IllegalArgumentException when the text is not a number of this type */
    long parse(String text) {
        try {
            if (isFloat()) {
                return bits(Double.parseDouble(text));
            }
            long value = Long.decode(text);
            long least = this == I64 ? Long.MIN_VALUE : this == I32 ? Integer.MIN_VALUE : 0;
            long most = this == I64 ? Long.MAX_VALUE : this == I32 ? Integer.MAX_VALUE : (1L << 8 * bytes) - 1;
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("\"" + text + "\" is not a valid " + label(), e);
        }
        throw new IllegalArgumentException(text + " is out of the range of " + label());
    }

    /** Returns the bits of the nearest value of this type; integers wrap around. */
    long count(long number) {
        return isFloat() ? bits(number) : number;
    }

    /** Returns the bits of a random number in [-1, 1), or of a random integer in [0, 100). */
    long random(SplittableRandom random) {
        return isFloat() ? bits(random.nextDouble(-1, 1)) : random.nextInt(RANDOM_INTEGERS);
    }

    private long bits(double value) {
        return switch (this) {
            case F32 -> Float.floatToRawIntBits((float) value);
            case F64 -> Double.doubleToRawLongBits(value);
            case F16 -> narrow(value, 10, -14, 0x7C00);
            default -> narrow(value, 7, -126, 0x7F80);
        };
    }

    /** Rounds to the nearest 16-bit float, ties to even. */
    private static long narrow(double value, int mantissa, int leastExponent, int infinity) {
        long sign = Double.doubleToRawLongBits(value) >>> 63 << 15;
        if (Double.isNaN(value)) {
            return 0x7FFF;
        }
        int exponent = Math.max(Math.getExponent(value), leastExponent);
        double steps = Math.rint(Math.scalb(Math.abs(value), mantissa - exponent));
        long magnitude = exponent > -leastExponent + 1
                ? infinity
                : ((long) (exponent - leastExponent) << mantissa) + (long) steps;
        return sign | Math.min(infinity, magnitude);
    }

    private static double widen(int bits, int mantissa, int leastExponent) {
        int exponent = (bits & 0x7FFF) >> mantissa;
        int steps = bits & (1 << mantissa) - 1;
        double magnitude = exponent == 0x7FFF >> mantissa
                ? steps == 0 ? Double.POSITIVE_INFINITY : Double.NaN
                : exponent == 0
                        ? Math.scalb((double) steps, leastExponent - mantissa)
                        : Math.scalb((double) (steps + (1 << mantissa)), exponent - 1 + leastExponent - mantissa);
        return (bits & 0x8000) != 0 ? -magnitude : magnitude;
    }

    void put(ByteBuffer target, long bits) {
        switch (bytes) {
            case 1 -> target.put((byte) bits);
            case 2 -> target.putShort((short) bits);
            case 4 -> target.putInt((int) bits);
            default -> target.putLong(bits);
        }
    }

    /** Reads the next value of a buffer and formats it. */
    String next(ByteBuffer source) {
        return switch (this) {
            case F32 -> String.valueOf(source.getFloat());
            case F64 -> String.valueOf(source.getDouble());
            case F16 -> String.valueOf((float) widen(source.getShort(), 10, -14));
            case BF16 -> String.valueOf((float) widen(source.getShort(), 7, -126));
            case I32 -> String.valueOf(source.getInt());
            case U32 -> Integer.toUnsignedString(source.getInt());
            case I64 -> String.valueOf(source.getLong());
            case U8 -> String.valueOf(source.get() & 0xFF);
        };
    }

    /** Returns the value as a kernel argument, see {@link org.contrastive4j.device.PtxModule.Kernel#launch}. */
    Object argument(long bits) {
        return switch (this) {
            case F32 -> Float.intBitsToFloat((int) bits);
            case F64 -> Double.longBitsToDouble(bits);
            case F16, BF16 -> (short) bits;
            case I32, U32 -> (int) bits;
            case I64 -> bits;
            case U8 -> (byte) bits;
        };
    }
}
