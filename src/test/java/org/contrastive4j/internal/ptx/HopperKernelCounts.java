package org.contrastive4j.internal.ptx;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.internal.ptx.HopperGemm.Product;
import org.contrastive4j.internal.ptx.HopperGemm.Result;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Precision;

/** The tables of {@link KernelCounts} for all sm_90a kernels. */
final class HopperKernelCounts {
    private static final int MULTIPROCESSORS = 4;
    private static final List<Precision> PRECISIONS = List.of(Precision.BF16, Precision.F16);

    private HopperKernelCounts() {}

    /** Launches that {@link #counted} counts. */
    private interface Work {
        void run(SimDevice device, Kernels kernels);
    }

    static void print() {
        Map<String, KernelWork> loss = new LinkedHashMap<>();
        /**
         * Counts the loss of n x n pairs with its gradients: with width 5 d for stored products, with equal rows for
         * two shifts.
         */
        PRECISIONS.forEach(precision -> loss.putAll(ofLoss(256, 128, precision)));
        print(loss);
        Map<String, KernelWork> products = new LinkedHashMap<>();
        /** Counts products of m x n x k in all layouts, and packing of their operands. */
        PRECISIONS.forEach(precision -> products.putAll(ofProducts(256, 256, 128, precision)));
        print(products);
    }

    private static void print(Map<String, KernelWork> counts) {
        System.out.println("\n| kernel | warp instructions | `wgmma` | special functions | bytes of bulk copies"
                + " | waits for mbarriers | other bytes of global memory | sectors used | bank conflicts"
                + " | predicted, us | bound by |\n"
                + "|---|---|---|---|---|---|---|---|---|---|---|");
        KernelCounts.print(
                counts,
                work -> String.format(
                        Locale.ROOT,
                        "%,d | %,d | %,d | %,d | %,d | %,d | %.0f%% | %,d",
                        work.line().executions(),
                        work.warpGroup().products(),
                        work.special(),
                        work.warpGroup().bulkBytes(),
                        work.warpGroup().waits(),
                        work.line().globalBytes() - work.warpGroup().bulkBytes(),
                        100 * work.sectorsUsed(),
                        work.line().extraPasses()));
    }

    /**
     * Counts, for each kernel, the launch with the most instructions: those of a second shift return at once if one
     * is sufficient.
     */
    private static Map<String, KernelWork> counted(Work work) {
        Map<String, KernelWork> totals = new LinkedHashMap<>();
        try (SimDevice device =
                SimDevice.open(SimOptions.defaults().withoutChecks().withCounts())) {
            work.run(
                    device,
                    new Kernels(KernelCounts.counting(
                            device,
                            (name, counted) -> totals.merge(
                                    name,
                                    counted,
                                    (a, b) -> a.line().executions() >= b.line().executions() ? a : b))));
        }
        return totals;
    }

    /** The loss of n x n pairs with its gradients; of width 5 d where products are kept; with two shifts if alike. */
    static Map<String, KernelWork> ofLoss(int n, int d, Precision precision) {
        Map<String, KernelWork> totals = ask(new InfoNceCase(n, n, d, false, 1), precision);
        Map<String, KernelWork> stored = ask(new InfoNceCase(n, n, 5 * d, false, 1), precision);
        InfoNceCase far = InfoNceCase.opposites(n, n, d, 100);
        Map<String, KernelWork> wide = ask(far, precision);
        stored.keySet().removeIf(name -> !name.contains("_stored"));
        wide.keySet().removeIf(name -> !name.contains("_wide"));
        totals.putAll(stored);
        totals.putAll(wide);
        return totals;
    }

    private static Map<String, KernelWork> ask(InfoNceCase c, Precision precision) {
        return counted((device, kernels) -> c.ask(
                device,
                new HopperInfoNce(
                        new HopperInfoNceLaunches(kernels, precision), MULTIPROCESSORS, InfoNceKernelSet.PLENTY)));
    }

    /** Products of m x n x k in all layouts, and images of their operands. */
    static Map<String, KernelWork> ofProducts(int m, int n, int k, Precision precision) {
        return counted((device, kernels) -> {
            HopperGemm gemm = new HopperGemm(kernels, precision, MULTIPROCESSORS);
            try (DeviceStorage x = Devices.floats(device, HopperFixture.random(1, Math.max(m, n) * k));
                    DeviceStorage a = device.allocate(HopperGemm.imageBytes(m, k));
                    DeviceStorage b = device.allocate(HopperGemm.imageBytes(n, k));
                    DeviceStorage c = device.allocate(4L * m * n)) {
                gemm.pack(device.stream(), x.address(), 1, m, k, a.address());
                gemm.packSixteenBits(device.stream(), x.address(), 1, m, k, b.address());
                for (int layout = 0; layout < 4; layout++) {
                    Product product = new Product((layout & 1) != 0, (layout & 2) != 0, 1, m, n, k);
                    gemm.multiply(device.stream(), product, a.address(), b.address(), Result.of(c.address()), 0, 0);
                }
            }
        });
    }
}
