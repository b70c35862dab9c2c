package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.internal.ptx.KernelChoice.Preference;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;

/** Products of 16-bit operands against f64 sums of the same numbers. */
class SixteenBitGemmTest {
    /** m, n, k: below, at and above a tile, a pipeline stage and a vector; the last is split into parts of k. */
    private static final int[][] SIZES = {
        {1, 1, 1},
        {31, 33, 7},
        {128, 128, 32},
        {129, 8, 40},
        {64, 130, 64},
        {16, 127, 33},
        {8, 136, 72},
        {9, 6, 600},
        {3, 5, 0}
    };

    private static final DType[] MIXED = {DType.BF16, DType.F32, DType.BF16};

    /**
     * Returns each device with each type and set of kernels that it can run; with its vendor library where it has
     * one.
     */
    static Stream<Arguments> everywhere() {
        return Devices.names().flatMap(name -> {
            try (PtxDevice device = Backend.device(name)) {
                boolean ofHopper = device.facts().architecture() == 90;
                boolean hasLibrary = MatrixLibrary.of(device).library() != null;
                return Stream.of(Preference.values())
                        .filter(preference -> preference == Preference.AUTO
                                ? hasLibrary
                                : ofHopper || preference == Preference.PORTABLE)
                        .flatMap(preference ->
                                Stream.of(DType.BF16, DType.F16).map(type -> Arguments.of(name, type, preference)));
            }
        });
    }

    /** Opens a device; a simulator uses another schedule for each turn. */
    private static PtxDevice open(String name, int turn) {
        return name.equals("sim")
                ? SimDevice.open(SimOptions.defaults().withSeed(HopperFixture.SEEDS[turn % HopperFixture.SEEDS.length]))
                : Backend.device(name);
    }

    /** Products on one device, and tensors at aligned or misaligned addresses, which are freed at the end. */
    static final class Bench implements AutoCloseable {
        final PtxMatrixOps matrix;
        private final PtxDevice device;
        private final Kernels kernels;
        private final DType type;
        private final List<Tensor> tensors = new ArrayList<>();
        private final Random random = new Random(9);
        private final int start;

        /** Uses the kernels that are chosen without a preference. */
        Bench(PtxDevice device, Kernels kernels, DType type, int start) {
            this(device, kernels, type, start, Preference.AUTO);
        }

        Bench(PtxDevice device, Kernels kernels, DType type, int start, Preference preference) {
            this(
                    device,
                    kernels,
                    type,
                    start,
                    preference,
                    KernelChoice.library(MatrixLibrary.of(device), preference).library());
        }

        Bench(PtxDevice device, Kernels kernels, DType type, int start, Preference preference, MatrixLibrary library) {
            this.device = device;
            this.kernels = kernels;
            this.type = type;
            this.start = start;
            System.setProperty(KernelChoice.PROPERTY, preference.name());
            try {
                matrix = new PtxMatrixOps(device, kernels, Precision.of(type), library);
            } finally {
                System.clearProperty(KernelChoice.PROPERTY);
            }
        }

        /** Returns numbers that the type of activations represents exactly, in a tensor of that type or of f32. */
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

        /** @throws AssertionError if products differ from f64 by more than sums and rounding allow */
        void check(boolean transA, boolean transB, int[] size, DType[] types, double beta) {
            int m = size[0];
            int n = size[1];
            int k = size[2];
            Tensor a = transA ? random(types[0], k, m) : random(types[0], m, k);
            Tensor b = transB ? random(types[1], n, k) : random(types[1], k, n);
            Tensor c = beta == 0 ? poisoned(types[2], m, n) : random(types[2], m, n);
            Sums want = new Sums(transA, transB, size, a, b, beta == 0 ? null : c, beta);
            matrix.gemm(transA, transB, 1.5, a, b, beta, c);
            want.check(
                    c.toDoubles(),
                    c.dtype(),
                    k,
                    m + " x " + n + " x " + k + (transA ? " a^T" : "") + (transB ? " b^T" : "")
                            + Arrays.toString(types));
        }

