package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.contrastive4j.Backend;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.numeric.Erf;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * Matrix products and attention on aligned tensors, run by kernels and by the f64 reference on the same random
 * numbers.
 */
final class GemmCases {
    private GemmCases() {}

    /** Runs on any backend and returns what it wrote, one array for each tensor. */
    interface Case {
        List<double[]> run(Run run);
    }

    /** The operations of one backend, and tensors that are freed at the end. */
    static final class Run implements AutoCloseable {
        final MatrixOps matrix;
        final AttentionOps attention;
        private final Memory memory;
        private final DType dtype;
        private final List<Tensor> tensors = new ArrayList<>();
        private final Random random = new Random(5);

        Run(Memory memory, DType dtype, MatrixOps matrix, AttentionOps attention) {
            this.memory = memory;
            this.dtype = dtype;
            this.matrix = matrix;
            this.attention = attention;
        }

        Tensor random(int... dims) {
            double[] values = new double[Math.toIntExact(Shape.of(dims).size())];
            Arrays.setAll(values, i -> (float) random.nextGaussian());
            return keep(Tensor.of(memory, dtype, Shape.of(dims), values));
        }

        Tensor poisoned(int... dims) {
            double[] values = new double[Math.toIntExact(Shape.of(dims).size())];
            Arrays.fill(values, Double.NaN);
            return keep(Tensor.of(memory, dtype, Shape.of(dims), values));
        }

        Tensor ints(int... values) {
            return keep(Tensor.ofInts(memory, Shape.of(values.length), values));
        }

        private Tensor keep(Tensor tensor) {
            tensors.add(tensor);
            return tensor;
        }

        @Override
        public void close() {
            tensors.forEach(Tensor::close);
        }
    }

    static List<double[]> values(Tensor... tensors) {
        return Arrays.stream(tensors).map(Tensor::toDoubles).toList();
    }

    static List<double[]> on(PtxDevice device, Kernels kernels, Case c) {
        return on(device, kernels, Precision.F32, c);
    }

    static List<double[]> on(PtxDevice device, Kernels kernels, Precision multiply, Case c) {
        try (PtxMatrixOps matrix = new PtxMatrixOps(device, kernels, multiply);
                Run run = new Run(device, DType.F32, matrix, new PtxAttentionOps(device, kernels, DType.F32, false))) {
            return c.run(run);
        }
    }

    static List<double[]> truth(Case c) {
        try (Ops ops = Backend.open("cpu-f64");
                Run run = new Run(ops.memory(), DType.F64, ops.matrix(), ops.attention())) {
            return c.run(run);
        }
    }

    /** Checks each element to {@code units} of 2^-24 (1 + |expected|). */
    static void assertClose(List<double[]> want, List<double[]> got, double units) {
        for (int t = 0; t < want.size(); t++) {
            for (int i = 0; i < want.get(t).length; i++) {
                double expected = want.get(t)[i];
                double given = got.get(t)[i];
                assertTrue(
                        given == expected || Math.abs(given - expected) <= units * 0x1p-24 * (1 + Math.abs(expected)),
                        "result " + t + ", element " + i + ": " + given + ", expected " + expected + ", seed 5");
            }
        }
    }

    static Case gemm(boolean transA, boolean transB, int m, int n, int k, double beta) {
        return run -> {
            Tensor a = transA ? run.random(k, m) : run.random(m, k);
            Tensor b = transB ? run.random(n, k) : run.random(k, n);
            Tensor c = beta == 0 ? run.poisoned(m, n) : run.random(m, n);
            run.matrix.gemm(transA, transB, 1.5, a, b, beta, c);
            return values(c);
        };
    }

    /** A product of integers that tf32 represents exactly and whose sums f32 represents exactly. */
    static Case whole(boolean transA, boolean transB, int m, int n, int k) {
        return run -> {
            Tensor a = transA ? run.random(k, m) : run.random(m, k);
            Tensor b = transB ? run.random(n, k) : run.random(k, n);
            makeWhole(a, b);
            Tensor c = run.poisoned(m, n);
            run.matrix.gemm(transA, transB, 1, a, b, 0, c);
            return values(c);
        };
    }

