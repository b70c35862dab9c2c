package org.contrastive4j.internal.ptx;

import java.util.List;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.tensor.Precision;

/**
 * Launches the sm_90a kernels of InfoNCE: grids, shared memory, arguments, and the sizes of their outputs. An address
 * is one of device memory; 0 skips an optional buffer.
 *
 * <p>Features are in the packed tile layout of {@code kernels/sm90a/packed_layout.ptxh}: 16 bits, blocks of 128 rows
 * and 64 columns. The class allocates nothing and never synchronises. {@link HopperInfoNce} composes the launches.
 *
 * <p>Tested by {@code HopperInfoNceForwardTest} and {@code HopperInfoNceGradientTest}.
 */
public final class HopperInfoNceLaunches {
    /** The precisions that there are sm_90a kernels for. */
    static final List<Precision> PRECISIONS = List.of(Precision.BF16, Precision.F16);

    static final int TILE_ROWS = 128;
    static final int TILE_COLUMNS = 256;
    static final int BLOCK_COLUMNS = 64;
    private static final int BLOCK_BYTES = 16_384;
    static final int THREADS = 384;
    private static final int RING_BYTES = 4 * (BLOCK_BYTES + 2 * BLOCK_BYTES);
    private static final int BARRIER_BYTES = 64;
    private static final int COLUMN_BYTES = 2 * 8 * TILE_COLUMNS * Float.BYTES;
    private static final int STAGING_BYTES = 2 * BLOCK_BYTES;
    private static final int DOT_BYTES = 64;
    static final int STORED_ROWS = 1024;
    /** Bytes of the scalars that the kernels of one loss share; 16-byte aligned. */
    static final int SCALARS_BYTES = 32;

    private static final int FACTOR_AT = 12;
    /** Bytes of the statistics, for each column, of the rows whose target it is. */
    static final int OWN_BYTES = 24;
    /** Bytes of the sums of one block of {@link #SUMMED_ROWS} rows. */
    static final int BLOCK_SUM_BYTES = 40;

    static final int SUMMED_ROWS = 256;

    private final Kernel normalize;
    private final Kernel begin;
    private final Kernel forward;
    private final Kernel storedForward;
    private final Kernel shiftedForward;
    private final Kernel merge;
    private final Kernel own;
    private final Kernel finish;
    private final Kernel result;
    private final Kernel gradients;
    private final Kernel storedGradients;
    private final Kernel rowProduct;
    private final Kernel columnProduct;
    private final Kernel scalars;

    /**
     * Loads the kernels.
     *
     * @param precision of features and of G: BF16 or F16
     */
    public HopperInfoNceLaunches(PtxDevice device, Precision precision) {
        this(new Kernels(device), precision);
    }

    HopperInfoNceLaunches(Kernels kernels, Precision precision) {
        String type = KernelChoice.requireHopper(precision).toString();
        normalize = kernels.get("normalize_fwd_" + type + "_sm90a");
        begin = kernels.get("pairwise_begin_f32_sm90a");
        forward = kernels.get("pairwise_fwd_" + type + "_sm90a");
        storedForward = kernels.get("pairwise_fwd_" + type + "_stored_sm90a");
        shiftedForward = kernels.get("pairwise_fwd_" + type + "_wide_sm90a");
        merge = kernels.get("pairwise_merge_f32_sm90a");
        own = kernels.get("pairwise_own_f32_sm90a");
        finish = kernels.get("pairwise_finish_f32_sm90a");
        result = kernels.get("pairwise_result_f32_sm90a");
        gradients = kernels.get("pairwise_bwd_" + type + "_g_sm90a");
        storedGradients = kernels.get("pairwise_bwd_" + type + "_stored_sm90a");
        rowProduct = kernels.get("pairwise_bwd_" + type + "_dx_sm90a");
        columnProduct = kernels.get("pairwise_bwd_" + type + "_dy_sm90a");
        scalars = kernels.get("pairwise_scalars_f32_sm90a");
    }

    static int ceil(int a, int b) {
        return (int) (((long) a + b - 1) / b);
    }

    /** Returns the rows of packed features, padded to whole tiles of either operand. */
    public static int packedRows(int rows) {
        return ceil(rows, TILE_COLUMNS) * TILE_COLUMNS;
    }

    /** Returns the bytes of packed features [rows, d]. */
    public static long packedBytes(int rows, int d) {
        return packedRows(rows) / TILE_ROWS * blockRowBytes(d);
    }

    /** Returns the bytes of 128 rows of packed features of width d. */
    static long blockRowBytes(int d) {
        return (long) ceil(d, BLOCK_COLUMNS) * BLOCK_BYTES;
    }

