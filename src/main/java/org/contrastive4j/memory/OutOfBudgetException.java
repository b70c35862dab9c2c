package org.contrastive4j.memory;

/** Signals that an allocation would exceed the limit of a memory. Nothing was allocated. */
public final class OutOfBudgetException extends RuntimeException {
    private final long requested;
    private final long live;
    private final long limit;

    /**
     * Creates the exception.
     *
     * @param requested bytes of the allocation
     * @param live bytes that are allocated and not freed, -1 if unknown
     * @param limit largest sum of both, -1 if unknown
     * @param advice what the user can do; ends the message
     */
    public OutOfBudgetException(long requested, long live, long limit, String advice) {
        super("out of memory budget: requested " + requested + " bytes, " + live + " in use, limit " + limit + "; "
                + advice);
        this.requested = requested;
        this.live = live;
        this.limit = limit;
    }

    /** Returns the bytes of the allocation that was refused. */
    public long requested() {
        return requested;
    }

    /** Returns the bytes that were in use. */
    public long live() {
        return live;
    }

    /** Returns the limit in bytes. */
    public long limit() {
        return limit;
    }
}
