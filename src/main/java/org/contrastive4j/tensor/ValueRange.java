package org.contrastive4j.tensor;

/**
 * What the host knows of the integers in a tensor and its views: the least and the largest, since it wrote them itself.
 */
final class ValueRange {
    private boolean known;
    private int least;
    private int most;
    private int relied = Integer.MAX_VALUE;

    /** These are all of them, or none are known from now on. */
    synchronized void become(int[] values) {
        known = true;
        least = Integer.MAX_VALUE;
        most = Integer.MIN_VALUE;
        include(values);
    }

    /** Some of them are these now. */
    synchronized void include(int[] values) {
        for (int value : values) {
            least = Math.min(least, value);
            most = Math.max(most, value);
        }
    }

    synchronized void forget() {
        known = false;
    }

    /** Whether all are known to be in [from, end); when so, somebody relies on it from now on. */
    synchronized boolean areWithin(int from, int end) {
        boolean within = known && (least > most || least >= from && most < end);
        if (within) {
            relied = Math.min(relied, end);
        }
        return within;
    }

    /** The smallest end that somebody relies on. */
    synchronized int relied() {
        return relied;
    }
}
