package org.contrastive4j.device;

import java.nio.ByteBuffer;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.Storage;

/**
 * A device that loads PTX text and launches its kernels on its own memory.
 *
 * <p>Methods that take a {@link DeviceStream} enqueue work in the order of that stream and return without waiting;
 * {@link DeviceStorage#upload} and {@link DeviceStorage#download} wait for their copy. Every method may be called from
 * any thread.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public interface PtxDevice extends Memory {
    /**
     * Returns the properties of the device.
     *
     * @return name, architecture and sizes
     */
    Facts facts();

    @Override
    DeviceStorage allocate(long bytes);

    /**
     * Allocates memory in stream order: it can be used by later work of {@code stream}, and closing it returns it to
     * the pool after that work.
     *
     * @param bytes the size, at least 0
     * @param stream of this device
     * @return memory with undefined contents; the caller closes it
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when the memory does not suffice
     */
    DeviceStorage allocate(long bytes, DeviceStream stream);

    /**
     * Allocates page-locked host memory for asynchronous copies.
     *
     * @param bytes the size, at least 0
     * @return the buffer; the caller closes it
     * @throws DeviceException when the host has no such memory left
     */
    PinnedBuffer pinned(long bytes);

    /**
     * Assembles PTX text; the same text returns the same module.
     *
     * @param name of the file, for messages
     * @param ptx text of a PTX module; see the PTX ISA
     * @return its kernels, loaded until this device is closed
     * @throws PtxException naming file, line and message of what the assembler refuses
     */
    PtxModule module(String name, String ptx);

    /**
     * Returns the default stream.
     *
     * @return the stream that operations use where none is given; not to be closed
     */
    DeviceStream stream();

    /**
     * Creates a stream.
     *
     * @return the stream; the caller closes it
     */
    DeviceStream newStream();

    /**
     * Blocks until all work of all streams is complete.
     *
     * @throws DeviceException.KernelException when some of it failed
     */
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
        /**
         * Returns all bytes, in native order; not to be used after close.
         *
         * @return a direct buffer over the page-locked memory
         */
        ByteBuffer bytes();

        /** Frees the memory; idempotent. A copy that uses it must be complete. */
        @Override
        void close();
    }

    /** Device memory; kernels take its address, Java uploads and downloads. */
    abstract class DeviceStorage extends Storage {
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
}
