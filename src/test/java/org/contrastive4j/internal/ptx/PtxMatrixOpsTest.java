package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSeeds;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Matrix products and attention on aligned tensors, which are copied in 16-byte vectors; {@link
 * org.contrastive4j.ops.ElementaryOpsTest} and {@link org.contrastive4j.ops.BackendAgreementTest} cover misaligned
 * ones.
 */
class PtxMatrixOpsTest {
    /** m, n and k are multiples of 4 or not, so that some operands are copied in vectors and others are not. */
    private static final int[][] SIZES = {
        {4, 8, 12}, {64, 64, 16}, {68, 132, 36}, {65, 64, 20}, {128, 31, 32}, {32, 103, 33}, {8, 8, 1028}
    };

    private static final double UNITS = 1000;

    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    private static void check(Supplier<PtxDevice> open, GemmCases.Case... cases) {
        try (PtxDevice device = open.get()) {
            Kernels kernels = new Kernels(device);
            for (GemmCases.Case c : cases) {
                GemmCases.assertClose(GemmCases.truth(c), GemmCases.on(device, kernels, c), UNITS);
            }
        }
    }

    @Tag("sampled")
    @ParameterizedTest
    @MethodSource("devices")
    void gemm_allLayoutsAndSizes_agreesWithF64(Supplier<PtxDevice> open) {
        List<GemmCases.Case> cases = new ArrayList<>();
        for (int[] size : SIZES) {
            for (int transposes = 0; transposes < 4; transposes++) {
                cases.add(GemmCases.gemm(
                        (transposes & 1) != 0, (transposes & 2) != 0, size[0], size[1], size[2], transposes % 3 - 1));
            }
            cases.add(GemmCases.linear(size[0], size[2], size[1]));
            cases.add(GemmCases.biasGradient(3 * size[1], size[0]));
        }
        check(open, SampledSeeds.of(cases, 3).toArray(GemmCases.Case[]::new));
    }

    /** The last size is split into parts of k. */
    @Tag("sampled")
    @ParameterizedTest
    @MethodSource("devices")
    void linearGelu_allSizes_agreesWithF64(Supplier<PtxDevice> open) {
        List<GemmCases.Case> cases = new ArrayList<>();
        int turn = 0;
        for (int[] size : SIZES) {
            for (int transposes = 0; transposes < 4; transposes++, turn++) {
                cases.add(GemmCases.fused(
                        Gelu.values()[turn % 2],
                        (transposes & 1) != 0,
                        (transposes & 2) != 0,
                        size[0],
                        size[1],
                        size[2],
                        turn % 3 - 1));
            }
            cases.add(GemmCases.linearGelu(Gelu.values()[turn++ % 2], size[0], size[2], size[1]));
        }
        check(open, SampledSeeds.of(cases, 3).toArray(GemmCases.Case[]::new));
    }

