package org.contrastive4j.ops.ptx;

import java.util.Locale;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.Kernel;
import org.contrastive4j.device.Launch;
import org.contrastive4j.device.PtxDevice;

/**
 * Launches of the sm_90a kernels of the pairwise loss: grids, shared bytes, order of arguments, sizes of what they
 * write.
 *
 * <p>Features are operand images (see {@code kernels/hopper_sm90a.ptxh}): 16 bits, blocks of 128 rows and 64 columns.
 * Nothing is allocated here and nothing waits, so that all of it can be captured in a graph.
 */
public final class HopperPairwise {
    /** Type of features and of G. */
    public enum Precision { BF16, F16 }

    private static final int TILE_ROWS = 128;
    private static final int TILE_COLUMNS = 256;
    private static final int BLOCK_COLUMNS = 64;
    private static final int BLOCK_BYTES = 16_384;
    private static final int THREADS = 384;
    private static final int RING_BYTES = 4 * (BLOCK_BYTES + 2 * BLOCK_BYTES);
    private static final int BARRIER_BYTES = 64;
    private static final int COLUMN_SUM_BYTES = 8 * TILE_COLUMNS * Float.BYTES;
    private static final int MOST_RUN = 8;
    private static final long GROUP_BYTES = 25_000_000;
    private static final int STAGING_BYTES = 2 * BLOCK_BYTES;

    private final Kernel normalize;
    private final Kernel forward;
    private final Kernel merge;
    private final Kernel gradients;
    private final Kernel rowProduct;
    private final Kernel columnProduct;

    public HopperPairwise(PtxDevice device, Precision precision) {
        this(new Kernels(device), precision);
    }

    HopperPairwise(Kernels kernels, Precision precision) {
        String type = precision.name().toLowerCase(Locale.ROOT);
        normalize = kernels.get("normalize_fwd_" + type + "_sm90a");
        forward = kernels.get("pairwise_fwd_" + type + "_sm90a");
        merge = kernels.get("pairwise_merge_f32_sm90a");
        gradients = kernels.get("pairwise_bwd_" + type + "_g_sm90a");
        rowProduct = kernels.get("pairwise_bwd_" + type + "_dx_sm90a");
        columnProduct = kernels.get("pairwise_bwd_" + type + "_dy_sm90a");
    }

    /**
     * How the tiles of the n x m pairs are shared out.
     *
     * @param run row tiles that a block does one after the other before it writes column sums
     * @param group column tiles that blocks running at the same time share; their features should fit the L2 cache
     * @param blocks of the persistent grid
     */
    public record Tiling(int n, int m, int d, int run, int group, int blocks) {
        public Tiling {
            if (n < 1 || m < 1 || d < 1 || run < 1 || group < 1 || blocks < 1) {
                throw new IllegalArgumentException("n " + n + ", m " + m + ", d " + d + ", run " + run + ", group "
                        + group + ", blocks " + blocks + ": wanted positive numbers");
            }
        }

        /**
         * Runs of up to 8 tiles that leave the fewest blocks idle at the end; groups whose features take half of a 50
         * MB cache.
         */
        public static Tiling of(int n, int m, int d, int multiprocessors) {
            int group = (int) Math.max(1, GROUP_BYTES / (2L * TILE_COLUMNS * ceil(d, BLOCK_COLUMNS) * BLOCK_COLUMNS));
            Tiling best = null;
            long least = Long.MAX_VALUE;
            for (int run = MOST_RUN; run >= 1; run /= 2) {
                Tiling tiling = new Tiling(n, m, d, run, group, multiprocessors);
                long longest = (tiling.items() + multiprocessors - 1) / multiprocessors * run;
                if (longest < least) {
                    least = longest;
                    best = tiling;
                }
            }
            return best;
        }

        public int rowTiles() {
            return ceil(n, TILE_ROWS);
        }

        public int columnTiles() {
            return ceil(m, TILE_COLUMNS);
        }

        /** Column sums there are for each column. */
        public int rowItems() {
            return ceil(rowTiles(), run);
        }

        /** Columns of column sums and rows of the image of Y: m in whole tiles. */
        public int paddedColumns() {
            return columnTiles() * TILE_COLUMNS;
        }

        /** Rows of row sums. */
        public int paddedRows() {
            return rowTiles() * TILE_ROWS;
        }

        /** Bytes of row sums: for each column tile one f32 for each padded row. */
        public long rowSumBytes() {
            return (long) Float.BYTES * columnTiles() * paddedRows();
        }

        /** Bytes of column sums: for each run of row tiles one f32 for each padded column. */
        public long columnSumBytes() {
            return (long) Float.BYTES * rowItems() * paddedColumns();
        }

        /** Bytes of the image of G: 16 bits for each padded row and column. */
        public long gradientBytes() {
            return 2L * paddedRows() * paddedColumns();
        }

        /** Pieces of work: a column tile and a run of row tiles each. */
        public long items() {
            return (long) rowItems() * columnTiles();
        }

        Launch launch(int sharedBytes) {
            return Launch.of((int) Math.min(items(), blocks), THREADS).shared(sharedBytes);
        }
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
     * f32 [rows].
     */
    public void normalize(DeviceStream stream, DeviceStorage u, int rows, int d, DeviceStorage image,
            DeviceStorage inverseNorm) {
        normalize.launch(stream, Launch.of(imageRows(rows) / 8, 256), u, image, inverseNorm, rows, d);
    }

