package org.contrastive4j.internal.sim.exec;

/**
 * Watches a launch: checks and counts without changing what is computed; a check throws a {@link Fault}.
 *
 * <p>Calls about one cluster of blocks come from one thread, those about different clusters may come from different
 * threads.
 */
public interface Observer {
    /** Kinds of fences. */
    enum Fence {
        MEMORY,
        PROXY_ASYNC,
        WGMMA,
        MBARRIER_INIT
    }

    /** A kernel begins. */
    default void begin(Grid grid) {}

    /** A cluster begins, with fresh shared memory. */
    default void begin(Cluster cluster) {}

    /** An instruction is about to run for the lanes in the mask, which is after its guard. */
    default void step(Warp warp, Step step, int mask) {}

    /** The guard of an instruction that is about to run was never written for these lanes, as far as is known. */
    default void undecidedGuard(Warp warp, Step step, int lanes) {}

    /** Lanes touch memory; of asynchronous work this comes when it is started. */
    default void access(Warp warp, Step step, int mask, Access access) {}

    /** Lanes make all they did before visible to those who acquire the place later. */
    default void release(Warp warp, int mask, Object location) {}

    /** Lanes see what was released to the place. */
    default void acquire(Warp warp, int mask, Object location) {}

    /** Lanes write strongly: what they released by a fence, or now, can be seen through the place. */
    default void strongWrite(Warp warp, int mask, Object location, boolean release) {}

    /** Lanes read strongly: they see what was released to the place, now or after their next fence. */
    default void strongRead(Warp warp, int mask, Object location, boolean acquire) {}

    /** Lanes of a warp synchronise with each other. */
    default void converge(Warp warp, int mask) {}

    /** Lanes executed a fence. */
    default void fence(Warp warp, int mask, Fence fence) {}

    /** Lanes know that their asynchronous work below this number is done. */
    default void waited(Warp warp, int mask, Async.Group group, int number) {}

    /** Whoever acquires the place knows that the work below this number of these lanes is done. */
    default void arrives(Warp warp, int mask, Object location, Async.Group group, int number) {}

    /** Lanes exit. */
    default void exited(Warp warp, int mask) {}

    /** A cluster ended. */
    default void end(Cluster cluster) {}

    /** The kernel ended well. */
    default void end(Grid grid) {}
}
