package org.contrastive4j.internal.ptx;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.RandomKey;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * Prints the work of each kernel of one value and gradient, and of the rest of a step, counted by the simulator, as
 * the tables of {@code kernels/README.md}: run {@code mvn -q test-compile exec:java -Dexec.classpathScope=test
 * -Dexec.mainClass=org.contrastive4j.internal.ptx.KernelCounts}.
 */
public final class KernelCounts {
    /** Those that products compute as they store their result. */
    private static final List<PointwiseOps.Gelu> FUSED = List.of(PointwiseOps.Gelu.EXACT, PointwiseOps.Gelu.QUICK);

    private static final List<DType> SIXTEEN_BITS = List.of(DType.BF16, DType.F16);

    private KernelCounts() {}

    public static void main(String[] arguments) {
        Map<String, KernelWork> pairwise = of(256, 256, 128);
        for (Precision precision : InfoNceCase.ROUNDED) {
            /** Returns the same for kernels on tensor cores. */
            pairwise.putAll(onTensorCores(256, 256, 128, precision));
        }
        print(pairwise);
        Map<String, KernelWork> pairs = new LinkedHashMap<>();
        for (String loss : List.of("siglip", "triplet-hardest", "infonce-smoothed")) {
            /** Returns the work of the pair kernels in value, gradient and metrics of a loss of n x n pairs. */
            ofLoss(loss, 256, 128)
                    .forEach((kernel, line) ->
                            pairs.put(kernel.startsWith("pair_histogram") ? kernel : kernel + " of " + loss, line));
        }
        print(pairs);
        Map<String, KernelWork> operations = ofOperations(4, 64, 256);
        SIXTEEN_BITS.forEach(type -> ofOperations(4, 64, 256, type).forEach(operations::putIfAbsent));
        print(operations);
        /**
         * Returns the work of products of size x size x size, of one with a long k, and of attention over 4 samples
         * of 64 tokens with 4 heads.
         */
        print(ofProducts(256, 64));
        Map<String, KernelWork> sixteen = new LinkedHashMap<>();
        /**
         * Returns the same for 16-bit activations: products, parts, bias gradients, and a head of 128 tokens and 64
         * columns.
         */
        SIXTEEN_BITS.forEach(type -> sixteen.putAll(ofSixteenBits(256, 256, 128, type)));
        print(sixteen);
        HopperKernelCounts.print();
        System.out.println("\n| kernel | ms at n = m = 8192, d = 512 | bound by |\n|---|---|---|");
        predict(of(256, 256, 64), of(128, 128, 128), pairwise, "f32", 64);
        for (Precision precision : List.of(Precision.TF32, Precision.BF16)) {
            predict(
                    onTensorCores(256, 256, 64, precision),
                    onTensorCores(128, 128, 128, precision),
                    pairwise,
                    precision.toString(),
                    128);
        }
    }

    /** Prints one line for each kernel, and one for bf16 and f16 kernels with equal counts. */
    private static void print(Map<String, KernelWork> counts) {
        System.out.println("\n| kernel | warp instructions | bytes of global memory | sectors used | shared passes |"
                + " bank conflicts | predicted, us | bound by |\n|---|---|---|---|---|---|---|---|");
        print(
                counts,
                work -> String.format(
                        Locale.ROOT,
                        "%,d | %,d | %.0f%% | %,d | %,d",
                        work.line().executions(),
                        work.line().globalBytes(),
                        100 * work.sectorsUsed(),
                        work.line().passes(),
                        work.line().extraPasses()));
    }

