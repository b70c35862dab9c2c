package org.contrastive4j.device;

import org.contrastive4j.memory.Memory;

/**
 * A device that loads PTX text and launches its kernels on its own memory.
 *
 * <p>Work that is given a {@link DeviceStream} is done in the order of that stream and returns before it is done;
 * {@link DeviceStorage#upload} and {@link DeviceStorage#download} wait for it. Every method may be called from any
 * thread.
 */
public interface PtxDevice extends Memory {
    /** Returns name, architecture and sizes of the device. */
    DeviceFacts facts();

    @Override
    DeviceStorage allocate(long bytes);

    /**
     * Allocates memory in stream order: it can be used by later work of {@code stream}, and closing it returns it to
     * the pool after that work.
     *
     * @throws org.contrastive4j.memory.OutOfBudgetException when the memory does not suffice
     */
    DeviceStorage allocate(long bytes, DeviceStream stream);

    /** Allocates page-locked host memory for asynchronous copies; the caller closes it. */
    PinnedBuffer pinned(long bytes);

    /**
     * Assembles PTX text; the same text returns the same module.
     *
     * @param name of the file, for messages
     * @throws PtxException naming file, line and message of what the assembler refuses
     */
    PtxModule module(String name, String ptx);

    /** Returns the default stream. */
    DeviceStream stream();

    /** Creates a stream; the caller closes it. */
    DeviceStream newStream();

    /** Blocks until all work of all streams is complete. */
    void synchronize();
}
