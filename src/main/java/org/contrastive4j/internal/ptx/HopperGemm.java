package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape.ShapeException;

/**
 * Computes C = alpha op(A) op(B) + beta C + bias on device addresses by the kernels {@code gemm_*_sm90a}, with 16-bit
 * operands and f32 sums.
 *
 * <p>Operands are in the packed tile layout of {@code kernels/sm90a/packed_layout.ptxh}. {@link #pack} writes it once
 * for all layouts of later products, and a product can write its result, or GELU of it, in the packed layout for the
 * next product:
 *
 * <pre>{@code
 * HopperGemm gemm = new HopperGemm(device, Precision.BF16);
 * gemm.pack(stream, x, 1, rows, in, xPacked);
 * gemm.pack(stream, w, 1, in, hidden, wPacked);
 * Product up = new Product(false, false, 1, rows, hidden, in);
 * gemm.multiply(stream, up, xPacked, wPacked, Result.of(z).bias(b).image(Activation.GELU, zPacked), 0, 0);
 * Product down = new Product(false, false, 1, rows, in, hidden);
 * gemm.multiply(stream, down, zPacked, downPacked, Result.of(y), workspace, bytes);
 * }</pre>
 *
 * <p>The class allocates nothing and never synchronises, so that a CUDA graph can capture a call after the kernels
 * are loaded. The same inputs give the same bits in every run, on any number of multiprocessors.
 */
public final class HopperGemm {
    /** What is applied to a result before it is packed; C itself is never activated. */
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
    private static final int GROUP = 16; // rows of tiles that share columns: about one tile for each multiprocessor
    private static final int MOST_BATCH = 65_535;
    private static final int MOST_PARTS = 64;
    private static final int FEWEST_BLOCKS = 4; // of k in a part: the pipeline depth
    private static final long MOST_PART_BYTES = 256L << 20;
    // Cost model of the choice of parts: constants of one GPU, so that the bits do not depend on the GPU
    private static final int MULTIPROCESSORS = 132;
    private static final int STEP_CLOCKS = 1024;
    private static final int EPILOGUE_CLOCKS = 1200;
    private static final int MERGE_CLOCKS = 5000;
    private static final int MEMORY_BYTES_PER_CLOCK = 2500;

    private final Kernels kernels;
    private final String type;
    private final int multiprocessors;

    /** Creates the products; kernels are loaded at their first use. */
    public HopperGemm(PtxDevice device, Precision precision) {
        this(new Kernels(device), precision, device.facts().multiprocessors());
    }

    /** @param multiprocessors thread blocks that run at the same time */
    HopperGemm(Kernels kernels, Precision precision, int multiprocessors) {
        this.kernels = kernels;
        this.multiprocessors = multiprocessors;
        type = KernelChoice.requireHopper(precision).toString();
    }

    /**
     * Matrix products of equal sizes.
     *
     * @param transA whether A is stored as [k, m] instead of [m, k]
     * @param transB whether B is stored as [n, k] instead of [k, n]
     * @param batch number of products
     * @param m rows of C
     * @param n columns of C
     * @param k columns of op(A)
     */
    public record Product(boolean transA, boolean transB, int batch, int m, int n, int k) {
        public Product {
            check(
                    batch >= 1 && m >= 1 && n >= 1 && k >= 0,
                    "batch " + batch + ", m " + m + ", n " + n + ", k " + k
                            + ", expected at least 1 of each, k at least 0");
            long items = (long) batch * ceil(m, TILE_ROWS) * ceil(n, TILE_COLUMNS);
            check(
                    items * MOST_PARTS <= Integer.MAX_VALUE,
                    "batch " + batch + ", m " + m + ", n " + n + " are " + items
                            + " tiles of 128 x 256, expected at most " + Integer.MAX_VALUE / MOST_PARTS);
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

        /** Returns the blocks of 64 k that one part sums; all of them if k is not split. */
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

        /** Returns the predicted clock cycles of all waves of tiles and of adding the sums of parts. */
        private long clocks(int blocks) {
            long parts = ceil(kBlocks(), blocks);
            long rounds = (tiles() * parts + MULTIPROCESSORS - 1) / MULTIPROCESSORS;
            long merge = parts == 1 ? 0 : MERGE_CLOCKS + 2 * Float.BYTES * parts * elements() / MEMORY_BYTES_PER_CLOCK;
            return rounds * ((long) blocks * STEP_CLOCKS + EPILOGUE_CLOCKS) + merge;
        }
    }

