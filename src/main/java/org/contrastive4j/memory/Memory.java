package org.contrastive4j.memory;

/**
 * Allocates and frees raw bytes of one kind of memory (host memory, a GPU's memory) and counts them.
 *
 * <p>Contents of a new {@link Storage} are undefined. Every method may be called from any thread. Counted bytes are the
 * bytes that were requested, not the sizes that a pool rounds them to, so that the counts are equal from run to run.
 */
public interface Memory extends AutoCloseable {

    /**
     * Allocates bytes.
     *
     * @param bytes the size, at least 0
     * @return the storage, aligned to 64 bytes
     * @throws OutOfBudgetException if this memory has a limit and the open bytes would exceed it
     * @throws IllegalStateException after {@link #close()}
     */
    Storage allocate(long bytes);

    /** Returns the bytes that are allocated and not yet freed. */
    long currentBytes();

    /** Returns the largest value of {@link #currentBytes()} since the start or the last {@link #resetPeak()}. */
    long peakBytes();

    /** Sets the peak to the current bytes. */
    void resetPeak();

    /** Starts a meter. Its peak is independent of {@link #resetPeak} and of other meters. */
    Meter meter();

    /** Measures the largest value of {@link #currentBytes()} since the meter was started. */
    interface Meter extends AutoCloseable {
        /** Returns the largest value so far. */
        long peakBytes();

        /** Stops the meter; idempotent. */
        @Override
        void close();
    }

    /** Returns the bytes of freed blocks that are kept for later allocations, in addition to the current ones. */
    default long keptBytes() {
        return 0;
    }

    /** Returns the largest number of bytes this memory allocates; {@link Long#MAX_VALUE} if it has no limit. */
    long limitBytes();

    /**
     * Frees everything, including storages that are still open; idempotent.
     *
     * @throws MemoryLeakException after freeing, if storages were still open
     */
    @Override
    void close();

    /**
     * Signals that storages were open when their memory was closed. They are freed; suppressed exceptions name the
     * lines that allocated them, if leaks are traced.
     */
    final class MemoryLeakException extends RuntimeException {
        /**
         * Creates the exception.
         *
         * @param message what was open
         */
        public MemoryLeakException(String message) {
            super(message);
        }
    }

    /** Signals that an allocation would exceed the limit of a memory. Nothing was allocated. */
    final class OutOfBudgetException extends RuntimeException {
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
}
