package org.contrastive4j.bench.device;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.device.DeviceEvent;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.ptx.HopperPairwise;
import org.contrastive4j.ops.ptx.HopperPairwise.Precision;
import org.contrastive4j.ops.ptx.HopperPairwise.Tiling;

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
     * By cuBLAS; where that does not load, by the library's own dX product kernel, which makes a share say less.
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
                why = "cuBLAS cannot be used: " + e.toString().lines().findFirst().orElseThrow();
            }
        }
        Map<String, Double> flops = new LinkedHashMap<>();
        for (Precision precision : Precision.values()) {
            flops.put(precision.name().toLowerCase(Locale.ROOT), own(device, precision, size, repeats));
        }
        return new MatrixRate("NOT cuBLAS but pairwise_bwd_*_dx_sm90a of this library, so shares flatter it; " + why, size, flops);
    }

    /** [size, size] x [size, size] of unit rows. */
    private static double own(PtxDevice device, Precision precision, int size, int repeats) {
        HopperPairwise kernels = new HopperPairwise(device, precision);
        Tiling tiling = Tiling.of(size, size, size, device.facts().multiprocessors());
        Features features = Features.random(3, size, size);
        try (DeviceStorage u = Features.upload(device, features.u());
                DeviceStorage v = Features.upload(device, features.v());
                DeviceStorage scale = Features.upload(device, new float[][] {{1}});
                DeviceStorage a = device.allocate(HopperPairwise.imageBytes(size, tiling.paddedColumns()));
                DeviceStorage b = device.allocate(HopperPairwise.imageBytes(size, size));
                DeviceStorage c = device.allocate(4L * size * size);
                DeviceStream stream = device.newStream()) {
            stream.fill(a, (byte) 0);
            kernels.normalize(stream, u.address(), size, size, a.address(), 0);
            kernels.normalize(stream, v.address(), size, size, b.address(), 0);
            double[] times = new double[repeats];
            for (int i = -WARM; i < repeats; i++) {
                try (DeviceEvent begin = stream.record()) {
                    kernels.rowGradients(stream, tiling, a.address(), tiling.columnBlocks(), b.address(),
                            scale.address(), 1, c.address(), false);
                    try (DeviceEvent end = stream.record()) {
                        times[Math.max(i, 0)] = end.millisecondsSince(begin);
                    }
                }
            }
            Arrays.sort(times);
            return 2e3 * size * size * size / times[repeats / 2];
        }
    }

    /** The larger of two, type by type: the machine's rate before and after the work. */
    MatrixRate orMore(MatrixRate other) {
        Map<String, Double> most = new LinkedHashMap<>(flops);
        other.flops.forEach((type, rate) -> most.merge(type, rate, Math::max));
        return new MatrixRate(source, size, most);
    }
}
