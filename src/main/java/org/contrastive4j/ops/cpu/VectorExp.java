package org.contrastive4j.ops.cpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * x = exp(x) for arrays, in loops that the JIT compiler vectorises.
 *
 * <p>exp(x) = 2^k e^r with k = round(x log2 e), |r| &lt;= ln 2 / 2. Adding 1.5 2^23 leaves k in the low bits of a float; float bits
 * become ints by a copy through a small direct buffer, since no loop over both types vectorises on JDK 17. Worst error about 1 ulp from -70 up,
 * fading to exactly 0 at -87 and below (no denormals); constant from 88.3 up; NaN stays NaN.
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
        final float[] rounded = new float[BLOCK];
        final float[] scale = new float[BLOCK];
        final int[] bits = new int[BLOCK];
        final FloatBuffer floats;
        final IntBuffer ints;

        Block() {
            ByteBuffer bytes = ByteBuffer.allocateDirect(4 * BLOCK).order(ByteOrder.nativeOrder());
            floats = bytes.asFloatBuffer();
            ints = bytes.asIntBuffer();
        }
    }

    /** x[from, from + count) = exp of itself. */
    static void exp(float[] x, int from, int count) {
        Block block = BLOCKS.get();
        for (int done = 0; done < count; done += BLOCK) {
            block(x, from + done, Math.min(BLOCK, count - done), block);
        }
    }

    private static void block(float[] x, int from, int n, Block block) {
        float[] t = block.rounded;
        float[] scale = block.scale;
        int[] bits = block.bits;
        for (int i = 0; i < n; i++) {
            float v = Math.min(Math.max(x[from + i], SMALLEST), LARGEST);
            t[i] = Math.fma(v, LOG2E, MAGIC);
        }
        block.floats.put(0, t, 0, n);
        block.ints.get(0, bits, 0, n);
        for (int i = 0; i < n; i++) {
            bits[i] = (bits[i] + BIAS) << 23;
        }
        block.ints.put(0, bits, 0, n);
        block.floats.get(0, scale, 0, n);
        for (int i = 0; i < n; i++) {
            float raw = x[from + i];
            float v = Math.min(Math.max(raw, SMALLEST), LARGEST);
            float k = t[i] - MAGIC;
            float r = Math.fma(k, -LN2_LOW, Math.fma(k, -LN2_HIGH, v));
            float p = 1.9875691500E-4f;
            p = Math.fma(p, r, 1.3981999507E-3f);
            p = Math.fma(p, r, 8.3334519073E-3f);
            p = Math.fma(p, r, 4.1665795894E-2f);
            p = Math.fma(p, r, 1.6666665459E-1f);
            p = Math.fma(p, r, 5.0000001201E-1f);
            x[from + i] = Math.max(Math.fma(p * r, r, r + 1f) * scale[i] - FLOOR, 0f);
        }
    }
}
