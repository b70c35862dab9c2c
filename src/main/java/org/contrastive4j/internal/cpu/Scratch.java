package org.contrastive4j.internal.cpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;

/** Arrays that a thread keeps from task to task, numbered by {@code slot}. Their contents are undefined. */
final class Scratch {
    private static final int SLOTS = 8;
    private static final int ALIGNMENT = 64;
    private static final ThreadLocal<float[][]> ARRAYS = ThreadLocal.withInitial(() -> new float[SLOTS][0]);

    private static final ThreadLocal<OffHeap[]> BLOCKS = ThreadLocal.withInitial(() -> new OffHeap[SLOTS]);

    private Scratch() {}

    /** Returns an array of at least this size, the same one for a slot until a larger one is requested. */
    static float[] floats(int slot, int size) {
        float[][] arrays = ARRAYS.get();
        if (arrays[slot].length < size) {
            arrays[slot] = new float[size];
        }
        return arrays[slot];
    }

    /** Off-heap memory, for OpenBLAS by its address and for Java by its buffer; freed with its thread. */
    record OffHeap(FloatBuffer floats, long address) {
        static OffHeap allocate(int size) {
            int lost = 2 * ALIGNMENT; // alignedSlice rounds both ends inwards
            ByteBuffer bytes = ByteBuffer.allocateDirect(Math.addExact(Math.multiplyExact(size, Float.BYTES), lost))
                    .alignedSlice(ALIGNMENT)
                    .order(ByteOrder.nativeOrder());
            return new OffHeap(bytes.asFloatBuffer(), new BytePointer(bytes).address());
        }
    }

    /** Returns off-heap memory of at least this size, aligned for vector instructions; see {@link #floats}. */
    static OffHeap offHeap(int slot, int size) {
        OffHeap[] blocks = BLOCKS.get();
        if (blocks[slot] == null || blocks[slot].floats.capacity() < size) {
            blocks[slot] = OffHeap.allocate(size);
        }
        return blocks[slot];
    }
}
