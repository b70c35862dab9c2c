package org.contrastive4j.tensor;

import java.util.Locale;

/** The storage type of the elements of a tensor. */
public enum DType {
    /** IEEE 754 binary64. */
    F64(8),
    /** IEEE 754 binary32. */
    F32(4),
    /** IEEE 754 binary16. */
    F16(2),
    /** The upper half of a binary32: 8 exponent bits, 7 stored mantissa bits. */
    BF16(2),
    /** Signed 32-bit integers: ids, lengths and targets. */
    I32(4);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /**
     * Returns the size of one element.
     *
     * @return number of bytes
     */
    public int bytes() {
        return bytes;
    }

    /**
     * Returns whether this is a floating-point type.
     *
     * @return false for I32 alone
     */
    public boolean isFloat() {
        return this != I32;
    }

    /**
     * Returns the name, as error messages and kernel names spell it.
     *
     * @return the lower-case name: {@code f32}, {@code bf16}, ...
     */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
