package org.contrastive4j.device;

import org.contrastive4j.memory.Memory;

/**
 * A place that loads PTX text and launches its kernels on memory of its own.
 *
 * <p>Work that is given a {@link DeviceStream} is done in the order of that stream and returns before it is done;
 * {@link DeviceStorage#upload} and {@link DeviceStorage#download} wait for it. Every method may be called from any
 * thread.
 */
public interface PtxDevice extends Memory {
    /** What it is: name, architecture, sizes. */
    DeviceFacts facts();

    @Override
    DeviceStorage allocate(long bytes);

    /**
     * Memory that is ready for what {@code stream} does from now on; closing it gives it back to the pool when that
     * work is done.
     *
     * @throws org.contrastive4j.memory.OutOfBudgetException when there is no such memory
     */
    DeviceStorage allocate(long bytes, DeviceStream stream);

    /** Memory of the host that asynchronous copies are fast from and to; the caller closes it. */
    PinnedBuffer pinned(long bytes);

    /**
     * Assembles PTX text, once: the same text gives the same module.
     *
     * @param name of the file, for messages
     * @throws PtxException naming file, line and message of what the assembler refuses
     */
    PtxModule module(String name, String ptx);

    /** The stream that is used where no other is given. */
    DeviceStream stream();

    /** A further stream; the caller closes it. */
    DeviceStream newStream();

    /** Waits until all work of all streams is done. */
    void synchronize();
}
