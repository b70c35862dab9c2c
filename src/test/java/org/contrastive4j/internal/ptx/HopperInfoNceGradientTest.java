package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Schedule;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/**
 * The sm_90a kernels pairwise_bwd against f64, on the simulator with all checkers: G, both products, and the whole
 * gradient against its definition.
 */
@Tag("gpu")
final class HopperInfoNceGradientTest {
    private static final float SCALE = 10;
    private static final double MULTIPLE = 0x1p14;

    private static final double LOG2E = 1 / Math.log(2);

    /** What G is made of: e (a + b), or where shifted 2^(logit + a) + 2^(logit + b); and g for targets. */
    private record Factors(boolean shifted, float[] a, float[] b, float[] g) {
        /** For weights one half; MULTIPLE n taken in. */
        static Factors of(
                HopperTiling tiling, int[] targets, HopperInfoNceForwardTest.Statistics statistics, boolean shifted) {
            int n = tiling.n();
            double[] row = sums(statistics.rows(), tiling.paddedRows());
            double[] column = sums(statistics.columns(), tiling.paddedColumns());
            double[] positives = new double[tiling.m()];
            int[] belonging = new int[tiling.m()];
            for (int i = 0; i < n; i++) {
                positives[targets[i]] += Math.exp(SCALE * statistics.positive()[i]);
                belonging[targets[i]]++;
            }
            Factors factors = new Factors(shifted, new float[n], new float[tiling.m()], new float[n]);
            for (int j = 0; j < tiling.m(); j++) {
                factors.b[j] = factors.of(MULTIPLE * 0.5 * belonging[j] / (column[j] + positives[j]));
            }
            for (int i = 0; i < n; i++) {
                int t = targets[i];
                double e = Math.exp(SCALE * statistics.positive()[i]);
                double ofRow = row[i] / (row[i] + e);
                double ofColumn = belonging[t] == 1
                        ? column[t] / (column[t] + e)
                        : 1 - belonging[t] * e / (column[t] + positives[t]);
                factors.a[i] = factors.of(MULTIPLE * 0.5 / (row[i] + e));
                factors.g[i] = (float) (-MULTIPLE * 0.5 * (ofRow + ofColumn));
            }
            return factors;
        }

        private float of(double factor) {
            return (float) (shifted ? Math.max(-3e38, Math.log(factor) * LOG2E) : factor);
        }

        double g(double product, int i, int j) {
            double e = Math.exp(SCALE * product);
            return shifted ? e * Math.pow(2, a[i]) + e * Math.pow(2, b[j]) : e * ((double) a[i] + b[j]);
        }

        /** Numbers of a loss as pairwise_begin and pairwise_finish write them. */
        DeviceStorage scalars(PtxDevice device) {
            return Devices.ints(
                    device,
                    Float.floatToIntBits(SCALE),
                    Float.floatToIntBits((float) (SCALE * LOG2E)),
                    0,
                    0,
                    shifted ? 1 : 0,
                    1,
                    0,
                    0);
        }

        private static double[] sums(float[] statistics, int length) {
            double[] sums = new double[length];
            for (int i = 0; i < statistics.length / 2; i++) {
                sums[i % length] += statistics[2 * i];
            }
            return sums;
        }
    }

    /** Everything the three kernels wrote. */
    private record Gradients(HopperOperandTiles g, float[] dots, float[] dx, float[] dy) {}

    private static DeviceStorage image(PtxDevice device, HopperOperandTiles image) {
        return Devices.shorts(device, image.bits());
    }

