package org.contrastive4j.device;

import java.nio.ByteBuffer;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A stream: work that the device executes in the order in which it is enqueued.
 *
 * <p>Unless a method says otherwise it enqueues and returns without waiting, as a call of the CUDA driver with a stream
 * does. Offsets and sizes are in bytes. Work of different streams is unordered until {@link #await} orders it.
 *
 * <p>Tested by {@code StreamOrderTest}.
 */
public interface DeviceStream extends AutoCloseable {
    /**
     * Blocks until all work enqueued so far is complete.
     *
     * @throws KernelException when some of it failed
     */
    void synchronize();

    /**
     * Copies target[at, at + bytes) = source[from, from + bytes) from page-locked host memory. The pinned bytes must
     * not change until the copy is complete.
     *
     * @param source host bytes; read by the device
     * @param from offset of the first byte read
     * @param target written
     * @param at offset of the first byte written
     * @param bytes number of bytes
     * @throws IndexOutOfBoundsException when a range is not inside its storage or buffer
     */
    void upload(PinnedBuffer source, long from, DeviceStorage target, long at, long bytes);

    /**
     * Copies target[at, at + remaining) = the remaining bytes of source, which are read before this returns; the copy
     * itself is enqueued. It cannot be captured: every replay would copy the same bytes.
     *
     * @param source host bytes; the caller may change them once this has returned
     * @param target written
     * @param at offset of the first byte written
     * @throws IndexOutOfBoundsException when a range is not inside its storage or buffer
     * @throws DeviceException while this thread captures work
     */
    void upload(ByteBuffer source, DeviceStorage target, long at);

    /**
     * Copies target[at, at + bytes) = source[from, from + bytes) to page-locked host memory. The pinned bytes are
     * valid when the copy is complete.
     *
     * @param source read
     * @param from offset of the first byte read
     * @param target host bytes; written by the device
     * @param at offset of the first byte written
     * @param bytes number of bytes
     * @throws IndexOutOfBoundsException when a range is not inside its storage or buffer
     */
    void download(DeviceStorage source, long from, PinnedBuffer target, long at, long bytes);

    /**
     * Copies target[at, at + bytes) = source[from, from + bytes), both in device memory.
     *
     * @param source read
     * @param from offset of the first byte read
     * @param target written; the ranges must not overlap
     * @param at offset of the first byte written
     * @param bytes number of bytes
     * @throws IndexOutOfBoundsException when a range is not inside its storage
     * @throws IllegalArgumentException when the ranges overlap
     */
    void copy(DeviceStorage source, long from, DeviceStorage target, long at, long bytes);

    /**
     * Fills every byte of a storage with a value.
     *
     * @param storage written
     * @param value of each byte
     */
    void fill(DeviceStorage storage, byte value);

    /**
     * Records an event at this position of the stream.
     *
     * @return the event; the caller closes it
     * @throws DeviceException while this thread captures work
     */
    Event record();

    /**
     * Makes all later work of this stream wait for an event; the host does not wait.
     *
     * @param event of this or another stream of the device
     * @throws DeviceException while this thread captures work: await the event on the stream that launches the graph
     *     instead
     */
    void await(Event event);

    /**
     * Captures what {@code work} enqueues on this stream as a graph instead of executing it. The work must not
     * allocate memory of the device.
     *
     * @param work enqueues on this stream; runs once, now
     * @return the graph; the caller closes it
     * @throws DeviceException when the work does something that cannot be captured, such as synchronising
     */
    default Graph capture(Runnable work) {
        return capture(work, null);
    }

    /**
     * Captures what {@code work} enqueues on this stream as a graph instead of executing it. Memory that it allocates
     * for this stream is part of {@code scratch} and is reused when it is closed.
     *
     * @param work enqueues on this stream; runs once, now
     * @param scratch must stay open as long as the graph is launched, and must not be used by other work while it
     *     runs; several graphs that run one after the other may share it. Null: the work must not allocate
     * @return the graph; the caller closes it
     * @throws DeviceException when the work does something that cannot be captured, such as synchronising
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when the scratch is too small; nothing was
     *     executed
     */
    Graph capture(Runnable work, @Nullable DeviceStorage scratch);

    /**
     * Returns whether this stream is capturing.
     *
     * @return true inside {@link #capture}
     */
    boolean isCapturing();

    /** Waits for its work and destroys the stream; idempotent. */
    @Override
    void close();

    /** A position in a stream. */
    interface Event extends AutoCloseable {
        /**
         * Returns whether the stream has executed all work before this position; does not wait.
         *
         * @return true once it is reached
         */
        boolean isDone();

        /**
         * Blocks until the stream has reached this position.
         *
         * @throws DeviceException when work before it failed
         */
        void synchronize();

        /**
         * Returns the device time between two positions; blocks until both are reached.
         *
         * @param earlier an event of the same device, recorded earlier
         * @return milliseconds, with a resolution of about half a microsecond on a GPU
         */
        double millisecondsSince(Event earlier);

        /** Destroys the event; idempotent. */
        @Override
        void close();
    }

    /** Captured work that one launch replays, with the same arguments and addresses. */
    interface Graph extends AutoCloseable {
        /**
         * Enqueues the work of the graph, with the arguments and addresses it was captured with. Memory that it uses
         * must still be open.
         *
         * @param stream of the device that captured it
         */
        void launch(DeviceStream stream);

        /**
         * Returns the size of the graph.
         *
         * @return number of kernels, copies and fills
         */
        int nodes();

        /** Destroys the graph; idempotent. */
        @Override
        void close();
    }
}
