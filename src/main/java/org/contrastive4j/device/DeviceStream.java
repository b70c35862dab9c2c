package org.contrastive4j.device;

import java.nio.ByteBuffer;

/** Work in order: what is given to a stream is done after what was given to it before. */
public interface DeviceStream extends AutoCloseable {
    /**
     * Waits until all work given so far is done.
     *
     * @throws KernelException when some of it failed
     */
    void synchronize();

    /** target[at, at + bytes) = source[from, from + bytes); the pinned bytes may not change until this is done. */
    void upload(PinnedBuffer source, long from, DeviceStorage target, long at, long bytes);

    /**
     * target[at, at + remaining) = the remaining bytes of source, which are read before this returns; the copy is work
     * of this stream like any other and is not waited for. Cannot be recorded: it would always bring the same bytes.
     */
    void upload(ByteBuffer source, DeviceStorage target, long at);

    /** target[at, at + bytes) = source[from, from + bytes); the pinned bytes are there when this is done. */
    void download(DeviceStorage source, long from, PinnedBuffer target, long at, long bytes);

    /** target[at, at + bytes) = source[from, from + bytes), both on the device. */
    void copy(DeviceStorage source, long from, DeviceStorage target, long at, long bytes);

    /** Every byte of storage = value. */
    void fill(DeviceStorage storage, byte value);

    /**
     * Marks this place in the stream; the caller closes the event.
     *
     * @throws DeviceException when this thread records work
     */
    DeviceEvent record();

    /**
     * What is given from now on waits for the event, which may be of another stream.
     *
     * @throws DeviceException when this thread records work: the event is of outside the recording, and one before each
     *     run of it is awaited by the stream that runs it
     */
    void await(DeviceEvent event);

    /**
     * Records what {@code work} gives to this stream instead of doing it.
     *
     * @throws DeviceException when the work does something that cannot be recorded, such as waiting
     */
    default DeviceGraph capture(Runnable work) {
        return capture(work, null);
    }

    /**
     * Records what {@code work} gives to this stream instead of doing it; memory that it allocates for this stream is
     * part of {@code scratch}, where what it gives back is handed out again.
     *
     * @param scratch stays open, and is used by nothing else while the graph runs, as long as it is launched; several
     *     graphs that run one after the other may share it. Null: the work may not allocate
     * @throws DeviceException when the work does something that cannot be recorded, such as waiting
     * @throws org.contrastive4j.memory.OutOfBudgetException when the scratch is too small; nothing was done
     */
    DeviceGraph capture(Runnable work, DeviceStorage scratch);

    /** Whether this stream records what it is given. */
    boolean isCapturing();

    /** Waits for its work and gives the stream back; idempotent. */
    @Override
    void close();
}
