package org.contrastive4j.bench.device;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.ptx.HopperGemm;
import org.contrastive4j.tensor.Precision;

/**
 * Operations per second of a large square matrix product, which shares of the floor refer to.
 *
 * @param source cuBLAS with its version, or that it was this library's own product kernel, and why
 * @param size of the matrices
 * @param flops by type, in lower case; without a type that could not be measured
 */
record MatrixRate(String source, int size, Map<String, Double> flops) {
    private static final int WARM = 1;

    /**
     * Measures with cuBLAS, or, if cuBLAS does not load, with the product kernel of this library: shares of that rate
     * are optimistic.
     *
     * @param repeats of the own kernel
     */
    static MatrixRate measure(PtxDevice device, boolean gpu, int size, int repeats) {
        String why = "this is the simulator";
        if (gpu) {
            try (CublasProduct product = new CublasProduct()) {
                Map<String, Double> flops = new LinkedHashMap<>();
                for (CublasProduct.Type type : CublasProduct.Type.values()) {
                    flops.put(type.name().toLowerCase(Locale.ROOT), product.rate(type, size));
                }
                return new MatrixRate("cuBLAS " + product.version(), size, flops);
            } catch (LinkageError | RuntimeException e) {
                why = "cuBLAS cannot be used: "
                        + e.toString().lines().findFirst().orElseThrow();
            }
        }
        Map<String, Double> flops = new LinkedHashMap<>();
        if (device.facts().architecture() == 90) {
            for (Precision precision : List.of(Precision.BF16, Precision.F16)) {
                flops.put(precision.toString(), own(device, precision, size, repeats));
            }
        }
        return new MatrixRate(
                "NOT cuBLAS but gemm_*_nt_sm90a of this library, so shares flatter it; " + why, size, flops);
    }

    /** The product [size, size] x [size, size]^T of random numbers. */
    private static double own(PtxDevice device, Precision precision, int size, int repeats) {
        HopperGemm gemm = new HopperGemm(device, precision);
        HopperGemm.Product product = new HopperGemm.Product(false, true, 1, size, size, size);
        Features features = Features.random(3, size, size);
        long imageBytes = HopperGemm.imageBytes(size, size);
        try (DeviceStorage u = Features.upload(device, features.u());
                DeviceStorage v = Features.upload(device, features.v());
                DeviceStorage a = device.allocate(imageBytes);
                DeviceStorage b = device.allocate(imageBytes);
                DeviceStorage c = device.allocate(4L * size * size);
                DeviceStream stream = device.newStream()) {
            HopperGemm.Result result = HopperGemm.Result.of(c.address());
            long bytes = HopperGemm.workspaceBytes(product, result);
            gemm.pack(stream, u.address(), 1, size, size, a.address());
            gemm.pack(stream, v.address(), 1, size, size, b.address());
            double[] times = new double[repeats];
            try (DeviceStorage workspace = device.allocate(Math.max(4, bytes))) {
                for (int i = -WARM; i < repeats; i++) {
                    try (DeviceStream.Event begin = stream.record()) {
                        gemm.multiply(stream, product, a.address(), b.address(), result, workspace.address(), bytes);
                        try (DeviceStream.Event end = stream.record()) {
                            times[Math.max(i, 0)] = end.millisecondsSince(begin);
                        }
                    }
                }
            }
            Arrays.sort(times);
            return 2e3 * size * size * size / times[repeats / 2];
        }
    }

    /** Returns the larger of the rates before and after the measurements, for each type. */
    MatrixRate orMore(MatrixRate other) {
        Map<String, Double> most = new LinkedHashMap<>(flops);
        other.flops.forEach((type, rate) -> most.merge(type, rate, Math::max));
        return new MatrixRate(source, size, most);
    }
}
