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

    /** Whether clusters must run one after the other. */
    default boolean isSequential() {
        return false;
    }

    /** Whether it is told of every instruction of the kernel. */
    default boolean watchesSteps(Code code) {
        return true;
    }

    /** Whether it is told of every access of the kernel. */
    default boolean watchesAccesses(Code code) {
        return true;
    }

    /** Returns the lanes whose strong writes publish something. */
    default int publishingLanes(Warp warp, int mask, boolean release) {
        return 0;
    }

    /** Whether a strong read may see something that was published. */
    default boolean needsStrongRead() {
        return false;
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

    /** Lanes release: what they did before is visible to threads that acquire the location later. */
    default void release(Warp warp, int mask, Object location) {}

    /** Lanes acquire what was released through the location. */
    default void acquire(Warp warp, int mask, Object location) {}

    /** Lanes write strongly: what they released by a fence, or release now, is visible through the location. */
    default void strongWrite(Warp warp, int mask, Object location, boolean release) {}

    /** Lanes read strongly: they acquire what was released through the location, now or by their next fence. */
    default void strongRead(Warp warp, int mask, Object location, boolean acquire) {}

    /** Lanes of a warp synchronise with each other. */
    default void converge(Warp warp, int mask) {}

    /** Lanes executed a fence. */
    default void fence(Warp warp, int mask, Fence fence) {}

    /** Lanes have waited for their asynchronous work below this number. */
    default void waited(Warp warp, int mask, Async.Group group, int number) {}

    /** The work below this number of these lanes happens before whatever acquires the location. */
    default void arrives(Warp warp, int mask, Object location, Async.Group group, int number) {}

    /** Lanes exit. */
    default void exited(Warp warp, int mask) {}

    /** A cluster ended. */
    default void end(Cluster cluster) {}

    /** The kernel ended well. */
    default void end(Grid grid) {}
}
