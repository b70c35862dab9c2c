package org.contrastive4j.internal.ptx;

import java.util.function.LongSupplier;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products of 16-bit operands on tensor cores. Sums are f32; results are f32 or of the type of the operands.
 *
 * <p>The vendor library computes plain products where it is available. Products with a bias or GELU are computed by
 * our kernels, which round once and write once: {@code gemm_bf16_*} or {@code gemm_f16_*}, and for large products on
 * sm_90 {@link HopperProducts}, followed by a GELU kernel.
 *
 * <p>An f32 operand is first rounded to 16 bits, into temporary memory of the stream. A long k is split into parts as
 * in {@link PtxMatrixOps}.
 */
final class SixteenBitGemm {
    private static final int TILE = 128;
    private static final int THREADS = 128;
    private static final int MOST_BATCH = 65_535; // blocks along y
    private static final int SHORTEST_PART = 256;
    private static final int PART_STEP = 32;
    /** Tiles that fill a GPU; the workspace holds their sums. */
    private static final int ENOUGH_TILES = PtxMatrixOps.WORKSPACE_BYTES / (Float.BYTES * TILE * TILE);

    /** Products of equal size. */
    record Products(boolean transA, boolean transB, int batch, int m, int n, int k, double alpha, double beta) {
        private int lda() {
            return transA ? m : k;
        }

        private int ldb() {
            return transB ? k : n;
        }

        private long tiles() {
            return (((long) m + TILE - 1) / TILE) * (((long) n + TILE - 1) / TILE);
        }

        private int parts() {
            return batch > 1 ? 1 : (int) Math.max(1, Math.min(ENOUGH_TILES / tiles(), k / SHORTEST_PART));
        }

        /** Returns the products without what the epilogue adds. */
        private Products sums() {
            return new Products(transA, transB, batch, m, n, k, 1, 0);
        }
    }

    /**
     * Addresses, and bytes from one product or part of k to the next; {@code part} is the size of a part of k, or 0.
     */
    private record Operands(
            long a, long b, long c, Epilogue.Addresses after, long strideA, long strideB, long strideC, int part) {}

    private final PtxDevice device;
    private final Kernels kernels;
    private final TensorLauncher launcher;
    private final DType type;
    private final @Nullable VendorGemm library;
    private final PointwiseOps pointwise;
    private final LongSupplier workspace;
    private final @Nullable HopperProducts hopper;

    /**
     * @param library for plain products, or null
     * @param workspace returns the address of the partial sums
     */
    SixteenBitGemm(
            PtxDevice device,
            Kernels kernels,
            DType type,
            @Nullable VendorGemm library,
            PointwiseOps pointwise,
            LongSupplier workspace) {
        this.device = device;
        this.library = library;
        this.pointwise = pointwise;
        this.kernels = kernels;
        this.launcher = new TensorLauncher(device, kernels);
        this.type = type;
        this.workspace = workspace;
        KernelChoice.Preference preference = KernelChoice.preference();
        hopper = KernelChoice.of(device.facts(), Precision.of(type), preference).hopper()
                ? new HopperProducts(device, kernels, type, preference == KernelChoice.Preference.HOPPER)
                : null;
    }

    /** A 16-bit operand, and the memory it was rounded into. */
    private record Operand(long address, @Nullable DeviceStorage own) implements AutoCloseable {
        @Override
        public void close() {
            if (own != null) {
                own.close();
            }
        }
    }

    private Operand operand(Tensor tensor, long address) {
        if (tensor.dtype() == type || tensor.size() == 0) {
            return new Operand(address, null);
        }
        DeviceStorage rounded = launcher.workspace(type.bytes() * tensor.size());
        launcher.elements(
                "cast_f32_" + TensorLauncher.suffix(type),
                tensor.size(),
                address,
                rounded,
                tensor.size(),
                address % 16 == 0 ? 1 : 0);
        return new Operand(rounded.address(), rounded);
    }