    /**
     * Normalises rows and packs them: image = u / |u|, inverseNorm = 1 / |u|.
     *
     * @param u f32 [rows, d]; read
     * @param image {@link #packedBytes}; written
     * @param inverseNorm f32 [rows], written; or 0
     */
    public void normalize(DeviceStream stream, long u, int rows, int d, long image, long inverseNorm) {
        normalize.launch(stream, Launch.of(packedRows(rows) / 8, 256), u, image, inverseNorm, rows, d);
    }

    /**
     * A rectangle of pairs.
     *
     * @param x packed rows, from a whole tile on
     * @param y packed columns, from a whole tile on
     * @param targets I32 for each row, or 0: row i has the target firstRow + i; columns are counted from the first of
     *     all
     * @param firstRow first row of the rectangle
     * @param firstColumn first column of the rectangle
     * @param scalars {@link #SCALARS_BYTES} written by {@link #begin}
     */
    record Pairs(long x, long y, long targets, int firstRow, int firstColumn, long scalars) {}

    /**
     * The outputs of a forward pass.
     *
     * @param positive f32 [n], &lt;x_i, y_t&gt; of each row and its target
     * @param rows {@link HopperTiling#rowStatisticBytes}
     * @param rowAts {@link HopperTiling#rowAtBytes}, or 0
     * @param columns {@link HopperTiling#columnStatisticBytes}
     */
    record Statistics(long positive, long rows, long rowAts, long columns) {}

    /**
     * The merged statistics: sums of exponentials relative to the largest logit.
     *
     * @param rows f64 [n]
     * @param rowLargest f32 [n]
     * @param columns f64 [padded m]
     * @param columnLargest f32 [padded m]
     * @param own {@link #OWN_BYTES} for each column, if targets are given
     */
    record Sums(long rows, long rowLargest, long columns, long columnLargest, long own) {}

    /** The factors that {@link #gradients} computes G from: f32 [n], f32 [m], f32 [n]. */
    record Factors(long rows, long columns, long targets) {}

    /**
     * Computes the scalars from the logarithm of the scale and, if there are targets, clears the statistics of the
     * rows of each column.
     */
    void begin(DeviceStream stream, long logScale, long scalars, long own, int m) {
        begin.launch(stream, Launch.of(own == 0 ? 1 : ceil(m, 256), 256), logScale, scalars, own, m);
    }

    /**
     * Computes positives, and, over the columns of a tile and the rows of a run of tiles except targets, sums of
     * exponentials with one constant shift and the largest products.
     *
     * @param products {@link HopperTiling#gradientBytes} to store products in for {@link #storedGradients}; or 0
     */
    void forward(DeviceStream stream, HopperTiling tiling, Pairs pairs, Statistics statistics, long products) {
        if (products == 0) {
            forward(
                    forward,
                    stream,
                    tiling.launch(RING_BYTES + COLUMN_BYTES + BARRIER_BYTES),
                    tiling,
                    pairs,
                    statistics,
                    0,
                    0,
                    0);
        } else {
            forward(
                    storedForward,
                    stream,
                    tiling.launch(RING_BYTES + STAGING_BYTES + BARRIER_BYTES),
                    tiling,
                    pairs,
                    statistics,
                    0,
                    0,
                    products);
        }
    }

    /**
     * Computes the sums again relative to the largest of each row and column; returns at once if the constant shift
     * was sufficient.
     */
    void shiftedForward(DeviceStream stream, HopperTiling tiling, Pairs pairs, Statistics statistics, Sums sums) {
        forward(
                shiftedForward,
                stream,
                tiling.launch(RING_BYTES + COLUMN_BYTES + BARRIER_BYTES),
                tiling,
                pairs,
                statistics,
                sums.rowLargest,
                sums.columnLargest,
                0);
    }

    private static void forward(
            Kernel kernel,
            DeviceStream stream,
            Launch launch,
            HopperTiling tiling,
            Pairs pairs,
            Statistics statistics,
            long rowLargest,
            long columnLargest,
            long products) {
        KernelCall.of(kernel)
                .pointer("x", pairs.x)
                .pointer("y", pairs.y)
                .pointer("targets", pairs.targets)
                .pointer("scalars", pairs.scalars)
                .pointer("positive", statistics.positive)
                .pointer("rowStatistics", statistics.rows)
                .pointer("rowAts", statistics.rowAts)
                .pointer("columnStatistics", statistics.columns)
                .pointer("rowLargest", rowLargest)
                .pointer("columnLargest", columnLargest)
                .pointer("products", products)
                .int32("n", tiling.n())
                .int32("m", tiling.m())
                .int32("kBlocks", ceil(tiling.d(), BLOCK_COLUMNS))
                .int32("firstRow", pairs.firstRow)
                .int32("firstColumn", pairs.firstColumn)
                .int32("run", tiling.run())
                .int32("group", tiling.group())
                .launch(stream, launch);
    }

