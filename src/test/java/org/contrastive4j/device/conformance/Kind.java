package org.contrastive4j.device.conformance;

/** Types of operands: register, access to memory, and interpretation of the bits. */
enum Kind {
    /** Bytes are in 32-bit registers; the whole register is stored, so that the extension is compared too. */
    U8("u32", "u8", "u32", 8, 32, false, null),
    S8("s32", "s8", "s32", 8, 32, true, null),
    U16("u16", 16, false, null),
    S16("s16", 16, true, null),
    B16("b16", 16, false, null),
    U32("u32", 32, false, null),
    S32("s32", 32, true, null),
    B32("b32", 32, false, null),
    U64("u64", 64, false, null),
    S64("s64", 64, true, null),
    B64("b64", 64, false, null),
    F16("b16", 16, false, Format.F16),
    BF16("b16", 16, false, Format.BF16),
    F32("f32", 32, false, Format.F32),
    F64("f64", 64, false, Format.F64),
    TF32("b32", 32, false, Format.TF32),
    F16X2("b32", 32, false, Format.F16),
    BF16X2("b32", 32, false, Format.BF16),
    E4M3X2("b16", 16, false, Format.E4M3),
    E5M2X2("b16", 16, false, Format.E5M2);

    final String register;
    final String load;
    final String store;
    /** Number of bits of an operand; a result has {@link #storedBits}. */
    final int bits;

    final int storedBits;
    final boolean signed;
    /** Format of each element; null for integers and untyped bits. */
    final Format format;

    Kind(String type, int bits, boolean signed, Format format) {
        this(type, type, type, bits, bits, signed, format);
    }

    Kind(String register, String load, String store, int bits, int storedBits, boolean signed, Format format) {
        this.register = register;
        this.load = load;
        this.store = store;
        this.bits = bits;
        this.storedBits = storedBits;
        this.signed = signed;
        this.format = format;
    }

    /** Returns the suffix that instructions use. */
    String ptx() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }

    boolean packed() {
        return name().endsWith("X2");
    }

    /** Returns the number of bits of one element. */
    int elementBits() {
        return packed() ? bits / 2 : bits;
    }

    /** Returns the low bits of a value, sign- or zero-extended to 64 bits. */
    long extend(long value) {
        return signed ? value << 64 - bits >> 64 - bits : value & mask(bits);
    }

    static long mask(int bits) {
        return -1L >>> 64 - bits;
    }
}
