package org.contrastive4j.memory;

/** An allocation would take the live bytes over the limit the user set. Nothing was allocated. */
public final class OutOfBudgetException extends RuntimeException {
    private final long wanted;
    private final long live;
    private final long limit;

    public OutOfBudgetException(long wanted, long live, long limit, String advice) {
        super("out of memory budget: " + wanted + " bytes wanted, " + live + " live, limit " + limit + "; " + advice);
        this.wanted = wanted;
        this.live = live;
        this.limit = limit;
    }

    public long wanted() {
        return wanted;
    }

    public long live() {
        return live;
    }

    public long limit() {
        return limit;
    }
}
