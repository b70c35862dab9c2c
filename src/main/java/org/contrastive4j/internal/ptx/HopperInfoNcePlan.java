package org.contrastive4j.internal.ptx;

import java.util.Objects;

/**
 * Divides a call of {@link HopperInfoNce} into stripes and rectangles, and its workspace into buffers: offsets in
 * bytes.
 *
 * <p>Tested by {@code HopperInfoNceTest}.
 */
final class HopperInfoNcePlan {
    /**
     * Terms of one sum of a product. Beyond that, truncation in f32 accumulation exceeds 2^-12 of the sum of
     * magnitudes.
     */
    private static final int MOST_SUMMED = 65_536;
    /**
     * Width from which storing products is predicted to be faster: 4 bytes of memory traffic for each pair at 4.3
     * TB/s against 2 d flops at 690 TFLOP/s.
     */
    private static final int LEAST_STORED_WIDTH = 320;

    private static final long ALIGNMENT = 256;
    /** Bytes of the partial sums of one tile of G. */
    private static final long DOT_BYTES = 32;

    final HopperTiling all;
    /** Whether products are stored in the forward pass, 16 bits for each pair. */
    final boolean stored;
    /** Rows of a stripe of the forward pass. */
    final int forwardRows;
    /** Rows of a rectangle of G. */
    final int rows;
    /** Columns of a rectangle of G. */
    final int columns;

    final long numbers;
    final long dot;
    final long x;
    final long y;
    final long positive;
    final long rowSums;
    final long rowLargest;
    final long columnSums;
    final long columnLargest;
    final long own;
    final long rowFactors;
    final long columnFactors;
    final long targetGradients;
    final long blockSums;
    final long rowStatistics;
    final long rowAts;
    final long columnStatistics;
    final long gradient;
    final long dots;
    final long bytes;
    private long end;

    /**
     * @param stripeBytes budget of the statistics of a stripe and the gradients of a rectangle, or of the former and
     *     the products of all pairs; the smallest stripe and rectangle are used if it is less
     */
    HopperInfoNcePlan(int n, int m, int d, int multiprocessors, boolean withGradients, long stripeBytes) {
        all = Objects.requireNonNull(HopperTiling.of(n, m, d, multiprocessors), "no tiling suits these sizes");
        long least = statisticBytes(all.part(Math.min(n, runRows()), m));
        long image = all.gradientBytes() + Float.BYTES * all.storedDots();
        stored = withGradients && d >= LEAST_STORED_WIDTH && image + least <= stripeBytes;
        forwardRows = forwardRows(least, stored ? stripeBytes - image : stripeBytes);
        long tiles = Math.max(
                1,
                stripeBytes / (2L * HopperInfoNceLaunches.TILE_ROWS * HopperInfoNceLaunches.TILE_COLUMNS + DOT_BYTES));
        int mostColumns = MOST_SUMMED / HopperInfoNceLaunches.TILE_COLUMNS;
        int mostRows = MOST_SUMMED / HopperInfoNceLaunches.TILE_ROWS;
        long columnTiles = Math.min(Math.min(all.columnTiles(), mostColumns), stored ? mostColumns : tiles);
        long rowTiles = Math.min(Math.min(all.rowTiles(), mostRows), stored ? mostRows : tiles / columnTiles);
        columns = (int) Math.min(m, columnTiles * HopperInfoNceLaunches.TILE_COLUMNS);
        rows = (int) Math.min(n, rowTiles * HopperInfoNceLaunches.TILE_ROWS);

        numbers = take(HopperInfoNceLaunches.NUMBERS_BYTES);
        dot = take(Double.BYTES);
        x = take(HopperInfoNceLaunches.imageBytes(n, d));
        y = take(HopperInfoNceLaunches.imageBytes(m, d));
        positive = take(4L * n);
        rowSums = take(8L * n);
        rowLargest = take(4L * n);
        columnSums = take(8L * all.paddedColumns());
        columnLargest = take(4L * all.paddedColumns());
        own = take((long) HopperInfoNceLaunches.OWN_BYTES * m);
        rowFactors = take(4L * n);
        columnFactors = take(4L * m);
        targetGradients = take(4L * n);
        blockSums = take((long) HopperInfoNceLaunches.BLOCK_SUM_BYTES
                * HopperInfoNceLaunches.ceil(n, HopperInfoNceLaunches.SUMMED_ROWS));
        long stripe = end; // gradients reuse the buffers of the statistics, which are merged before
        gradient =
                take(stored ? all.gradientBytes() : withGradients ? rectangle().gradientBytes() : 0);
        dots = take(
                !withGradients
                        ? 0
                        : Float.BYTES * (stored ? all.storedDots() : rectangle().dots()));
        long gradientEnd = end;
        end = stored ? end : stripe;
        HopperTiling forward = all.part(forwardRows, m);
        rowStatistics = take(forward.rowStatisticBytes());
        rowAts = take(forward.rowAtBytes());
        columnStatistics = take(forward.columnStatisticBytes());
        bytes = Math.max(gradientEnd, end);
    }

    private int runRows() {
        return all.run() * HopperInfoNceLaunches.TILE_ROWS;
    }

    private static long statisticBytes(HopperTiling stripe) {
        return stripe.rowStatisticBytes() + stripe.rowAtBytes() + stripe.columnStatisticBytes() + 3 * ALIGNMENT;
    }

    /** Returns as many runs of rows as fit, at least one. */
    private int forwardRows(long ofRun, long budget) {
        return (int) Math.min(all.n(), Math.max(1, budget / ofRun) * runRows());
    }

    /** Returns the largest rectangle of G that fits. */
    private HopperTiling rectangle() {
        return all.part(rows, columns);
    }

    private long take(long size) {
        long at = end;
        end += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        return at;
    }
}
