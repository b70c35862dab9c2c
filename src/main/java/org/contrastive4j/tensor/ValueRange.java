package org.contrastive4j.tensor;

/**
 * The range of the integers in a tensor and its views, as far as the host knows it: the host knows what it wrote, and
 * nothing about what a kernel wrote. A range check that the host can answer needs no synchronisation.
 */
final class ValueRange {
    private boolean known;
    private int least;
    private int most;
    private int requiredEnd = Integer.MAX_VALUE;

    /** Replaces the range by that of all values. */
    synchronized void replace(int[] values) {
        known = true;
        least = Integer.MAX_VALUE;
        most = Integer.MIN_VALUE;
        extend(values);
    }

    /** Extends the range by values that were written to a part of the tensor. */
    synchronized void extend(int[] values) {
        for (int value : values) {
            least = Math.min(least, value);
            most = Math.max(most, value);
        }
    }

    /** Marks the range as unknown. */
    synchronized void invalidate() {
        known = false;
    }

    /** Returns whether all values are known to be in [from, end), and if so records that a caller requires it. */
    synchronized boolean isWithin(int from, int end) {
        boolean within = known && (least > most || least >= from && most < end);
        if (within) {
            requiredEnd = Math.min(requiredEnd, end);
        }
        return within;
    }

    /** Returns the smallest end that {@link #isWithin} confirmed. */
    synchronized int requiredEnd() {
        return requiredEnd;
    }
}
