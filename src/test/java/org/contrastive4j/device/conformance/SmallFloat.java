package org.contrastive4j.device.conformance;

/** Formats of tensor-core operands, for values that they represent exactly. */
enum SmallFloat {
    F16(16, 10),
    BF16(16, 7),
    TF32(32, 23),
    E4M3(8, 3),
    F32(32, 23);

    private final int width;
    private final int exponentBits;
    private final int mantissaBits;

    SmallFloat(int width, int mantissaBits) {
        this.width = width;
        this.mantissaBits = mantissaBits;
        this.exponentBits = width - 1 - mantissaBits;
    }

    int width() {
        return width;
    }

    /** Returns the bits of a value; rejects one that is not representable or not normal. */
    int bits(double value) {
        if (value == 0) {
            return 0;
        }
        int bits = Float.floatToRawIntBits((float) value);
        int exponent = (bits >>> 23 & 0xFF) - 127 + (1 << exponentBits - 1) - 1;
        int dropped = 23 - mantissaBits;
        boolean fits = exponent > 0 && exponent < (1 << exponentBits) - 1;
        if ((float) value != value || (bits & (1 << dropped) - 1) != 0 || !fits) {
            throw new IllegalArgumentException(value + " is not exact in " + this);
        }
        return bits >>> 31 << width - 1 | exponent << mantissaBits | (bits & 0x7FFFFF) >>> dropped;
    }

    /** Returns the value of bits that are normal or zero. */
    double value(int bits) {
        int exponent = bits >>> mantissaBits & (1 << exponentBits) - 1;
        if (exponent == 0) {
            return 0;
        }
        double magnitude = Math.scalb(
                1 + (bits & (1 << mantissaBits) - 1) / (double) (1 << mantissaBits),
                exponent - (1 << exponentBits - 1) + 1);
        return (bits >>> width - 1 & 1) != 0 ? -magnitude : magnitude;
    }
}
