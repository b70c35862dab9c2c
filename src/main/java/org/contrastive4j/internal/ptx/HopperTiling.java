package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.Launch;

/**
 * How the tiles of n x m pairs are shared out.
 *
 * @param run row tiles that a block does one after the other before it writes column sums
 * @param group column tiles that blocks running at the same time share; their features should fit the L2 cache
 * @param blocks of the persistent grid
 */
public record HopperTiling(int n, int m, int d, int run, int group, int blocks) {
    private static final int MOST_RUN = 8;
    private static final long GROUP_BYTES = 25_000_000;

    public HopperTiling {
        if (n < 1 || m < 1 || d < 1 || run < 1 || group < 1 || blocks < 1) {
            throw new IllegalArgumentException("n " + n + ", m " + m + ", d " + d + ", run " + run + ", group " + group
                    + ", blocks " + blocks + ": wanted positive numbers");
        }
    }

    /**
     * Runs of up to 8 tiles that leave the fewest blocks idle at the end; groups whose features take half of a 50
     * MB cache.
     */
    public static HopperTiling of(int n, int m, int d, int multiprocessors) {
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

    /** The same for a part of the pairs, cut at runs of rows and at tiles of columns. */
    HopperTiling part(int rows, int columns) {
        return new HopperTiling(rows, columns, d, run, group, blocks);
    }

    public int rowTiles() {
        return HopperInfoNceLaunches.ceil(n, HopperInfoNceLaunches.TILE_ROWS);
    }

    public int columnTiles() {
        return HopperInfoNceLaunches.ceil(m, HopperInfoNceLaunches.TILE_COLUMNS);
    }

    /** Column sums there are for each column. */
    public int rowItems() {
        return HopperInfoNceLaunches.ceil(rowTiles(), run);
    }

    /** Columns of column sums and rows of the image of Y: m in whole tiles. */
    public int paddedColumns() {
        return columnTiles() * HopperInfoNceLaunches.TILE_COLUMNS;
    }

    /** Rows of row sums. */
    public int paddedRows() {
        return rowTiles() * HopperInfoNceLaunches.TILE_ROWS;
    }

    /** Bytes of row statistics: for each column tile sum and largest of each padded row. */
    public long rowStatisticBytes() {
        return 2L * Float.BYTES * columnTiles() * paddedRows();
    }

    /** Bytes of columns of the largest: for each column tile one of each padded row. */
    public long rowAtBytes() {
        return (long) Integer.BYTES * columnTiles() * paddedRows();
    }

    /** Bytes of column statistics: for each run of row tiles sum and largest of each padded column. */
    public long columnStatisticBytes() {
        return 2L * Float.BYTES * rowItems() * paddedColumns();
    }

    /** Bytes of the image of G: 16 bits for each padded row and column. */
    public long gradientBytes() {
        return 2L * paddedRows() * paddedColumns();
    }

    /** Partial sums of G times products that {@link HopperInfoNceLaunches#gradients} leaves. */
    public long dots() {
        return 8 * items();
    }

    /** Partial sums of G times products that {@link HopperInfoNceLaunches#storedGradients} leaves. */
    public long storedDots() {
        return (long) columnBlocks() * HopperInfoNceLaunches.ceil(n, HopperInfoNceLaunches.STORED_ROWS);
    }

    /** Blocks of 64 columns of an image of G. */
    public int columnBlocks() {
        return paddedColumns() / HopperInfoNceLaunches.BLOCK_COLUMNS;
    }

    /** Pieces of work: a column tile and a run of row tiles each. */
    public long items() {
        return (long) rowItems() * columnTiles();
    }

    Launch launch(int sharedBytes) {
        return Launch.of((int) Math.min(items(), blocks), HopperInfoNceLaunches.THREADS)
                .shared(sharedBytes);
    }
}
