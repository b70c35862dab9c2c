package org.contrastive4j.internal.ptx;

import java.util.Objects;

/**
 * Partitions one {@link HopperInfoNce} evaluation: the forward pass into row stripes of the logit matrix, the backward
 * pass into rectangular blocks of the logit gradient G. Lays out the workspace.
 *
 * <p>Fields of type long are offsets in bytes from the start of the workspace, unless their documentation says
 * otherwise.
 *
 * <p>Tested by {@code HopperInfoNceTest}.
 */
final class HopperInfoNcePlan {
    /**
     * Maximum reduction length of one matrix product: for longer reductions the truncation error of f32 accumulation
     * exceeds 2^-12 of the sum of absolute values.
     */
    private static final int MAX_REDUCTION_LENGTH = 65_536;
    /**
     * Feature width from which storing logits is predicted to be faster than computing them twice: 4 bytes of memory
     * traffic for each pair (16 bits written and read) at 4.3 TB/s against 2 d flops at 690 TFLOP/s.
     */
    private static final int MIN_WIDTH_TO_STORE_LOGITS = 320;

    private static final long ALIGNMENT = 256;
    /**
     * Bytes of the partial sums of G times logits that the kernel writes for one work item: eight f32. A work item
     * has at least one tile of G, so counting them for each tile is an upper bound.
     */
    private static final long DOT_BYTES = 32;
    /** Bytes of one tile of G: 16 bits for each pair, and its partial sums. */
    private static final long GRADIENT_TILE_BYTES =
            2L * HopperInfoNceLaunches.TILE_ROWS * HopperInfoNceLaunches.TILE_COLUMNS + DOT_BYTES;

    /** Tiling of the whole logit matrix. */
    final HopperTiling fullTiling;
    /**
     * Whether the forward pass stores the logits (without scale), 16 bits each, in the gradient buffer that G then
     * overwrites.
     */
    final boolean stored;
    /** Rows of a stripe of the forward pass. */
    final int forwardRows;
    /** Rows of the largest block of G. */
    final int rows;
    /** Columns of the largest block of G. */
    final int columns;

    /** {@link HopperInfoNceLaunches#SCALARS_BYTES}: the scalars that the kernels share. */
    final long scalars;
    /** f64: sum of G times logits; times the factor that G leaves out, the gradient of the logarithm of the scale. */
    final long scaleGradientSum;
    /** Normalised X, packed in 16 bits. */
    final long x;
    /** Normalised Y, packed in 16 bits. */
    final long y;
    /** f32 [n]: product of each row with its target. */
    final long positiveLogits;
    /** f64 [n]: sums of exponentials of each row. */
    final long rowSums;
    /** f32 [n]: maximum of each row. */
    final long rowMax;
    /** f64 [padded m]: sums of exponentials of each column. */
    final long columnSums;
    /** f32 [padded m]: maximum of each column. */
    final long columnMax;
    /** {@link HopperInfoNceLaunches#OWN_BYTES} for each column: statistics of the rows whose target is this column. */
    final long ownTarget;
    /** f32 [n]: factor of each row of G. */
    final long rowFactors;
    /** f32 [m]: factor of each column of G. */
    final long columnFactors;
    /** f32 [n]: element of G at the target of each row. */
    final long targetGradients;
    /**
     * {@link HopperInfoNceLaunches#BLOCK_SUM_BYTES} for every {@link HopperInfoNceLaunches#SUMMED_ROWS} rows: partial
     * sums of the result.
     */
    final long blockSums;
    /** Row statistics of one stripe, for each column tile. */
    final long rowStatistics;
    /** Columns of the row maxima of one stripe, for each column tile. */
    final long rowArgMax;
    /** Column statistics of one stripe, for each run of row tiles. */
    final long columnStatistics;
    /** G of one block, or of the whole matrix if logits are stored; packed in 16 bits. */
    final long gradient;
    /** Partial sums of G times logits, f32. */
    final long scaleGradientPartials;
    /** Size of the workspace in bytes. */
    final long bytes;
    /** End of the buffers that are reserved so far. */
    private long end;

