package org.contrastive4j.internal.sim.exec;

import java.util.Arrays;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Global memory: blocks with gaps between them, filled with a pattern that is NaN in every floating-point type. */
public final class GlobalMemory {
    static final byte POISON = (byte) 0xFF;
    private static final long FIRST = 0x7F00_0000_0000L;
    private static final long GAP = 4096;
    private static final int ALIGNMENT = 512;

    private final TreeMap<Long, Region> blocks = new TreeMap<>();
    private long next = FIRST;

    public synchronized Region allocate(int bytes, String name, Region.Space space) {
        Region block = new Region(space, name, next, bytes);
        Arrays.fill(block.data(), POISON);
        blocks.put(next, block);
        next += (bytes + GAP + ALIGNMENT - 1) & -ALIGNMENT;
        return block;
    }

    /** Gives the bytes back. Addresses are never used again, so that a use after free is found. */
    public synchronized void free(Region block) {
        block.free();
    }

    /** The block that contains the address or ends nearest below it; null when there is none. */
    public synchronized @Nullable Region find(long address) {
        var entry = blocks.floorEntry(address);
        return entry == null ? null : entry.getValue();
    }

    /** The block nearest above the address, for messages. */
    synchronized @Nullable Region above(long address) {
        var entry = blocks.higherEntry(address);
        return entry == null ? null : entry.getValue();
    }
}
