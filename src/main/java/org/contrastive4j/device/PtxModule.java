package org.contrastive4j.device;

import java.util.List;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.jspecify.annotations.Nullable;

/**
 * Kernels of one PTX text, loaded until its device is closed.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public interface PtxModule {
    /**
     * Returns the file name it was loaded under.
     *
     * @return the name, for messages
     */
    String name();

    /**
     * Returns the names of its entries.
     *
     * @return names in the order of the text
     */
    List<String> kernels();

    /**
     * Returns one entry of the module.
     *
     * @param name of the entry
     * @return the kernel, valid until the device is closed
     * @throws PtxException when there is no such entry; the message lists those there are
     */
    Kernel kernel(String name);

    /**
     * Returns the memory of a variable of the module, {@code __device__} or {@code __constant__} in CUDA; closing it
     * does nothing.
     *
     * @param name of the variable
     * @return its memory, valid until the device is closed
     * @throws PtxException when there is no such variable
     */
    DeviceStorage variable(String name);

    /** One entry of a module, ready to launch. */
    interface Kernel {
        /**
         * Returns the name of the entry.
         *
         * @return as in {@code .entry}
         */
        String name();

        /**
         * Returns the names of the declared parameters.
         *
         * @return names in the order of the declaration
         */
        List<String> parameters();

        /**
         * Returns the resources of the assembled kernel.
         *
         * @return registers, shared and local memory, largest block
         */
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
         * <p>An argument is a {@link DeviceStorage} for an address, a {@code Long}, {@code Double} (8 bytes), {@code
         * Integer}, {@code Float} (4), {@code Short} (2), {@code Byte} (1), or a {@code byte[]} for a parameter that is
         * an array; each must be of the declared size and kind. The opt-in for dynamic shared memory beyond 48 KiB is
         * automatic.
         *
         * @param stream of the device that loaded the kernel
         * @param launch grid, block and dynamic shared memory
         * @param arguments one for each declared parameter, in order
         * @throws LaunchException before anything runs, when number or type of the arguments, grid, block or shared
         *     bytes are invalid
         * @throws KernelException when the kernel failed; a GPU may report it only at a later call
         */
        void launch(DeviceStream stream, Launch launch, Object... arguments);

        /**
         * Returns how many blocks of this kernel are resident on one multiprocessor at once, limited by threads,
         * registers and shared memory.
         *
         * @param threads of a block
         * @param sharedBytes dynamic shared memory of a block
         * @return number of blocks; 0 if not even one fits
         */
        int blocksPerMultiprocessor(int threads, int sharedBytes);
    }

    /** Thrown for PTX text that is refused; names the file, the line where known, and the reason. */
    class PtxException extends RuntimeException {
        /** Name of the text. */
        private final String file;
        /** Line of the error, from 1; 0 if unknown. */
        private final int line;
        /** Column of the error, from 1; 0 if unknown. */
        private final int column;

        /**
         * Creates the exception.
         *
         * @param file name of the text
         * @param line 1-based, 0 when not known
         * @param column 1-based, 0 when not known
         * @param message what was found and what was expected
         */
        public PtxException(String file, int line, int column, String message) {
            super(file + (line > 0 ? ":" + line + (column > 0 ? ":" + column : "") : "") + ": " + message);
            this.file = file;
            this.line = line;
            this.column = column;
        }

        /**
         * Returns the name of the text.
         *
         * @return the file
         */
        public String file() {
            return file;
        }

        /**
         * Returns the line.
         *
         * @return 1-based, 0 when not known
         */
        public int line() {
            return line;
        }

        /**
         * Returns the column.
         *
         * @return 1-based, 0 when not known
         */
        public int column() {
            return column;
        }
    }

    /**
     * Grid, block and dynamic shared bytes of a launch.
     *
     * @param grid number of blocks along x, y and z
     * @param block number of threads along x, y and z
     * @param sharedBytes dynamic shared memory of each block
     * @param cooperative whether all blocks are resident at the same time, so that they may wait for each other
     * @param cluster number of blocks of a cluster along x, y and z; null for what the kernel declares
     */
    record Launch(
            Dim grid,
            Dim block,
            int sharedBytes,
            boolean cooperative,
            @Nullable Dim cluster) {
        private static final long MAX_GRID_X = Integer.MAX_VALUE;
        private static final int MAX_GRID_YZ = 65_535;
        private static final int MAX_THREADS = 1024;
        private static final int MAX_BLOCK_Z = 64;

        /**
         * Sizes along x, y and z; a linear index runs along x first.
         *
         * @param x size along x
         * @param y size along y
         * @param z size along z
         */
        public record Dim(int x, int y, int z) {
            /**
             * Returns the product of the sizes.
             *
             * @return number of blocks or threads
             */
            public long count() {
                return (long) x * y * z;
            }

            @Override
            public String toString() {
                return "(" + x + ", " + y + ", " + z + ")";
            }
        }

        /**
         * Checks the sizes against the limits of CUDA.
         *
         * @param grid number of blocks along x, y and z
         * @param block number of threads along x, y and z
         * @param sharedBytes dynamic shared memory of each block
         * @param cooperative whether all blocks are resident at the same time
         * @param cluster number of blocks of a cluster along x, y and z; null for the clusters that the kernel declares
         * @throws LaunchException naming the size that is out of range
         */
        public Launch {
            if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.y > MAX_GRID_YZ || grid.z > MAX_GRID_YZ) {
                throw new LaunchException("grid is " + grid + ", expected 1 or more blocks along each axis and at most "
                        + MAX_GRID_X + ", " + MAX_GRID_YZ + ", " + MAX_GRID_YZ);
            }
            if (block.x < 1 || block.y < 1 || block.z < 1 || block.z > MAX_BLOCK_Z || block.count() > MAX_THREADS) {
                throw new LaunchException("block is " + block + ", expected 1 or more threads along each axis, at most "
                        + MAX_BLOCK_Z + " along z and at most " + MAX_THREADS + " together");
            }
            if (sharedBytes < 0) {
                throw new LaunchException("dynamic shared memory is " + sharedBytes + " bytes, expected 0 or more");
            }
            if (cluster != null && (cluster.x < 1 || cluster.y < 1 || cluster.z < 1)) {
                throw new LaunchException("cluster is " + cluster + ", expected 1 or more blocks along each axis");
            }
        }

        /**
         * Creates a launch in the clusters that the kernel declares.
         *
         * @param grid number of blocks along x, y and z
         * @param block number of threads along x, y and z
         * @param sharedBytes dynamic shared memory of each block
         * @param cooperative whether all blocks are resident at the same time
         * @throws LaunchException when a size is out of range
         */
        public Launch(Dim grid, Dim block, int sharedBytes, boolean cooperative) {
            this(grid, block, sharedBytes, cooperative, null);
        }

        /**
         * Returns a one-dimensional launch without dynamic shared memory.
         *
         * @param blocks number of blocks along x
         * @param threads number of threads of a block along x
         * @return the launch
         * @throws LaunchException when a size is out of range
         */
        public static Launch of(int blocks, int threads) {
            return new Launch(new Dim(blocks, 1, 1), new Dim(threads, 1, 1), 0, false);
        }

        /**
         * Returns a launch without dynamic shared memory.
         *
         * @param grid number of blocks along x, y and z
         * @param block number of threads along x, y and z
         * @return the launch
         * @throws LaunchException when a size is out of range
         */
        public static Launch of(Dim grid, Dim block) {
            return new Launch(grid, block, 0, false);
        }

        /**
         * Returns a copy with dynamic shared memory.
         *
         * @param bytes of each block, at least 0
         * @return the launch
         * @throws LaunchException when the number is negative
         */
        public Launch shared(int bytes) {
            return new Launch(grid, block, bytes, cooperative, cluster);
        }

        /**
         * Returns a copy whose blocks are all resident at once, so that they may wait for each other.
         *
         * @return the launch; launching it fails if the blocks do not fit on the device together
         */
        public Launch asCooperative() {
            return new Launch(grid, block, sharedBytes, true, cluster);
        }

        /**
         * Returns a copy in clusters of this size, for a kernel that does not declare one. The simulator launches it;
         * on a GPU the size has to be declared in the PTX text by {@code .reqnctapercluster}.
         *
         * @param size number of blocks of a cluster along x, y and z
         * @return the launch
         * @throws LaunchException when a size is less than 1
         */
        public Launch inClusters(Dim size) {
            return new Launch(grid, block, sharedBytes, cooperative, size);
        }

        @Override
        public String toString() {
            return "grid " + grid + ", block " + block + ", " + sharedBytes + " dynamic shared bytes"
                    + (cluster == null ? "" : ", clusters of " + cluster);
        }
    }
}
