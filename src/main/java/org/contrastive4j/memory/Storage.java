package org.contrastive4j.memory;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicBoolean;

/** A run of bytes owned by whoever allocated it; {@link #close()} gives it back, once. */
public abstract class Storage implements AutoCloseable {
    private final Memory memory;
    private final long bytes;
    private final AtomicBoolean closed = new AtomicBoolean();

    protected Storage(Memory memory, long bytes) {
        this.memory = memory;
        this.bytes = bytes;
    }

    public final Memory memory() {
        return memory;
    }

    public final long bytes() {
        return bytes;
    }

    public final boolean isClosed() {
        return closed.get();
    }

    /** @throws IllegalStateException when this storage was closed */
    public final void checkOpen() {
        if (closed.get()) {
            throw new IllegalStateException("storage of " + bytes + " bytes was used after close");
        }
    }

    /** Copies {@code source.remaining()} bytes (native byte order) to {@code [at, at + remaining)}. */
    public abstract void upload(long at, ByteBuffer source);

    /** Copies {@code [at, at + target.remaining())} to the buffer (native byte order). */
    public abstract void download(long at, ByteBuffer target);

    /** Gives the bytes back; the second call does nothing. */
    @Override
    public final void close() {
        if (closed.compareAndSet(false, true)) {
            free();
        }
    }

    /** Called exactly once. */
    protected abstract void free();
}
