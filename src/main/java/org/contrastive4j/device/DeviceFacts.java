package org.contrastive4j.device;

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
public record DeviceFacts(
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
