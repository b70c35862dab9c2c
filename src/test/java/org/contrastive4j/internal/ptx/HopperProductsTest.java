package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.ptx.KernelChoice.Preference;
import org.contrastive4j.internal.ptx.SixteenBitGemm.Products;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.tensor.DType;
import org.junit.jupiter.api.Test;

/** The choice of kernels for 16-bit products of tensors; {@link SixteenBitGemmTest} tests the results. */
class HopperProductsTest {
    /** Returns the names of the kernels that are launched. */
    private static Set<String> kernels(int architecture, Preference preference, int m, int n, int k) {
        Set<String> names = new HashSet<>();
        try (PtxDevice device = SimDevice.open(SimOptions.defaults().withArchitecture(architecture));
                SixteenBitGemmTest.Bench bench = new SixteenBitGemmTest.Bench(
                        device,
                        new Kernels(device, name -> {
                            names.add(name);
                            return Kernels.text(name);
                        }),
                        DType.BF16,
                        0,
                        preference)) {
            bench.check(false, true, new int[] {m, n, k}, new DType[] {DType.BF16, DType.F32, DType.F32}, 0);
        }
        return names;
    }

    @Test
    void multiply_launchesChosenKernels() {
        assertEquals(
                Set.of("pack_16_sm90a", "pack_bf16_sm90a", "gemm_bf16_nt_sm90a"),
                kernels(90, Preference.HOPPER, 20, 30, 70));
        assertTrue(kernels(90, Preference.PORTABLE, 20, 30, 70).contains("gemm_bf16_nt"));
        assertTrue(kernels(90, Preference.AUTO, 20, 30, 70).contains("gemm_bf16_nt"), "too small for packing to pay");
        assertTrue(kernels(80, Preference.AUTO, 20, 30, 70).contains("gemm_bf16_nt"));
    }

    @Test
    void suits_largeProductsOnly() {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            HopperProducts products = new HopperProducts(device, new Kernels(device), DType.F16, false);
            assertTrue(products.suits(new Products(false, false, 1, 32_768, 3072, 768, 1, 0)));
            assertFalse(products.suits(new Products(true, false, 1, 768, 768, 32_768, 1, 0)));
            assertFalse(products.suits(new Products(false, false, 1, 32_768, 3072, 32, 1, 0)));
        }
    }
}