    private static Gradients gradients(
            PtxDevice device,
            HopperInfoNceLaunches kernels,
            HopperTiling tiling,
            int[] targets,
            HopperInfoNceForwardTest.Statistics statistics,
            Factors factors,
            float before) {
        float[] old = new float[Math.max(tiling.n(), tiling.m()) * tiling.d()];
        Arrays.fill(old, before == 0 ? Float.NaN : before);
        float unit = (float) (1 / (MULTIPLE * tiling.n()));
        try (DeviceStorage x = image(device, statistics.x());
                DeviceStorage y = image(device, statistics.y());
                DeviceStorage t = Devices.ints(device, targets);
                DeviceStorage s = Devices.floats(device, SCALE);
                DeviceStorage a = Devices.floats(device, factors.a);
                DeviceStorage b = Devices.floats(device, factors.b);
                DeviceStorage gt = Devices.floats(device, factors.g);
                DeviceStorage scalars = factors.scalars(device);
                DeviceStorage g = device.allocate(tiling.gradientBytes());
                DeviceStorage dots = device.allocate(4L * tiling.dots());
                DeviceStorage dx = Devices.floats(device, Arrays.copyOf(old, tiling.n() * tiling.d()));
                DeviceStorage dy = Devices.floats(device, Arrays.copyOf(old, tiling.m() * tiling.d()))) {
            int blocks = tiling.columnBlocks();
            HopperInfoNceLaunches.Pairs pairs =
                    new HopperInfoNceLaunches.Pairs(x.address(), y.address(), t.address(), 0, 0, scalars.address());
            kernels.gradients(
                    device.stream(),
                    tiling,
                    pairs,
                    new HopperInfoNceLaunches.Factors(a.address(), b.address(), gt.address()),
                    g.address(),
                    dots.address());
            kernels.rowGradients(
                    device.stream(),
                    tiling,
                    g.address(),
                    blocks,
                    y.address(),
                    s.address(),
                    unit,
                    dx.address(),
                    before != 0);
            kernels.columnGradients(
                    device.stream(),
                    tiling,
                    g.address(),
                    blocks,
                    x.address(),
                    s.address(),
                    unit,
                    dy.address(),
                    before != 0);
            return new Gradients(
                    HopperOperandTiles.of(statistics.precision(), g, tiling.paddedColumns()),
                    Devices.toFloats(dots),
                    Devices.toFloats(dx),
                    Devices.toFloats(dy));
        }
    }

    private static void checkG(
            HopperTiling tiling,
            int[] targets,
            HopperInfoNceForwardTest.Statistics statistics,
            Factors factors,
            HopperOperandTiles g,
            float[] dots) {
        double dot = 0;
        double size = 0;
        double[][] x = statistics.x().rows(tiling.n(), tiling.d());
        double[][] y = statistics.y().rows(tiling.m(), tiling.d());
        double relative = HopperFixture.roundOff(statistics.precision()) * 1.001 + 0x1p-20 * (SCALE + 2);
        double absolute = statistics.precision() == Precision.F16 ? 0x1p-24 : 0;
        for (int i = 0; i < tiling.paddedRows(); i++) {
            for (int j = 0; j < tiling.paddedColumns(); j++) {
                double product = i < tiling.n() && j < tiling.m() ? HopperFixture.dot(x[i], y[j]) : 0;
                double expected = i >= tiling.n() || j >= tiling.m()
                        ? 0
                        : j == targets[i] ? factors.g[i] : factors.g(product, i, j);
                dot += i < tiling.n() && j != targets[i] ? expected * product : 0;
                size += Math.abs(expected * product);
                assertEquals(
                        expected,
                        g.at(i, j),
                        absolute + Math.abs(expected) * relative,
                        "G of row " + i + ", column " + j);
            }
        }
        double sum = IntStream.range(0, dots.length).mapToDouble(i -> dots[i]).sum();
        assertEquals(dot, sum, 0x1p-20 * (SCALE + 2) * size, "sum of G times products");
    }