    /**
     * Merges the statistics of a stripe of rows.
     *
     * @param sums of the rows of the stripe, and of all columns
     * @param hardest I32 of the rows of the stripe, or 0
     * @param starts whether this is the first stripe
     * @param shifted whether the statistics are of {@link #shiftedForward}
     */
    void merge(
            DeviceStream stream,
            HopperTiling tiling,
            Pairs pairs,
            Statistics statistics,
            Sums sums,
            long hardest,
            boolean starts,
            boolean shifted) {
        KernelCall.of(merge)
                .pointer("rowStatistics", statistics.rows)
                .pointer("rowAts", statistics.rowAts)
                .pointer("columnStatistics", statistics.columns)
                .pointer("targets", pairs.targets)
                .pointer("positive", statistics.positive)
                .pointer("rowSums", sums.rows)
                .pointer("rowLargest", sums.rowLargest)
                .pointer("hardest", hardest)
                .pointer("columnSums", sums.columns)
                .pointer("columnLargest", sums.columnLargest)
                .pointer("columnPositives", sums.own)
                .pointer("scalars", pairs.scalars)
                .int32("n", tiling.n())
                .int32("rowPartials", tiling.columnTiles())
                .int32("rowStride", tiling.paddedRows())
                .int32("columns", tiling.paddedColumns())
                .int32("columnPartials", tiling.rowItems())
                .flag("starts", starts)
                .flag("shifted", shifted)
                .launch(stream, Launch.of(ceil(tiling.n(), 256) + tiling.columnTiles(), 256));
    }

    /** Decides whether one constant shift was sufficient, and sums the rows of each column. */
    void own(DeviceStream stream, int n, Pairs pairs, long positive, Sums sums) {
        KernelCall.of(own)
                .pointer("targets", pairs.targets)
                .pointer("positive", positive)
                .pointer("rowLargest", sums.rowLargest)
                .pointer("columnLargest", sums.columnLargest)
                .pointer("columnPositives", sums.own)
                .pointer("scalars", pairs.scalars)
                .int32("n", n)
                .int32("fraction", fraction(n))
                .launch(stream, Launch.of(ceil(n, SUMMED_ROWS), SUMMED_ROWS));
    }

    /** Returns the fraction bits of a fixed-point sum of n numbers of at most 1. */
    private static int fraction(int n) {
        return 62 - (32 - Integer.numberOfLeadingZeros(n - 1));
    }

    /**
     * Computes the factors of G and sums over blocks of {@link #SUMMED_ROWS} rows.
     *
     * @param gradientScale factor of all gradients
     * @param blockSums {@link #BLOCK_SUM_BYTES} for each block of rows
     */
    void finish(
            DeviceStream stream,
            int n,
            int m,
            Pairs pairs,
            long positive,
            Sums sums,
            Factors factors,
            long blockSums,
            float rowWeight,
            float columnWeight,
            double gradientScale) {
        KernelCall.of(finish)
                .pointer("targets", pairs.targets)
                .pointer("positive", positive)
                .pointer("rowSums", sums.rows)
                .pointer("rowLargest", sums.rowLargest)
                .pointer("columnSums", sums.columns)
                .pointer("columnLargest", sums.columnLargest)
                .pointer("columnPositives", sums.own)
                .pointer("scalars", pairs.scalars)
                .pointer("rowFactors", factors.rows)
                .pointer("columnFactors", factors.columns)
                .pointer("targetGradients", factors.targets)
                .pointer("blockSums", blockSums)
                .int32("n", n)
                .int32("m", m)
                .int32("fraction", fraction(n))
                .float32("rowWeight", rowWeight)
                .float32("columnWeight", columnWeight)
                .float64("gradientScale", gradientScale)
                .launch(stream, Launch.of(ceil(n, SUMMED_ROWS) + ceil(m, 256), 256));
    }

    /**
     * Computes result = (loss, row accuracy, column accuracy, mean positive logit) and dot = the sum of G times the
     * products of targets.
     */
    void result(DeviceStream stream, int n, long blockSums, long scalars, long bias, long result, long dot) {
        KernelCall.of(this.result)
                .pointer("blockSums", blockSums)
                .pointer("scalars", scalars)
                .pointer("bias", bias)
                .pointer("result", result)
                .pointer("dot", dot)
                .int32("n", n)
                .int32("blocks", ceil(n, SUMMED_ROWS))
                .launch(stream, Launch.of(1, 32));
    }

