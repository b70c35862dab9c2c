package org.contrastive4j.internal.ptx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** Errors of matrix products and of attention against f64, as lines of a table; {@link ErrorTables} prints them. */
final class GemmErrors {
    private static final int[][] PRODUCTS = {{33, 65, 31}, {64, 129, 257}, {31, 33, 1024}};
    private static final int[][] HEADS = {{33, 2, 16}, {65, 1, 64}, {103, 1, 33}};

    private GemmErrors() {}

    /**
     * Kinds of product kernels.
     *
     * @param precision that is multiplied
     */
    enum Kind {
        F32(Precision.F32, ""),
        TF32(Precision.TF32, ""),
        BF16(Precision.BF16, ""),
        F16(Precision.F16, ""),
        BF16_SM90A(Precision.BF16, "_sm90a"),
        F16_SM90A(Precision.F16, "_sm90a");

        private final Precision precision;
        private final String suffix;

        Kind(Precision precision, String suffix) {
            this.precision = precision;
            this.suffix = suffix;
        }

        boolean ofHopper() {
            return !suffix.isEmpty();
        }

        private DType type() {
            return precision.storage();
        }

        /** Returns the precision that operands and results are rounded to in memory. */
        private Precision stored() {
            return Precision.of(type());
        }

        private String kernel(boolean transA, boolean transB) {
            return "gemm_" + precision + "_" + (transA ? "t" : "n") + (transB ? "t" : "n") + suffix;
        }

        private PtxMatrixOps on(PtxDevice device) {
            System.setProperty(KernelChoice.PROPERTY, ofHopper() ? "hopper" : "portable");
            try {
                return new PtxMatrixOps(device, new Kernels(device), precision);
            } finally {
                System.clearProperty(KernelChoice.PROPERTY);
            }
        }
    }

    static List<String> lines() {
        List<String> lines = new ArrayList<>();
        for (Kind kind : Kind.values()) {
            for (int layout = 0; layout < 4; layout++) {
                for (int[] sizes : PRODUCTS) {
                    if (layout < 2 || kind.ofHopper()) {
                        lines.add(gemm(kind, layout >= 2, layout % 2 == 1, sizes[0], sizes[1], sizes[2]));
                    }
                }
            }
        }
        for (Kind kind : Kind.values()) {
            for (Gelu gelu : Gelu.values()) {
                for (int[] sizes : PRODUCTS) {
                    if (!kind.ofHopper()) {
                        lines.add(gelu(kind, gelu, sizes[0], sizes[1], sizes[2]));
                    }
                }
            }
        }
        for (Precision precision : new Precision[] {Precision.F32, Precision.BF16, Precision.F16}) {
            for (int[] sizes : HEADS) {
                for (boolean causal : new boolean[] {false, true}) {
                    lines.addAll(attention(precision, sizes[0], sizes[1], sizes[2], causal));
                }
            }
        }
        return lines;
    }

    /** Operands in their stored layout, and the product. */
    private static final class Product {
        final float[] a;
        final float[] b;
        final double[] truth;
        final double[] plain;

        Product(Random random, Kind kind, boolean transA, boolean transB, int m, int n, int k) {
            a = rounded(ErrorTables.gaussian(random, m * k), kind.stored());
            b = rounded(ErrorTables.gaussian(random, k * n), kind.stored());
            truth = new double[m * n];
            for (int at = 0; at < truth.length; at++) {
                int i = at / n;
                int j = at % n;
                for (int l = 0; l < k; l++) {
                    truth[at] += (double) a[transA ? l * m + i : i * k + l] * b[transB ? j * k + l : l * n + j];
                }
            }
            plain = NaiveProducts.gemm(a, b, transA, transB, m, n, k);
        }
    }

    static String gemm(Kind kind, boolean transA, boolean transB, int m, int n, int k) {
        Product product = new Product(new Random(1), kind, transA, transB, m, n, k);
        try (PtxDevice device = SimDevice.open(SimOptions.defaults().withoutChecks());
                PtxMatrixOps ops = kind.on(device);
                Tensor a = tensor(device, kind.type(), product.a, transA ? k : m, transA ? m : k);
                Tensor b = tensor(device, kind.type(), product.b, transB ? n : k, transB ? k : n);
                Tensor c = tensor(device, kind.type(), new float[m * n], m, n)) {
            ops.gemm(transA, transB, 1, a, b, 0, c);
            return line(
                    kind.kernel(transA, transB),
                    m + " x " + n + " x " + k,
                    product.truth,
                    c.toDoubles(),
                    rounded(product.plain, kind.stored()));
        }
    }

