package org.contrastive4j.device;

/** A position in a stream. */
public interface DeviceEvent extends AutoCloseable {
    /** Whether the stream has come here. */
    boolean isDone();

    /** Waits until the stream has come here. */
    void synchronize();

    /** Milliseconds of device time from {@code earlier} to here; waits for both. */
    double millisecondsSince(DeviceEvent earlier);

    @Override
    void close();
}
