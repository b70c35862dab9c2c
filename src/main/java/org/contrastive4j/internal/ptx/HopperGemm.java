package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.Kernel;
import org.contrastive4j.device.Launch;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Precision;

/**
 * C = alpha op(A) op(B) + beta C + bias with operands in 16 bits and sums in f32, by the kernels {@code gemm_*_sm90a},
 * on addresses of a device.
 *
 * <p>Operands are images (see {@code kernels/sm90a/packed_layout.ptxh}) that {@link #pack} writes once, whichever way they are
 * multiplied later; a product can write the image of its result, or of GELU of it, for the product after it:
 *
 * <pre>{@code
 * HopperGemm gemm = new HopperGemm(device, Precision.BF16);
 * gemm.pack(stream, x, 1, rows, in, xImage);
 * gemm.pack(stream, w, 1, in, hidden, wImage);
 * Product up = new Product(false, false, 1, rows, hidden, in);
 * gemm.multiply(stream, up, xImage, wImage, Result.of(z).bias(b).image(Activation.GELU, zImage), 0, 0);
 * Product down = new Product(false, false, 1, rows, in, hidden);
 * gemm.multiply(stream, down, zImage, downImage, Result.of(y), workspace, bytes);
 * }</pre>
 *
 * <p>Nothing is allocated and nothing waits: a graph can capture whatever ran once before. The same bits every run, on
 * any number of multiprocessors.
 */
public final class HopperGemm {
    /** What an image is of; C never is. */
    public enum Activation {
        NONE,
        GELU,
        QUICK_GELU
    }

    private static final String NAME = "gemm";
    private static final int BLOCK_ROWS = 128;
    private static final int BLOCK_COLUMNS = 64;
    private static final int BLOCK_BYTES = 16_384;
    private static final int TILE_ROWS = 128;
    private static final int TILE_COLUMNS = 256;
    private static final int THREADS = 384;
    private static final int SHARED_BYTES = 229_440;
    private static final int GROUP = 16; // rows of tiles: with as many columns about one tile for each multiprocessor
    private static final int MOST_BATCH = 65_535;
    private static final int MOST_PARTS = 64;
    private static final int FEWEST_BLOCKS = 4; // of k in a part: what the ring holds
    private static final long MOST_PART_BYTES = 256L << 20;
    // How parts of k are chosen: for one GPU, so that the bits do not depend on which it is
    private static final int MULTIPROCESSORS = 132;
    private static final int STEP_CLOCKS = 1024;
    private static final int EPILOGUE_CLOCKS = 1200;
    private static final int MERGE_CLOCKS = 5000;
    private static final int MEMORY_BYTES_PER_CLOCK = 2500;

    private final Kernels kernels;
    private final String type;
    private final int multiprocessors;

    /** Kernels are assembled at their first use. */
    public HopperGemm(PtxDevice device, Precision precision) {
        this(new Kernels(device), precision, device.facts().multiprocessors());
    }

    /** @param multiprocessors blocks that run at the same time */
    HopperGemm(Kernels kernels, Precision precision, int multiprocessors) {
        this.kernels = kernels;
        this.multiprocessors = multiprocessors;
        type = KernelChoice.requireHopper(precision).toString();
    }

    /**
     * Matrix products of equal sizes side by side.
     *
     * @param transA A lies in memory as [k, m], else as [m, k]
     * @param transB B lies in memory as [n, k], else as [k, n]
     */
    public record Product(boolean transA, boolean transB, int batch, int m, int n, int k) {
        public Product {
            check(
                    batch >= 1 && m >= 1 && n >= 1 && k >= 0,
                    "batch " + batch + ", m " + m + ", n " + n + ", k " + k
                            + ", wanted at least 1 of each, k at least 0");
            long items = (long) batch * ceil(m, TILE_ROWS) * ceil(n, TILE_COLUMNS);
            check(
                    items * MOST_PARTS <= Integer.MAX_VALUE,
                    "batch " + batch + ", m " + m + ", n " + n + " are " + items
                            + " tiles of 128 x 256, wanted at most " + Integer.MAX_VALUE / MOST_PARTS);
        }

        String layout() {
            return (transA ? "t" : "n") + (transB ? "t" : "n");
        }

        long imageBytesA() {
            return transA ? imageBytes(k, m) : imageBytes(m, k);
        }

        long imageBytesB() {
            return transB ? imageBytes(n, k) : imageBytes(k, n);
        }

        private long tiles() {
            return (long) ceil(m, TILE_ROWS) * ceil(n, TILE_COLUMNS);
        }

        private int kBlocks() {
            return Math.max(1, ceil(k, BLOCK_COLUMNS));
        }