    /** One line for each kernel, and one for those of bf16 and f16 that count the same. */
    static void print(Map<String, KernelWork> counts, Function<KernelWork, String> cells) {
        Map<String, List<String>> alike = new LinkedHashMap<>();
        counts.forEach((name, work) -> {
            String row = cells.apply(work)
                    + String.format(
                            Locale.ROOT,
                            " | %.3f | %s |",
                            1e6 * work.clocks().seconds(),
                            work.clocks().bound());
            alike.computeIfAbsent(name.replaceAll("_b?f16", "_16") + "\n" + row, key -> new ArrayList<>())
                    .add(name);
        });
        alike.forEach((key, names) -> {
            String kernels = names.stream()
                    .map(name -> "`" + name.replaceFirst(" .*", "") + "`")
                    .collect(Collectors.joining(", "));
            String of = names.get(0).replaceFirst("^\\S*", "");
            System.out.println("| " + kernels + of + " | " + key.substring(key.indexOf('\n') + 1));
        });
    }

    /** A tile of logits costs a constant and as much for each k; a tile of a gradient the same with n or m for d. */
    private static void predict(
            Map<String, KernelWork> narrow,
            Map<String, KernelWork> small,
            Map<String, KernelWork> large,
            String dtype,
            int tile) {
        int n = 8192;
        int d = 512;
        double all = 0;
        for (String kernel : List.of("fwd", "bwd", "dx", "dy")) {
            String name = "pairwise_" + kernel + "_" + dtype;
            boolean product = kernel.startsWith("d");
            KernelWork.Clocks large1 =
                    large.get(name).clocks().of(1.0 * tile * tile / (product ? 256 * 128 : 256 * 256));
            KernelWork.Clocks small1 = product
                    ? small.get(name).clocks().of(1.0 * tile * tile / (128 * 128))
                    : narrow.get(name).clocks().of(1.0 * tile * tile / (256 * 256));
            KernelWork.Clocks one =
                    product ? small1.extended(large1, 128, 256, n) : small1.extended(large1, 64, 128, d);
            KernelWork.Clocks whole = one.of(1.0 * n * (product ? d : n) / tile / tile);
            all += whole.seconds();
            System.out.printf(Locale.ROOT, "| `%s` | %.2f | %s |%n", name, 1e3 * whole.seconds(), whole.bound());
        }
        System.out.printf(Locale.ROOT, "| all four, %s | %.2f | |%n", dtype, 1e3 * all);
    }

    /** Returns the work of the last launch of each kernel, by name. */
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

    /** The same of products of size x size x size, of one with a long sum, and of attention over 4 samples of 64 tokens with 4 heads. */
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

    /** Adds the work of a kernel that fuses GELU, under a separate name. */
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