    /** Checks out = before + factor M F, with M [rows, summed] given by {@code m}. */
    private static void checkProduct(
            String name,
            int rows,
            int summed,
            int d,
            MatrixEntry m,
            double[][] features,
            double factor,
            double before,
            float[] out) {
        for (int i = 0; i < rows; i++) {
            for (int k = 0; k < d; k++) {
                double sum = 0;
                double size = 0;
                for (int j = 0; j < summed; j++) {
                    double term = m.at(i, j) * features[j][k];
                    sum += term;
                    size += Math.abs(term);
                }
                double bound = 0x1p-23 * (Math.abs(before) + factor * size * (4 + summed / 16.0));
                assertEquals(before + factor * sum, out[i * d + k], bound, name + " of row " + i + ", column " + k);
            }
        }
    }

    private interface MatrixEntry {
        double at(int row, int column);
    }

    private static void check(
            HopperTiling tiling,
            int[] targets,
            HopperInfoNceForwardTest.Statistics statistics,
            Factors factors,
            float before,
            Gradients got) {
        int n = tiling.n();
        int m = tiling.m();
        int d = tiling.d();
        checkG(tiling, targets, statistics, factors, got.g, got.dots);
        double factor = SCALE / (MULTIPLE * n);
        checkProduct("dx", n, m, d, got.g::at, statistics.y().rows(m, d), factor, before, got.dx);
        checkProduct("dy", m, n, d, (j, i) -> got.g.at(i, j), statistics.x().rows(n, d), factor, before, got.dy);
    }

    private static int[] targets(int n, int m) {
        return IntStream.range(0, n).map(i -> (i * 11 + 3) % m).toArray();
    }

    @ParameterizedTest
    @SampledSource(
            every = 8,
            csv = {
                "1, 1, 64, 1, 1, 1, 0", "64, 127, 96, 1, 1, 1, 0", "127, 128, 128, 1, 1, 2, 1",
                        "128, 129, 64, 1, 1, 1, 0",
                "129, 300, 37, 1, 1, 2, 0", "200, 200, 64, 2, 1, 1, 2", "300, 64, 128, 2, 1, 2, 0",
                        "150, 520, 260, 2, 2, 2, 0",
            })
    void gradients_raggedSizes_agreeWithF64(int n, int m, int d, int run, int group, int blocks, float before) {
        HopperTiling tiling = new HopperTiling(n, m, d, run, group, blocks);
        Precision precision = HopperInfoNceLaunches.PRECISIONS.get((n + d) % 2);
        int[] targets = targets(n, m);
        HopperFixture.devices().forEach(opened -> {
            try (PtxDevice device = opened.get()) {
                HopperInfoNceForwardTest.Statistics statistics =
                        HopperInfoNceForwardTest.forward(device, precision, tiling, SCALE, targets);
                Factors factors = Factors.of(tiling, targets, statistics, n % 2 == 0);
                check(
                        tiling,
                        targets,
                        statistics,
                        factors,
                        before,
                        gradients(
                                device,
                                new HopperInfoNceLaunches(device, precision),
                                tiling,
                                targets,
                                statistics,
                                factors,
                                before));
            }
        });
    }