    /**
     * With S = scale X Y^T, c = max(0, scale - 75) and e_ij = exp(S_ij - c) for all but targets: positive_i = S_it;
     * sums of e over the columns of a tile, and over the rows of a run of tiles.
     *
     * @param targets I32 [n], or null: row i belongs to column firstRow + i
     * @param scale f32 [1]
     * @param sums positive f32 [n], written where the target is one of the m columns; rowSums of
     *     {@link Tiling#rowSumBytes} and columnSums of {@link Tiling#columnSumBytes}, written
     */
    public void forward(DeviceStream stream, Tiling tiling, DeviceStorage x, DeviceStorage y, DeviceStorage targets,
            int firstRow, DeviceStorage scale, Sums sums) {
        forward.launch(stream, tiling.launch(RING_BYTES + COLUMN_SUM_BYTES + BARRIER_BYTES), x, y, orZero(targets),
                scale, sums.positive, sums.rowSums, sums.columnSums, tiling.n(), tiling.m(),
                ceil(tiling.d(), BLOCK_COLUMNS), firstRow, tiling.run(), tiling.group());
    }

    /** What a forward pass leaves, of the sizes {@link #forward} says. */
    public record Sums(DeviceStorage positive, DeviceStorage rowSums, DeviceStorage columnSums) {}

    /**
     * What {@link #gradients} multiplies exponentials with.
     *
     * @param rows f32 [n]
     * @param columns f32 [m], 0 where no row belongs
     * @param targets f32 [n], G of the targets
     */
    public record Factors(DeviceStorage rows, DeviceStorage columns, DeviceStorage targets) {}

    /**
     * Loss of each row, and the factors of n multiple G.
     *
     * @param targets I32 [n], no two the same, or null: row i belongs to column i
     * @param factors written; of columns only those that a row belongs to, the others must be 0 before
     * @param losses f32 [n]; written; NaN where exponentials that matter have underflowed, which takes a scale above 81
     */
    public void merge(DeviceStream stream, Tiling tiling, Sums sums, DeviceStorage targets, DeviceStorage scale,
            float multiple, float rowWeight, float columnWeight, Factors factors, DeviceStorage losses) {
        merge.launch(stream, Launch.of(ceil(tiling.n(), 256), 256), sums.rowSums, sums.columnSums, orZero(targets),
                sums.positive, scale, factors.rows, factors.columns, factors.targets, losses, tiling.n(),
                tiling.columnTiles(), tiling.paddedRows(), tiling.rowItems(), tiling.paddedColumns(), multiple,
                rowWeight, columnWeight);
    }

    /**
     * g = G in 16 bits: G_ij = e_ij (rows_i + columns_j) of the factors, for targets G_it = targets_i; e as in
     * {@link #forward}.
     *
     * <p>Factors carry whatever G is multiplied by so that it uses the range of its type: 2^14 n for f16, where |n G|
     * is at most 2.
     *
     * @param factors read
     * @param g of {@link Tiling#gradientBytes}; written
     */
    public void gradients(DeviceStream stream, Tiling tiling, DeviceStorage x, DeviceStorage y, DeviceStorage targets,
            int firstRow, DeviceStorage scale, Factors factors, DeviceStorage g) {
        gradients.launch(stream, tiling.launch(RING_BYTES + STAGING_BYTES + BARRIER_BYTES), x, y, orZero(targets),
                scale, factors.rows, factors.columns, factors.targets, g, tiling.n(), tiling.m(),
                ceil(tiling.d(), BLOCK_COLUMNS), firstRow, tiling.run(), tiling.group());
    }

    /**
     * dx = scale unit G Y, added to what is there when {@code adds}.
     *
     * @param unit takes the multiple of G back
     * @param dx f32 [n, d]; written or accumulated
     */
    public void rowGradients(DeviceStream stream, Tiling tiling, DeviceStorage g, DeviceStorage y, DeviceStorage scale,
            float unit, DeviceStorage dx, boolean adds) {
        product(rowProduct, stream, tiling, tiling.n(), tiling.m(), g, y, scale, unit, dx, adds);
    }

    /**
     * dy = scale unit G^T X, added to what is there when {@code adds}: G of one stripe of rows after the other.
     *
     * @param dy f32 [m, d]; written or accumulated
     */
    public void columnGradients(DeviceStream stream, Tiling tiling, DeviceStorage g, DeviceStorage x,
            DeviceStorage scale, float unit, DeviceStorage dy, boolean adds) {
        product(columnProduct, stream, tiling, tiling.m(), tiling.n(), g, x, scale, unit, dy, adds);
    }

    private static void product(Kernel kernel, DeviceStream stream, Tiling tiling, int rows, int summed,
            DeviceStorage g, DeviceStorage features, DeviceStorage scale, float unit, DeviceStorage out, boolean adds) {
        long tiles = (long) ceil(rows, TILE_ROWS) * ceil(tiling.d(), TILE_COLUMNS);
        Launch launch = Launch.of((int) Math.min(tiles, tiling.blocks()), THREADS).shared(RING_BYTES + BARRIER_BYTES);
        kernel.launch(stream, launch, g, features, scale, out, rows, tiling.d(), summed,
                tiling.paddedColumns() / BLOCK_COLUMNS, unit, adds ? 1 : 0);
    }

    private static Object orZero(DeviceStorage storage) {
        return storage == null ? (Object) 0L : storage;
    }
}
