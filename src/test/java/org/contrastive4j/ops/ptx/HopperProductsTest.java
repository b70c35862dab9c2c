package org.contrastive4j.ops.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.sim.SimDevice;
import org.contrastive4j.device.sim.SimOptions;
import org.contrastive4j.ops.ptx.SixteenBitProducts.Products;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** 16-bit products of tensors: which kernels form them, and those for sm_90a against f64. */
class HopperProductsTest {
    @AfterEach
    void noWish() {
        System.clearProperty(KernelChoice.PROPERTY);
    }

    /** Names of the kernels that the work takes. */
    private static Set<String> kernels(int architecture, String wish, int m, int n, int k) {
        System.setProperty(KernelChoice.PROPERTY, wish);
        Set<String> names = new HashSet<>();
        try (PtxDevice device = SimDevice.open(SimOptions.defaults().withArchitecture(architecture));
                SixteenBitProductsTest.Bench bench = new SixteenBitProductsTest.Bench(device, new Kernels(device, name -> {
                    names.add(name);
                    return Kernels.text(name);
                }), DType.BF16, 0)) {
            bench.check(false, true, new int[] {m, n, k}, new DType[] {DType.BF16, DType.F32, DType.F32}, 0);
        }
        return names;
    }

    @Test
    void theChosenKernelsRun() {
        assertEquals(Set.of("pack_16_sm90a", "pack_bf16_sm90a", "gemm_bf16_nt_sm90a"), kernels(90, "hopper", 20, 30, 70));
        assertTrue(kernels(90, "portable", 20, 30, 70).contains("gemm_bf16_nt"));
        assertTrue(kernels(90, "auto", 20, 30, 70).contains("gemm_bf16_nt"), "too small for packing to pay");
        assertTrue(kernels(80, "auto", 20, 30, 70).contains("gemm_bf16_nt"));
    }

    @Test
    void wideProductsPayForPacking() {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            HopperProducts products = new HopperProducts(device, new Kernels(device), DType.F16, false);
            assertTrue(products.suits(new Products(false, false, 1, 32_768, 3072, 768, 1, 0)));
            assertFalse(products.suits(new Products(true, false, 1, 768, 768, 32_768, 1, 0)));
            assertFalse(products.suits(new Products(false, false, 1, 32_768, 3072, 32, 1, 0)));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void everyLayoutAndType(DType type) {
        System.setProperty(KernelChoice.PROPERTY, "hopper");
        for (int start : new int[] {0, 1}) {
            int[][] sizes = start == 0 ? new int[][] {{31, 33, 7}, {9, 6, 600}} : new int[][] {{65, 8, 40}, {3, 5, 0}};
            try (PtxDevice device = SimDevice.open(SimOptions.defaults());
                    SixteenBitProductsTest.Bench bench = new SixteenBitProductsTest.Bench(device, new Kernels(device), type, start)) {
                int turn = start;
                for (int[] size : sizes) {
                    for (int transposes = 0; transposes < 4; transposes++, turn++) {
                        DType[] types = {turn % 5 == 1 ? DType.F32 : type, turn % 5 == 3 ? DType.F32 : type,
                            turn % 2 == 0 ? type : DType.F32};
                        bench.check((transposes & 1) != 0, (transposes & 2) != 0, size, types, turn % 3 - 1);
                    }
                }
            }
        }
    }

    /** One bias for all rows, equal products side by side; the same numbers by portable kernels, of whole numbers the same bits. */
    @Test
    void likePortableKernels() {
        double[][][] results = new double[2][2][];
        for (int hopper = 0; hopper < 2; hopper++) {
            System.setProperty(KernelChoice.PROPERTY, hopper == 1 ? "hopper" : "portable");
            try (PtxDevice device = SimDevice.open(SimOptions.defaults());
                    SixteenBitProductsTest.Bench bench = new SixteenBitProductsTest.Bench(device, new Kernels(device), DType.BF16, 0)) {
                Tensor x = bench.random(DType.BF16, v -> Math.rint(4 * v), 70, 40);
                Tensor w = bench.random(DType.F32, v -> Math.rint(4 * v), 40, 24);
                Tensor bias = bench.random(DType.F32, Math::rint, 24);
                Tensor y = bench.poisoned(DType.F32, 70, 24);
                bench.matrix.linear(x, w, bias, y);
                Tensor a = bench.random(DType.BF16, v -> Math.rint(4 * v), 3, 20, 33);
                Tensor b = bench.random(DType.BF16, v -> Math.rint(4 * v), 3, 14, 33);
                Tensor c = bench.poisoned(DType.F32, 3, 20, 14);
                bench.matrix.batchedGemm(false, true, 1, a, b, 0, c);
                results[hopper] = new double[][] {y.toDoubles(), c.toDoubles()};
            }
        }
        assertArrayEquals(results[0][0], results[1][0]);
        assertArrayEquals(results[0][1], results[1][1]);
    }
}