    /** Computes c = alpha op(a) op(b) + beta c + bias and y = gelu(c) for each product; y requires a 16-bit c. */
    void multiply(String op, Products p, Tensor a, Tensor b, Epilogue after, Tensor c) {
        long to = DeviceTensors.written(op, "c", device, c, a, b, after.bias());
        long aAddress = DeviceTensors.address(op, "a", device, a);
        long bAddress = DeviceTensors.address(op, "b", device, b);
        Epilogue.Addresses at = after.on(op, device, a, b, c);
        VendorGemm plain = p.k > 0 && after.isNone() ? library : null;
        if (plain == null && hopper != null && hopper.suits(p)) {
            hopper.multiply(op, p, a, b, after.bias(), c);
            after.activate(pointwise, c);
            return;
        }
        try (Operand left = operand(a, aAddress);
                Operand right = operand(b, bAddress)) {
            if (plain != null) {
                plain.multiply(
                        p.transA,
                        p.transB,
                        p.batch,
                        p.m,
                        p.n,
                        p.k,
                        (float) p.alpha,
                        left.address,
                        right.address,
                        (float) p.beta,
                        to,
                        VendorGemm.element(type),
                        VendorGemm.element(c.dtype()),
                        false);
                return;
            }
            if (p.parts() > 1) {
                inParts(p, left.address, right.address, at, to, c.dtype());
                return;
            }
            long strideA = 2L * p.m * p.k;
            long strideB = 2L * p.k * p.n;
            long strideC = (long) c.dtype().bytes() * p.m * p.n;
            for (int first = 0; first < p.batch; first += MOST_BATCH) {
                launch(
                        p,
                        Math.min(MOST_BATCH, p.batch - first),
                        c.dtype(),
                        new Operands(
                                left.address + first * strideA,
                                right.address + first * strideB,
                                to + first * strideC,
                                at,
                                strideA,
                                strideB,
                                strideC,
                                0));
            }
        }
    }

    private void inParts(Products p, long a, long b, Epilogue.Addresses after, long c, DType dtype) {
        int part = (p.k / p.parts() + PART_STEP) / PART_STEP * PART_STEP;
        int parts = (p.k + part - 1) / part;
        int count = p.m * p.n;
        long sums = workspace.getAsLong();
        launch(
                p.sums(),
                parts,
                DType.F32,
                new Operands(
                        a,
                        b,
                        sums,
                        Epilogue.Addresses.NONE,
                        2L * part * (p.transA ? p.m : 1),
                        2L * part * (p.transB ? 1 : p.n),
                        4L * count,
                        part));
        KernelCall.of(kernels.get("gemm_merge_" + TensorLauncher.suffix(dtype)))
                .pointer("p", sums)
                .pointer("c", c)
                .pointer("bias", after.bias())
                .pointer("y", after.y())
                .int32("parts", parts)
                .int32("count", count)
                .int32("n", p.n)
                .float32("alpha", (float) p.alpha)
                .float32("beta", (float) p.beta)
                .int32("quick", after.quick())
                .launch(device.stream(), Launch.of((count + 127) / 128, 128));
    }

    private void launch(Products p, int batch, DType dtype, Operands at) {
        if (p.tiles() > Integer.MAX_VALUE) {
            throw new ShapeException("gemm: c is " + p.m + " x " + p.n + ", expected at most 2^31 tiles of 128 x 128");
        }
        int pair = 2 * dtype.bytes();
        int aligned = (p.lda() % 8 == 0 && at.a % 16 == 0 && at.strideA % 16 == 0 ? 1 : 0)
                + (p.ldb() % 8 == 0 && at.b % 16 == 0 && at.strideB % 16 == 0 ? 2 : 0)
                + (p.n % 2 == 0 && at.c % pair == 0 && at.after.y() % pair == 0 ? 4 : 0)
                + (dtype == DType.F32 ? 8 : 0);
        String name = "gemm_" + TensorLauncher.suffix(type) + "_" + (p.transA ? "t" : "n") + (p.transB ? "t" : "n");
        KernelCall.of(kernels.get(name))
                .pointer("a", at.a)
                .pointer("b", at.b)
                .pointer("c", at.c)
                .pointer("bias", at.after.bias())
                .pointer("y", at.after.y())
                .int64("strideA", at.strideA)
                .int64("strideB", at.strideB)
                .int64("strideC", at.strideC)
                .int32("m", p.m)
                .int32("n", p.n)
                .int32("k", p.k)
                .int32("lda", p.lda())
                .int32("ldb", p.ldb())
                .int32("ldc", p.n)
                .int32("kPart", at.part)
                .float32("alpha", (float) p.alpha)
                .float32("beta", (float) p.beta)
                .int32("quick", at.after.quick())
                .int32("aligned", aligned)
                .launch(
                        device.stream(),
                        Launch.of(new Launch.Dim((int) p.tiles(), batch, 1), new Launch.Dim(THREADS, 1, 1)));
    }
}
