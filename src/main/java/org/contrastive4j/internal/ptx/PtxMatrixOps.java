package org.contrastive4j.internal.ptx;

import java.util.Arrays;
import java.util.Objects;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.internal.device.MatrixLibrary.Element;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products on a device. The vendor library (cuBLAS) computes them where it is available ({@link
 * MatrixLibrary}) and {@link KernelChoice} allows it; otherwise f32 is multiplied by the kernels {@code gemm_f32_*}
 * or {@code gemm_tf32_*} and 16-bit types by {@link SixteenBitGemm}. All work is launched on the stream of the
 * device; nothing synchronises.
 *
 * <p>Our kernels add the bias and apply GELU as they store the result. After a product by the vendor library in f32,
 * separate kernels do so, because their cost is small against the product. In 16 bits it is not, and the result would
 * be rounded twice; therefore our kernels compute products with a bias or GELU.
 *
 * <p>Our kernels split a product with few tiles and a long k into parts of k, whose sums a second kernel adds in
 * order; the sizes alone decide. The parts need a workspace of {@value #WORKSPACE_BYTES} bytes, allocated at the
 * first such product and freed by {@link #close}, so that a graph can capture every product that was run before. For
 * a 16-bit product an f32 operand is rounded first, into temporary memory of 2 bytes an element; a graph that
 * captures this needs scratch memory for it.
 */
public final class PtxMatrixOps extends MatrixOps implements AutoCloseable {
    private static final int TILE = 64;
    private static final int THREADS = 64;
    private static final int MOST_BATCH = 65_535; // blocks along y
    private static final int ENOUGH_TILES = 512; // fills a GPU; a constant, so that the bits do not depend on the GPU
    private static final int SHORTEST_PART = 256;
    private static final int PART_STEP = 16;
    private static final int MOST_ROW_PARTS = 256;
    static final int WORKSPACE_BYTES = ENOUGH_TILES * TILE * TILE * Float.BYTES;

    private final PtxDevice device;
    private final Kernels kernels;
    private final String kernel;
    private final @Nullable VendorGemm library;
    private final boolean tensorFloats;
    private final @Nullable SixteenBitGemm sixteenBits;
    private final PointwiseOps pointwise;
    private @Nullable DeviceStorage workspace;

    /** Creates f32 products. */
    public PtxMatrixOps(PtxDevice device) {
        this(device, Precision.F32);
    }

    /**
     * @param precision F32: products have an error of at most k 2^-24 sum |a b|; TF32: at most (2^-10 + k 2^-23) sum
     *     |a b|; BF16 or F16: activations are of that type, products of f32 tensors are as in F32
     */
    public PtxMatrixOps(PtxDevice device, Precision precision) {
        this(device, new Kernels(device), precision);
    }

    PtxMatrixOps(PtxDevice device, Kernels kernels, Precision precision) {
        this(
                device,
                kernels,
                precision,
                KernelChoice.library(MatrixLibrary.of(device), KernelChoice.preference())
                        .library());
    }

    /** @param vendor library of plain matrix products; null for our kernels */
    PtxMatrixOps(PtxDevice device, Kernels kernels, Precision precision, @Nullable MatrixLibrary vendor) {
        this(
                device,
                kernels,
                precision,
                vendor,
                new PtxPointwiseOps(new TensorLauncher(device, kernels), precision.storage()));
    }

    private PtxMatrixOps(
            PtxDevice device,
            Kernels kernels,
            Precision precision,
            @Nullable MatrixLibrary vendor,
            PointwiseOps pointwise) {
        super(precision.storage(), pointwise);
        this.device = device;
        this.kernels = kernels;
        this.pointwise = pointwise;
        tensorFloats = precision == Precision.TF32;
        kernel = tensorFloats ? "gemm_tf32_" : "gemm_f32_";
        library = vendor == null ? null : new VendorGemm(vendor, device.stream());
        sixteenBits = precision.storage() == DType.F32
                ? null
                : new SixteenBitGemm(device, kernels, precision.storage(), library, pointwise, this::workspace);
    }

    private static boolean isOf16Bits(Tensor... tensors) {
        return Arrays.stream(tensors).anyMatch(tensor -> tensor.dtype() != DType.F32);
    }

    private SixteenBitGemm ofSixteenBits() {
        return Objects.requireNonNull(sixteenBits, "precision f32 has no tensors of 16 bits");
    }

    /** One matrix product, or one of a batch of equal size. */
    private record Product(boolean transA, boolean transB, int m, int n, int k, float alpha, float beta) {
        String layout() {
            return (transA ? "t" : "n") + (transB ? "t" : "n");
        }

        int lda() {
            return transA ? m : k;
        }

        int ldb() {
            return transB ? k : n;
        }

        long tiles() {
            return tiles(m) * tiles(n);
        }

        private static long tiles(int size) {
            return ((long) size + TILE - 1) / TILE;
        }

        SixteenBitGemm.Products sideBySide(int batch) {
            return new SixteenBitGemm.Products(transA, transB, batch, m, n, k, alpha, beta);
        }

        /** Returns the number of parts that k is split into. */
        int parts() {
            return (int) Math.max(1, Math.min(ENOUGH_TILES / tiles(), k / SHORTEST_PART));
        }
    }

    @Override
    protected void gemmUnchecked(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            double alpha,
            Tensor a,
            Tensor b,
            double beta,
            Tensor c) {
        multiply("gemm", new Product(transA, transB, m, n, k, (float) alpha, (float) beta), a, b, Epilogue.NONE, c);
    }

    @Override
    protected void linearUnchecked(int rows, int in, int out, Tensor x, Tensor w, @Nullable Tensor bias, Tensor y) {
        multiply("linear", new Product(false, false, rows, out, in, 1, 0), x, w, Epilogue.of(bias), y);
    }

    @Override
    protected void linearGeluUnchecked(
            PointwiseOps.Gelu kind,
            int rows,
            int in,
            int out,
            Tensor x,
            Tensor w,
            @Nullable Tensor bias,
            Tensor z,
            Tensor y) {
        if (kind == PointwiseOps.Gelu.TANH) { // the products' epilogues have the other two
            super.linearGeluUnchecked(kind, rows, in, out, x, w, bias, z, y);
            return;
        }
        multiply("linearGelu", new Product(false, false, rows, out, in, 1, 0), x, w, new Epilogue(bias, kind, y), z);
    }

    /** Computes c [m, n] = alpha op(a) op(b) + beta c + bias and y = gelu(c), in any layout. */
    void multiply(
            boolean transA,
            boolean transB,
            int k,
            double alpha,
            Tensor a,
            Tensor b,
            double beta,
            Epilogue after,
            Tensor c) {
        multiply(
                "multiply",
                new Product(transA, transB, c.dim(0), c.dim(1), k, (float) alpha, (float) beta),
                a,
                b,
                after,
                c);
    }

    private void multiply(String op, Product product, Tensor a, Tensor b, Epilogue after, Tensor c) {
        if (isOf16Bits(a, b, c)) {
            ofSixteenBits().multiply(op, product.sideBySide(1), a, b, after, c);
            return;
        }
        long from = DeviceTensors.address(op, "a", device, a);
        long with = DeviceTensors.address(op, "b", device, b);
        long to = DeviceTensors.written(op, "c", device, c, a, b, after.bias());
        Epilogue.Addresses at = after.on(op, device, a, b, c);
        if (library != null && product.k > 0) {
            library(product, 1, from, with, to);
            addBias(product, at.bias(), to);
            after.activate(pointwise, c);
            return;
        }
        int parts = product.parts();
        if (parts == 1) {
            launch(product, 1, from, with, to, at, 0, 0, 0, 0);
            return;
        }
        int part = (product.k / parts + PART_STEP) / PART_STEP * PART_STEP;
        parts = (product.k + part - 1) / part;
        Product sum = new Product(product.transA, product.transB, product.m, product.n, product.k, 1, 0);
        int count = product.m * product.n;
        launch(
                sum,
                parts,
                from,
                with,
                workspace(),
                Epilogue.Addresses.NONE,
                4L * part * (product.transA ? product.m : 1),
                4L * part * (product.transB ? 1 : product.n),
                4L * count,
                part);
        merge(parts, count, product.n, workspace(), to, at, product.alpha, product.beta);
    }

    private void library(Product p, int batch, long a, long b, long c) {
        Objects.requireNonNull(library, "only called where the vendor library is available")
                .multiply(
                        p.transA,
                        p.transB,
                        batch,
                        p.m,
                        p.n,
                        p.k,
                        p.alpha,
                        a,
                        b,
                        p.beta,
                        c,
                        Element.F32,
                        Element.F32,
                        tensorFloats);
    }

    /** Computes c[row] += bias, which our product kernels fuse; does nothing for address 0. */
    private void addBias(Product p, long bias, long c) {
        if (bias != 0) {
            kernels.get("add_positions_fwd_f32")
                    .launch(
                            device.stream(),
                            Launch.of((p.m + 3) / 4, 128),
                            c,
                            bias,
                            c,
                            1,
                            p.m,
                            p.n,
                            PortableInfoNce.aligned(p.n, c, bias));
        }
    }

    /** @param part size of the parts of k of one product; 0 for a batch of products */
    private void launch(
            Product p,
            int batch,
            long a,
            long b,
            long c,
            Epilogue.Addresses after,
            long strideA,
            long strideB,
            long strideC,
            int part) {
        if (p.tiles() > Integer.MAX_VALUE) {
            throw new ShapeException("gemm: c is " + p.m + " x " + p.n + ", expected at most 2^31 tiles of 64 x 64");
        }
        int aligned = PortableInfoNce.aligned(p.lda(), a, strideA)
                + 2 * PortableInfoNce.aligned(p.ldb(), b, strideB)
                + 4 * PortableInfoNce.aligned(p.n, c, strideC, after.y());
        KernelCall.of(kernels.get(kernel + p.layout()))
                .pointer("a", a)
                .pointer("b", b)
                .pointer("c", c)
                .pointer("bias", after.bias())
                .pointer("y", after.y())
                .int64("strideA", strideA)
                .int64("strideB", strideB)
                .int64("strideC", strideC)
                .int32("m", p.m)
                .int32("n", p.n)
                .int32("k", p.k)
                .int32("lda", p.lda())
                .int32("ldb", p.ldb())
                .int32("ldc", p.n)
                .int32("kPart", part)
                .float32("alpha", p.alpha)
                .float32("beta", p.beta)
                .int32("quick", after.quick())
                .int32("aligned", aligned)
                .launch(
                        device.stream(),
                        Launch.of(new Launch.Dim((int) p.tiles(), batch, 1), new Launch.Dim(THREADS, 1, 1)));
    }

    private void merge(
            int parts, int count, int n, long from, long to, Epilogue.Addresses after, float alpha, float beta) {
        KernelCall.of(kernels.get("gemm_merge_f32"))
                .pointer("p", from)
                .pointer("c", to)
                .pointer("bias", after.bias())
                .pointer("y", after.y())
                .int32("parts", parts)
                .int32("count", count)
                .int32("n", n)
                .float32("alpha", alpha)
                .float32("beta", beta)
                .int32("quick", after.quick())
                .launch(device.stream(), Launch.of((count + 127) / 128, 128));
    }

    @Override
    protected void batchedGemmUnchecked(
            boolean transA,
            boolean transB,
            int batch,
            int m,
            int n,
            int k,
            double alpha,
            Tensor a,
            Tensor b,
            double beta,
            Tensor c) {
        Product product = new Product(transA, transB, m, n, k, (float) alpha, (float) beta);
        if (isOf16Bits(a, b, c)) {
            ofSixteenBits().multiply("batchedGemm", product.sideBySide(batch), a, b, Epilogue.NONE, c);
            return;
        }
        long strideA = 4L * m * k;
        long strideB = 4L * k * n;
        long strideC = 4L * m * n;
        long from = DeviceTensors.address("batchedGemm", "a", device, a);
        long with = DeviceTensors.address("batchedGemm", "b", device, b);
        long to = DeviceTensors.written("batchedGemm", "c", device, c, a, b);
        if (library != null && k > 0) {
            library(product, batch, from, with, to);
            return;
        }
        for (int first = 0; first < batch; first += MOST_BATCH) {
            launch(
                    product,
                    Math.min(MOST_BATCH, batch - first),
                    from + first * strideA,
                    with + first * strideB,
                    to + first * strideC,
                    Epilogue.Addresses.NONE,
                    strideA,
                    strideB,
                    strideC,
                    0);
        }
    }

    @Override
    protected void biasGradientUnchecked(int rows, int width, Tensor dy, Tensor dBias) {
        long from = DeviceTensors.address("biasGradient", "dy", device, dy);
        long to = DeviceTensors.written("biasGradient", "dBias", device, dBias, dy);
        int rowsThatFit = WORKSPACE_BYTES / Float.BYTES / width;
        if (rowsThatFit == 0) {
            throw new ShapeException(
                    "biasGradient: dy has " + width + " columns, expected at most " + WORKSPACE_BYTES / Float.BYTES);
        }
        int most = Math.min(MOST_ROW_PARTS, rowsThatFit);
        int chunk = Math.max(SHORTEST_PART, (int) (((long) rows + most - 1) / most));
        int parts = (int) (((long) rows + chunk - 1) / chunk);
        kernels.get(TensorLauncher.of("column_sums", dy))
                .launch(
                        device.stream(),
                        Launch.of(new Launch.Dim((width + 31) / 32, parts, 1), new Launch.Dim(256, 1, 1)),
                        from,
                        workspace(),
                        rows,
                        width,
                        chunk);
        merge(parts, width, width, workspace(), to, Epilogue.Addresses.NONE, 1, 1);
    }

    private long workspace() {
        if (workspace == null) {
            workspace = device.allocate(WORKSPACE_BYTES);
        }
        return workspace.address();
    }

    /** Frees the workspace. */
    @Override
    public void close() {
        if (workspace != null) {
            workspace.close();
            workspace = null;
        }
    }
}
