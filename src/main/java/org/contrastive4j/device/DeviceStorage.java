package org.contrastive4j.device;

import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.Storage;

/** Device memory: kernels take its address, the host uploads to it and downloads from it. */
public abstract class DeviceStorage extends Storage {
    /**
     * Creates a storage.
     *
     * @param memory the device that frees it
     * @param bytes its size
     */
    protected DeviceStorage(Memory memory, long bytes) {
        super(memory, bytes);
    }

    /**
     * Returns the device address of the first byte.
     *
     * @return a multiple of 256, unless this is a view
     */
    public abstract long address();

    /**
     * Returns the bytes [at, at + bytes) of this storage. Closing the view does nothing; it is invalid after this
     * storage is closed.
     *
     * @param at offset of the first byte
     * @param bytes size of the view
     * @return the view
     * @throws IndexOutOfBoundsException when the range is not inside this storage
     */
    public abstract DeviceStorage view(long at, long bytes);
}
