package org.contrastive4j.ops.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.sim.SimDevice;
import org.contrastive4j.device.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Products of 16-bit operands against sums in f64 of the same numbers. */
class SixteenBitProductsTest {
    /** m, n, k: below, at and above a tile, a stage and what is copied at once; the last is cut into parts of k. */
    private static final int[][] SIZES = {{1, 1, 1}, {31, 33, 7}, {128, 128, 32}, {129, 8, 40}, {64, 130, 64},
            {16, 127, 33}, {8, 136, 72}, {9, 6, 600}, {3, 5, 0}};

    static Stream<Arguments> devices() {
        return Devices.names().flatMap(name -> Stream.of(Arguments.of(name, DType.BF16), Arguments.of(name, DType.F16)));
    }

    /** Products on one device, and tensors at an odd or an aligned place, that are freed in the end. */
    static final class Bench implements AutoCloseable {
        final PtxMatrixOps matrix;
        private final PtxDevice device;
        private final DType type;
        private final List<Tensor> tensors = new ArrayList<>();
        private final Random random = new Random(9);
        private final int start;

        Bench(PtxDevice device, Kernels kernels, DType type, int start) {
            this.device = device;
            this.type = type;
            this.start = start;
            matrix = new PtxMatrixOps(device, kernels, PtxMatrixOps.Multiply.F32, type);
        }

        /** Numbers that the type of activations holds, in a tensor of that type or of f32. */
        Tensor random(DType dtype, int... dims) {
            return random(dtype, v -> v, dims);
        }

        Tensor random(DType dtype, DoubleUnaryOperator of, int... dims) {
            int size = (int) Shape.of(dims).size();
            double[] values = random.doubles(size + start, -2, 2).map(of).toArray();
            try (Tensor rounded = Tensor.of(device, type, Shape.of(size + start), values)) {
                Tensor whole = Tensor.of(device, dtype, Shape.of(size + start), rounded.toDoubles());
                tensors.add(whole);
                return whole.rows(start, size + start).reshape(dims);
            }
        }

        Tensor poisoned(DType dtype, int... dims) {
            Tensor tensor = random(dtype, dims);
            double[] nan = new double[(int) tensor.size()];
            Arrays.fill(nan, Double.NaN);
            tensor.set(nan);
            return tensor;
        }

        /** @throws AssertionError where products differ from f64 by more than their sums and the rounding allow */
        void check(boolean transA, boolean transB, int[] size, DType[] types, double beta) {
            int m = size[0];
            int n = size[1];
            int k = size[2];
            Tensor a = transA ? random(types[0], k, m) : random(types[0], m, k);
            Tensor b = transB ? random(types[1], n, k) : random(types[1], k, n);
            Tensor c = beta == 0 ? poisoned(types[2], m, n) : random(types[2], m, n);
            double[] left = a.toDoubles();
            double[] right = b.toDoubles();
            double[] want = beta == 0 ? new double[m * n] : c.toDoubles();
            double[] size1 = new double[m * n];
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < n; j++) {
                    double sum = 0;
                    for (int l = 0; l < k; l++) {
                        double product = left[transA ? l * m + i : i * k + l] * right[transB ? j * k + l : l * n + j];
                        sum += product;
                        size1[i * n + j] += Math.abs(product);
                    }
                    want[i * n + j] = 1.5 * sum + beta * want[i * n + j];
                }
            }
            matrix.gemm(transA, transB, 1.5, a, b, beta, c);
            double[] got = c.toDoubles();
            for (int i = 0; i < got.length; i++) {
                double allowed = 1.5 * (k + 2) * 0x1p-22 * (size1[i] + 1) + roundoff(c.dtype()) * Math.abs(want[i]);
                assertTrue(Math.abs(got[i] - want[i]) <= allowed, "element " + i + " of " + m + " x " + n + " x " + k
                        + (transA ? " a^T" : "") + (transB ? " b^T" : "") + Arrays.toString(types) + ": " + got[i]
                        + ", wanted " + want[i] + ", seed 9");
            }
        }

        @Override
        public void close() {
            tensors.forEach(Tensor::close);
            matrix.close();
        }
    }

    /** Half of the distance to the next number, of the number. */
    static double roundoff(DType dtype) {
        return dtype == DType.F32 ? 0x1p-24 : dtype == DType.BF16 ? 0x1p-8 : 0x1p-11;
    }

    @ParameterizedTest
    @MethodSource("devices")
    void everyLayoutAndSize(String device, DType type) {
        for (int start : new int[] {0, 1}) {
            try (PtxDevice memory = Backend.device(device);
                    Bench bench = new Bench(memory, new Kernels(memory), type, start)) {
                int turn = start;
                for (int[] size : SIZES) {
                    for (int transposes = 0; transposes < 4; transposes++, turn++) {
                        DType[] types = {turn % 5 == 1 ? DType.F32 : type, turn % 5 == 3 ? DType.F32 : type,
                            turn % 2 == 0 ? type : DType.F32};
                        bench.check((transposes & 1) != 0, (transposes & 2) != 0, size, types, turn % 3 - 1);
                    }
                }
            }
        }
    }
}
