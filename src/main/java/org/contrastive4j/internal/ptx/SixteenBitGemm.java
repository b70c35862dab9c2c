package org.contrastive4j.internal.ptx;

import java.util.function.LongSupplier;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.Launch;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;

/**
 * Matrix products of 16-bit operands on tensor cores; sums are f32, results f32 or of the type of the operands.
 *
 * <p>Plain ones are the library's of the device's maker, where there is one. It rounds what it stores, so that products
 * with a bias or GELU, which are to be rounded once and written in one pass, are ours: by the kernels
 * {@code gemm_bf16_*} or {@code gemm_f16_*}, wide ones on sm_90 by {@link HopperProducts}, whose GELU is a kernel after
 * it.
 *
 * <p>An operand in f32 is rounded to 16 bits first, into memory of the stream's pool that is given back at once. Parts
 * of a long k as in {@link PtxMatrixOps}.
 */
final class SixteenBitGemm {
    private static final int TILE = 128;
    private static final int THREADS = 128;
    private static final int MOST_BATCH = 65_535; // blocks along y
    private static final int SHORTEST_PART = 256;
    private static final int PART_STEP = 32;
    /** Tiles that fill a GPU; their sums are what the workspace holds. */
    private static final int ENOUGH_TILES = PtxMatrixOps.WORKSPACE_BYTES / (Float.BYTES * TILE * TILE);

    /** Equal products side by side. */
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

        /** The sums alone, without what the epilogue adds. */
        private Products sums() {
            return new Products(transA, transB, batch, m, n, k, 1, 0);
        }
    }

    /** Addresses, and bytes from one product, or part of k, to the next; k of a part, or 0. */
    private record Operands(
            long a, long b, long c, Epilogue.Addresses after, long strideA, long strideB, long strideC, int part) {}

    private final PtxDevice device;
    private final Kernels kernels;
    private final TensorLauncher launcher;
    private final DType type;
    private final VendorGemm library;
    private final PointwiseOps pointwise;
    private final LongSupplier workspace;
    private final HopperProducts hopper;

    /**
     * @param library for plain products, or null
     * @param workspace address of the partial sums
     */
    SixteenBitGemm(
            PtxDevice device,
            Kernels kernels,
            DType type,
            VendorGemm library,
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

    /** An operand in 16 bits, and the memory it was rounded into. */
    private record Operand(long address, DeviceStorage own) implements AutoCloseable {
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

    /** c = alpha op(a) op(b) + beta c + bias and y = gelu(c), of each product; y only where c is of 16 bits. */
    void multiply(String op, Products p, Tensor a, Tensor b, Epilogue after, Tensor c) {
        long to = DeviceTensors.written(op, "c", device, c, a, b, after.bias());
        long aAddress = DeviceTensors.address(op, "a", device, a);
        long bAddress = DeviceTensors.address(op, "b", device, b);
        Epilogue.Addresses at = after.on(op, device, a, b, c);
        boolean plain = library != null && p.k > 0 && after.isNone();
        if (!plain && hopper != null && hopper.suits(p)) {
            hopper.multiply(op, p, a, b, after.bias(), c);
            after.activate(pointwise, c);
            return;
        }
        try (Operand left = operand(a, aAddress);
                Operand right = operand(b, bAddress)) {
            if (plain) {
                library.multiply(
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
        kernels.get("gemm_merge_" + TensorLauncher.suffix(dtype))
                .launch(
                        device.stream(),
                        Launch.of((count + 127) / 128, 128),
                        sums,
                        c,
                        after.bias(),
                        after.y(),
                        parts,
                        count,
                        p.n,
                        (float) p.alpha,
                        (float) p.beta,
                        after.quick());
    }

    private void launch(Products p, int batch, DType dtype, Operands at) {
        if (p.tiles() > Integer.MAX_VALUE) {
            throw new ShapeException("gemm: c is " + p.m + " x " + p.n + ", wanted at most 2^31 tiles of 128 x 128");
        }
        int pair = 2 * dtype.bytes();
        int wide = (p.lda() % 8 == 0 && at.a % 16 == 0 && at.strideA % 16 == 0 ? 1 : 0)
                + (p.ldb() % 8 == 0 && at.b % 16 == 0 && at.strideB % 16 == 0 ? 2 : 0)
                + (p.n % 2 == 0 && at.c % pair == 0 && at.after.y() % pair == 0 ? 4 : 0)
                + (dtype == DType.F32 ? 8 : 0);
        String name = "gemm_" + TensorLauncher.suffix(type) + "_" + (p.transA ? "t" : "n") + (p.transB ? "t" : "n");
        kernels.get(name)
                .launch(
                        device.stream(),
                        Launch.of(new Launch.Dim((int) p.tiles(), batch, 1), new Launch.Dim(THREADS, 1, 1)),
                        at.a,
                        at.b,
                        at.c,
                        at.after.bias(),
                        at.after.y(),
                        at.strideA,
                        at.strideB,
                        at.strideC,
                        p.m,
                        p.n,
                        p.k,
                        p.lda(),
                        p.ldb(),
                        p.n,
                        at.part,
                        (float) p.alpha,
                        (float) p.beta,
                        at.after.quick(),
                        wide);
    }
}
