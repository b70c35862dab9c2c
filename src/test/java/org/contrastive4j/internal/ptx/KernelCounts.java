package org.contrastive4j.internal.ptx;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** Counts of the simulator for each kernel of some operations, which {@link KernelsTest} checks. */
final class KernelCounts {
    /** Kinds that products compute in their epilogue. */
    private static final List<PointwiseOps.Gelu> FUSED = List.of(PointwiseOps.Gelu.EXACT, PointwiseOps.Gelu.QUICK);

    private KernelCounts() {}

    /** Totals of the launch of each kernel, by name; where a kernel is launched several times, of the last one. */
    static Map<String, KernelWork> of(int n, int m, int d) {
        Map<String, KernelWork> totals = new LinkedHashMap<>();
        try (SimDevice device =
                SimDevice.open(SimOptions.defaults().withoutChecks().withCounts())) {
            PtxDevice counting = counting(device, totals);
            InfoNceCase c = new InfoNceCase(n, m, d, true, 1);
            PtxNormalize normalize = new PtxNormalize(counting);
            try (DeviceStorage x = Devices.floats(device, c.x);
                    DeviceStorage y = device.allocate(x.bytes());
                    DeviceStorage r = device.allocate(4L * n)) {
                normalize.forward(device.stream(), n, d, x.address(), y.address(), r.address());
                normalize.backward(device.stream(), n, d, y.address(), r.address(), x.address(), x.address(), 0);
            }
            c.ask(device, new PortableInfoNce(counting));
        }
        return totals;
    }

    /** The same on tensor cores. */
    static Map<String, KernelWork> onTensorCores(int n, int m, int d, Precision precision) {
        Map<String, KernelWork> totals = new LinkedHashMap<>();
        try (SimDevice device =
                SimDevice.open(SimOptions.defaults().withoutChecks().withCounts())) {
            PtxDevice counting = counting(device, totals);
            new InfoNceCase(n, m, d, true, 1)
                    .checkValue(
                            device,
                            new PortableInfoNce(counting, precision, 1 << 28),
                            new PtxNormalize(counting),
                            precision);
            try (DeviceStorage x = device.allocate(4L * n * d);
                    DeviceStorage y = device.allocate(n * RowLayout.rowBytes(precision, d))) {
                new RoundingInfoNce(new Kernels(counting), precision, 1 << 28)
                        .round(device.stream(), n, d, x.address(), y.address());
            }
        }
        totals.keySet().removeIf(name -> name.endsWith("_f32"));
        return totals;
    }

    /**
     * Returns the work of products of size x size x size, of one with a long k, and of attention over 4 samples of 64
     * tokens with 4 heads.
     */
    static Map<String, KernelWork> ofProducts(int size, int width) {
        Map<String, KernelWork> totals = new LinkedHashMap<>();
        try (SimDevice device =
                SimDevice.open(SimOptions.defaults().withoutChecks().withCounts())) {
            PtxDevice counting = counting(device, totals);
            Kernels kernels = new Kernels(counting);
            for (Precision multiply : List.of(Precision.F32, Precision.TF32)) {
                for (int turned = 0; turned < 4; turned++) {
                    GemmCases.on(
                            device,
                            kernels,
                            multiply,
                            GemmCases.gemm(turned / 2 == 1, turned % 2 == 1, size, size, size, 0));
                }
                for (PointwiseOps.Gelu gelu : FUSED) {
                    withGelu(
                            totals,
                            "gemm_" + multiply.name().toLowerCase(Locale.ROOT) + "_nn",
                            gelu,
                            () -> GemmCases.on(
                                    device, kernels, multiply, GemmCases.linearGelu(gelu, size, size, size)));
                }
            }
            GemmCases.on(device, kernels, GemmCases.biasGradient(size, size));
            totals.remove("gemm_merge_f32"); // of the bias gradient
            Map<String, KernelWork> whole = new LinkedHashMap<>(totals);
            GemmCases.on(device, kernels, GemmCases.gemm(false, false, 64, 64, 16 * size, 0));
            withGelu(
                    totals,
                    "gemm_merge_f32",
                    PointwiseOps.Gelu.EXACT,
                    () -> GemmCases.on(
                            device, kernels, GemmCases.linearGelu(PointwiseOps.Gelu.EXACT, 64, 16 * size, 64)));
            totals.putAll(whole);
            GemmCases.on(device, kernels, GemmCases.attention(64, 4, width, false));
        }
        return totals;
    }

