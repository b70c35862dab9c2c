package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.Nullable;

/** Asynchronous work of an instruction; it completes at the latest when a thread that waits for it continues. */
public final class Async {
    /** How its end is waited for. */
    public enum Group {
        /** {@code cp.async.wait_group}. */
        CP_ASYNC,
        /** {@code cp.async.bulk.wait_group}. */
        BULK,
        /** {@code cp.async.bulk.wait_group.read}: only that the source was read. */
        BULK_READ,
        /** {@code wgmma.wait_group}. */
        WGMMA,
        /** A phase of an mbarrier, of bulk copies. */
        MBARRIER,
        /** A phase of an mbarrier, of {@code st.async} and {@code red.async}, which stay in the generic proxy. */
        STORE
    }

    private final Group group;
    private final int number;
    private final @Nullable Object location;
    private final @Nullable Object owner;

    /**
     * @param number of the work among its kind and warp; 0 for a barrier
     * @param place phase of the mbarrier on which it completes; null otherwise
     * @param owner the mbarrier; null otherwise
     */
    Async(Group group, int number, @Nullable Object location, @Nullable Object owner) {
        this.group = group;
        this.number = number;
        this.location = location;
        this.owner = owner;
    }

    public Group group() {
        return group;
    }

    public int number() {
        return number;
    }

    public @Nullable Object location() {
        return location;
    }

    public @Nullable Object owner() {
        return owner;
    }

    /** Whether it is done by the async proxy, which generic accesses are not ordered with by themselves. */
    public boolean isAsyncProxy() {
        return group != Group.CP_ASYNC && group != Group.STORE;
    }
}
