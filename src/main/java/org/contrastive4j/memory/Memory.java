package org.contrastive4j.memory;

/**
 * Hands out and takes back raw bytes of one place (this machine's memory, a GPU's), and counts them.
 *
 * <p>Contents of a fresh {@link Storage} are undefined. Every method may be called from any thread. Counted bytes are
 * the bytes asked for, not what the pool below rounds them to, so that counts are equal from run to run.
 */
public interface Memory extends AutoCloseable {

    /**
     * Allocates {@code bytes >= 0} bytes, aligned to 64.
     *
     * @throws OutOfBudgetException when this memory has a limit and the live bytes would exceed it
     * @throws IllegalStateException after {@link #close()}
     */
    Storage allocate(long bytes);

    /** Bytes allocated and not yet closed. */
    long currentBytes();

    /** Largest value of {@link #currentBytes()} since the start or the last {@link #resetPeak()}. */
    long peakBytes();

    /** Sets the peak to the current bytes. */
    void resetPeak();

    /** Starts a meter of its own: peaks seen by others, and {@link #resetPeak}, do not disturb it. */
    Meter meter();

    /** Largest value of {@link #currentBytes()} since the meter was started. */
    interface Meter extends AutoCloseable {
        long peakBytes();

        /** Stops it; idempotent. */
        @Override
        void close();
    }

    /** Bytes that are kept for later allocations beside the live ones. */
    default long keptBytes() {
        return 0;
    }

    /** Most live bytes this memory will hand out; {@link Long#MAX_VALUE} when it has no limit. */
    long limitBytes();

    /**
     * Frees everything, also what is still live.
     *
     * @throws MemoryLeakException after freeing, when storages were still open; idempotent otherwise
     */
    @Override
    void close();
}
