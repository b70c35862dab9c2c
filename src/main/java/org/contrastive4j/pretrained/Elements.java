package org.contrastive4j.pretrained;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.contrastive4j.tensor.DType;
import org.jspecify.annotations.Nullable;

/**
 * Floats from and to the bytes of the float types that checkpoints have.
 *
 * <p>Tested by {@code PretrainedModelTest}.
 */
final class Elements {
    private static final int EXPONENT = 0x7F800000;
    /** 2^112: moves the exponent of an f16, read as the top bits of an f32, to that of the f32. */
    private static final float F16_SCALE = Float.intBitsToFloat(239 << 23);

    private Elements() {}

    /** The type of that name, or null when it is none that weights can have. */
    static @Nullable DType dtype(String name) {
        return switch (name) {
            case "F64" -> DType.F64;
            case "F32" -> DType.F32;
            case "F16" -> DType.F16;
            case "BF16" -> DType.BF16;
            default -> null;
        };
    }

    static ByteBuffer buffer(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Decodes {@code count} elements from the start of {@code bytes}.
     *
     * @return index of the first that is NaN or infinite, -1 when all are finite
     */
    static int decode(ByteBuffer bytes, DType dtype, float[] to, int count) {
        bytes.clear();
        switch (dtype) {
            case F32 -> bytes.asFloatBuffer().get(to, 0, count);
            case F64 -> {
                for (int i = 0; i < count; i++) {
                    to[i] = (float) bytes.getDouble(8 * i);
                }
            }
            case BF16 -> {
                for (int i = 0; i < count; i++) {
                    to[i] = Float.intBitsToFloat(bytes.getShort(2 * i) << 16);
                }
            }
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    to[i] = fromF16(bytes.getShort(2 * i));
                }
            }
            default -> throw new IllegalArgumentException("weights of " + dtype);
        }
        for (int i = 0; i < count; i++) {
            if ((Float.floatToRawIntBits(to[i]) & EXPONENT) == EXPONENT) {
                return i;
            }
        }
        return -1;
    }

    /** Encodes {@code count} elements from {@code at} on, rounded to nearest, and makes the buffer ready to be read. */
    static void encode(float[] from, int at, int count, DType dtype, ByteBuffer bytes) {
        bytes.clear().limit(count * dtype.bytes());
        switch (dtype) {
            case F32 -> bytes.asFloatBuffer().put(from, at, count);
            case F64 -> {
                for (int i = 0; i < count; i++) {
                    bytes.putDouble(8 * i, from[at + i]);
                }
            }
            case BF16 -> {
                for (int i = 0; i < count; i++) {
                    bytes.putShort(2 * i, toBf16(from[at + i]));
                }
            }
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    bytes.putShort(2 * i, toF16(from[at + i]));
                }
            }
            default -> throw new IllegalArgumentException("weights of " + dtype);
        }
    }

    static float fromF16(short bits) {
        int magnitude = (bits & 0x7FFF) << 13;
        float value = Float.intBitsToFloat(magnitude) * F16_SCALE;
        if ((bits & 0x7C00) == 0x7C00) {
            value = (bits & 0x3FF) == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
        }
        return bits < 0 ? -value : value;
    }

    static short toBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (value != value) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
    }

    static short toF16(float value) {
        int bits = Float.floatToRawIntBits(value);
        int sign = bits >>> 16 & 0x8000;
        float magnitude = Math.abs(value);
        if (magnitude != magnitude) {
            return (short) (sign | 0x7E00);
        }
        if (magnitude >= 65520) { // halfway between the largest number and the next one
            return (short) (sign | 0x7C00);
        }
        if (magnitude < 0x1p-14f) { // adding 0.5 leaves the subnormal number in the low bits, rounded by the addition
            return (short) (sign | Float.floatToRawIntBits(magnitude + 0.5f) - Float.floatToRawIntBits(0.5f));
        }
        int rounded = Float.floatToRawIntBits(magnitude);
        rounded += 0xFFF + (rounded >>> 13 & 1);
        return (short) (sign | (rounded >>> 13) - (112 << 10));
    }
}