    /** Fused GELU has the same bits as a separate GELU kernel. */
    @ParameterizedTest
    @MethodSource("devices")
    void linearGelu_fused_sameBitsAsSeparate(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get();
                PtxOps ops = new PtxOps("kernels", device);
                GemmCases.Run run = new GemmCases.Run(device, DType.F32, ops.matrix(), null)) {
            for (Precision multiply : List.of(Precision.F32, Precision.TF32)) {
                try (PtxMatrixOps matrix = new PtxMatrixOps(device, multiply)) {
                    for (int[] size : new int[][] {{65, 68, 20}, {33, 31, 9}, {3, 5, 600}}) {
                        for (Gelu kind : Gelu.values()) {
                            Tensor x = run.random(size[0], size[2]);
                            Tensor w = run.random(size[2], size[1]);
                            Tensor bias = run.random(size[1]);
                            Tensor[] fused = {run.poisoned(size[0], size[1]), run.poisoned(size[0], size[1])};
                            Tensor[] apart = {run.poisoned(size[0], size[1]), run.poisoned(size[0], size[1])};
                            matrix.linearGelu(kind, x, w, bias, fused[0], fused[1]);
                            matrix.linear(x, w, bias, apart[0]);
                            ops.pointwise().gelu(kind, apart[0], apart[1]);
                            assertArrayEquals(
                                    GemmCases.values(apart).toArray(),
                                    GemmCases.values(fused).toArray(),
                                    multiply + " " + Arrays.toString(size) + " " + kind);
                        }
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void attention_agreesWithF64(Supplier<PtxDevice> open) {
        check(
                open,
                GemmCases.attention(20, 2, 8, false),
                GemmCases.attention(68, 1, 64, true),
                GemmCases.attention(9, 1, 132, true));
    }

    /**
     * Integers of up to 10 bits are exact in tf32 and so are their sums; other numbers within the error of rounding
     * the operands.
     */
    @Tag("exhaustive")
    @ParameterizedTest
    @MethodSource("devices")
    void gemm_tf32_errorWithinRounding(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get();
                PtxMatrixOps exact = new PtxMatrixOps(device);
                PtxMatrixOps rounded = new PtxMatrixOps(device, Precision.TF32);
                GemmCases.Run run = new GemmCases.Run(device, DType.F32, exact, null)) {
            for (int[] size : SIZES) {
                for (int transposes = 0; transposes < 4; transposes++) {
                    boolean transA = (transposes & 1) != 0;
                    boolean transB = (transposes & 2) != 0;
                    Tensor a = transA ? run.random(size[2], size[0]) : run.random(size[0], size[2]);
                    Tensor b = transB ? run.random(size[1], size[2]) : run.random(size[2], size[1]);
                    Tensor want = run.random(size[0], size[1]);
                    Tensor got = run.random(size[0], size[1]);
                    got.set(want.toDoubles());
                    exact.gemm(transA, transB, 2, a, b, 1, want);
                    rounded.gemm(transA, transB, 2, a, b, 1, got);
                    // |a b| is 2 / pi on average; 2 x 2^-11 of each, in 5 times the root of k of them, and scaled by 2
                    GemmCases.assertClose(
                            GemmCases.values(want), GemmCases.values(got), 2 * 5 * Math.sqrt(size[2]) * 0x1p14);
                    whole(a);
                    whole(b);
                    got.set(want.toDoubles());
                    exact.gemm(transA, transB, 2, a, b, 1, want);
                    rounded.gemm(transA, transB, 2, a, b, 1, got);
                    assertArrayEquals(
                            want.toDoubles(),
                            got.toDoubles(),
                            size[0] + " " + size[1] + " " + size[2] + " " + transA + transB);
                }
            }
        }
    }

    private static void whole(Tensor tensor) {
        tensor.set(Arrays.stream(tensor.toDoubles()).map(v -> Math.rint(20 * v)).toArray());
    }

    /** The layout changes only how operands reach the multiplication. */
    @ParameterizedTest
    @MethodSource("devices")
    void gemm_allLayouts_sameBits(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get();
                PtxMatrixOps matrix = new PtxMatrixOps(device);
                GemmCases.Run run = new GemmCases.Run(device, DType.F32, matrix, null)) {
            Tensor a = run.random(37, 50);
            Tensor b = run.random(50, 41);
            Tensor want = run.poisoned(37, 41);
            matrix.gemm(false, false, 1, a, b, 0, want);
            for (int transposes = 1; transposes < 4; transposes++) {
                boolean transA = (transposes & 1) != 0;
                boolean transB = (transposes & 2) != 0;
                Tensor got = run.poisoned(37, 41);
                matrix.gemm(
                        transA, transB, 1, transA ? transposed(run, a) : a, transB ? transposed(run, b) : b, 0, got);
                assertArrayEquals(want.toDoubles(), got.toDoubles());
            }
        }
    }

    private static Tensor transposed(GemmCases.Run run, Tensor matrix) {
        int rows = matrix.dim(0);
        int columns = matrix.dim(1);
        double[] from = matrix.toDoubles();
        double[] to = new double[from.length];
        for (int i = 0; i < from.length; i++) {
            to[i % columns * rows + i / columns] = from[i];
        }
        Tensor result = run.random(columns, rows);
        result.set(to);
        return result;
    }

    /** Every schedule gives the same bits. */
    @Tag("exhaustive")
    @Test
    void gemm_anySchedule_sameBits() {
        List<GemmCases.Case> cases = List.of(
                GemmCases.gemm(false, false, 65, 68, 36, -1),
                GemmCases.gemm(true, true, 9, 70, 600, 0),
                GemmCases.gemm(false, true, 68, 9, 33, 0),
                GemmCases.gemm(true, false, 40, 30, 20, 1),
                GemmCases.biasGradient(300, 35),
                GemmCases.attention(66, 1, 20, true),
                GemmCases.linearGelu(Gelu.EXACT, 66, 20, 68));
        List<List<double[]>> want = new ArrayList<>();
        for (long seed = 0; seed < 5; seed++) {
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed))) {
                Kernels kernels = new Kernels(device);
                for (int i = 0; i < cases.size(); i++) {
                    List<double[]> got = GemmCases.on(device, kernels, cases.get(i));
                    if (seed == 0) {
                        want.add(got);
                    }
                    assertArrayEquals(want.get(i).toArray(), got.toArray(), "case " + i + ", seed " + seed);
                }
            }
        }
    }

    /** A product that was run before is captured without allocation or synchronisation. */
    @ParameterizedTest
    @MethodSource("devices")
    void gemm_capturedAndReplayed_agreesWithF64(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get();
                PtxMatrixOps matrix = new PtxMatrixOps(device);
                GemmCases.Run run = new GemmCases.Run(device, DType.F32, matrix, new PtxAttentionOps(device, false))) {
            Tensor a = run.random(8, 600);
            Tensor b = run.random(600, 12);
            Tensor c = run.poisoned(8, 12);
            Tensor qkv = run.random(2, 5, 12);
            Tensor out = run.poisoned(2, 5, 4);
            Tensor lse = run.poisoned(2, 2, 5);
            Tensor lengths = run.ints(5, 3);
            Runnable work = () -> {
                matrix.gemm(false, false, 1, a, b, 0, c);
                run.attention.attention(qkv, 2, true, lengths, out, lse);
            };
            work.run();
            double[] product = c.toDoubles();
            double[] attended = out.toDoubles();
            c.set(new double[96]);
            out.set(new double[40]);
            DeviceStream stream = device.stream();
            try (DeviceStream.Graph graph = stream.capture(work)) {
                graph.launch(stream);
            }
            assertArrayEquals(product, c.toDoubles());
            assertArrayEquals(attended, out.toDoubles());
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void invalidArguments_areRefused(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get();
                PtxMatrixOps matrix = new PtxMatrixOps(device);
                Ops host = Backend.open("cpu");
                GemmCases.Run run = new GemmCases.Run(device, DType.F32, matrix, new PtxAttentionOps(device));
                Tensor elsewhere = Tensor.allocate(host.memory(), DType.F32, Shape.of(4, 4))) {
            Tensor a = run.random(4, 4);
            Tensor c = run.random(8, 4);
            refused(
                    "in the memory of another device",
                    () -> matrix.gemm(false, false, 1, elsewhere, a, 0, c.rows(0, 4)));
            refused("shares memory", () -> matrix.gemm(false, false, 1, c.rows(0, 4), a, 0, c.rows(3, 7)));
            refused("shares memory", () -> matrix.linear(a, a, null, a));
            refused("shares memory", () -> matrix.linearGelu(Gelu.QUICK, a, a, null, c.rows(0, 4), c.rows(2, 6)));
            refused("shares memory", () -> matrix.linearGelu(Gelu.QUICK, a, a, null, c.rows(0, 4), a));
            assertThrows(ShapeException.class, () -> matrix.linearGelu(Gelu.EXACT, a, a, null, c, c));
            Tensor z = c.rows(0, 4);
            assertThrows(ShapeException.class, () -> matrix.linearGelu(Gelu.EXACT, a, a, null, z, z));
            assertThrows(ShapeException.class, () -> matrix.linearGelu(Gelu.EXACT, a, a, run.random(3), z, a));
            matrix.gemm(false, false, 1, c.rows(0, 4), a, 0, c.rows(4, 8)); // side by side is no overlap
        }
    }

    private static void refused(String why, Runnable call) {
        String message = assertThrows(LaunchException.class, call::run).getMessage();
        assertTrue(message.contains(why), message);
    }

    @Test
    void comparison_wrongResult_fails() {
        GemmCases.Case c = GemmCases.gemm(false, false, 5, 6, 7, 0);
        List<double[]> truth = GemmCases.truth(c);
        double[] wrong = truth.get(0).clone();
        wrong[29] += 1e-4 * (1 + Math.abs(wrong[29]));
        assertThrows(AssertionError.class, () -> GemmCases.assertClose(truth, List.of(wrong), UNITS));
        assertEquals(30, wrong.length);
    }
}
