package org.contrastive4j.device;

import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Storage;

/** Bytes of a device; a kernel gets the address, Java copies in and out. */
public abstract class DeviceStorage extends Storage {
    protected DeviceStorage(Memory memory, long bytes) {
        super(memory, bytes);
    }

    /** First byte as kernels see it, a multiple of 256 unless this is a view. */
    public abstract long address();

    /**
     * The bytes [at, at + bytes) of this storage; closing the view does nothing, and it ends with the storage.
     *
     * @throws IndexOutOfBoundsException when they are not all in this storage
     */
    public abstract DeviceStorage view(long at, long bytes);
}
