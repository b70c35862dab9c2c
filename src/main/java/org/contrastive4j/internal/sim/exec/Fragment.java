package org.contrastive4j.internal.sim.exec;

/** Lanes of a warp that are at one instruction, in one call, and wait for one thing or nothing. */
final class Fragment {
    final int pc;
    final int mask;
    final Frame calls;
    final Wait wait;
    final Convergence convergence;

    Fragment(int pc, int mask, Frame calls, Wait wait, Convergence convergence) {
        this.pc = pc;
        this.mask = mask;
        this.calls = calls;
        this.wait = wait;
        this.convergence = convergence;
    }
}
