package org.contrastive4j.internal.sim.exec;

/**
 * Chooses one of the legal orders of execution; the same schedule gives the same order in every run.
 *
 * @param seed of the random choices
 * @param order which warp runs next
 * @param completion when asynchronous work completes
 */
public record Schedule(long seed, Order order, Completion completion) {
    /**
     * Which warp runs next: a random one for a short turn, each in turn, or the first or last that can run until it
     * blocks.
     */
    public enum Order {
        RANDOM,
        ROUND,
        FIRST,
        LAST
    }

    /** When asynchronous work completes: at once, at a random time, or only when a thread waits for it. */
    public enum Completion {
        EARLY,
        RANDOM,
        LATE
    }

    /** Spreads seeds over the kinds of schedules; 0 is the plainest and fastest. */
    public static Schedule ofSeed(long seed) {
        return switch ((int) Math.floorMod(seed, 5L)) {
            case 0 -> new Schedule(seed, Order.ROUND, Completion.EARLY);
            case 1 -> new Schedule(seed, Order.RANDOM, Completion.RANDOM);
            case 2 -> new Schedule(seed, Order.FIRST, Completion.LATE);
            case 3 -> new Schedule(seed, Order.LAST, Completion.LATE);
            default -> new Schedule(seed, Order.RANDOM, Completion.LATE);
        };
    }
}
