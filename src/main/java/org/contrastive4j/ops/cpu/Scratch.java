package org.contrastive4j.ops.cpu;

/** Arrays that a thread keeps from task to task, numbered by {@code slot}; contents are whatever was left there. */
final class Scratch {
    private static final int SLOTS = 8;
    private static final ThreadLocal<float[][]> ARRAYS = ThreadLocal.withInitial(() -> new float[SLOTS][0]);

    private Scratch() {}

    /** An array of at least this size, the same one for the same slot until a larger one is asked for. */
    static float[] floats(int slot, int size) {
        float[][] arrays = ARRAYS.get();
        if (arrays[slot].length < size) {
            arrays[slot] = new float[size];
        }
        return arrays[slot];
    }
}