        /**
         * Checks a product with a bias and GELU, in any layout; GELU must have the same bits as its separate kernel.
         */
        void checkGelu(Gelu kind, boolean transA, boolean transB, int[] size, double beta) {
            int m = size[0];
            int n = size[1];
            int k = size[2];
            Tensor a = transA ? random(type, k, m) : random(type, m, k);
            Tensor b = transB ? random(DType.F32, n, k) : random(DType.F32, k, n);
            Tensor bias = random(DType.F32, n);
            Tensor z = beta == 0 ? poisoned(type, m, n) : random(type, m, n);
            Tensor y = poisoned(type, m, n);
            Sums want = new Sums(transA, transB, size, a, b, beta == 0 ? null : z, beta);
            double[] biases = bias.toDoubles();
            matrix.multiply(transA, transB, k, 1.5, a, b, beta, new Epilogue(bias, kind, y), z);
            String what = kind + " of " + Arrays.toString(size) + (transA ? " a^T" : "") + (transB ? " b^T" : "");
            double[] product = z.toDoubles();
            for (int i = 0; i < product.length; i++) {
                want.values[i] += biases[i % n];
            }
            want.check(product, z.dtype(), k, what);
            Tensor apart = poisoned(type, m, n);
            new PtxPointwiseOps(new TensorLauncher(device, kernels), type).gelu(kind, z, apart);
            assertArrayEquals(apart.toDoubles(), y.toDoubles(), what);
            double[] got = y.toDoubles();
            for (int i = 0; i < got.length; i++) {
                double gelu = GemmCases.gelu(kind, product[i]);
                assertEquals(
                        gelu,
                        got[i],
                        roundoff(type) * Math.abs(gelu) + 2e-6 * (1 + Math.abs(product[i])),
                        what + ", element " + i + ", seed 9");
            }
        }

        @Override
        public void close() {
            tensors.forEach(Tensor::close);
            matrix.close();
        }
    }

    /** 1.5 op(a) op(b) + beta c in f64, and the sums of the sizes of the terms. */
    private static final class Sums {
        final double[] values;
        private final double[] sizes;

