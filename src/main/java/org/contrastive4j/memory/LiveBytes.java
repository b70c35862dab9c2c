package org.contrastive4j.memory;

import java.util.ArrayList;
import java.util.List;

/** Counts the live bytes of a {@link Memory}, and their peak for it and for each of its meters. Of any thread. */
public final class LiveBytes {
    private final List<PeakMeter> meters = new ArrayList<>();
    private long current;
    private long peak;

    public synchronized void add(long bytes) {
        current += bytes;
        peak = Math.max(peak, current);
        meters.forEach(meter -> meter.peak = Math.max(meter.peak, current));
    }

    public synchronized void remove(long bytes) {
        current -= bytes;
    }

    /** As {@link Memory#currentBytes()}. */
    public synchronized long current() {
        return current;
    }

    /** As {@link Memory#peakBytes()}. */
    public synchronized long peak() {
        return peak;
    }

    /** As {@link Memory#resetPeak()}. */
    public synchronized void resetPeak() {
        peak = current;
    }

    /** As {@link Memory#meter()}. */
    public synchronized Memory.Meter meter() {
        PeakMeter meter = new PeakMeter(current);
        meters.add(meter);
        return meter;
    }

    private final class PeakMeter implements Memory.Meter {
        private long peak;

        PeakMeter(long start) {
            peak = start;
        }

        @Override
        public long peakBytes() {
            synchronized (LiveBytes.this) {
                return peak;
            }
        }

        @Override
        public void close() {
            synchronized (LiveBytes.this) {
                meters.remove(this);
            }
        }
    }
}
