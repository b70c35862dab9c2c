package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.Nullable;

/** The registers and the local memory of the lanes of a warp, and which registers were written. */
public abstract class LaneState {
    final Cta cta;
    final long[] r;
    final int[] p;
    final Access access = new Access();
    final Groups groups = new Groups();
    int warpGroupSteps;
    int carry;

    @Nullable
    PendingWork lastWgmma;

    Cluster.@Nullable NamedArrivals clusterArrivals;

    @Nullable
    Region lastGlobal;

    private @Nullable Region local;
    private @Nullable LocalStack stack;
    private @Nullable Object cached;
    private final int[] written;
    private final int[] predicatesWritten;
    private Undefined @Nullable [] undefined;

    LaneState(Cta cta, Code linked) {
        this.cta = cta;
        this.r = linked.freshRows();
        this.p = new int[linked.predicates()];
        p[0] = Warp.ALL;
        this.written = new int[linked.predicates()];
        this.predicatesWritten = new int[linked.predicates()];
        predicatesWritten[0] = Warp.ALL;
    }

    public Cta cta() {
        return cta;
    }

    public Access access() {
        return access;
    }

    /** By register row: lanes that were written; kept by the check of unwritten registers. */
    public int[] written() {
        return written;
    }

    /** By predicate: lanes that were written. */
    public int[] predicatesWritten() {
        return predicatesWritten;
    }

    /** By register: where the value comes from that is undefined for some lane. */
    public Undefined[] undefined() {
        if (undefined == null) {
            undefined = new Undefined[written.length];
        }
        return undefined;
    }

    /** Name of a register row, for messages. */
    public String registerName(int row) {
        return cta.cluster().grid().code().names()[row];
    }

    public boolean usesWgmma() {
        return cta.cluster().grid().code().usesWgmma();
    }

    /** State that an observer caches. */
    public @Nullable Object cached() {
        return cached;
    }

    public void cache(Object value) {
        cached = value;
    }

    /** Local memory of all lanes, one after the other. */
    Region local() {
        if (local == null) {
            int bytes = cta.cluster().grid().code().localBytes();
            local = new Region(Region.Space.LOCAL, "local memory", 0, bytes * Warp.LANES);
        }
        return local;
    }

    /** What its lanes have allocated by {@code alloca}. */
    LocalStack stack() {
        if (stack == null) {
            stack = new LocalStack(cta.cluster().grid().code().stackBase());
        }
        return stack;
    }

    boolean isOnStack(int lane, long offset, int bytes) {
        return stack != null && stack.contains(lane, offset, bytes);
    }

    /** Frees what a function of this depth of calls has allocated. */
    void leaveStack(int lanes, int depth) {
        if (stack != null) {
            stack.leave(lanes, depth);
        }
    }
}
