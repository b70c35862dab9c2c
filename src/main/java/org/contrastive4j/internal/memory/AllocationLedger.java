package org.contrastive4j.internal.memory;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.MemoryLeakException;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.memory.Memory.Storage;

/**
 * Records the open storages of one {@link Memory}: counts their bytes and the peak, refuses allocations over the limit,
 * and reports the storages that are open when the memory is closed. Thread-safe.
 *
 * @param <S> the storages of that memory
 */
public final class AllocationLedger<S extends Storage> {
    private final long limit;
    private final boolean traceLeaks;
    private final String advice;
    private final Map<S, Throwable> open = new IdentityHashMap<>(); // to where it was allocated, or null
    private final List<PeakMeter> meters = new ArrayList<>();
    private long current;
    private long peak;

    /**
     * Creates an empty ledger.
     *
     * @param limit largest sum of open bytes, at least 1
     * @param traceLeaks whether to record the stack trace of each allocation for the leak report
     * @param advice what the user can do when the limit is reached; ends the error message
     */
    public AllocationLedger(long limit, boolean traceLeaks, String advice) {
        if (limit <= 0) {
            throw new IllegalArgumentException("expected a memory limit of at least 1 byte, got " + limit);
        }
        this.limit = limit;
        this.traceLeaks = traceLeaks;
        this.advice = advice;
    }

    /**
     * Checks a request before the bytes are allocated.
     *
     * @throws IllegalArgumentException if {@code bytes} is negative
     * @throws OutOfBudgetException if the open bytes would exceed the limit
     */
    public synchronized void check(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("cannot allocate " + bytes + " bytes");
        }
        if (bytes > limit - current) {
            throw new OutOfBudgetException(bytes, current, limit, advice);
        }
    }

    /** Records an allocation. */
    public synchronized void add(S storage) {
        open.put(storage, traceLeaks ? new Throwable("allocated here") : null);
        current += storage.bytes();
        peak = Math.max(peak, current);
        meters.forEach(meter -> meter.peak = Math.max(meter.peak, current));
    }

    /** Records that a storage was closed; returns false if it is not open in this ledger. */
    public synchronized boolean remove(S storage) {
        if (!open.containsKey(storage)) {
            return false;
        }
        open.remove(storage);
        current -= storage.bytes();
        return true;
    }

    /** Returns the open storages. */
    public synchronized List<S> open() {
        return List.copyOf(open.keySet());
    }

    /** Forgets the open storages; {@link #remove} returns false for them from now on. */
    public synchronized void clear() {
        open.clear();
        current = 0;
    }

    /** Returns an exception that describes the open storages; call it before they are closed. */
    public synchronized MemoryLeakException leak() {
        MemoryLeakException leak = new MemoryLeakException(open.size() + " storages with " + current
                + " bytes were open when their memory was closed; -Dcontrastive4j.traceLeaks=true names the lines");
        for (Throwable origin : open.values()) {
            if (origin != null) {
                leak.addSuppressed(origin);
            }
        }
        return leak;
    }

    /** Returns the limit in bytes, see {@link Memory#limitBytes()}. */
    public long limit() {
        return limit;
    }

    /** Returns the open bytes, see {@link Memory#currentBytes()}. */
    public synchronized long current() {
        return current;
    }

    /** Returns the largest number of open bytes since the last reset, see {@link Memory#peakBytes()}. */
    public synchronized long peak() {
        return peak;
    }

    /** Sets the peak to the current bytes, see {@link Memory#resetPeak()}. */
    public synchronized void resetPeak() {
        peak = current;
    }

    /** Starts a meter, see {@link Memory#meter()}. */
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
            synchronized (AllocationLedger.this) {
                return peak;
            }
        }

        @Override
        public void close() {
            synchronized (AllocationLedger.this) {
                meters.remove(this);
            }
        }
    }
}