    /**
     * Computes g = n G times a power of two, in 16 bits, and {@link HopperTiling#dots} partial sums of G times
     * products.
     *
     * @param factors of the rows and columns of the rectangle
     * @param g {@link HopperTiling#gradientBytes}; written
     */
    void gradients(DeviceStream stream, HopperTiling tiling, Pairs pairs, Factors factors, long g, long dots) {
        KernelCall.of(gradients)
                .pointer("x", pairs.x)
                .pointer("y", pairs.y)
                .pointer("targets", pairs.targets)
                .pointer("scalars", pairs.scalars)
                .pointer("rowFactors", factors.rows)
                .pointer("columnFactors", factors.columns)
                .pointer("targetGradients", factors.targets)
                .pointer("g", g)
                .pointer("dots", dots)
                .int32("n", tiling.n())
                .int32("m", tiling.m())
                .int32("kBlocks", ceil(tiling.d(), BLOCK_COLUMNS))
                .int32("firstRow", pairs.firstRow)
                .int32("firstColumn", pairs.firstColumn)
                .int32("run", tiling.run())
                .int32("group", tiling.group())
                .launch(stream, tiling.launch(RING_BYTES + STAGING_BYTES + DOT_BYTES + BARRIER_BYTES));
    }

    /** Computes the same for all pairs from the products that {@link #forward} stored, in place. */
    void storedGradients(
            DeviceStream stream, HopperTiling tiling, Pairs pairs, Factors factors, long image, long dots) {
        Launch.Dim grid = new Launch.Dim(tiling.columnBlocks(), ceil(tiling.n(), STORED_ROWS), 1);
        KernelCall.of(storedGradients)
                .pointer("packed", image)
                .pointer("targets", pairs.targets)
                .pointer("scalars", pairs.scalars)
                .pointer("rowFactors", factors.rows)
                .pointer("columnFactors", factors.columns)
                .pointer("targetGradients", factors.targets)
                .pointer("dots", dots)
                .int32("n", tiling.n())
                .int32("m", tiling.m())
                .launch(stream, Launch.of(grid, new Launch.Dim(256, 1, 1)));
    }

    /**
     * Computes dot += the partial sums, and dLogScale += dot times the factor of the gradients unless dLogScale is 0.
     */
    void scalars(DeviceStream stream, long dots, long count, long dot, long scalarsAt, long dLogScale) {
        scalars.launch(stream, Launch.of(1, 1024), dots, dot, scalarsAt, dLogScale, Math.toIntExact(count));
    }

    /** Returns the address of the factor of G. */
    static long factor(long scalars) {
        return scalars + FACTOR_AT;
    }

    /**
     * Computes dx = factor unit G Y, or adds it to dx.
     *
     * @param g packed G from the first row and column of the rectangle on
     * @param gBlocks blocks of 64 columns of G
     * @param factor f32 [1]
     * @param dx f32 [n, d]; written or accumulated
     * @param adds whether to accumulate
     */
    public void rowGradients(
            DeviceStream stream,
            HopperTiling tiling,
            long g,
            int gBlocks,
            long y,
            long factor,
            float unit,
            long dx,
            boolean adds) {
        product(rowProduct, stream, tiling, tiling.n(), tiling.m(), g, gBlocks, y, factor, unit, dx, adds);
    }

    /**
     * Computes dy = factor unit G^T X, or adds it to dy.
     *
     * @param dy f32 [m, d]; written or accumulated
     * @param adds whether to accumulate, from the second stripe of rows on
     */
    public void columnGradients(
            DeviceStream stream,
            HopperTiling tiling,
            long g,
            int gBlocks,
            long x,
            long factor,
            float unit,
            long dy,
            boolean adds) {
        product(columnProduct, stream, tiling, tiling.m(), tiling.n(), g, gBlocks, x, factor, unit, dy, adds);
    }

    private static void product(
            Kernel kernel,
            DeviceStream stream,
            HopperTiling tiling,
            int rows,
            int summed,
            long g,
            int gBlocks,
            long features,
            long factor,
            float unit,
            long out,
            boolean adds) {
        long tiles = (long) ceil(rows, TILE_ROWS) * ceil(tiling.d(), TILE_COLUMNS);
        Launch launch =
                Launch.of((int) Math.min(tiles, tiling.blocks()), THREADS).shared(RING_BYTES + BARRIER_BYTES);
        KernelCall.of(kernel)
                .pointer("g", g)
                .pointer("features", features)
                .pointer("scale", factor)
                .pointer("out", out)
                .int32("rows", rows)
                .int32("d", tiling.d())
                .int32("summed", summed)
                .int32("gBlocks", gBlocks)
                .float32("unit", unit)
                .flag("adds", adds)
                .launch(stream, launch);
    }
}
