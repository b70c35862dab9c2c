package org.contrastive4j.device;

import java.util.List;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.DeviceException.LaunchException;

/** Kernels of one PTX text, loaded until its device is closed. */
public interface PtxModule {
    /** Returns the file name it was loaded under. */
    String name();

    /** Returns the names of its entries, in the order of the text. */
    List<String> kernels();

    /** @throws PtxException when there is no such entry; the message lists those there are */
    Kernel kernel(String name);

    /** One entry of a module, ready to launch. */
    interface Kernel {
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
         * {@code Integer}, {@code Float} (4), {@code Short} (2), {@code Byte} (1), or a {@code byte[]} for a parameter
         * that is an array; each must be of the declared size and kind. The opt-in for dynamic shared memory
         * beyond 48 KiB is automatic.
         *
         * @throws LaunchException before anything runs, when number or type of the arguments, grid, block or shared
         *     bytes are invalid
         * @throws KernelException when the kernel failed; a GPU may report it only at a later call
         */
        void launch(DeviceStream stream, Launch launch, Object... arguments);

        /** Returns how many blocks of this size fit on one multiprocessor. */
        int blocksPerMultiprocessor(int threads, int sharedBytes);
    }

    /** Thrown for PTX text that is refused; names the file, the line where known, and the reason. */
    class PtxException extends RuntimeException {
        private final String file;
        private final int line;
        private final int column;

        /** @param line 1-based, 0 when not known */
        public PtxException(String file, int line, int column, String message) {
            super(file + (line > 0 ? ":" + line + (column > 0 ? ":" + column : "") : "") + ": " + message);
            this.file = file;
            this.line = line;
            this.column = column;
        }

        public String file() {
            return file;
        }

        /** 1-based, 0 when not known. */
        public int line() {
            return line;
        }

        /** 1-based, 0 when not known. */
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
     */
    record Launch(Dim grid, Dim block, int sharedBytes, boolean cooperative) {
        private static final long MAX_GRID_X = Integer.MAX_VALUE;
        private static final int MAX_GRID_YZ = 65_535;
        private static final int MAX_THREADS = 1024;
        private static final int MAX_BLOCK_Z = 64;

        /** Sizes along x, y and z; a linear index runs along x first. */
        public record Dim(int x, int y, int z) {
            public long count() {
                return (long) x * y * z;
            }

            @Override
            public String toString() {
                return "(" + x + ", " + y + ", " + z + ")";
            }
        }

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
        }

        /** Returns a one-dimensional launch without dynamic shared memory. */
        public static Launch of(int blocks, int threads) {
            return new Launch(new Dim(blocks, 1, 1), new Dim(threads, 1, 1), 0, false);
        }

        public static Launch of(Dim grid, Dim block) {
            return new Launch(grid, block, 0, false);
        }

        public Launch shared(int bytes) {
            return new Launch(grid, block, bytes, cooperative);
        }

        /** Returns a copy with all blocks resident at once. */
        public Launch asCooperative() {
            return new Launch(grid, block, sharedBytes, true);
        }

        @Override
        public String toString() {
            return "grid " + grid + ", block " + block + ", " + sharedBytes + " dynamic shared bytes";
        }
    }
}