    /**
     * Chooses the partition and the layout.
     *
     * @param stripeBytes budget in bytes. Without stored logits, the statistics of a stripe and the gradients of a
     *     block share memory, and each is limited to the budget. With stored logits, the logits of all pairs and the
     *     statistics of a stripe together are limited to it. If even the smallest stripe or block exceeds the budget,
     *     the smallest is used.
     */
    HopperInfoNcePlan(int n, int m, int d, int multiprocessors, boolean withGradients, long stripeBytes) {
        fullTiling = Objects.requireNonNull(HopperTiling.of(n, m, d, multiprocessors), "no tiling suits these sizes");
        long minStatisticBytes = statisticBytes(fullTiling.part(Math.min(n, runRows()), m));
        long storedBytes = fullTiling.gradientBytes() + Float.BYTES * fullTiling.storedDots();
        stored = withGradients && d >= MIN_WIDTH_TO_STORE_LOGITS && storedBytes + minStatisticBytes <= stripeBytes;
        forwardRows = forwardRows(minStatisticBytes, stored ? stripeBytes - storedBytes : stripeBytes);
        long tiles = Math.max(1, stripeBytes / GRADIENT_TILE_BYTES);
        int maxColumnTiles = MAX_REDUCTION_LENGTH / HopperInfoNceLaunches.TILE_COLUMNS;
        int maxRowTiles = MAX_REDUCTION_LENGTH / HopperInfoNceLaunches.TILE_ROWS;
        long columnTiles =
                Math.min(Math.min(fullTiling.columnTiles(), maxColumnTiles), stored ? maxColumnTiles : tiles);
        long rowTiles =
                Math.min(Math.min(fullTiling.rowTiles(), maxRowTiles), stored ? maxRowTiles : tiles / columnTiles);
        columns = (int) Math.min(m, columnTiles * HopperInfoNceLaunches.TILE_COLUMNS);
        rows = (int) Math.min(n, rowTiles * HopperInfoNceLaunches.TILE_ROWS);

        scalars = reserve(HopperInfoNceLaunches.SCALARS_BYTES);
        scaleGradientSum = reserve(Double.BYTES);
        x = reserve(HopperInfoNceLaunches.packedBytes(n, d));
        y = reserve(HopperInfoNceLaunches.packedBytes(m, d));
        positiveLogits = reserve(4L * n);
        rowSums = reserve(8L * n);
        rowMax = reserve(4L * n);
        columnSums = reserve(8L * fullTiling.paddedColumns());
        columnMax = reserve(4L * fullTiling.paddedColumns());
        ownTarget = reserve((long) HopperInfoNceLaunches.OWN_BYTES * m);
        rowFactors = reserve(4L * n);
        columnFactors = reserve(4L * m);
        targetGradients = reserve(4L * n);
        blockSums = reserve((long) HopperInfoNceLaunches.BLOCK_SUM_BYTES
                * HopperInfoNceLaunches.ceil(n, HopperInfoNceLaunches.SUMMED_ROWS));
        // Without stored logits, G overwrites the stripe statistics, which are merged before the backward pass.
        long sharedStart = end;
        gradient = reserve(
                stored
                        ? fullTiling.gradientBytes()
                        : withGradients ? rectangle().gradientBytes() : 0);
        scaleGradientPartials = reserve(
                !withGradients
                        ? 0
                        : Float.BYTES
                                * (stored
                                        ? fullTiling.storedDots()
                                        : rectangle().dots()));
        long gradientEnd = end;
        end = stored ? end : sharedStart;
        HopperTiling forward = fullTiling.part(forwardRows, m);
        rowStatistics = reserve(forward.rowStatisticBytes());
        rowArgMax = reserve(forward.rowAtBytes());
        columnStatistics = reserve(forward.columnStatisticBytes());
        bytes = Math.max(gradientEnd, end);
    }

    /** Returns the rows of a run of row tiles, which share one partial sum of each column. */
    private int runRows() {
        return fullTiling.run() * HopperInfoNceLaunches.TILE_ROWS;
    }

    private static long statisticBytes(HopperTiling stripe) {
        return stripe.rowStatisticBytes() + stripe.rowAtBytes() + stripe.columnStatisticBytes() + 3 * ALIGNMENT;
    }

    /**
     * Returns the rows of a stripe: as many whole runs as fit into the budget, at least one run, at most n rows.
     *
     * @param runBytes bytes of the statistics of one run
     */
    private int forwardRows(long runBytes, long budget) {
        return (int) Math.min(fullTiling.n(), Math.max(1, budget / runBytes) * runRows());
    }

    /** Returns the tiling of the largest block of G. */
    private HopperTiling rectangle() {
        return fullTiling.part(rows, columns);
    }

    /** Reserves the next {@code size} bytes, 256-byte aligned, and returns their offset. */
    private long reserve(long size) {
        long offset = end;
        end += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        return offset;
    }
}