    /** Totals of a kernel that writes GELU too, under a name of their own. */
    private static void withGelu(Map<String, KernelWork> totals, String kernel, PointwiseOps.Gelu gelu, Runnable work) {
        KernelWork plain = totals.get(kernel);
        work.run();
        totals.put(kernel + (gelu == PointwiseOps.Gelu.EXACT ? " with GELU" : " with quick GELU"), totals.get(kernel));
        totals.put(kernel, plain);
    }

    /** The same of activations in 16 bits: products, parts, bias gradients, and a head of 128 tokens and 64 columns. */
    static Map<String, KernelWork> ofSixteenBits(int m, int n, int k, DType type) {
        Map<String, KernelWork> totals = new LinkedHashMap<>();
        SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks().withCounts());
        Kernels kernels = new Kernels(counting(device, totals));
        try (PtxOps ops = new PtxOps("sim", device, kernels, Precision.of(type));
                Tensor c = ops.zeros(Shape.of(m, n));
                Tensor qkv = ops.zeros(Shape.of(1, 128, 192));
                Tensor out = ops.zeros(Shape.of(1, 128, 64));
                Tensor lse = ops.zeroParameter(Shape.of(1, 1, 128));
                Tensor dQkv = ops.zeros(qkv.shape())) {
            for (int transposes = 0; transposes < 4; transposes++) {
                boolean transA = (transposes & 1) != 0;
                boolean transB = (transposes & 2) != 0;
                try (Tensor a = ops.zeros(transA ? Shape.of(k, m) : Shape.of(m, k));
                        Tensor b = ops.zeros(transB ? Shape.of(n, k) : Shape.of(k, n))) {
                    ops.matrix().gemm(transA, transB, 1, a, b, 0, c);
                }
            }
            try (Tensor x = ops.zeros(Shape.of(m, k));
                    Tensor w = ops.zeros(Shape.of(k, n));
                    Tensor bias = ops.zeroParameter(Shape.of(n));
                    Tensor y = ops.zeros(Shape.of(m, n))) {
                for (PointwiseOps.Gelu gelu : FUSED) {
                    withGelu(
                            totals,
                            "gemm_" + TensorLauncher.suffix(type) + "_nn",
                            gelu,
                            () -> ops.matrix().linearGelu(gelu, x, w, bias, c, y));
                }
            }
            try (Tensor a = ops.zeros(Shape.of(64, 4096));
                    Tensor b = ops.zeros(Shape.of(4096, 64));
                    Tensor small = ops.zeros(Shape.of(64, 64));
                    Tensor dBias = ops.zeroParameter(Shape.of(n))) {
                Map<String, KernelWork> whole = new LinkedHashMap<>(totals);
                ops.matrix().gemm(false, false, 1, a, b, 0, small);
                totals.putAll(whole);
                ops.matrix().biasGradient(c, dBias);
            }
            ops.attention().attention(qkv, 1, false, null, out, lse);
            ops.attention().attentionBackward(qkv, 1, false, null, out, lse, out, dQkv);
        }
        totals.keySet().removeIf(name -> name.startsWith("fill") || name.endsWith("_f32"));
        return totals;
    }

    /** The device, with the counts of each launch, by the name of its kernel. */
    private static PtxDevice counting(SimDevice device, Map<String, KernelWork> totals) {
        return LaunchObserver.of(device, (kernel, launch) -> {
            totals.put(kernel.name(), KernelWork.of(device.counts()));
            device.counts().reset();
        });
    }
}
