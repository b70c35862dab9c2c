package org.contrastive4j.internal.device;

import java.util.Map;
import java.util.TreeMap;
import org.contrastive4j.memory.Memory.OutOfBudgetException;

/**
 * Allocates and frees parts of one storage: memory for captured work, whose addresses are part of the graph.
 *
 * <p>A freed part may be reused at once: work captured later also runs later. The lowest
 * free range that is large enough is taken, so that the same requests get the same offsets. Not thread-safe.
 */
public final class ScratchSpace {
    private static final long ALIGNMENT = 256;

    private final long bytes;
    private final TreeMap<Long, Long> holes = new TreeMap<>();
    private final Map<Long, Long> parts = new TreeMap<>();
    private long used;
    private long most;

    /** @param bytes of the storage, from 0 on */
    public ScratchSpace(long bytes) {
        this.bytes = bytes;
        if (bytes > 0) {
            holes.put(0L, bytes);
        }
    }

    /**
     * Allocates a part; returns its offset, a multiple of 256.
     *
     * @throws OutOfBudgetException when no free range is large enough
     */
    public long allocate(long requested) {
        long size = Math.max(ALIGNMENT, (requested + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
        for (Map.Entry<Long, Long> hole : holes.entrySet()) {
            if (hole.getValue() >= size) {
                long at = hole.getKey();
                long left = hole.getValue() - size;
                holes.remove(at);
                if (left > 0) {
                    holes.put(at + size, left);
                }
                parts.put(at, size);
                used += size;
                most = Math.max(most, at + size);
                return at;
            }
        }
        throw new OutOfBudgetException(requested, used, bytes, "the scratch memory of the captured work is too small");
    }

    /** Frees the part that begins at an offset. */
    public void free(long at) {
        Long size = parts.remove(at);
        if (size == null) {
            throw new IllegalArgumentException("no part of the scratch memory begins at offset " + at);
        }
        used -= size;
        long from = at;
        long end = at + size;
        Map.Entry<Long, Long> before = holes.lowerEntry(at);
        if (before != null && before.getKey() + before.getValue() == at) {
            from = before.getKey();
        }
        Long after = holes.remove(end);
        if (after != null) {
            end += after;
        }
        holes.put(from, end - from);
    }

    /** Returns the end of the highest part so far: the size that the same requests need. */
    public long highest() {
        return most;
    }
}
