package org.contrastive4j.device;

/** Recorded work that one call starts again, with the same arguments and addresses. */
public interface DeviceGraph extends AutoCloseable {
    void launch(DeviceStream stream);

    /** Number of recorded operations. */
    int nodes();

    @Override
    void close();
}