    private static void makeWhole(Tensor... operands) {
        for (Tensor operand : operands) {
            operand.set(Arrays.stream(operand.toDoubles())
                    .map(v -> Math.rint(20 * v))
                    .toArray());
        }
    }

    static Case linear(int rows, int in, int out) {
        return run -> {
            Tensor y = run.poisoned(rows, out);
            run.matrix.linear(run.random(rows, in), run.random(in, out), run.random(out), y);
            return values(y);
        };
    }

    /** A product 1.5 a b + beta c in any layout, its bias, and GELU of both. */
    static Case fused(Gelu kind, boolean transA, boolean transB, int m, int n, int k, double beta) {
        return fused(kind, transA, transB, m, n, k, beta, false);
    }

    /** The same with integers that tf32 represents exactly and whose sums f32 represents exactly. */
    static Case fusedWhole(boolean transA, boolean transB, int m, int n, int k) {
        return fused(Gelu.QUICK, transA, transB, m, n, k, 0, true);
    }

    private static Case fused(
            Gelu kind, boolean transA, boolean transB, int m, int n, int k, double beta, boolean whole) {
        return run -> {
            Tensor a = transA ? run.random(k, m) : run.random(m, k);
            Tensor b = transB ? run.random(n, k) : run.random(k, n);
            if (whole) {
                makeWhole(a, b);
            }
            Tensor bias = run.random(n);
            Tensor z = beta == 0 ? run.poisoned(m, n) : run.random(m, n);
            Tensor y = run.poisoned(m, n);
            if (run.matrix instanceof PtxMatrixOps kernels) {
                kernels.multiply(transA, transB, k, 1.5, a, b, beta, new Epilogue(bias, kind, y), z);
                return values(z, y);
            }
            run.matrix.gemm(transA, transB, 1.5, a, b, beta, z);
            double[] sums = z.toDoubles();
            double[] biases = bias.toDoubles();
            Arrays.setAll(sums, i -> sums[i] + biases[i % n]);
            return List.of(sums, Arrays.stream(sums).map(x -> gelu(kind, x)).toArray());
        };
    }

    static double gelu(Gelu kind, double x) {
        return x
                * switch (kind) {
                    case EXACT -> Erf.normal(x);
                    case QUICK -> 1 / (1 + Math.exp(-1.702 * x));
                    case TANH -> (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))) / 2;
                };
    }

    static Case linearGelu(Gelu kind, int rows, int in, int out) {
        return run -> {
            Tensor z = run.poisoned(rows, out);
            Tensor y = run.poisoned(rows, out);
            run.matrix.linearGelu(kind, run.random(rows, in), run.random(in, out), run.random(out), z, y);
            return values(z, y);
        };
    }

    static Case biasGradient(int rows, int width) {
        return run -> {
            Tensor dBias = run.random(width);
            run.matrix.biasGradient(run.random(rows, width), dBias);
            return values(dBias);
        };
    }

    /** Attention with lengths t, 0, 1 and one between. */
    static Case attention(int tokens, int heads, int size, boolean causal) {
        return run -> {
            Tensor qkv = run.random(4, tokens, 3 * heads * size);
            Tensor lengths = run.ints(tokens, 0, 1, (2 * tokens + 2) / 3);
            Tensor out = run.poisoned(4, tokens, heads * size);
            Tensor lse = run.poisoned(4, heads, tokens);
            Tensor dQkv = run.poisoned(4, tokens, 3 * heads * size);
            run.attention.attention(qkv, heads, causal, lengths, out, lse);
            run.attention.attentionBackward(
                    qkv, heads, causal, lengths, out, lse, run.random(4, tokens, heads * size), dQkv);
            return values(out, lse, dQkv);
        };
    }
}
