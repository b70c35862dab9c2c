package org.contrastive4j.internal.ptx;

import java.util.Arrays;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.Launch;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.internal.device.MatrixLibrary.Element;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;

/**
 * Matrix products on a device, by the library of its maker where there is one ({@link PtxDevice#matrixLibrary}) and
 * {@link KernelChoice} does not say otherwise, else of f32 by the kernels {@code gemm_f32_*} or {@code gemm_tf32_*}, of
 * 16 bits by those of {@link SixteenBitGemm}; all work goes to the device's stream, nothing waits.
 *
 * <p>Our kernels add the bias and write GELU as they store the result. A library's product of f32 is followed by
 * kernels that do so, as a pass over the result is little beside an f32 product; in 16 bits, where it is not and would
 * round twice, products with a bias or GELU stay ours.
 *
 * <p>By the kernels, a product with few tiles and a long k is cut into parts of k, whose sums a second kernel adds in
 * order; how, sizes alone decide. The parts need a workspace, {@value #WORKSPACE_BYTES} bytes, allocated at the first
 * product of that kind and freed by {@link #close}: a graph can capture everything that ran once before. Where a
 * product is of 16 bits, an operand in f32 is rounded first, into memory of the stream's pool, 2 bytes an element; a
 * graph that captures that needs scratch memory for it.
 */
public final class PtxMatrixOps extends MatrixOps implements AutoCloseable {
    private static final int TILE = 64;
    private static final int THREADS = 64;
    private static final int MOST_BATCH = 65_535; // blocks along y
    private static final int ENOUGH_TILES = 512; // for a GPU; fixed, so that the bits do not depend on which
    private static final int SHORTEST_PART = 256;
    private static final int PART_STEP = 16;
    private static final int MOST_ROW_PARTS = 256;
    static final int WORKSPACE_BYTES = ENOUGH_TILES * TILE * TILE * Float.BYTES;

    private final PtxDevice device;
    private final Kernels kernels;
    private final String kernel;
    private final VendorGemm library;
    private final boolean tensorFloats;
    private final SixteenBitGemm sixteenBits;
    private final PointwiseOps pointwise;
    private DeviceStorage workspace;

    /** Exact products. */
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

    /** @param maker the device's library of matrix products; null for kernels of our own */
    PtxMatrixOps(PtxDevice device, Kernels kernels, Precision precision, MatrixLibrary maker) {
        this(
                device,
                kernels,
                precision,
                maker,
                new PtxPointwiseOps(new TensorLauncher(device, kernels), precision.storage()));
    }

    private PtxMatrixOps(
            PtxDevice device, Kernels kernels, Precision precision, MatrixLibrary maker, PointwiseOps pointwise) {
        super(precision.storage(), pointwise);
        this.device = device;
        this.kernels = kernels;
        this.pointwise = pointwise;
        tensorFloats = precision == Precision.TF32;
        kernel = tensorFloats ? "gemm_tf32_" : "gemm_f32_";
        library = maker == null ? null : new VendorGemm(maker, device.stream());
        sixteenBits = precision.storage() == DType.F32
                ? null
                : new SixteenBitGemm(device, kernels, precision.storage(), library, pointwise, this::workspace);
    }

    private static boolean isOf16Bits(Tensor... tensors) {
        return Arrays.stream(tensors).anyMatch(tensor -> tensor.dtype() != DType.F32);
    }

    /** One matrix product, or one of equal ones side by side. */
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

        /** Into how many parts k is cut. */
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
    protected void linearUnchecked(int rows, int in, int out, Tensor x, Tensor w, Tensor bias, Tensor y) {
        multiply("linear", new Product(false, false, rows, out, in, 1, 0), x, w, Epilogue.of(bias), y);
    }

    @Override
    protected void linearGeluUnchecked(
            PointwiseOps.Gelu kind, int rows, int in, int out, Tensor x, Tensor w, Tensor bias, Tensor z, Tensor y) {
        if (kind == PointwiseOps.Gelu.TANH) { // the products' epilogues have the other two
            super.linearGeluUnchecked(kind, rows, in, out, x, w, bias, z, y);
            return;
        }
        multiply("linearGelu", new Product(false, false, rows, out, in, 1, 0), x, w, new Epilogue(bias, kind, y), z);
    }

    /** c [m, n] = alpha op(a) op(b) + beta c + bias, y = gelu(c), in any layout. */
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
            sixteenBits.multiply(op, product.sideBySide(1), a, b, after, c);
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
        library.multiply(
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

    /** What the kernels of products do on the way: c[row] += bias; nothing for address 0. */
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
                            PortableInfoNce.wide(p.n, c, bias));
        }
    }

    /** @param part 0 for a batch of products; or one product, of which each takes this many of k */
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
            throw new ShapeException("gemm: c is " + p.m + " x " + p.n + ", wanted at most 2^31 tiles of 64 x 64");
        }
        int wide = PortableInfoNce.wide(p.lda(), a, strideA)
                + 2 * PortableInfoNce.wide(p.ldb(), b, strideB)
                + 4 * PortableInfoNce.wide(p.n, c, strideC, after.y());
        kernels.get(kernel + p.layout())
                .launch(
                        device.stream(),
                        Launch.of(new Launch.Dim((int) p.tiles(), batch, 1), new Launch.Dim(THREADS, 1, 1)),
                        a,
                        b,
                        c,
                        after.bias(),
                        after.y(),
                        strideA,
                        strideB,
                        strideC,
                        p.m,
                        p.n,
                        p.k,
                        p.lda(),
                        p.ldb(),
                        p.n,
                        part,
                        p.alpha,
                        p.beta,
                        after.quick(),
                        wide);
    }

    private void merge(
            int parts, int count, int n, long from, long to, Epilogue.Addresses after, float alpha, float beta) {
        kernels.get("gemm_merge_f32")
                .launch(
                        device.stream(),
                        Launch.of((count + 127) / 128, 128),
                        from,
                        to,
                        after.bias(),
                        after.y(),
                        parts,
                        count,
                        n,
                        alpha,
                        beta,
                        after.quick());
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
            sixteenBits.multiply("batchedGemm", product.sideBySide(batch), a, b, Epilogue.NONE, c);
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
        int room = WORKSPACE_BYTES / Float.BYTES / width;
        if (room == 0) {
            throw new ShapeException(
                    "biasGradient: dy has " + width + " columns, wanted at most " + WORKSPACE_BYTES / Float.BYTES);
        }
        int most = Math.min(MOST_ROW_PARTS, room);
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

    /** Frees the workspace, if there is one. */
    @Override
    public void close() {
        if (workspace != null) {
            workspace.close();
            workspace = null;
        }
    }
}
