package org.contrastive4j.internal.sim.exec;

/** Where the state spaces lie in the generic address space, and the blocks of a cluster in the shared one. */
final class Windows {
    static final long SHARED = 1L << 52;
    static final long LOCAL = 1L << 53;
    static final long PARAM = 1L << 54;
    private static final int RANK_SHIFT = 24;

    private Windows() {}

    static boolean isShared(long generic) {
        return generic >>> 52 == 1;
    }

    static boolean isLocal(long generic) {
        return generic >>> 53 == 1;
    }

    /** Addresses of functions, 16 apart. */
    static final long FUNCTIONS = 1L << 55;

    static boolean isParameter(long generic) {
        return generic >>> 54 == 1;
    }

    /** Rank of the block that a shared address belongs to: the own one when it names none. */
    static int rank(long shared, int own) {
        int named = (int) (shared >>> RANK_SHIFT);
        return named == 0 ? own : named - 1;
    }

    static long within(long shared) {
        return shared & (1 << RANK_SHIFT) - 1;
    }

    static long inBlock(long shared, int rank) {
        return within(shared) | (long) (rank + 1) << RANK_SHIFT;
    }
}
