package org.contrastive4j.device;

import java.nio.ByteBuffer;

/** Memory of the host that the device reads and writes directly. */
public interface PinnedBuffer extends AutoCloseable {
    /** All bytes, in native order; not to be used after close. */
    ByteBuffer bytes();

    @Override
    void close();
}
