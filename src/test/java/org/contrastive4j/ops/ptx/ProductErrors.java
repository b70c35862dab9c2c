package org.contrastive4j.ops.ptx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.sim.SimDevice;
import org.contrastive4j.device.sim.SimOptions;
import org.contrastive4j.ops.ptx.PtxMatrixOps.Multiply;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** Errors of products and of attention against f64, as lines of a table: {@link ErrorTables} prints them. */
final class ProductErrors {
    private static final int[][] PRODUCTS = {{33, 65, 31}, {64, 129, 257}, {31, 33, 1024}};
    private static final int[][] HEADS = {{33, 2, 16}, {65, 1, 64}, {103, 1, 33}};

    private ProductErrors() {}

    static List<String> lines() {
        List<String> lines = new ArrayList<>();
        for (Multiply multiply : Multiply.values()) {
            for (boolean turned : new boolean[] {false, true}) {
                for (int[] sizes : PRODUCTS) {
                    lines.add(gemm(multiply, turned, sizes[0], sizes[1], sizes[2]));
                }
            }
        }
        for (Precision precision : new Precision[] {Precision.BF16, Precision.F16}) {
            for (boolean turned : new boolean[] {false, true}) {
                for (int[] sizes : PRODUCTS) {
                    lines.add(gemm(precision, turned, sizes[0], sizes[1], sizes[2]));
                }
            }
        }
        for (int[] sizes : HEADS) {
            for (boolean causal : new boolean[] {false, true}) {
                lines.addAll(attention(sizes[0], sizes[1], sizes[2], causal));
            }
        }
        return lines;
    }

    static String gemm(Multiply multiply, boolean turned, int m, int n, int k) {
        return gemm(multiply.name(), multiply, DType.F32, Precision.F32, turned, m, n, k);
    }

    /** Of operands that 16 bits hold, as are the results. */
    static String gemm(Precision precision, boolean turned, int m, int n, int k) {
        return gemm(precision.name(), Multiply.F32, DType.valueOf(precision.name()), precision, turned, m, n, k);
    }

    private static String gemm(String name, Multiply multiply, DType type, Precision precision, boolean turned, int m, int n, int k) {
        Random random = new Random(1);
        float[] a = rounded(ErrorTables.gaussian(random, m * k), precision);
        float[] b = rounded(ErrorTables.gaussian(random, k * n), precision);
        double[] truth = new double[m * n];
        for (int at = 0; at < truth.length; at++) {
            for (int l = 0; l < k; l++) {
                truth[at] += (double) a[at / n * k + l] * b[turned ? at % n * k + l : l * n + at % n];
            }
        }
        double[] plain = PlainProducts.gemm(a, b, turned, m, n, k);
        Arrays.setAll(plain, i -> PlainInfoNce.round(plain[i], precision));
        try (PtxDevice device = SimDevice.open(SimOptions.defaults().withoutChecks()); PtxMatrixOps ops = new PtxMatrixOps(
                device, new Kernels(device), multiply, type); Tensor left = tensor(device, type, a, m, k);
                Tensor right = turned ? tensor(device, type, b, n, k) : tensor(device, type, b, k, n);
                Tensor c = tensor(device, type, new float[m * n], m, n)) {
            ops.gemm(false, turned, 1, left, right, 0, c);
            return line("gemm_" + name.toLowerCase(Locale.ROOT) + (turned ? "_nt" : "_nn"), m + " x " + n + " x " + k, truth, c.toDoubles(),
                    plain);
        }
    }

    private static float[] rounded(float[] values, Precision precision) {
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) PlainInfoNce.round(values[i], precision);
        }
        return values;
    }

    static List<String> attention(int tokens, int heads, int size, boolean causal) {
        Random random = new Random(2);
        int width = heads * size;
        float[] qkv = ErrorTables.gaussian(random, tokens * 3 * width);
        float[] dOut = ErrorTables.gaussian(random, tokens * width);
        double[][] truth = ProductCases.truth(run -> attention(run, qkv, dOut, tokens, heads, size, causal)).toArray(double[][]::new);
        PlainProducts.Attention plain = PlainProducts.Attention.of(qkv, dOut, tokens, heads, size, causal);
        try (PtxDevice device = SimDevice.open(SimOptions.defaults().withoutChecks())) {
            List<double[]> got =
                    ProductCases.on(device, new Kernels(device), run -> attention(run, qkv, dOut, tokens, heads, size, causal));
            String sizes = tokens + " tokens, " + heads + " x " + size + (causal ? ", causal" : "");
            List<String> lines = new ArrayList<>(List.of(line("attention out", sizes, truth[0], got.get(0), plain.out()),
                    line("attention log-sums", sizes, truth[1], got.get(1), plain.lse())));
            for (int part = 0; part < 3; part++) {
                lines.add(line("attention d" + "qkv".charAt(part), sizes, part(truth[2], width, part), part(got.get(2), width, part),
                        part(plain.dQkv(), width, part)));
            }
            return lines;
        }
    }

    private static List<double[]> attention(ProductCases.Run run, float[] qkv, float[] dOut, int tokens, int heads, int size, boolean causal) {
        int width = heads * size;
        Tensor in = run.random(1, tokens, 3 * width);
        Tensor dOuts = run.random(1, tokens, width);
        in.set(doubles(qkv));
        dOuts.set(doubles(dOut));
        Tensor out = run.poisoned(1, tokens, width);
        Tensor lse = run.poisoned(1, heads, tokens);
        Tensor dQkv = run.poisoned(1, tokens, 3 * width);
        run.attention.attention(in, heads, causal, null, out, lse);
        run.attention.attentionBackward(in, heads, causal, null, out, lse, dOuts, dQkv);
        return ProductCases.values(out, lse, dQkv);
    }

    private static double[] part(double[] dQkv, int width, int part) {
        return IntStream.range(0, dQkv.length).filter(i -> i % (3 * width) / width == part).mapToDouble(i -> dQkv[i]).toArray();
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