    /** The pair kernels in value, gradient and metrics of a loss of n x n pairs. */
    static Map<String, KernelWork> ofLoss(String name, int n, int d) {
        Map<String, KernelWork> totals = new LinkedHashMap<>();
        SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks().withCounts());
        double[] values = new Random(1).doubles((long) n * d, -1, 1).toArray();
        try (PtxOps ops = new PtxOps("sim", device, new Kernels(counting(device, totals)), Precision.F32);
                ContrastiveLoss loss = Losses.named(ops, name);
                Tensor u = ops.tensor(Shape.of(n, d), values);
                Tensor v = ops.tensor(Shape.of(n, d), values);
                Tensor du = ops.zeros(u.shape());
                Tensor dv = ops.zeros(v.shape())) {
            loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, dv, 1);
            Map<String, KernelWork> ofPass = new LinkedHashMap<>(totals);
            loss.metrics(u, v, PairLabels.DIAGONAL);
            ofPass.put("pair_histogram_f32", totals.get("pair_histogram_f32"));
            ofPass.keySet().removeIf(kernel -> !kernel.startsWith("pair_"));
            return ofPass;
        }
    }

    /** Returns the work of the other operations of a step, on b samples of t tokens of width w. */
    static Map<String, KernelWork> ofOperations(int b, int t, int w) {
        Map<String, KernelWork> totals = ofOperations(b, t, w, DType.F32);
        SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks().withCounts());
        Kernels kernels = new Kernels(counting(device, totals));
        try (PtxOps ops = new PtxOps("sim", device, kernels, Precision.F32);
                Tensor x = ops.zeros(Shape.of(b, t, w));
                Tensor y = ops.zeros(Shape.of(b, t, w))) {
            ops.update().adamW(new UpdateOps.AdamW(1e-3, 0.9, 0.98, 1e-8, 0.1, 1, 1), x, y, x, y);
            ops.update().sumOfSquares(x);
            ops.update().firstNonFinite(x);
            ops.pointwise().clamp(-1, 1, x);
        }
        return totals;
    }

    /** Returns the work of the operations of one type of activations, and of casts. */
    private static Map<String, KernelWork> ofOperations(int b, int t, int w, DType type) {
        Map<String, KernelWork> totals = new LinkedHashMap<>();
        SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks().withCounts());
        Kernels kernels = new Kernels(counting(device, totals));
        try (PtxOps ops = new PtxOps("sim", device, kernels, Precision.of(type));
                Tensor x = ops.zeros(Shape.of(b, t, w));
                Tensor y = ops.zeros(Shape.of(b, t, w));
                Tensor row = ops.zeroParameter(Shape.of(w));
                Tensor perRow = ops.zeroParameter(Shape.of(b * t));
                Tensor one = ops.zeros(Shape.of(b, w));
                Tensor places = ops.zeroParameter(Shape.of(t, w));
                Tensor more = ops.zeros(Shape.of(b, t + 1, w));
                Tensor ids = ops.ints(
                        Shape.of(b, t),
                        IntStream.range(0, b * t).map(i -> i % t).toArray())) {
            pointwise(ops.pointwise(), x, y, ids.reshape(b * t).rows(0, b));
            ops.norm().layerNorm(x, row, row, 1e-5, y, perRow, perRow);
            ops.norm().layerNormBackward(x, row, perRow, perRow, y, y, row, row);
            ops.sequence().embedding(ids, places, x);
            ops.sequence().embeddingBackward(ids, x, places);
            ops.sequence().addPositions(x, places, x);
            ops.sequence().addPositionsBackward(x, places);
            ops.sequence().prependToken(x, row, more);
            ops.sequence().prependTokenBackward(more, x, row);
            ops.sequence().meanPool(x, null, one);
            ops.sequence().meanPoolBackward(one, null, x);
            ops.sequence().selectToken(x, null, one);
            ops.sequence().selectTokenBackward(one, null, x);
            Tensor picture = x.reshape(b, t, w / 4, 4);
            Tensor windows = y.reshape(b, t * w / 64, 64);
            ops.sequence().patchify(picture, 4, 4, 0, windows);
            ops.sequence().patchifyBackward(windows, 4, 4, 0, picture);
            for (DType other : List.of(DType.F32, DType.BF16, DType.F16)) {
                if (other != type) {
                    try (Tensor z = Tensor.allocate(ops.memory(), other, x.shape())) {
                        ops.pointwise().cast(x, z);
                        if (other == DType.F32) {
                            ops.sequence().patchify(z.reshape(b, t, w / 4, 4), 4, 4, 0, windows);
                        }
                    }
                }
            }
        }
        return totals;
    }

    private static void pointwise(PointwiseOps pointwise, Tensor x, Tensor y, Tensor samples) {
        pointwise.fill(x, 1);
        pointwise.add(x, y, y);
        pointwise.axpy(2, x, y);
        pointwise.scale(2, x, y);
        for (PointwiseOps.Gelu kind : PointwiseOps.Gelu.values()) {
            pointwise.gelu(kind, x, y);
            pointwise.geluBackward(kind, x, y, y);
        }
        pointwise.dropout(x, samples, 0.1, new RandomKey(1, 2, 3), y);
    }

    /** Returns a device that counts each launch separately. */
    private static PtxDevice counting(SimDevice device, Map<String, KernelWork> totals) {
        return counting(device, totals::put);
    }

    /** Returns a device that passes the name and counts of each launch on. */
    static PtxDevice counting(SimDevice device, BiConsumer<String, KernelWork> taken) {
        return LaunchObserver.of(device, (kernel, launch) -> {
            taken.accept(kernel.name(), KernelWork.of(device.counts()));
            device.counts().reset();
        });
    }
}
