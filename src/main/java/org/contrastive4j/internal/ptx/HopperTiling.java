package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.PtxModule.Launch;
import org.jspecify.annotations.Nullable;

/**
 * Distributes the tiles of n x m pairs over thread blocks.
 *
 * <p>Tested by {@code HopperInfoNceForwardTest}.
 *
 * @param n rows
 * @param m columns
 * @param d width of the features
 * @param run row tiles that a thread block processes before it writes column sums
 * @param group column tiles that concurrent thread blocks share; their features should fit the L2 cache
 * @param blocks thread blocks of the persistent grid
 */
public record HopperTiling(int n, int m, int d, int run, int group, int blocks) {
    private static final int MOST_RUN = 8;
    private static final long GROUP_BYTES = 25_000_000;

    public HopperTiling {
        if (n < 1 || m < 1 || d < 1 || run < 1 || group < 1 || blocks < 1) {
            throw new IllegalArgumentException("n " + n + ", m " + m + ", d " + d + ", run " + run + ", group " + group
                    + ", blocks " + blocks + ": expected positive numbers");
        }
    }

    /**
     * Chooses runs of up to 8 tiles that leave the fewest thread blocks idle at the end, and groups whose features
     * fill half of a 50 MB cache.
     */
    public static @Nullable HopperTiling of(int n, int m, int d, int multiprocessors) {
        long ofTile = HopperInfoNceLaunches.TILE_COLUMNS
                / HopperInfoNceLaunches.TILE_ROWS
                * HopperInfoNceLaunches.blockRowBytes(d);
        int group = (int) Math.max(1, GROUP_BYTES / ofTile);
        HopperTiling best = null;
        long least = Long.MAX_VALUE;
        for (int run = MOST_RUN; run >= 1; run /= 2) {
            HopperTiling tiling = new HopperTiling(n, m, d, run, group, multiprocessors);
            long longest = (tiling.items() + multiprocessors - 1) / multiprocessors * run;
            if (longest < least) {
                least = longest;
                best = tiling;
            }
        }
        return best;
    }

    /** Returns the tiling of a part of the pairs that is cut at runs of rows and at tiles of columns. */
    HopperTiling part(int rows, int columns) {
        return new HopperTiling(rows, columns, d, run, group, blocks);
    }

    public int rowTiles() {
        return HopperInfoNceLaunches.ceil(n, HopperInfoNceLaunches.TILE_ROWS);
    }

    public int columnTiles() {
        return HopperInfoNceLaunches.ceil(m, HopperInfoNceLaunches.TILE_COLUMNS);
    }

    /** Returns the number of partial sums for each column. */
    public int rowItems() {
        return HopperInfoNceLaunches.ceil(rowTiles(), run);
    }

    /** Returns m padded to whole tiles: the columns of column sums and the rows of packed Y. */
    public int paddedColumns() {
        return columnTiles() * HopperInfoNceLaunches.TILE_COLUMNS;
    }

    /** Returns the rows of row sums. */
    public int paddedRows() {
        return rowTiles() * HopperInfoNceLaunches.TILE_ROWS;
    }

    /** Returns the bytes of row statistics: sum and largest of each padded row for each column tile. */
    public long rowStatisticBytes() {
        return 2L * Float.BYTES * columnTiles() * paddedRows();
    }

    /** Returns the bytes of the columns of the largest: one for each padded row and column tile. */
    public long rowAtBytes() {
        return (long) Integer.BYTES * columnTiles() * paddedRows();
    }

    /** Returns the bytes of column statistics: sum and largest of each padded column for each run of row tiles. */
    public long columnStatisticBytes() {
        return 2L * Float.BYTES * rowItems() * paddedColumns();
    }

    /** Returns the bytes of packed G: 16 bits for each padded row and column. */
    public long gradientBytes() {
        return 2L * paddedRows() * paddedColumns();
    }

    /** Returns the number of partial sums that {@link HopperInfoNceLaunches#gradients} writes. */
    public long dots() {
        return 8 * items();
    }

    /** Returns the number of partial sums that {@link HopperInfoNceLaunches#storedGradients} writes. */
    public long storedDots() {
        return (long) columnBlocks() * HopperInfoNceLaunches.ceil(n, HopperInfoNceLaunches.STORED_ROWS);
    }

    /** Returns the blocks of 64 columns of packed G. */
    public int columnBlocks() {
        return paddedColumns() / HopperInfoNceLaunches.BLOCK_COLUMNS;
    }

    /** Returns the number of work items: a column tile and a run of row tiles each. */
    public long items() {
        return (long) rowItems() * columnTiles();
    }

    Launch launch(int sharedBytes) {
        return Launch.of((int) Math.min(items(), blocks), HopperInfoNceLaunches.THREADS)
                .shared(sharedBytes);
    }
}
