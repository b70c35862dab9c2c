package org.contrastive4j.device;

import java.nio.ByteBuffer;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.jspecify.annotations.Nullable;

/** A stream: work that is executed in the order in which it is enqueued. */
public interface DeviceStream extends AutoCloseable {
    /**
     * Blocks until all work enqueued so far is complete.
     *
     * @throws KernelException when some of it failed
     */
    void synchronize();

    /**
     * target[at, at + bytes) = source[from, from + bytes); the pinned bytes must not change until the copy is complete.
     */
    void upload(PinnedBuffer source, long from, DeviceStorage target, long at, long bytes);

    /**
     * target[at, at + remaining) = the remaining bytes of source, which are read before this returns; the copy is
     * enqueued and not waited for. It cannot be captured: every replay would copy the same bytes.
     */
    void upload(ByteBuffer source, DeviceStorage target, long at);

    /** target[at, at + bytes) = source[from, from + bytes); the pinned bytes are valid when the copy is complete. */
    void download(DeviceStorage source, long from, PinnedBuffer target, long at, long bytes);

    /** target[at, at + bytes) = source[from, from + bytes), both in device memory. */
    void copy(DeviceStorage source, long from, DeviceStorage target, long at, long bytes);

    /** Fills every byte of the storage with a value. */
    void fill(DeviceStorage storage, byte value);

    /**
     * Records an event at this position of the stream; the caller closes the event.
     *
     * @throws DeviceException while this thread captures work
     */
    Event record();

    /**
     * Makes all later work of this stream wait for the event, which may be of another stream.
     *
     * @throws DeviceException while this thread captures work: await the event on the stream that launches the graph
     *     instead
     */
    void await(Event event);

    /**
     * Captures what {@code work} enqueues on this stream as a graph instead of executing it.
     *
     * @throws DeviceException when the work does something that cannot be captured, such as synchronising
     */
    default Graph capture(Runnable work) {
        return capture(work, null);
    }

    /**
     * Captures what {@code work} enqueues on this stream as a graph instead of executing it. Memory that it allocates
     * for this stream is part of {@code scratch} and is reused when it is closed.
     *
     * @param scratch must stay open as long as the graph is launched, and must not be used by other work while it runs;
     *     several graphs that run one after the other may share it. Null: the work must not allocate
     * @throws DeviceException when the work does something that cannot be captured, such as synchronising
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when the scratch is too small; nothing was executed
     */
    Graph capture(Runnable work, @Nullable DeviceStorage scratch);

    /** Returns whether this stream is capturing. */
    boolean isCapturing();

    /** Waits for its work and destroys the stream; idempotent. */
    @Override
    void close();

    /** A position in a stream. */
    interface Event extends AutoCloseable {
        /** Whether the stream has come here. */
        boolean isDone();

        /** Waits until the stream has come here. */
        void synchronize();

        /** Milliseconds of device time from {@code earlier} to here; waits for both. */
        double millisecondsSince(Event earlier);

        @Override
        void close();
    }

    /** Recorded work that one call starts again, with the same arguments and addresses. */
    interface Graph extends AutoCloseable {
        void launch(DeviceStream stream);

        /** Number of recorded operations. */
        int nodes();

        @Override
        void close();
    }
}
