package org.contrastive4j.internal.sim.exec;

/** What some lanes of a warp are waiting for. */
interface Wait {
    boolean isReady();

    /** Called once when the lanes go on; {@code false} when time ran out first. */
    default void finish(boolean inTime) {}

    /** Whether the wait may time out. */
    default boolean mayTimeOut() {
        return false;
    }

    /** Whether the instruction has not run yet, so that it is the next one. */
    default boolean isBefore() {
        return false;
    }

    /** For the report of a deadlock. */
    String describe();
}
