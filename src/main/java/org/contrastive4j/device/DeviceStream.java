package org.contrastive4j.device;

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

    /** target[at, at + bytes) = source[from, from + bytes); the pinned bytes are there when this is done. */
    void download(DeviceStorage source, long from, PinnedBuffer target, long at, long bytes);

    /** target[at, at + bytes) = source[from, from + bytes), both on the device. */
    void copy(DeviceStorage source, long from, DeviceStorage target, long at, long bytes);

    /** Every byte of storage = value. */
    void fill(DeviceStorage storage, byte value);

    /** Marks this place in the stream; the caller closes the event. */
    DeviceEvent record();

    /** What is given from now on waits for the event, which may be of another stream. */
    void await(DeviceEvent event);

    /**
     * Records what {@code work} gives to this stream instead of doing it.
     *
     * @throws DeviceException when the work does something that cannot be recorded, such as waiting
     */
    DeviceGraph capture(Runnable work);

    /** Waits for its work and gives the stream back; idempotent. */
    @Override
    void close();
}