        /** @param c null for zeros */
        Sums(boolean transA, boolean transB, int[] size, Tensor a, Tensor b, Tensor c, double beta) {
            int m = size[0];
            int n = size[1];
            int k = size[2];
            double[] left = a.toDoubles();
            double[] right = b.toDoubles();
            values = c == null ? new double[m * n] : c.toDoubles();
            sizes = new double[m * n];
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < n; j++) {
                    double sum = 0;
                    for (int l = 0; l < k; l++) {
                        double product = left[transA ? l * m + i : i * k + l] * right[transB ? j * k + l : l * n + j];
                        sum += product;
                        sizes[i * n + j] += Math.abs(product);
                    }
                    values[i * n + j] = 1.5 * sum + beta * values[i * n + j];
                }
            }
        }

        void check(double[] got, DType dtype, int k, String what) {
            for (int i = 0; i < got.length; i++) {
                double allowed = 1.5 * (k + 2) * 0x1p-22 * (sizes[i] + 1) + roundoff(dtype) * Math.abs(values[i]);
                assertTrue(
                        Math.abs(got[i] - values[i]) <= allowed,
                        "element " + i + " of " + what + ": " + got[i] + ", expected " + values[i] + ", seed 9");
            }
        }
    }

    /** Returns half of the relative distance to the next number. */
    static double roundoff(DType dtype) {
        return dtype == DType.F32 ? 0x1p-24 : dtype == DType.BF16 ? 0x1p-8 : 0x1p-11;
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void gemm_everyLayoutAndSize_agreesWithF64(String device, DType type, Preference preference) {
        for (int start : new int[] {0, 1}) {
            try (PtxDevice memory = open(device, start);
                    Bench bench = new Bench(memory, new Kernels(memory), type, start, preference)) {
                int turn = start;
                for (int[] size : SIZES) {
                    for (int transposes = 0; transposes < 4; transposes++, turn++) {
                        if (type == DType.F16 && turn % 2 == 0) {
                            continue; // the bodies are the same
                        }
                        DType[] types = {
                            turn % 5 == 1 ? DType.F32 : type,
                            turn % 5 == 3 ? DType.F32 : type,
                            turn % 2 == 0 ? type : DType.F32
                        };
                        bench.check((transposes & 1) != 0, (transposes & 2) != 0, size, types, turn % 3 - 1);
                    }
                }
            }
        }
    }

    /** Tiles of 128 x 256 and stages of 64: sizes at their edges and a little beyond. */
    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void gemm_sizesAcrossTiles_agreesWithF64(String device, DType type, Preference preference) {
        int[][] sizes = {{127, 257, 65}, {129, 256, 64}, {257, 31, 63}, {128, 300, 130}};
        for (int turn = 0; turn < sizes.length; turn++) {
            if (type == DType.F16 && turn % 2 == 0) {
                continue;
            }
            try (PtxDevice memory = open(device, turn);
                    Bench bench = new Bench(memory, new Kernels(memory), type, turn / 3, preference)) {
                bench.check(
                        (turn & 1) != 0,
                        (turn & 2) != 0,
                        sizes[turn],
                        new DType[] {type, DType.F32, type},
                        turn % 3 - 1);
            }
        }
    }

    /** Misaligned operands too; whole tiles, ragged ones, parts of k. */
    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void linearGelu_fused_agreesWithF64(String device, DType type, Preference preference) {
        int[][] sizes = {{1, 1, 1}, {31, 33, 7}, {64, 130, 40}, {129, 8, 33}, {9, 6, 600}, {3, 5, 0}};
        for (int start : new int[] {0, 1}) {
            try (PtxDevice memory = open(device, start);
                    Bench bench = new Bench(memory, new Kernels(memory), type, start, preference)) {
                int turn = start;
                for (int[] size : sizes) {
                    for (int transposes = start; transposes < 4; transposes += 2, turn++) {
                        bench.checkGelu(
                                Gelu.values()[turn % 2],
                                (transposes & 1) != 0,
                                (transposes & 2) != 0,
                                size,
                                turn % 3 - 1);
                    }
                }
            }
        }
    }

    /** Integers, whose products and sums are exact. */
    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void gemm_wholeNumbers_exact(String device, DType type, Preference preference) {
        try (PtxDevice memory = open(device, 2);
                Bench bench = new Bench(memory, new Kernels(memory), type, 0, preference)) {
            Tensor x = bench.random(type, v -> Math.rint(30 * v), 3, 33);
            Tensor w = bench.random(DType.F32, v -> Math.rint(30 * v), 33, 20);
            Tensor bias = bench.random(DType.F32, v -> Math.rint(30 * v), 20);
            Tensor y = bench.poisoned(DType.F32, 3, 20);
            bench.matrix.linear(x, w, bias, y);
            double[] want = new double[60];
            for (int i = 0; i < 60; i++) {
                want[i] = bias.toDoubles()[i % 20];
                for (int l = 0; l < 33; l++) {
                    want[i] += x.toDoubles()[i / 20 * 33 + l] * w.toDoubles()[l * 20 + i % 20];
                }
            }
            assertArrayEquals(want, y.toDoubles());
            batchesOfWholeNumbers(bench, type);
            Tensor none = bench.poisoned(type, 2, 3);
            Tensor empty = Tensor.allocate(memory, type, Shape.of(2, 0));
            Tensor emptyToo = Tensor.allocate(memory, DType.F32, Shape.of(0, 3));
            bench.matrix.gemm(false, false, 1, empty, emptyToo, 0, none);
            assertArrayEquals(new double[6], none.toDoubles(), "a sum of nothing");
            empty.close();
            emptyToo.close();
        }
    }

    /** Checks products of equal size. */
    private static void batchesOfWholeNumbers(Bench bench, DType type) {
        Tensor a = bench.random(type, v -> Math.rint(4 * v), 3, 20, 33);
        Tensor b = bench.random(type, v -> Math.rint(4 * v), 3, 14, 33);
        Tensor c = bench.poisoned(DType.F32, 3, 20, 14);
        bench.matrix.batchedGemm(false, true, 1, a, b, 0, c);
        double[] want = new double[3 * 20 * 14];
        for (int i = 0; i < want.length; i++) {
            for (int l = 0; l < 33; l++) {
                want[i] += a.toDoubles()[i / 14 * 33 + l] * b.toDoubles()[(i / 280 * 14 + i % 14) * 33 + l];
            }
        }
        assertArrayEquals(want, c.toDoubles());
    }

    /** A product of three f32 tensors is computed in f32, whatever the type of activations. */
    @Test
    void gemm_f32Tensors_notRounded() {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults());
                PtxMatrixOps exact = new PtxMatrixOps(device);
                Bench bench = new Bench(device, new Kernels(device), DType.BF16, 0)) {
            Tensor a = bench.random(DType.F32, 5, 9);
            a.set(Arrays.stream(a.toDoubles()).map(v -> v / 3).toArray());
            Tensor b = bench.random(DType.F32, 9, 7);
            Tensor want = bench.poisoned(DType.F32, 5, 7);
            Tensor got = bench.poisoned(DType.F32, 5, 7);
            exact.gemm(false, false, 1, a, b, 0, want);
            bench.matrix.gemm(false, false, 1, a, b, 0, got);
            assertArrayEquals(want.toDoubles(), got.toDoubles());
        }
    }

    /** Another order of warps and of asynchronous copies: the same bits. */
    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"PORTABLE", "HOPPER"})
    void gemm_anySchedule_sameBits(Preference preference) {
        for (int[] size : new int[][] {{33, 40, 100}, {5, 6, 600}}) {
            double[] want = null;
            for (long seed = 0; seed < 4; seed++) {
                try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed));
                        Bench bench = new Bench(device, new Kernels(device), DType.BF16, 0, preference)) {
                    Tensor a = bench.random(DType.BF16, size[0], size[2]);
                    Tensor b = bench.random(DType.F32, size[2], size[1]);
                    Tensor c = bench.poisoned(DType.F32, size[0], size[1]);
                    bench.matrix.gemm(false, false, 1, a, b, 0, c);
                    want = want == null ? c.toDoubles() : want;
                    assertArrayEquals(want, c.toDoubles(), "seed " + seed);
                }
            }
        }
    }

    /** A product that was run before is captured; the memory of rounded operands is scratch memory. */
    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void gemm_capturedAndReplayed_agreesWithF64(String device, DType type, Preference preference) {
        try (PtxDevice memory = open(device, 1);
                Bench bench = new Bench(memory, new Kernels(memory), type, 0, preference)) {
            Tensor a = bench.random(type, 8, 600);
            Tensor b = bench.random(DType.F32, 600, 12);
            Tensor c = bench.poisoned(type, 8, 12);
            Runnable work = () -> bench.matrix.gemm(false, false, 1, a, b, 0, c);
            work.run();
            double[] want = c.toDoubles();
            c.set(new double[96]);
            try (DeviceStorage scratch = memory.allocate(1 << 20);
                    DeviceStream.Graph graph = memory.stream().capture(work, scratch)) {
                graph.launch(memory.stream());
                assertArrayEquals(want, c.toDoubles());
            }
        }
    }

    /** Before anything is launched: the simulator counts. */
    @ParameterizedTest
    @EnumSource(
            value = Preference.class,
            names = {"PORTABLE", "HOPPER"})
    /** Arguments are refused before anything is launched; the simulator counts launches. */
    void invalidArguments_areRefusedBeforeLaunch(Preference preference) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                SimDevice elsewhere = SimDevice.open(SimOptions.defaults());
                Bench bench = new Bench(device, new Kernels(device), DType.BF16, 0, preference);
                Tensor other = Tensor.of(device, DType.F16, Shape.of(4, 4), new double[16]);
                Tensor far = Tensor.of(elsewhere, DType.BF16, Shape.of(4, 4), new double[16])) {
            Tensor whole = bench.random(DType.BF16, 8, 4);
            Tensor a = bench.random(DType.BF16, 4, 4);
            Tensor f32 = bench.random(DType.F32, 4, 4);
            PtxMatrixOps matrix = bench.matrix;
            refused(
                    LaunchException.class,
                    device,
                    () -> matrix.gemm(false, false, 1, whole.rows(0, 4), a, 0, whole.rows(3, 7)));
            refused(LaunchException.class, device, () -> matrix.gemm(false, false, 1, far, f32, 0, whole.rows(0, 4)));
            refused(LaunchException.class, device, () -> matrix.gemm(false, false, 1, f32, far, 0, whole.rows(0, 4)));
            refused(LaunchException.class, device, () -> matrix.gemm(false, false, 1, f32, a, 0, far));
            refused(ShapeException.class, device, () -> matrix.gemm(false, false, 1, other, a, 0, whole.rows(0, 4)));
            refused(ShapeException.class, device, () -> matrix.gemm(false, false, 1, whole, a, 0, whole.rows(0, 4)));
            refused(
                    ShapeException.class,
                    device,
                    () -> matrix.linear(a, a, whole.rows(0, 1).reshape(4), other));
        }
    }

    private static void refused(Class<? extends RuntimeException> type, SimDevice device, Runnable call) {
        long launches = device.traffic().launches();
        assertThrows(type, call::run);
        assertEquals(launches, device.traffic().launches(), "launches of a call that was refused");
    }

    @Test
    void comparison_wrongResult_fails() {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults());
                Bench bench = new Bench(
                        device,
                        new Kernels(
                                device,
                                name -> Kernels.text(name)
                                        .replace(
                                                "fma.rn.f32 %c0_1, %c0_1, %alpha",
                                                "fma.rn.f32 %c0_1, %c0_1, 0f3FC20000")),
                        DType.BF16,
                        0)) {
            assertThrows(AssertionError.class, () -> bench.check(false, false, new int[] {3, 4, 5}, MIXED, 0));
        }
    }
}
