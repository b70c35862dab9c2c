package org.contrastive4j.internal.sim.exec;

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

    public Kind kind;
    /** Strong in the sense of the memory model (atomic, volatile, relaxed or stronger): does not race with its like. */
    public boolean strong;
    /** Strong only among the threads of one block. */
    public boolean blockScope;
    /** {@code .volatile}: strong by the memory model, but often meant to replace a barrier. */
    public boolean isVolatile;
    /** Register rows of the elements of a load or store; null of other instructions. */
    public int[] rows;

    /** Bytes of each element of a load or store. */
    public int partBytes;

    /** Asynchronous work that makes the access; null for the instruction itself. */
    public Async async;

    /** Whether a store writes what the memory holds already. */
    public boolean isSameValue(Warp warp, int lane) {
        if (rows == null) {
            return false;
        }
        for (int k = 0; k < rows.length; k++) {
            if (blocks[lane].load(offsets[lane] + k * partBytes, partBytes)
                    != Numbers.mask(warp.r[rows[k] + lane], partBytes)) {
                return false;
            }
        }
        return true;
    }

    /** Whether two lanes of a store write the same bytes to the same address. */
    public boolean isSameValue(Warp warp, int lane, int other) {
        if (rows == null || offsets[lane] != offsets[other] || blocks[lane] != blocks[other]) {
            return false;
        }
        for (int row : rows) {
            if (Numbers.mask(warp.r[row + lane], partBytes) != Numbers.mask(warp.r[row + other], partBytes)) {
                return false;
            }
        }
        return true;
    }
}
