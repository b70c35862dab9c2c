package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.Nullable;

/**
 * Lanes that a branch has separated and that run together again at its immediate post-dominator.
 *
 * <p>Waiting there is a preference of the scheduler, not a guarantee of PTX: a warp that makes no progress otherwise
 * lets waiting lanes go on alone.
 */
final class Convergence {
    /** Where the lanes run together again. */
    final int pc;
    /** The call that contains {@link #pc}. */
    final @Nullable Frame calls;

    final @Nullable Convergence outer;
    /** Lanes that have not left for good. */
    private int members;
    /** Members that wait at {@link #pc}. */
    private int arrived;

    Convergence(int pc, @Nullable Frame calls, @Nullable Convergence outer, int members) {
        this.pc = pc;
        this.calls = calls;
        this.outer = outer;
        this.members = members;
    }

    void arrive(int lanes) {
        arrived |= lanes;
    }

    boolean isComplete() {
        return arrived == members;
    }

    /** Lanes that have exited, returned or go on alone are not waited for. */
    void leave(int lanes) {
        members &= ~lanes;
        arrived &= ~lanes;
    }

    /** Takes lanes out of a chain of convergences, up to but not including {@code end}. */
    static void leave(@Nullable Convergence from, @Nullable Convergence end, int lanes) {
        for (Convergence here = from; here != null && here != end; here = here.outer) {
            here.leave(lanes);
        }
    }

    /** Returns the innermost convergence that both chains contain; null when there is none. */
    static @Nullable Convergence common(@Nullable Convergence a, @Nullable Convergence b) {
        for (Convergence here = a; here != null; here = here.outer) {
            for (Convergence there = b; there != null; there = there.outer) {
                if (here == there) {
                    return here;
                }
            }
        }
        return null;
    }
}
