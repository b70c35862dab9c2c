package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.Nullable;

/** Where the lanes of one instruction touch memory; reused from instruction to instruction. */
public final class Access {
    /** What is done to the bytes. */
    public enum Kind {
        READ,
        WRITE,
        ATOMIC
    }

    /** By lane. */
    public final Region[] blocks = new Region[Warp.LANES];

    public final int[] offsets = new int[Warp.LANES];
    /** Bytes that each lane touches. */
    public int bytes;

    public Kind kind = Kind.READ;
    /** Strong in the sense of the memory model (atomic, volatile, relaxed or stronger): does not race with its like. */
    public boolean strong;
    /** Strong only among the threads of one block. */
    public boolean blockScope;
    /** {@code .volatile}: strong by the memory model, but often meant to replace a barrier. */
    public boolean isVolatile;
    /** Register rows of the elements of a load or store; null of other instructions. */
    public int @Nullable [] rows;

    /** Bytes of each element of a load or store. */
    public int partBytes;

    /** Bytes of all lanes together where they are one after the other in one region; -1 elsewhere. */
    public int span;

    /** Finds out whether the lanes access neighbouring bytes. */
    void measure(int mask) {
        span = -1;
        int first = Integer.numberOfTrailingZeros(mask);
        int count = Integer.bitCount(mask);
        int end = first + count;
        if (mask == 0 || end > Warp.LANES || mask >>> first != (count == Warp.LANES ? -1 : (1 << count) - 1)) {
            return;
        }
        Region region = blocks[first];
        int next = offsets[first];
        for (int lane = first; lane < end; lane++) {
            if (blocks[lane] != region || offsets[lane] != next) {
                return;
            }
            next += bytes;
        }
        span = next - offsets[first];
    }

    /** Asynchronous work that makes the access; null for the instruction itself. */
    public @Nullable Async async;

    /** Whether a store writes what the bytes hold already. */
    public boolean storesWhatIsThere(Warp warp, int lane, Region region, int at) {
        if (rows == null) {
            return false;
        }
        for (int k = 0; k < rows.length; k++) {
            if (region.load(at + k * partBytes, partBytes) != Numbers.mask(warp.r[rows[k] + lane], partBytes)) {
                return false;
            }
        }
        return true;
    }

    /** Returns whether this is a store of one element, the same in all lanes. */
    public boolean storesOneValue(Warp warp, int mask) {
        if (rows == null || rows.length != 1 || kind != Kind.WRITE) {
            return false;
        }
        long first = value(warp, Integer.numberOfTrailingZeros(mask));
        for (int left = mask; left != 0; left &= left - 1) {
            if (value(warp, Integer.numberOfTrailingZeros(left)) != first) {
                return false;
            }
        }
        return true;
    }

    /** Returns what a store writes, for comparison: a hash where it has more than one element. */
    public long value(Warp warp, int lane) {
        long value = 0;
        if (rows != null && kind == Kind.WRITE) {
            for (int row : rows) {
                value = value * 0x9E3779B97F4A7C15L + Numbers.mask(warp.r[row + lane], partBytes);
            }
        }
        return value;
    }
}
