package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.internal.device.MatrixLibrary.Element;
import org.contrastive4j.internal.device.MatrixLibrary.Product;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Row-major products through a column-major library: every transpose, batch, stride, factor and bias is passed
 * correctly.
 */
class VendorGemmTest {
    private static final int[][] SIZES = {{1, 1, 1}, {3, 5, 7}, {33, 2, 31}, {4, 8, 12}};

    /** Operations whose products the library computes, and the same without it. */
    private static final class Both implements AutoCloseable {
        final PtxDevice device = Backend.device("sim");
        final ReferenceMatrixLibrary library = new ReferenceMatrixLibrary(device);
        final PtxMatrixOps withLibrary = new PtxMatrixOps(device, new Kernels(device), Precision.F32, library);
        final PtxMatrixOps own = new PtxMatrixOps(device);
        final GemmCases.Run run = new GemmCases.Run(device, DType.F32, withLibrary, null);

        Tensor random(int... dims) {
            return run.random(dims);
        }

        @Override
        public void close() {
            run.close();
            withLibrary.close();
            own.close();
            device.close();
        }
    }

    private static void assertSame(Tensor want, Tensor got, int k, String what) {
        double[] expected = want.toDoubles();
        double[] actual = got.toDoubles();
        for (int i = 0; i < expected.length; i++) { // sums of k products of normal numbers, in another order
            assertEquals(expected[i], actual[i], 8e-6 * Math.sqrt(k), what + ", element " + i);
        }
    }

    @Test
    void gemm_everyTransposeAlphaBeta_agrees() {
        try (Both both = new Both()) {
            for (int[] size : SIZES) {
                for (int transposes = 0; transposes < 4; transposes++) {
                    for (double beta : new double[] {0, 1, -0.5}) {
                        gemm(both, size, (transposes & 1) != 0, (transposes & 2) != 0, beta);
                    }
                }
            }
            assertEquals(SIZES.length * 12, both.library.calls.size());
        }
    }

    private static void gemm(Both both, int[] size, boolean transA, boolean transB, double beta) {
        int m = size[0];
        int n = size[1];
        int k = size[2];
        Tensor a = transA ? both.random(k, m) : both.random(m, k);
        Tensor b = transB ? both.random(n, k) : both.random(k, n);
        Tensor want = both.random(m, n);
        Tensor got = both.random(m, n);
        double[] before = want.toDoubles();
        got.set(beta == 0 ? Arrays.stream(before).map(x -> Double.NaN).toArray() : before);
        both.own.gemm(transA, transB, 1.5, a, b, beta, want);
        both.withLibrary.gemm(transA, transB, 1.5, a, b, beta, got);
        assertSame(want, got, k, Arrays.toString(size) + " " + transA + transB + " beta " + beta);
    }

    @Test
    void batchedGemm_everyTranspose_agrees() {
        try (Both both = new Both()) {
            for (int[] size : SIZES) {
                for (int transposes = 0; transposes < 4; transposes++) {
                    boolean transA = (transposes & 1) != 0;
                    boolean transB = (transposes & 2) != 0;
                    Tensor a = transA ? both.random(3, size[2], size[0]) : both.random(3, size[0], size[2]);
                    Tensor b = transB ? both.random(3, size[1], size[2]) : both.random(3, size[2], size[1]);
                    Tensor want = both.random(3, size[0], size[1]);
                    Tensor got = both.random(3, size[0], size[1]);
                    got.set(want.toDoubles());
                    both.own.batchedGemm(transA, transB, -1, a, b, 2, want);
                    both.withLibrary.batchedGemm(transA, transB, -1, a, b, 2, got);
                    assertSame(want, got, size[2], Arrays.toString(size) + " " + transA + transB);
                }
            }
        }
    }

    @Test
    void linear_biasAndViews_agrees() {
        try (Both both = new Both()) {
            for (int[] size : SIZES) {
                Tensor x = both.random(size[0] + 2, size[2]).rows(1, size[0] + 1);
                Tensor w = both.random(size[2], size[1]);
                Tensor bias = both.random(size[1]);
                Tensor want = both.random(size[0], size[1]);
                Tensor got = both.run.poisoned(size[0], size[1]);
                both.own.linear(x, w, bias, want);
                both.withLibrary.linear(x, w, bias, got);
                assertSame(want, got, size[2], Arrays.toString(size));
            }
        }
    }

