package org.contrastive4j.device.conformance;

/**
 * Layout in shared memory of an operand of wgmma: the canonical layouts of the PTX documentation.
 *
 * @param rows M of the left operand, N of the right one
 * @param depth K of all steps together
 * @param elementBytes of an element
 * @param across whether rows are contiguous (MN-major) instead of depth (K-major)
 * @param span swizzled bytes: 32, 64 or 128; 16 for no swizzle
 */
record OperandLayout(int rows, int depth, int elementBytes, boolean across, int span) {
    /** Bytes along k that one instruction reads of a K-major operand. */
    private static final int STEP_BYTES = 32;

    /** Returns the byte offset of element (row, k). */
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

    /** Returns the leading byte offset; it is not read for swizzled K-major operands. */
    private int leadingOffset() {
        if (span == 16) {
            return across ? rows / 8 * 128 : 16 * rows;
        }
        return across ? depth * span : 16;
    }

    /** Returns the stride byte offset. */
    private int strideOffset() {
        return 8 * span;
    }

    /** Returns the bytes of the whole operand. */
    int bytes() {
        return rows * depth * elementBytes;
    }

    /** Returns the byte offset of a step's operand from that of the first step. */
    int offset(int step) {
        return across ? placeAcross(0, step * STEP_BYTES / elementBytes) : placeAlong(0, step * STEP_BYTES);
    }

    /** Returns the descriptor of the operand of step 0 at offset {@code start}; the kernel adds the shared address. */
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
