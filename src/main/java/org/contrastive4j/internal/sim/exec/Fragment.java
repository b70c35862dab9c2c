package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.Nullable;

/** Lanes of a warp that are at one instruction, in one call, and wait for one thing or nothing. */
final class Fragment {
    final int pc;
    final int mask;
    final @Nullable Frame calls;
    final @Nullable Wait wait;
    final @Nullable Convergence convergence;

    Fragment(int pc, int mask, @Nullable Frame calls, @Nullable Wait wait, @Nullable Convergence convergence) {
        this.pc = pc;
        this.mask = mask;
        this.calls = calls;
        this.wait = wait;
        this.convergence = convergence;
    }
}