    /** Errors of gelu(a b + bias); naive implementations round the argument too. */
    static String gelu(Kind kind, Gelu gelu, int m, int n, int k) {
        Random random = new Random(3);
        Product product = new Product(random, kind, false, false, m, n, k);
        float[] bias = ErrorTables.gaussian(random, n);
        double[] truth = product.truth.clone();
        double[] plain = product.plain.clone();
        for (int i = 0; i < truth.length; i++) {
            truth[i] = GemmCases.gelu(gelu, truth[i] + bias[i % n]);
            double z = NaiveInfoNce.round((float) plain[i] + bias[i % n], kind.stored());
            plain[i] = NaiveInfoNce.round(GemmCases.gelu(gelu, z), kind.stored());
        }
        try (PtxDevice device = SimDevice.open(SimOptions.defaults().withoutChecks());
                PtxMatrixOps ops = kind.on(device);
                Tensor a = tensor(device, kind.type(), product.a, m, k);
                Tensor b = tensor(device, kind.type(), product.b, k, n);
                Tensor added = Tensor.of(device, DType.F32, Shape.of(n), doubles(bias));
                Tensor z = tensor(device, kind.type(), new float[m * n], m, n);
                Tensor y = tensor(device, kind.type(), new float[m * n], m, n)) {
            ops.linearGelu(gelu, a, b, added, z, y);
            return line(
                    kind.kernel(false, false) + label(gelu), m + " x " + n + " x " + k, truth, y.toDoubles(), plain);
        }
    }

    private static String label(Gelu gelu) {
        return switch (gelu) {
            case EXACT -> ", GELU";
            case QUICK -> ", quick GELU";
            case TANH -> ", tanh GELU";
        };
    }

    private static float[] rounded(float[] values, Precision precision) {
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) NaiveInfoNce.round(values[i], precision);
        }
        return values;
    }

    private static double[] rounded(double[] values, Precision precision) {
        return Arrays.stream(values)
                .map(value -> NaiveInfoNce.round(value, precision))
                .toArray();
    }

    static List<String> attention(Precision precision, int tokens, int heads, int size, boolean causal) {
        Random random = new Random(2);
        int width = heads * size;
        float[] qkv = rounded(ErrorTables.gaussian(random, tokens * 3 * width), precision);
        float[] dOut = rounded(ErrorTables.gaussian(random, tokens * width), precision);
        NaiveProducts.Attention plain = NaiveProducts.Attention.of(precision, qkv, dOut, tokens, heads, size, causal);
        PtxDevice device = SimDevice.open(SimOptions.defaults().withoutChecks());
        try (Ops f64 = Backend.open("cpu-f64");
                Ops ops = new PtxOps("sim", device, precision)) {
            List<double[]> truth = attention(f64, qkv, dOut, tokens, heads, size, causal);
            List<double[]> got = attention(ops, qkv, dOut, tokens, heads, size, causal);
            String name = "attention" + (precision == Precision.F32 ? "" : "_" + precision);
            String sizes = tokens + " tokens, " + heads + " x " + size + (causal ? ", causal" : "");
            List<String> lines = new ArrayList<>(List.of(
                    line(name + " out", sizes, truth.get(0), got.get(0), plain.out()),
                    line(name + " log-sums", sizes, truth.get(1), got.get(1), plain.lse())));
            for (int part = 0; part < 3; part++) {
                lines.add(line(
                        name + " d" + "qkv".charAt(part),
                        sizes,
                        part(truth.get(2), width, part),
                        part(got.get(2), width, part),
                        part(plain.dQkv(), width, part)));
            }
            return lines;
        }
    }

    private static List<double[]> attention(
            Ops ops, float[] qkv, float[] dOut, int tokens, int heads, int size, boolean causal) {
        int width = heads * size;
        try (Tensor in = ops.tensor(Shape.of(1, tokens, 3 * width), doubles(qkv));
                Tensor dOuts = ops.tensor(Shape.of(1, tokens, width), doubles(dOut));
                Tensor out = ops.allocate(1, tokens, width);
                Tensor lse = ops.allocateParameter(1, heads, tokens);
                Tensor dQkv = ops.allocate(1, tokens, 3 * width)) {
            ops.attention().attention(in, heads, causal, null, out, lse);
            ops.attention().attentionBackward(in, heads, causal, null, out, lse, dOuts, dQkv);
            return GemmCases.values(out, lse, dQkv);
        }
    }

    private static double[] part(double[] dQkv, int width, int part) {
        return IntStream.range(0, dQkv.length)
                .filter(i -> i % (3 * width) / width == part)
                .mapToDouble(i -> dQkv[i])
                .toArray();
    }

    private static String line(String what, String sizes, double[] truth, double[] kernels, double[] plain) {
        ErrorTables.Errors ofKernels = new ErrorTables.Errors();
        ErrorTables.Errors ofPlain = new ErrorTables.Errors();
        ofKernels.add(truth, kernels);
        ofPlain.add(truth, plain);
        return "| " + what + " | " + sizes + " | " + ofKernels.cell(false) + " | " + ofPlain.cell(false) + " |";
    }

    private static Tensor tensor(PtxDevice device, DType type, float[] values, int rows, int columns) {
        return Tensor.of(device, type, Shape.of(rows, columns), doubles(values));
    }

    private static double[] doubles(float[] values) {
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }
}