    /** 16-bit operands, mixed with f32 operands that are rounded first; f32 and 16-bit results. */
    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void gemm_sixteenBits_agrees(DType type) {
        for (int start : new int[] {0, 1}) {
            try (PtxDevice device = Backend.device("sim")) {
                ReferenceMatrixLibrary library = new ReferenceMatrixLibrary(device);
                List<Product> expected = new ArrayList<>();
                try (SixteenBitGemmTest.Bench bench = new SixteenBitGemmTest.Bench(
                        device, new Kernels(device), type, start, KernelChoice.Preference.AUTO, library)) {
                    int turn = start;
                    for (int[] size : SIZES) {
                        for (int transposes = 0; transposes < 4; transposes++, turn++) {
                            DType[] types = {
                                turn % 5 == 1 ? DType.F32 : type,
                                turn % 5 == 3 ? DType.F32 : type,
                                turn % 2 == 0 ? type : DType.F32
                            };
                            bench.check((transposes & 1) != 0, (transposes & 2) != 0, size, types, turn % 3 - 1);
                            Product last = library.calls.get(library.calls.size() - 1);
                            assertEquals(
                                    List.of(type.name(), types[2].name(), false),
                                    List.of(last.inputs().name(), last.output().name(), last.tensorFloats()));
                            expected.add(last);
                        }
                    }
                }
                assertEquals(expected, library.calls, "one call for each product");
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void batchedGemm_sixteenBits_agrees(DType type) {
        try (PtxDevice device = Backend.device("sim")) {
            ReferenceMatrixLibrary library = new ReferenceMatrixLibrary(device);
            double[][] results = new double[2][];
            for (int i = 0; i < 2; i++) {
                try (SixteenBitGemmTest.Bench bench = new SixteenBitGemmTest.Bench(
                        device, new Kernels(device), type, 0, KernelChoice.Preference.AUTO, i == 0 ? null : library)) {
                    Tensor a = bench.random(type, v -> Math.rint(8 * v), 3, 7, 5);
                    Tensor b = bench.random(DType.F32, v -> Math.rint(8 * v), 3, 9, 7);
                    Tensor c = bench.random(type, Math::rint, 3, 5, 9);
                    bench.matrix.batchedGemm(true, true, 0.5, a, b, 2, c);
                    results[i] = c.toDoubles(); // of whole numbers: no sum has an error, each is rounded once
                }
            }
            assertArrayEquals(results[0], results[1]);
            assertEquals(1, library.calls.size());
        }
    }

    /** The library would round the product before the bias is added, and GELU would be a separate pass. */
    @Test
    void linearGelu_sixteenBits_usesOwnKernels() {
        try (PtxDevice device = Backend.device("sim")) {
            ReferenceMatrixLibrary library = new ReferenceMatrixLibrary(device);
            try (SixteenBitGemmTest.Bench bench = new SixteenBitGemmTest.Bench(
                    device, new Kernels(device), DType.BF16, 0, KernelChoice.Preference.AUTO, library)) {
                bench.checkGelu(Gelu.EXACT, false, false, new int[] {9, 10, 11}, 0);
                bench.matrix.linear(
                        bench.random(DType.BF16, 3, 4),
                        bench.random(DType.F32, 4, 5),
                        bench.random(DType.F32, 5),
                        bench.poisoned(DType.BF16, 3, 5));
                assertEquals(List.of(), library.calls);
                bench.matrix.linear(
                        bench.random(DType.BF16, 3, 4),
                        bench.random(DType.F32, 4, 5),
                        null,
                        bench.poisoned(DType.BF16, 3, 5));
                assertEquals(1, library.calls.size());
            }
        }
    }

    @Test
    void linearGelu_f32_appliesGeluAfterLibrary() {
        try (Both both = new Both()) {
            for (Gelu kind : Gelu.values()) {
                Tensor x = both.random(33, 20);
                Tensor w = both.random(20, 19);
                Tensor bias = both.random(19);
                Tensor[] want = {both.run.poisoned(33, 19), both.run.poisoned(33, 19)};
                Tensor[] got = {both.run.poisoned(33, 19), both.run.poisoned(33, 19)};
                both.own.linearGelu(kind, x, w, bias, want[0], want[1]);
                both.withLibrary.linearGelu(kind, x, w, bias, got[0], got[1]);
                assertSame(want[0], got[0], 20, "product");
                assertSame(want[1], got[1], 20, kind.toString());
            }
            assertEquals(Gelu.values().length, both.library.calls.size());
        }
    }

    /** The library may round operands to tf32 in that precision only. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "TF32"})
    void gemm_tf32_onlyInThatPrecision(Precision multiply) {
        try (PtxDevice device = Backend.device("sim")) {
            ReferenceMatrixLibrary library = new ReferenceMatrixLibrary(device);
            try (PtxMatrixOps matrix = new PtxMatrixOps(device, new Kernels(device), multiply, library);
                    GemmCases.Run run = new GemmCases.Run(device, DType.F32, matrix, null)) {
                matrix.gemm(false, true, 1, run.random(3, 4), run.random(5, 4), 0, run.poisoned(3, 5));
                matrix.batchedGemm(false, false, 1, run.random(2, 3, 4), run.random(2, 4, 5), 0, run.poisoned(2, 3, 5));
                assertEquals(
                        List.of(multiply == Precision.TF32, multiply == Precision.TF32),
                        library.calls.stream().map(Product::tensorFloats).toList());
            }
        }
    }

    @Test
    void preference_portable_excludesLibrary() {
        try (PtxDevice device = Backend.device("sim")) {
            MatrixLibrary.Choice there = new MatrixLibrary.Choice(new ReferenceMatrixLibrary(device), "it is there");
            MatrixLibrary.Choice none = MatrixLibrary.of(device);
            assertEquals(there, KernelChoice.library(there, KernelChoice.Preference.AUTO));
            for (KernelChoice.Preference preference :
                    List.of(KernelChoice.Preference.PORTABLE, KernelChoice.Preference.HOPPER)) {
                MatrixLibrary.Choice chosen = KernelChoice.library(there, preference);
                assertNull(chosen.library());
                assertTrue(chosen.reason().endsWith("=" + preference.name().toLowerCase(Locale.ROOT)), chosen.reason());
                assertEquals(none, KernelChoice.library(none, preference));
            }
        }
    }

    /** k = 0: c = beta c, which vendor libraries refuse or leave undefined. */
    @Test
    void gemm_kZero_doesNotCallLibrary() {
        try (Both both = new Both()) {
            Tensor c = both.random(2, 3);
            double[] before = c.toDoubles();
            both.withLibrary.gemm(false, false, 1, both.random(2, 0), both.random(0, 3), 0.5, c);
            assertArrayEquals(Arrays.stream(before).map(v -> (float) (0.5 * v)).toArray(), c.toDoubles());
            assertEquals(List.of(), both.library.calls);
        }
    }

    @ParameterizedTest
    @EnumSource(Element.class)
    void multiply_everyElementType_agrees(Element element) {
        try (PtxDevice device = Backend.device("sim")) {
            ReferenceMatrixLibrary library = new ReferenceMatrixLibrary(device);
            try (DeviceStorage a = smallNumbers(device, element, 6);
                    DeviceStorage b = smallNumbers(device, element, 12);
                    DeviceStorage c = device.allocate(8 * 4)) {
                new VendorGemm(library, device.stream())
                        .multiply(
                                false,
                                true,
                                1,
                                2,
                                4,
                                3,
                                1,
                                a.address(),
                                b.address(),
                                0,
                                c.address(),
                                element,
                                Element.F32,
                                true);
                ByteBuffer bytes = ByteBuffer.allocate(32).order(ByteOrder.nativeOrder());
                c.download(0, bytes);
                for (int i = 0; i < 8; i++) { // row i / 4 of a times row i % 4 of b
                    float sum = 0;
                    for (int k = 0; k < 3; k++) {
                        sum += (i / 4 * 3 + k - 2) * (i % 4 * 3 + k - 2);
                    }
                    assertEquals(sum, bytes.getFloat(4 * i), "element " + i);
                }
                assertTrue(library.calls.get(0).tensorFloats());
                assertEquals(element, library.calls.get(0).inputs());
            }
        }
    }

    /** Returns -2, -1, 0, 1, ... in any type. */
    private static DeviceStorage smallNumbers(PtxDevice device, Element element, int count) {
        ByteBuffer bytes = ByteBuffer.allocate(count * element.bytes()).order(ByteOrder.nativeOrder());
        for (int i = 0; i < count; i++) {
            int bits = Float.floatToRawIntBits(i - 2);
            switch (element) {
                case F32 -> bytes.putInt(bits);
                case BF16 -> bytes.putShort((short) (bits >>> 16));
                case F16 ->
                    bytes.putShort((short)
                            (i == 2
                                    ? 0
                                    : bits >>> 16 & 0x8000 | (bits >>> 23 & 0xFF) - 112 << 10 | bits >>> 13 & 0x3FF));
            }
        }
        DeviceStorage storage = device.allocate(bytes.capacity());
        storage.upload(0, bytes.flip());
        return storage;
    }

    @Test
    void simulator_hasNoLibrary_withReason() {
        try (PtxDevice device = Backend.device("sim")) {
            assertNull(MatrixLibrary.of(device).library());
            assertFalse(MatrixLibrary.of(device).reason().isBlank());
        }
        assertTrue(
                Backend.libraries().get("cuBLAS").contains("cu"),
                Backend.libraries().toString());
    }

    /** The reference library detects operands that were not exchanged. */
    @Test
    void referenceLibrary_unexchangedOperands_fails() {
        try (Both both = new Both()) {
            Tensor a = both.random(2, 3);
            long at = ((DeviceStorage) a.storage()).address();
            MatrixLibrary library = both.library;
            Product rowMajor =
                    new Product(false, false, 2, 3, 3, 1, 0, 1, 3, 3, 0, 0, 0, 1, Element.F32, Element.F32, false);
            assertThrows(LaunchException.class, () -> library.multiply(both.device.stream(), rowMajor, at, at, at));
        }
    }
}
