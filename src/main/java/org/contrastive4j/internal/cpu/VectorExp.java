package org.contrastive4j.internal.cpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * Computes x = exp(x) for arrays, in loops that the JIT compiler vectorises.
 *
 * <p>exp(x) = 2^k e^r with k = round(x log2 e), |r| &lt;= ln 2 / 2. Adding 1.5 2^23 leaves k in the low bits of a
 * float. Float bits become ints by a copy through a small direct buffer, because JDK 17 vectorises no loop over both
 * types.
 *
 * <p>Numerics: the error is about 1 ulp from -70 up, and the result decreases to exactly 0 at -87 and below (no
 * denormals). It is constant from 88.3 up; NaN stays NaN.
 */
final class VectorExp {
    private static final int BLOCK = 1024;
    private static final float LOG2E = 1.44269504f;
    private static final float MAGIC = 12582912f; // 1.5 * 2^23
    private static final int BIAS = 127 - 0x4B400000; // its bits are 0x4B400000 + k
    private static final float LN2_HIGH = 0.693359375f;
    private static final float LN2_LOW = -2.12194440e-4f;
    private static final float LARGEST = 88.3f;
    private static final float SMALLEST = -87f;
    private static final float FLOOR = 1.6458115e-38f; // exp(SMALLEST) as computed here: below it the result is 0

    private static final ThreadLocal<Block> BLOCKS = ThreadLocal.withInitial(Block::new);

    private VectorExp() {}

    private static final class Block {
        final float[] values = new float[BLOCK];
        final float[] rounded = new float[BLOCK];
        final int[] bits = new int[BLOCK];
        final FloatBuffer floats;
        final IntBuffer ints;

        Block() {
            ByteBuffer bytes = ByteBuffer.allocateDirect(4 * BLOCK).order(ByteOrder.nativeOrder());
            floats = bytes.asFloatBuffer();
            ints = bytes.asIntBuffer();
        }
    }

    /** Computes x[from, from + count) = exp of itself. */
    static void exp(float[] x, int from, int count) {
        Block block = BLOCKS.get();
        for (int done = 0; done < count; done += BLOCK) {
            block(x, from + done, Math.min(BLOCK, count - done), block);
        }
    }

    /**
     * Uses short loops over arrays with one common index: C2 does not vectorise long bodies, nor loops with different
     * indices, whose arrays might overlap.
     */
    private static void block(float[] x, int from, int n, Block block) {
        float[] v = block.values;
        float[] t = block.rounded;
        int[] bits = block.bits;
        System.arraycopy(x, from, v, 0, n);
        for (int i = 0; i < n; i++) {
            v[i] = Math.min(Math.max(v[i], SMALLEST), LARGEST);
        }
        for (int i = 0; i < n; i++) {
            t[i] = Math.fma(v[i], LOG2E, MAGIC);
        }
        block.floats.put(0, t, 0, n);
        block.ints.get(0, bits, 0, n);
        for (int i = 0; i < n; i++) {
            bits[i] = (bits[i] + BIAS) << 23;
        }
        block.ints.put(0, bits, 0, n);
        for (int i = 0; i < n; i++) {
            float k = t[i] - MAGIC;
            v[i] = Math.fma(k, -LN2_LOW, Math.fma(k, -LN2_HIGH, v[i]));
        }
        for (int i = 0; i < n; i++) {
            float r = v[i];
            float p = Math.fma(1.9875691500E-4f, r, 1.3981999507E-3f);
            p = Math.fma(p, r, 8.3334519073E-3f);
            p = Math.fma(p, r, 4.1665795894E-2f);
            p = Math.fma(p, r, 1.6666665459E-1f);
            p = Math.fma(p, r, 5.0000001201E-1f);
            v[i] = Math.fma(p * r, r, r + 1f);
        }
        block.floats.get(0, t, 0, n); // 2^k
        for (int i = 0; i < n; i++) {
            v[i] = Math.max(Math.fma(v[i], t[i], -FLOOR), 0f);
        }
        System.arraycopy(v, 0, x, from, n);
    }
}