    /**
     * The outputs of a product; address 0 skips an output.
     *
     * @param alpha factor of the product
     * @param beta factor of C; 0 writes C without reading it
     * @param c [batch, m, n]; written or accumulated
     * @param sixteenBits whether C has the type of the operands instead of f32
     * @param bias f32 [n], added to each row; read
     * @param activation applied before packing
     * @param image [m, n] in the packed layout, {@link #imageBytes} for each matrix; written
     */
    public record Result(
            float alpha, float beta, long c, boolean sixteenBits, long bias, Activation activation, long image) {
        /** Returns the outputs for C = op(A) op(B) in f32. */
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

        /** Returns whether k must not be split: sums of parts are added in f32, without a packed result. */
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

    /** Returns the bytes of one packed matrix: whole blocks of 128 rows and 64 columns, at least one. */
    public static long imageBytes(int rows, int columns) {
        return (long) BLOCK_BYTES * Math.max(1, ceil(rows, BLOCK_ROWS)) * Math.max(1, ceil(columns, BLOCK_COLUMNS));
    }

    /**
     * Packs matrices, rounded to 16 bits, with zeros beyond their rows and columns.
     *
     * @param stream where the kernel is launched
     * @param x f32 [batch, rows, columns]; read
     * @param batch number of matrices
     * @param rows rows of each
     * @param columns columns of each
     * @param image {@link #imageBytes} for each matrix, 16-byte aligned; written
     */
    public void pack(DeviceStream stream, long x, int batch, int rows, int columns, long image) {
        pack("pack_" + type + "_sm90a", Float.BYTES, stream, x, batch, rows, columns, image);
    }

    /** Packs matrices that are of this precision already; bits are copied. See {@link #pack}. */
    public void packSixteenBits(DeviceStream stream, long x, int batch, int rows, int columns, long image) {
        pack("pack_16_sm90a", Short.BYTES, stream, x, batch, rows, columns, image);
    }

    private void pack(
            String kernel, int bytes, DeviceStream stream, long x, int batch, int rows, int columns, long image) {
        check(
                batch >= 1 && rows >= 0 && columns >= 0,
                "an operand has " + batch + " matrices of " + rows + " x " + columns
                        + ", expected at least 1 of at least 0 x 0");
        long stride = (long) bytes * rows * columns;
        long imageBytes = imageBytes(rows, columns);
        new AddressChecks(NAME)
                .read("operand", x, Math.max(1, batch * stride), bytes)
                .written("image", image, batch * imageBytes, 16);
        int aligned = x % 16 == 0 && (long) bytes * columns % 16 == 0 ? 1 : 0;
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
                            aligned);
        }
    }

    /**
     * Returns the bytes of workspace that {@link #multiply} needs. It is 0 unless few tiles with a long k are summed
     * in parts.
     */
    public static long workspaceBytes(Product product, Result result) {
        int parts = ceil(product.kBlocks(), product.blocksOfPart(result.whole()));
        return parts == 1 ? 0 : Float.BYTES * parts * product.elements();
    }

    /**
     * Launches a product.
     *
     * <p>Numerics: against the exact product of the rounded operands, the error of an element is at most (k / 16 + 4)
     * 2^-23 sum |a b|.
     *
     * @param stream where the kernels are launched
     * @param product sizes
     * @param a packed A, in its stored shape; read
     * @param b packed B; read
     * @param result outputs
     * @param workspace 16-byte aligned; 0 if none is needed
     * @param workspaceBytes its size, at least {@link #workspaceBytes}
     * @throws LaunchException if an address is 0, misaligned or overlaps another, or the workspace is too small
     */
    public void multiply(
            DeviceStream stream, Product product, long a, long b, Result result, long workspace, long workspaceBytes) {
        long needed = workspaceBytes(product, result);
        if (workspaceBytes < needed) {
            throw new LaunchException(NAME + ": the workspace has " + workspaceBytes + " bytes, expected " + needed);
        }
        checkAddresses(product, a, b, result, workspace, needed);
        int blocks = product.blocksOfPart(result.whole());
        if (needed == 0) {
            launch(stream, product, a, b, result, 0, product.batch);
            return;
        }
        int parts = ceil(product.kBlocks(), blocks);
        launch(stream, product, a, b, Result.of(workspace), blocks, parts);
        int count = (int) product.elements();
        KernelCall.of(kernels.get("gemm_merge_f32"))
                .pointer("p", workspace)
                .pointer("c", result.c)
                .pointer("bias", result.bias)
                .pointer("y", 0)
                .int32("parts", parts)
                .int32("count", count)
                .int32("n", product.n)
                .float32("alpha", result.alpha)
                .float32("beta", result.beta)
                .int32("quick", 0)
                .launch(stream, Launch.of(ceil(count, 128), 128));
    }

    private static void checkAddresses(Product product, long a, long b, Result result, long workspace, long bytes) {
        if (result.c == 0 && (result.image == 0 || result.beta != 0)) {
            throw new LaunchException(NAME + ": the address of c is 0, expected " + bytesOfC(product, result)
                    + " bytes of device memory, or an image and beta 0");
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
                    NAME + ": the address of the workspace is 0, expected " + bytes + " bytes of device memory");
        }
    }

    private static long bytesOfC(Product product, Result result) {
        return result.elementBytes() * product.batch * product.elements();
    }

    /**
     * @param part blocks of k that each of {@code count} parts of one product sums; 0 for a batch of {@code count}
     *     products
     */
    private void launch(DeviceStream stream, Product p, long a, long b, Result result, int part, int count) {
        int items = Math.toIntExact(count * p.tiles());
        int pairs = p.n % 2 == 0 && result.c % (2 * result.elementBytes()) == 0 ? 1 : 0;
        Kernel kernel = kernels.get("gemm_" + type + "_" + p.layout() + "_sm90a");
        KernelCall.of(kernel)
                .pointer("a", a)
                .pointer("b", b)
                .pointer("c", result.c)
                .pointer("bias", result.bias)
                .pointer("packed", result.image)
                .int64("strideA", part == 0 ? p.imageBytesA() : 0L)
                .int64("strideB", part == 0 ? p.imageBytesB() : 0L)
                .int64("strideC", result.elementBytes() * p.elements())
                .int64("stridePacked", imageBytes(p.m, p.n))
                .int32("m", p.m)
                .int32("n", p.n)
                .int32("kBlocks", p.kBlocks())
                .int32("kPart", part)
                .int32("items", items)
                .int32("group", GROUP)
                .float32("alpha", result.alpha)
                .float32("beta", result.beta)
                .int32("activation", result.activation.ordinal())
                .int32("elementBytes", result.elementBytes())
                .int32("pairs", pairs)
                .launch(
                        stream,
                        Launch.of(Math.min(items, multiprocessors), THREADS).shared(SHARED_BYTES));
    }
}
