package org.contrastive4j.internal.ptx;

import java.util.List;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.Kernel;
import org.contrastive4j.device.Launch;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.tensor.Precision;

/**
 * Launches of the sm_90a kernels of the pairwise loss: grids, shared bytes, order of arguments, sizes of what they
 * write. All that is called an address is one of device memory, 0 for what is optional and not there.
 *
 * <p>Features are operand images (see {@code kernels/sm90a/packed_layout.ptxh}): 16 bits, blocks of 128 rows and 64 columns.
 * Nothing is allocated here and nothing waits, so that all of it can be captured in a graph. {@link HopperInfoNce} puts
 * it together.
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
    /** Bytes of the numbers that the kernels of one loss share; 16-byte aligned. */
    static final int NUMBERS_BYTES = 32;

    private static final int FACTOR_AT = 12;
    /** Bytes that are kept of the rows that belong to one column. */
    static final int OWN_BYTES = 24;
    /** Bytes of the sums of a block of {@link #SUMMED_ROWS} rows. */
    static final int BLOCK_SUM_BYTES = 40;

    static final int SUMMED_ROWS = 256;

    private final Kernel normalize;
    private final Kernel begin;
    private final Kernel forward;
    private final Kernel storedForward;
    private final Kernel wideForward;
    private final Kernel merge;
    private final Kernel own;
    private final Kernel finish;
    private final Kernel result;
    private final Kernel gradients;
    private final Kernel storedGradients;
    private final Kernel rowProduct;
    private final Kernel columnProduct;
    private final Kernel scalars;

    /** @param precision of features and of G: BF16 or F16 */
    public HopperInfoNceLaunches(PtxDevice device, Precision precision) {
        this(new Kernels(device), precision);
    }

    HopperInfoNceLaunches(Kernels kernels, Precision precision) {
        String type = KernelChoice.requireHopper(precision).toString();
        normalize = kernels.get("normalize_fwd_" + type + "_sm90a");
        begin = kernels.get("pairwise_begin_f32_sm90a");
        forward = kernels.get("pairwise_fwd_" + type + "_sm90a");
        storedForward = kernels.get("pairwise_fwd_" + type + "_stored_sm90a");
        wideForward = kernels.get("pairwise_fwd_" + type + "_wide_sm90a");
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

    /** Rows of an image: whole tiles, whichever operand it becomes. */
    public static int imageRows(int rows) {
        return ceil(rows, TILE_COLUMNS) * TILE_COLUMNS;
    }

    /** Bytes of the image of rows x d features. */
    public static long imageBytes(int rows, int d) {
        return imageRows(rows) / TILE_ROWS * blockRowBytes(d);
    }

    /** Bytes of 128 rows of an image of d columns. */
    static long blockRowBytes(int d) {
        return (long) ceil(d, BLOCK_COLUMNS) * BLOCK_BYTES;
    }

    /**
     * image = rows of u over their norms, inverseNorm = 1 / norms: f32 [rows, d] to an image of {@link #imageBytes} and
     * f32 [rows], which may be 0.
     */
    public void normalize(DeviceStream stream, long u, int rows, int d, long image, long inverseNorm) {
        normalize.launch(stream, Launch.of(imageRows(rows) / 8, 256), u, image, inverseNorm, rows, d);
    }

    /**
     * A rectangle of the pairs.
     *
     * @param x image of its rows, y of its columns, from whole tiles on
     * @param targets I32 of its rows, or 0: row i belongs to column firstRow + i; columns counted from the first of all
     * @param numbers of {@link #NUMBERS_BYTES}, from {@link #begin}
     */
    record Pairs(long x, long y, long targets, int firstRow, int firstColumn, long numbers) {}

    /**
     * What a forward pass leaves.
     *
     * @param positive f32 [n], &lt;x_i, y_t&gt; of each row and its target
     * @param rows of {@link HopperTiling#rowStatisticBytes}
     * @param rowAts of {@link HopperTiling#rowAtBytes}, or 0 when not wanted
     * @param columns of {@link HopperTiling#columnStatisticBytes}
     */
    record Statistics(long positive, long rows, long rowAts, long columns) {}

    /**
     * What merging makes of them: logarithms of sums need both.
     *
     * @param rows f64 [n], rowLargest f32 [n]
     * @param columns f64 [padded m], columnLargest f32 [padded m]
     * @param own {@link #OWN_BYTES} for each column, where targets are given
     */
    record Sums(long rows, long rowLargest, long columns, long columnLargest, long own) {}

    /** What {@link #gradients} makes G of: f32 [n], f32 [m], f32 [n]. */
    record Factors(long rows, long columns, long targets) {}

    /** Numbers from the logarithm of the scale; where there are targets, statistics of no rows. */
    void begin(DeviceStream stream, long logScale, long numbers, long own, int m) {
        begin.launch(stream, Launch.of(own == 0 ? 1 : ceil(m, 256), 256), logScale, numbers, own, m);
    }

    /**
     * Positives; sums of exponentials with one constant shift and the largest products, over the columns of a tile and
     * over the rows of a run of tiles, all but targets.
     *
     * @param products of {@link HopperTiling#gradientBytes}, for {@link #storedGradients}; or 0
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

    /** Sums again, relative to the largest of each row and column; nothing where they were good enough before. */
    void wideForward(DeviceStream stream, HopperTiling tiling, Pairs pairs, Statistics statistics, Sums sums) {
        forward(
                wideForward,
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
        kernel.launch(
                stream,
                launch,
                pairs.x,
                pairs.y,
                pairs.targets,
                pairs.numbers,
                statistics.positive,
                statistics.rows,
                statistics.rowAts,
                statistics.columns,
                rowLargest,
                columnLargest,
                products,
                tiling.n(),
                tiling.m(),
                ceil(tiling.d(), BLOCK_COLUMNS),
                pairs.firstRow,
                pairs.firstColumn,
                tiling.run(),
                tiling.group());
    }

    /**
     * Statistics of a stripe of rows added up.
     *
     * @param sums of the rows of the stripe, and of all columns
     * @param hardest I32 of the rows of the stripe, or 0
     * @param starts whether columns begin with this stripe
     * @param wide of {@link #wideForward}: nothing where that did nothing
     */
    void merge(
            DeviceStream stream,
            HopperTiling tiling,
            Pairs pairs,
            Statistics statistics,
            Sums sums,
            long hardest,
            boolean starts,
            boolean wide) {
        merge.launch(
                stream,
                Launch.of(ceil(tiling.n(), 256) + tiling.columnTiles(), 256),
                statistics.rows,
                statistics.rowAts,
                statistics.columns,
                pairs.targets,
                statistics.positive,
                sums.rows,
                sums.rowLargest,
                hardest,
                sums.columns,
                sums.columnLargest,
                sums.own,
                pairs.numbers,
                tiling.n(),
                tiling.columnTiles(),
                tiling.paddedRows(),
                tiling.paddedColumns(),
                tiling.rowItems(),
                starts ? 1 : 0,
                wide ? 1 : 0);
    }

    /** Whether one constant shift was enough; sums of the rows that belong to a column. */
    void own(DeviceStream stream, int n, Pairs pairs, long positive, Sums sums) {
        own.launch(
                stream,
                Launch.of(ceil(n, SUMMED_ROWS), SUMMED_ROWS),
                pairs.targets,
                positive,
                sums.rowLargest,
                sums.columnLargest,
                sums.own,
                pairs.numbers,
                n,
                fraction(n));
    }

    /** Bits of the fraction of sums of n numbers of at most 1. */
    private static int fraction(int n) {
        return 62 - (32 - Integer.numberOfLeadingZeros(n - 1));
    }

    /**
     * Factors of G and sums over blocks of {@link #SUMMED_ROWS} rows.
     *
     * @param gradientScale multiplied into all gradients
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
        finish.launch(
                stream,
                Launch.of(ceil(n, SUMMED_ROWS) + ceil(m, 256), 256),
                pairs.targets,
                positive,
                sums.rows,
                sums.rowLargest,
                sums.columns,
                sums.columnLargest,
                sums.own,
                pairs.numbers,
                factors.rows,
                factors.columns,
                factors.targets,
                blockSums,
                n,
                m,
                fraction(n),
                rowWeight,
                columnWeight,
                gradientScale);
    }

    /** result = loss, row accuracy, column accuracy, mean positive logit; dot = sum of G times products of targets. */
    void result(DeviceStream stream, int n, long blockSums, long numbers, long bias, long result, long dot) {
        this.result.launch(stream, Launch.of(1, 32), blockSums, numbers, bias, result, dot, n, ceil(n, SUMMED_ROWS));
    }

    /**
     * g = a power of two times n G in 16 bits, and {@link HopperTiling#dots} partial sums of G times products.
     *
     * @param factors of the rows and columns of the rectangle
     * @param g of {@link HopperTiling#gradientBytes}; written
     */
    void gradients(DeviceStream stream, HopperTiling tiling, Pairs pairs, Factors factors, long g, long dots) {
        gradients.launch(
                stream,
                tiling.launch(RING_BYTES + STAGING_BYTES + DOT_BYTES + BARRIER_BYTES),
                pairs.x,
                pairs.y,
                pairs.targets,
                pairs.numbers,
                factors.rows,
                factors.columns,
                factors.targets,
                g,
                dots,
                tiling.n(),
                tiling.m(),
                ceil(tiling.d(), BLOCK_COLUMNS),
                pairs.firstRow,
                pairs.firstColumn,
                tiling.run(),
                tiling.group());
    }

    /** The same of all pairs, in the place of the products that {@link #forward} left. */
    void storedGradients(
            DeviceStream stream, HopperTiling tiling, Pairs pairs, Factors factors, long image, long dots) {
        Launch.Dim grid = new Launch.Dim(tiling.columnBlocks(), ceil(tiling.n(), STORED_ROWS), 1);
        storedGradients.launch(
                stream,
                Launch.of(grid, new Launch.Dim(256, 1, 1)),
                image,
                pairs.targets,
                pairs.numbers,
                factors.rows,
                factors.columns,
                factors.targets,
                dots,
                tiling.n(),
                tiling.m());
    }

    /** dot += the partial sums; dLogScale, unless 0, += dot times the factor of the gradients. */
    void scalars(DeviceStream stream, long dots, long count, long dot, long numbers, long dLogScale) {
        scalars.launch(stream, Launch.of(1, 1024), dots, dot, numbers, dLogScale, Math.toIntExact(count));
    }

    /** Address of what G has to be multiplied with. */
    static long factor(long numbers) {
        return numbers + FACTOR_AT;
    }

    /**
     * dx = factor unit G Y, added to what is there when {@code adds}.
     *
     * @param g image of G from the first row and column of the rectangle on, gBlocks blocks of 64 columns wide
     * @param factor f32 [1]
     * @param dx f32 [n, d]; written or accumulated
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
     * dy = factor unit G^T X, added to what is there when {@code adds}: G of one stripe of rows after the other.
     *
     * @param dy f32 [m, d]; written or accumulated
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
        kernel.launch(stream, launch, g, features, factor, out, rows, tiling.d(), summed, gBlocks, unit, adds ? 1 : 0);
    }
}