    @Tag("exhaustive")
    @Test
    void gradients_anySchedule_sameBits() {
        HopperTiling tiling = new HopperTiling(130, 140, 96, 2, 1, 1);
        int[] targets = targets(130, 140);
        HopperInfoNceForwardTest.Statistics statistics;
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            statistics = HopperInfoNceForwardTest.forward(device, Precision.BF16, tiling, SCALE, targets);
        }
        Factors factors = Factors.of(tiling, targets, statistics, false);
        Gradients first = null;
        for (Schedule schedule : HopperFixture.schedules()) {
            try (SimDevice device = SimDevice.open(SimOptions.defaults().withSchedule(schedule))) {
                Gradients got = gradients(
                        device,
                        new HopperInfoNceLaunches(device, Precision.BF16),
                        tiling,
                        targets,
                        statistics,
                        factors,
                        0);
                first = first == null ? got : first;
                assertArrayEquals(first.g.bits(), got.g.bits(), schedule.toString());
                assertArrayEquals(first.dx, got.dx, schedule.toString());
                assertArrayEquals(first.dy, got.dy, schedule.toString());
            }
        }
    }

    /**
     * Stored products given as whole numbers of 1/32000: more than one block of rows, edges, and both kinds of
     * factors.
     */
    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"1100, 70, BF16, true", "130, 257, F16, false"})
    void storedGradients_agreeWithF64(int n, int m, Precision precision, boolean shifted) {
        HopperTiling tiling = new HopperTiling(n, m, 64, 1, 1, 1);
        Random random = new Random(5);
        int[] targets = targets(n, m);
        short[] products = new short[(int) (tiling.gradientBytes() / 2)];
        for (int i = 0; i < products.length; i++) {
            products[i] = (short) (random.nextInt(64_001) - 32_000);
        }
        HopperOperandTiles image = new HopperOperandTiles(precision, tiling.columnBlocks(), products);
        Factors factors = new Factors(shifted, new float[n], new float[m], new float[n]);
        for (int i = 0; i < n; i++) {
            factors.a[i] = shifted ? -random.nextFloat() * 20 : random.nextFloat() * 1e-3f;
            factors.g[i] = -random.nextFloat();
        }
        for (int j = 0; j < m; j++) {
            factors.b[j] = shifted ? -random.nextFloat() * 20 : random.nextFloat() * 1e-3f;
        }
        HopperFixture.devices().forEach(opened -> {
            try (PtxDevice device = opened.get();
                    DeviceStorage g = image(device, image);
                    DeviceStorage t = Devices.ints(device, targets);
                    DeviceStorage a = Devices.floats(device, factors.a);
                    DeviceStorage b = Devices.floats(device, factors.b);
                    DeviceStorage gt = Devices.floats(device, factors.g);
                    DeviceStorage scalars = factors.scalars(device);
                    DeviceStorage dots = device.allocate(4L * tiling.storedDots())) {
                HopperInfoNceLaunches.Pairs pairs =
                        new HopperInfoNceLaunches.Pairs(0, 0, t.address(), 0, 0, scalars.address());
                new HopperInfoNceLaunches(device, precision)
                        .storedGradients(
                                device.stream(),
                                tiling,
                                pairs,
                                new HopperInfoNceLaunches.Factors(a.address(), b.address(), gt.address()),
                                g.address(),
                                dots.address());
                checkStored(
                        tiling,
                        targets,
                        image,
                        factors,
                        HopperOperandTiles.of(precision, g, tiling.paddedColumns()),
                        Devices.toFloats(dots));
            }
        });
    }

    private static void checkStored(
            HopperTiling tiling,
            int[] targets,
            HopperOperandTiles products,
            Factors factors,
            HopperOperandTiles got,
            float[] dots) {
        double dot = 0;
        double size = 0;
        double relative = HopperFixture.roundOff(got.precision()) * 1.001 + 0x1p-20 * (SCALE + 2);
        for (int i = 0; i < tiling.paddedRows(); i++) {
            for (int j = 0; j < tiling.paddedColumns(); j++) {
                boolean inside = i < tiling.n() && j < tiling.m();
                double product = products.number(i, j) / 32_000.0;
                boolean own = inside && targets[i] == j;
                double expected = !inside ? 0 : own ? factors.g[i] : factors.g(product, i, j);
                dot += own ? 0 : expected * product;
                size += Math.abs(expected * product);
                assertEquals(
                        expected,
                        got.at(i, j),
                        Math.abs(expected) * relative + 0x1p-24,
                        "G of row " + i + ", column " + j);
            }
        }
        double sum = IntStream.range(0, dots.length).mapToDouble(i -> dots[i]).sum();
        assertEquals(dot, sum, 0x1p-20 * (SCALE + 2) * size, "sum of G times products");
    }

    /** Each has one thing wrong that a GPU might not show; the simulator must, under every schedule. */
    @ParameterizedTest
    @SampledSource(
            every = 16,
            delimiter = '|',
            csv = {
                "stores not told of what was written | fence.proxy.async.shared::cta; |  | PROXY_FENCE",
                "ends while stores read its shared memory | @%storer cp.async.bulk.wait_group 0; |  | ASYNC_PENDING",
                "buffer reused too early | @%storer cp.async.bulk.wait_group.read pending; |  | ASYNC_PENDING",
                "block stored before all have written | bar.sync %groupBarrier, 128; |  | ANY",
                "products not waited for | wgmma.wait_group.sync.aligned 0; |  | ASYNC_PENDING",
                "producer waits for the wrong phase | mov.u32 %phase, 1; | mov.u32 %phase, 0; | DEADLOCK",
                "k steps of the other layout | PRODUCT(128, 256, 384, 128 | PRODUCT(2, 4, 6, 128 | WRONG",
                "leading offset of one block | 0x4000004002000000 | 0x4000004000010000 | ANY",
                "targets not put right | EACH4(PUT_EACH) |  | WRONG",
                "edges left in the tile | EACH32(TAKE_EACH) |  | WRONG",
                "sum of a warp's G and products lost | @%lane0 st.shared.f32 [%slot+DOTS], %dot; |  | ANY",
                "second row block of G left out | COPY(A_OF_GROUP_1, %g+BLOCK_BYTES, HALF_BLOCK_BYTES) "
                        + "| COPY(A_OF_GROUP_1, %g, HALF_BLOCK_BYTES) | WRONG",
            })
    /** Each mutation is a fault that a GPU might not show; the simulator must report it under every schedule. */
    void mutation_isDetected(String what, String right, String wrong, String kind) {
        HopperTiling tiling = new HopperTiling(150, 200, 160, 2, 1, 1);
        int[] targets = targets(150, 200);
        HopperInfoNceForwardTest.Statistics statistics;
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            statistics = HopperInfoNceForwardTest.forward(device, Precision.BF16, tiling, SCALE, targets);
        }
        Factors factors = Factors.of(tiling, targets, statistics, false);
        for (long seed : HopperFixture.SEEDS) {
            String found = "nothing";
            try (SimDevice device =
                    SimDevice.open(SimOptions.defaults().withSeed(seed).withInstructionLimit(3_000_000))) {
                Gradients got = gradients(
                        device,
                        HopperFixture.mutated(device, Precision.BF16, right, wrong),
                        tiling,
                        targets,
                        statistics,
                        factors,
                        0);
                try {
                    check(tiling, targets, statistics, factors, 0, got);
                } catch (AssertionError e) {
                    found = "WRONG";
                }
            } catch (Fault fault) {
                found = fault.kind().name();
            }
            assertTrue(
                    found.equals(kind) || kind.equals("ANY") && !found.equals("nothing"),
                    what + ", seed " + seed + ": found " + found + ", expected " + kind);
        }
    }

    /** Six stages: three tiles in each of two work items of G, six blocks of summed rows in products. */
    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {"g", "dx", "dy"})
    void oneStageTooFew_isDetected(String kernel) {
        HopperTiling tiling = new HopperTiling(330, 330, 64, 3, 1, 1);
        int[] targets = targets(330, 330);
        HopperInfoNceForwardTest.Statistics statistics;
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            statistics = HopperInfoNceForwardTest.forward(device, Precision.BF16, tiling, SCALE, targets);
        }
        Factors factors = Factors.of(tiling, targets, statistics, false);
        HopperFixture.assertRaceOfStages(
                "pairwise_bwd_bf16_" + kernel + "_sm90a",
                (device, kernels) -> gradients(
                        device,
                        new HopperInfoNceLaunches(kernels, Precision.BF16),
                        tiling,
                        targets,
                        statistics,
                        factors,
                        0));
    }
}
