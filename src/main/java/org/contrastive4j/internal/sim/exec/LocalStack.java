package org.contrastive4j.internal.sim.exec;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/** What the threads of a warp have allocated by {@code alloca}, each in its own local memory. */
final class LocalStack {
    /** Of every thread. */
    static final int BYTES = 16 << 10;

    private static final int GAP = 16;

    private final int base;
    private final List<Deque<Piece>> lanes = new ArrayList<>();

    /** An allocation of a function that so many calls contain. */
    private record Piece(int from, int to, int depth) {}

    /** @param base offset of the first byte in the local memory of a lane */
    LocalStack(int base) {
        this.base = base;
        for (int lane = 0; lane < Warp.LANES; lane++) {
            lanes.add(new ArrayDeque<>());
        }
    }

    /** Returns the offset in the local memory of the lane; -1 where the stack does not suffice. */
    long allocate(int lane, long bytes, int alignment, int depth) {
        int from = Linker.align((int) top(lane) + GAP, alignment);
        if (bytes < 0 || bytes > base + BYTES - from) {
            return -1;
        }
        lanes.get(lane).push(new Piece(from, from + (int) bytes, depth));
        return from;
    }

    long top(int lane) {
        return lanes.get(lane).isEmpty() ? base : lanes.get(lane).peek().to;
    }

    long left(int lane) {
        return Math.max(0, base + BYTES - top(lane) - GAP);
    }

    /** Frees what was allocated since the top was there. */
    void restore(int lane, long top) {
        lanes.get(lane).removeIf(piece -> piece.from >= top);
    }

    /** Lanes return from a function: what it has allocated is freed. */
    void leave(int mask, int depth) {
        for (int left = mask; left != 0; left &= left - 1) {
            lanes.get(Integer.numberOfTrailingZeros(left)).removeIf(piece -> piece.depth >= depth);
        }
    }

    boolean contains(int lane, long offset, int bytes) {
        for (Piece piece : lanes.get(lane)) {
            if (offset >= piece.from && offset + bytes <= piece.to) {
                return true;
            }
        }
        return false;
    }
}
