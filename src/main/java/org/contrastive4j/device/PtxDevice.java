package org.contrastive4j.device;

import java.nio.ByteBuffer;
import org.contrastive4j.device.PtxModule.PtxException;
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
    Facts facts();

    @Override
    DeviceStorage allocate(long bytes);

    /**
     * Allocates memory in stream order: it can be used by later work of {@code stream}, and closing it returns it to
     * the pool after that work.
     *
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when the memory does not suffice
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

    /**
     * Properties of a device.
     *
     * @param name as reported by its driver
     * @param architecture compute capability as in {@code sm_90}: 10 x major + minor
     * @param multiprocessors number of them
     * @param memoryBytes of the device
     * @param sharedBytesPerBlock most dynamic shared memory that a block may have, in bytes
     * @param sharedBytesPerMultiprocessor shared memory of a multiprocessor, in bytes
     * @param registersPerMultiprocessor 32-bit registers
     * @param threadsPerMultiprocessor most resident threads
     * @param l2Bytes size of the second-level cache
     * @param driver version of the driver or of the simulator
     */
    record Facts(
            String name,
            int architecture,
            int multiprocessors,
            long memoryBytes,
            int sharedBytesPerBlock,
            int sharedBytesPerMultiprocessor,
            int registersPerMultiprocessor,
            int threadsPerMultiprocessor,
            int l2Bytes,
            String driver) {
        /** The lowest compute capability that the portable kernels support. */
        public static final int LEAST_ARCHITECTURE = 80;
    }

    /** Memory of the host that the device reads and writes directly. */
    interface PinnedBuffer extends AutoCloseable {
        /** All bytes, in native order; not to be used after close. */
        ByteBuffer bytes();

        @Override
        void close();
    }
}