        private long elements() {
            return (long) m * n;
        }

        /** Of 64 k, in one part; all of them when k is not cut. */
        int blocksOfPart(boolean whole) {
            int best = kBlocks();
            if (whole || batch > 1 || elements() > Integer.MAX_VALUE) {
                return best;
            }
            long least = clocks(best);
            int most = (int) Math.min(
                    Math.min(MOST_PARTS, kBlocks() / FEWEST_BLOCKS), MOST_PART_BYTES / (Float.BYTES * elements()));
            for (int parts = 2; parts <= most; parts++) {
                int blocks = ceil(kBlocks(), parts);
                if (clocks(blocks) < least) {
                    least = clocks(blocks);
                    best = blocks;
                }
            }
            return best;
        }

        /** That all rounds of tiles take, and adding the sums of parts. */
        private long clocks(int blocks) {
            long parts = ceil(kBlocks(), blocks);
            long rounds = (tiles() * parts + MULTIPROCESSORS - 1) / MULTIPROCESSORS;
            long merge = parts == 1 ? 0 : MERGE_CLOCKS + 2 * Float.BYTES * parts * elements() / MEMORY_BYTES_PER_CLOCK;
            return rounds * ((long) blocks * STEP_CLOCKS + EPILOGUE_CLOCKS) + merge;
        }
    }

    /**
     * Where a result goes; addresses, 0 for what is not wanted.
     *
     * @param c [batch, m, n]; written, read when beta is not 0
     * @param sixteenBits c is of the type of the operands, else f32
     * @param bias f32 [n]; added to each row
     * @param image of [m, n], {@link #imageBytes} for each matrix; written: the activation of what C is given
     */
    public record Result(
            float alpha, float beta, long c, boolean sixteenBits, long bias, Activation activation, long image) {
        /** C = op(A) op(B) in f32. */
        public static Result of(long c) {
            return new Result(1, 0, c, false, 0, Activation.NONE, 0);
        }

        public Result inSixteenBits() {
            return new Result(alpha, beta, c, true, bias, activation, image);
        }

        public Result scaled(double byAlpha, double byBeta) {
            return new Result((float) byAlpha, (float) byBeta, c, sixteenBits, bias, activation, image);
        }

        public Result bias(long added) {
            return new Result(alpha, beta, c, sixteenBits, added, activation, image);
        }

        public Result image(Activation of, long to) {
            return new Result(alpha, beta, c, sixteenBits, bias, of, to);
        }

        private int elementBytes() {
            return sixteenBits ? Short.BYTES : Float.BYTES;
        }

        /** That k is not to be cut: the sums of parts are added in f32, without images. */
        private boolean whole() {
            return sixteenBits || image != 0;
        }
    }

    private static int ceil(int a, int b) {
        return (int) (((long) a + b - 1) / b);
    }

    private static void check(boolean condition, String message) {
        if (!condition) {
            throw new ShapeException(NAME + ": " + message);
        }
    }

    /** Bytes of the image of one matrix: whole blocks of 128 rows and 64 columns, one at least. */
    public static long imageBytes(int rows, int columns) {
        return (long) BLOCK_BYTES * Math.max(1, ceil(rows, BLOCK_ROWS)) * Math.max(1, ceil(columns, BLOCK_COLUMNS));
    }

    /**
     * image = x rounded to 16 bits, zeros beyond its rows and columns.
     *
     * @param x f32 [batch, rows, columns]; read
     * @param image {@link #imageBytes} for each matrix, 16-byte aligned; written
     */
    public void pack(DeviceStream stream, long x, int batch, int rows, int columns, long image) {
        pack("pack_" + type + "_sm90a", Float.BYTES, stream, x, batch, rows, columns, image);
    }

    /** The same of x in 16 bits of this precision, [batch, rows, columns]; bits are copied. */
    public void packSixteenBits(DeviceStream stream, long x, int batch, int rows, int columns, long image) {
        pack("pack_16_sm90a", Short.BYTES, stream, x, batch, rows, columns, image);
    }

    private void pack(
            String kernel, int bytes, DeviceStream stream, long x, int batch, int rows, int columns, long image) {
        check(
                batch >= 1 && rows >= 0 && columns >= 0,
                "an operand has " + batch + " matrices of " + rows + " x " + columns
                        + ", wanted at least 1 of at least 0 x 0");
        long stride = (long) bytes * rows * columns;
        long imageBytes = imageBytes(rows, columns);
        new AddressChecks(NAME)
                .read("operand", x, Math.max(1, batch * stride), bytes)
                .written("image", image, batch * imageBytes, 16);
        int wide = x % 16 == 0 && (long) bytes * columns % 16 == 0 ? 1 : 0;
        for (int first = 0; first < batch; first += MOST_BATCH) {
            int matrices = Math.min(MOST_BATCH, batch - first);
            Launch.Dim grid = new Launch.Dim(Math.toIntExact(imageBytes / BLOCK_BYTES), matrices, 1);
            kernels.get(kernel)
                    .launch(
                            stream,
                            Launch.of(grid, new Launch.Dim(256, 1, 1)),
                            x + first * stride,
                            image + first * imageBytes,
                            stride,
                            rows,
                            columns,
                            wide);
        }
    }

