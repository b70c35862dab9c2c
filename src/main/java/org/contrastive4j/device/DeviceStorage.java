package org.contrastive4j.device;

import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.Storage;

/** Device memory; kernels take its address, Java uploads and downloads. */
public abstract class DeviceStorage extends Storage {
    protected DeviceStorage(Memory memory, long bytes) {
        super(memory, bytes);
    }

    /** Returns the device address of the first byte, a multiple of 256 unless this is a view. */
    public abstract long address();

    /**
     * The bytes [at, at + bytes) of this storage; closing the view does nothing, and it is invalid after the storage is
     * closed.
     *
     * @throws IndexOutOfBoundsException when they are not all in this storage
     */
    public abstract DeviceStorage view(long at, long bytes);
}
