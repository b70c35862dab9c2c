package org.contrastive4j.device;

import java.util.List;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.DeviceException.LaunchException;

/** One entry of a module, ready to launch. */
public interface Kernel {
    String name();

    /** Returns the names of the declared parameters in order. */
    List<String> parameters();

    /** Returns the resources of the assembled kernel. */
    Attributes attributes();

    /**
     * Resources of an assembled kernel, as reported by the driver.
     *
     * @param registers per thread; 0 where no assembler ran
     * @param staticSharedBytes per block
     * @param localBytes per thread: spills and arrays
     * @param maxThreadsPerBlock largest block this kernel can be launched with
     */
    record Attributes(int registers, int staticSharedBytes, int localBytes, int maxThreadsPerBlock) {}

    /**
     * Launches the kernel on a stream.
     *
     * <p>An argument is a {@link DeviceStorage} for an address, a {@code Long}, {@code Double} (8 bytes),
     * {@code Integer}, {@code Float} (4), {@code Short} (2), {@code Byte} (1), or a {@code byte[]} for a parameter that
     * is an array; each must be of the declared size and kind. The opt-in for dynamic shared memory
     * beyond 48 KiB is automatic.
     *
     * @throws LaunchException before anything runs, when number or type of the arguments, grid, block or shared bytes
     *     are invalid
     * @throws KernelException when the kernel failed; a GPU may report it only at a later call
     */
    void launch(DeviceStream stream, Launch launch, Object... arguments);

    /** Returns how many blocks of this size fit on one multiprocessor. */
    int blocksPerMultiprocessor(int threads, int sharedBytes);
}
