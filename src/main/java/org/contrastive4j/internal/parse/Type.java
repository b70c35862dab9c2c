package org.contrastive4j.internal.parse;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Fundamental types of PTX, and the packed and alternate ones that instructions name. */
public enum Type {
    B8(1),
    B16(2),
    B32(4),
    B64(8),
    B128(16),
    U8(1),
    U16(2),
    U32(4),
    U64(8),
    S8(1),
    S16(2),
    S32(4),
    S64(8),
    F16(2),
    F16X2(4),
    BF16(2),
    BF16X2(4),
    TF32(4),
    F32(4),
    F64(8),
    E4M3(1),
    E5M2(1),
    E4M3X2(2),
    E5M2X2(2),
    PRED(0);

    private static final Map<String, Type> BY_NAME = new HashMap<>();

    static {
        for (Type type : values()) {
            BY_NAME.put(type.name().toLowerCase(Locale.ROOT), type);
        }
        for (String handle : new String[] {"texref", "surfref", "samplerref"}) {
            BY_NAME.put(handle, B64); // opaque: only instructions on textures and surfaces look into it
        }
    }

    private final int bytes;

    Type(int bytes) {
        this.bytes = bytes;
    }

    public int bytes() {
        return bytes;
    }

    /** Of an integer that is sign-extended. */
    public boolean isSigned() {
        return this == S8 || this == S16 || this == S32 || this == S64;
    }

    /** Of an integer with or without sign; bits are neither. */
    public boolean isInteger() {
        return isSigned() || this == U8 || this == U16 || this == U32 || this == U64;
    }

    public boolean isBits() {
        return this == B8 || this == B16 || this == B32 || this == B64 || this == B128;
    }

    public boolean isFloat() {
        return !isInteger() && !isBits() && this != PRED;
    }

    /** By its name without the dot; null when there is no such type. */
    public static @Nullable Type of(String name) {
        return BY_NAME.get(name);
    }

    @Override
    public String toString() {
        return "." + name().toLowerCase(Locale.ROOT);
    }
}