    /** Bytes of workspace that {@link #multiply} wants, which may be 0: few tiles with a long k are summed in parts. */
    public static long workspaceBytes(Product product, Result result) {
        int parts = ceil(product.kBlocks(), product.blocksOfPart(result.whole()));
        return parts == 1 ? 0 : Float.BYTES * parts * product.elements();
    }

    /**
     * The product.
     *
     * <p>Error of an element, against the exact product of the rounded operands: at most (k / 16 + 4) 2^-23 sum |a b|.
     *
     * @param a images of A, each of its own size as it lies in memory; read
     * @param b images of B; read
     * @param workspace 16-byte aligned, at least {@link #workspaceBytes}; 0 where that is 0
     * @throws LaunchException for an address that is missing, misaligned or overlaps another, or a workspace too small
     */
    public void multiply(
            DeviceStream stream, Product product, long a, long b, Result result, long workspace, long workspaceBytes) {
        long wanted = workspaceBytes(product, result);
        if (workspaceBytes < wanted) {
            throw new LaunchException(NAME + ": the workspace has " + workspaceBytes + " bytes, wanted " + wanted);
        }
        checkAddresses(product, a, b, result, workspace, wanted);
        int blocks = product.blocksOfPart(result.whole());
        if (wanted == 0) {
            launch(stream, product, a, b, result, 0, product.batch);
            return;
        }
        int parts = ceil(product.kBlocks(), blocks);
        launch(stream, product, a, b, Result.of(workspace), blocks, parts);
        int count = (int) product.elements();
        kernels.get("gemm_merge_f32")
                .launch(
                        stream,
                        Launch.of(ceil(count, 128), 128),
                        workspace,
                        result.c,
                        result.bias,
                        0L,
                        parts,
                        count,
                        product.n,
                        result.alpha,
                        result.beta,
                        0);
    }

    private static void checkAddresses(Product product, long a, long b, Result result, long workspace, long bytes) {
        if (result.c == 0 && (result.image == 0 || result.beta != 0)) {
            throw new LaunchException(NAME + ": the address of c is 0, wanted " + bytesOfC(product, result)
                    + " bytes of the device, or an image and beta 0");
        }
        new AddressChecks(NAME)
                .read("a", a, product.batch * product.imageBytesA(), 16)
                .read("b", b, product.batch * product.imageBytesB(), 16)
                .readIfAny("bias", result.bias, 4L * product.n, 4)
                .writtenIfAny("c", result.c, bytesOfC(product, result), result.elementBytes())
                .writtenIfAny("image", result.image, product.batch * imageBytes(product.m, product.n), 16)
                .writtenIfAny("workspace", bytes == 0 ? 0 : workspace, bytes, 16);
        if (bytes != 0 && workspace == 0) {
            throw new LaunchException(
                    NAME + ": the address of the workspace is 0, wanted " + bytes + " bytes of the device");
        }
    }

    private static long bytesOfC(Product product, Result result) {
        return result.elementBytes() * product.batch * product.elements();
    }

    /** @param part 0 for a batch of products; or of one product, each of count takes so many blocks of k */
    private void launch(DeviceStream stream, Product p, long a, long b, Result result, int part, int count) {
        int items = Math.toIntExact(count * p.tiles());
        int pairs = p.n % 2 == 0 && result.c % (2 * result.elementBytes()) == 0 ? 1 : 0;
        Kernel kernel = kernels.get("gemm_" + type + "_" + p.layout() + "_sm90a");
        kernel.launch(
                stream,
                Launch.of(Math.min(items, multiprocessors), THREADS).shared(SHARED_BYTES),
                a,
                b,
                result.c,
                result.bias,
                result.image,
                part == 0 ? p.imageBytesA() : 0L,
                part == 0 ? p.imageBytesB() : 0L,
                result.elementBytes() * p.elements(),
                imageBytes(p.m, p.n),
                p.m,
                p.n,
                p.kBlocks(),
                part,
                items,
                GROUP,
                result.alpha,
                result.beta,
                result.activation.ordinal(),
                result.elementBytes(),
                pairs);
    }
}
