package org.contrastive4j.device.conformance;

/**
 * Where a warpgroup product finds an operand in shared memory: the canonical layouts of the instruction set's document.
 *
 * @param rows M of the left operand, N of the right one
 * @param depth K of all steps together
 * @param elementBytes of an element
 * @param across whether rows are contiguous (MN-major) instead of depth (K-major)
 * @param span swizzled bytes: 32, 64 or 128; 16 for no swizzle
 */
record OperandLayout(int rows, int depth, int elementBytes, boolean across, int span) {
    /** Bytes of depth, K-major, that one instruction reads. */
    private static final int STEP_BYTES = 32;

    /** Byte at which element (row, k) lies. */
    int place(int row, int k) {
        int at = across ? placeAcross(row, k) : placeAlong(row, k * elementBytes);
        int swizzled = span - 16;
        return at ^ at >>> 3 & swizzled;
    }

    private int placeAlong(int row, int byteOfDepth) {
        int atom = row % 8 * span + row / 8 * strideOffset();
        if (span == 16) {
            return atom + byteOfDepth % 16 + byteOfDepth / 16 * leadingOffset();
        }
        return atom + byteOfDepth % span + byteOfDepth / span * rows * span;
    }

    private int placeAcross(int row, int k) {
        int wide = span / elementBytes;
        int blocks = span == 16 ? strideOffset() : leadingOffset();
        int groups = span == 16 ? leadingOffset() : strideOffset();
        return row % wide * elementBytes + row / wide * blocks + k % 8 * span + k / 8 * groups;
    }

    /** Leading byte offset; it is not read for swizzled operands along depth. */
    private int leadingOffset() {
        if (span == 16) {
            return across ? rows / 8 * 128 : 16 * rows;
        }
        return across ? depth * span : 16;
    }

    /** Stride byte offset. */
    private int strideOffset() {
        return 8 * span;
    }

    /** Bytes of the whole operand. */
    int bytes() {
        return rows * depth * elementBytes;
    }

    /** How much further a step's operand starts than the first one's, in bytes. */
    int offset(int step) {
        return across ? placeAcross(0, step * STEP_BYTES / elementBytes) : placeAlong(0, step * STEP_BYTES);
    }

    /** Descriptor of the operand of step 0 at {@code start}, to which the address of the shared memory is added. */
    long descriptor(int start) {
        long mode =
                switch (span) {
                    case 128 -> 1;
                    case 64 -> 2;
                    case 32 -> 3;
                    default -> 0;
                };
        return start >>> 4 | (long) leadingOffset() >>> 4 << 16 | (long) strideOffset() >>> 4 << 32 | mode << 62;
    }

    @Override
    public String toString() {
        return (across ? "across" : "along") + " depth, " + (span == 16 ? "no swizzle" : "swizzle of " + span);
    }
}
