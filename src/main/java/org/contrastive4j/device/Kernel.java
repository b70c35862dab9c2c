package org.contrastive4j.device;

import java.util.List;

/** One entry of a module, ready to launch. */
public interface Kernel {
    String name();

    /** Returns the names of the declared parameters in order. */
    List<String> parameters();

    /** What the assembler made of it. */
    Attributes attributes();

    /**
     * Numbers the assembler and the driver state.
     *
     * @param registers per thread; 0 where no assembler ran
     * @param staticSharedBytes per block
     * @param localBytes per thread: spills and arrays
     * @param maxThreadsPerBlock largest block this kernel can be launched with
     */
    record Attributes(int registers, int staticSharedBytes, int localBytes, int maxThreadsPerBlock) {}

    /**
     * Starts the kernel on a stream.
     *
     * <p>An argument is a {@link DeviceStorage} for an address, a {@code Long}, {@code Double} (8 bytes),
     * {@code Integer}, {@code Float} (4), {@code Short} (2), {@code Byte} (1), or a {@code byte[]} for a parameter that
     * is an array; each must be of the declared size and kind. Dynamic shared memory beyond 48 KiB is asked for by
     * itself.
     *
     * @throws LaunchException before anything runs, when number or type of the arguments, grid, block or shared bytes
     *     are not possible
     * @throws KernelException when it is known that the kernel failed; a GPU may say so only at a later call
     */
    void launch(DeviceStream stream, Launch launch, Object... arguments);

    /** Blocks of this size that fit on one multiprocessor together. */
    int blocksPerMultiprocessor(int threads, int sharedBytes);
}
