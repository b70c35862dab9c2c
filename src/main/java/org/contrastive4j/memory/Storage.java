package org.contrastive4j.memory;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A contiguous range of bytes in a {@link Memory}, owned by the caller that allocated it. {@link #close()} frees it
 * once.
 */
public abstract class Storage implements AutoCloseable {
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
