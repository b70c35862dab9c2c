package org.contrastive4j.memory;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Allocates and frees raw bytes of one kind of memory (host memory, a GPU's memory) and counts them.
 *
 * <p>Contents of a new {@link Storage} are undefined. Every method may be called from any thread. Counted bytes are the
 * bytes that were requested, not the sizes that a pool rounds them to, so that the counts are equal from run to run.
 *
 * <p>Tested by {@code AllocationLedgerTest}.
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

    /**
     * Returns the bytes that are allocated and not yet freed.
     *
     * @return requested bytes, without rounding
     */
    long currentBytes();

    /**
     * Returns the largest value of {@link #currentBytes()} since the start or the last {@link #resetPeak()}.
     *
     * @return bytes
     */
    long peakBytes();

    /** Sets the peak to the current bytes. */
    void resetPeak();

    /**
     * Starts a meter. Its peak is independent of {@link #resetPeak} and of other meters.
     *
     * @return the meter; the caller closes it
     */
    Meter meter();

    /** Measures the largest value of {@link #currentBytes()} since the meter was started. */
    interface Meter extends AutoCloseable {
        /**
         * Returns the largest value so far.
         *
         * @return bytes
         */
        long peakBytes();

        /** Stops the meter; idempotent. */
        @Override
        void close();
    }

    /**
     * Returns the bytes of freed blocks that are kept for later allocations, in addition to the current ones.
     *
     * @return bytes; 0 for a memory without a pool
     */
    default long keptBytes() {
        return 0;
    }

    /**
     * Returns the largest number of bytes this memory allocates.
     *
     * @return the limit; {@link Long#MAX_VALUE} for none
     */
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
        /** Bytes of the refused allocation. */
        private final long requested;
        /** Bytes in use at that time; -1 if unknown. */
        private final long live;
        /** Limit in bytes; -1 if unknown. */
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

        /**
         * Returns the size of the allocation that was refused.
         *
         * @return bytes
         */
        public long requested() {
            return requested;
        }

        /**
         * Returns the bytes that were in use.
         *
         * @return bytes; -1 if unknown
         */
        public long live() {
            return live;
        }

        /**
         * Returns the limit.
         *
         * @return bytes; -1 if unknown
         */
        public long limit() {
            return limit;
        }
    }

    /**
     * A contiguous range of bytes in a {@link Memory}, owned by the caller that allocated it. {@link #close()} frees it
     * once.
     */
    abstract class Storage implements AutoCloseable {
        private final Memory memory;
        private final long bytes;
        private final AtomicBoolean closed = new AtomicBoolean();

        /**
         * Creates a storage.
         *
         * @param memory that frees it
         * @param bytes its size
         */
        protected Storage(Memory memory, long bytes) {
            this.memory = memory;
            this.bytes = bytes;
        }

        /**
         * Returns the memory that this storage belongs to.
         *
         * @return the memory, which frees it
         */
        public final Memory memory() {
            return memory;
        }

        /**
         * Returns the size.
         *
         * @return number of bytes
         */
        public final long bytes() {
            return bytes;
        }

        /**
         * Returns whether this storage was closed.
         *
         * @return true after {@link #close()}
         */
        public final boolean isClosed() {
            return closed.get();
        }

        /**
         * Checks that this storage is open.
         *
         * @throws IllegalStateException if it was closed
         */
        public final void checkOpen() {
            if (closed.get()) {
                throw new IllegalStateException("storage of " + bytes + " bytes was used after close");
            }
        }

        /**
         * Copies the remaining bytes of a buffer, in native byte order, into this storage.
         *
         * @param at offset of the first byte written
         * @param source what is copied
         * @throws IndexOutOfBoundsException if the range does not fit
         */
        public abstract void upload(long at, ByteBuffer source);

        /**
         * Copies bytes of this storage, in native byte order, until the buffer is full.
         *
         * @param at offset of the first byte read
         * @param target what is filled
         * @throws IndexOutOfBoundsException if the range does not fit
         */
        public abstract void download(long at, ByteBuffer target);

        /** Frees the bytes; idempotent. */
        @Override
        public final void close() {
            if (closed.compareAndSet(false, true)) {
                free();
            }
        }

        /** Frees the bytes; called exactly once. */
        protected abstract void free();
    }
}
