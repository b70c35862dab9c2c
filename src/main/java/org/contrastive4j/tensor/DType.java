package org.contrastive4j.tensor;

/** Element types; {@code bytes} is the size of one element. */
public enum DType {
    F64(8),
    F32(4),
    F16(2),
    BF16(2),
    I32(4);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    public int bytes() {
        return bytes;
    }

    public boolean isFloat() {
        return this != I32;
    }
}
