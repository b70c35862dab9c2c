package org.contrastive4j.device;

import org.contrastive4j.device.DeviceException.LaunchException;

/**
 * Grid, block and dynamic shared bytes of a launch.
 *
 * @param grid number of blocks along x, y and z
 * @param block number of threads along x, y and z
 * @param sharedBytes dynamic shared memory of each block
 * @param cooperative whether all blocks are resident at the same time, so that they may wait for each other
 */
public record Launch(Dim grid, Dim block, int sharedBytes, boolean cooperative) {
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
