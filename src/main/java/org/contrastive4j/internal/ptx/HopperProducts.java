package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.ptx.SixteenBitGemm.Products;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Computes 16-bit matrix products of tensors by {@link HopperGemm}. Both operands are packed for each product, into
 * temporary memory of the stream.
 */
final class HopperProducts {
    /**
     * Value of m n / (m + n) from which packing is faster. A product of m x n x k is predicted to take 1.4e-6 m n k
     * fewer clock cycles of an H200 than portable kernels, if those reach half of the peak and these 80 percent;
     * packing costs 1.9e-3 k (m + n).
     */
    private static final double ENOUGH = 660;

    private static final int SHORTEST = 64;

    private final PtxDevice device;
    private final TensorLauncher launcher;
    private final HopperGemm gemm;
    private final DType type;
    private final boolean always;

    /** @param always whether to compute products that are too small for packing to be faster */
    HopperProducts(PtxDevice device, Kernels kernels, DType type, boolean always) {
        this.device = device;
        this.type = type;
        this.always = always;
        launcher = new TensorLauncher(device, kernels);
        gemm = new HopperGemm(kernels, Precision.of(type), device.facts().multiprocessors());
    }

    /** Decides by the sizes only. */
    boolean suits(Products p) {
        return p.k() > 0 && (always || p.k() >= SHORTEST && (double) p.m() * p.n() / (p.m() + p.n()) >= ENOUGH);
    }

    /** Computes c = alpha op(a) op(b) + beta c + bias for each product. */
    void multiply(String op, Products p, Tensor a, Tensor b, @Nullable Tensor bias, Tensor c) {
        long to = DeviceTensors.written(op, "c", device, c, a, b, bias);
        HopperGemm.Result result = HopperGemm.Result.of(to)
                .scaled(p.alpha(), p.beta())
                .bias(bias == null ? 0 : DeviceTensors.address(op, "bias", device, bias));
        if (c.dtype() != DType.F32) {
            result = result.inSixteenBits();
        }
        long aAddress = DeviceTensors.address(op, "a", device, a);
        long bAddress = DeviceTensors.address(op, "b", device, b);
        HopperGemm.Product product = new HopperGemm.Product(p.transA(), p.transB(), p.batch(), p.m(), p.n(), p.k());
        long bytes = HopperGemm.workspaceBytes(product, result);
        try (DeviceStorage left = launcher.workspace(p.batch() * product.imageBytesA());
                DeviceStorage right = launcher.workspace(p.batch() * product.imageBytesB())) {
            pack(a.dtype(), aAddress, p.batch(), p.transA() ? p.k() : p.m(), p.transA() ? p.m() : p.k(), left);
            pack(b.dtype(), bAddress, p.batch(), p.transB() ? p.n() : p.k(), p.transB() ? p.k() : p.n(), right);
            if (bytes == 0) {
                gemm.multiply(device.stream(), product, left.address(), right.address(), result, 0, 0);
                return;
            }
            try (DeviceStorage workspace = launcher.workspace(bytes)) {
                gemm.multiply(
                        device.stream(), product, left.address(), right.address(), result, workspace.address(), bytes);
            }
        }
    }

    private void pack(DType of, long address, int batch, int rows, int columns, DeviceStorage image) {
        DeviceStream stream = device.stream();
        if (of == type) {
            gemm.packSixteenBits(stream, address, batch, rows, columns, image.address());
        } else {
            gemm.pack(stream, address, batch, rows, columns, image.address());
        }
    }
}
