package org.contrastive4j.internal.sim.exec;

/**
 * In which legal order things happen: the same seed gives the same order.
 *
 * @param seed of what is drawn at random
 * @param order which warp goes on
 * @param landing when asynchronous work is done
 */
public record Schedule(long seed, Order order, Completion completion) {
    /**
     * Which warp goes on: drawn for short turns, one after the other, or the first or last that can, as far as it can.
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
