package org.contrastive4j.ops.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.sim.SimDevice;
import org.contrastive4j.device.sim.SimOptions;
import org.contrastive4j.device.sim.exec.Fault;
import org.contrastive4j.device.sim.exec.Schedule;
import org.contrastive4j.ops.ptx.HopperPairwise.Precision;
import org.contrastive4j.ops.ptx.HopperPairwise.Tiling;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.PairwiseReference;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * pairwise_bwd of sm_90a on the simulator, all checkers on: G and both products against f64, the whole gradient against
 * its definition.
 */
@Tag("gpu")
final class HopperGradientTest {
    private static final float SCALE = 10;
    private static final double MULTIPLE = 0x1p14;

    /** What the statistics of a forward pass make of G: e (a + b), and g for targets. */
    private record Factors(float[] a, float[] b, float[] g) {
        /** For weights one half; MULTIPLE n taken in. */
        static Factors of(Tiling tiling, int[] targets, HopperForwardTest.Statistics statistics) {
            int n = tiling.n();
            double[] row = sums(statistics.rowSums(), tiling.paddedRows());
            double[] column = sums(statistics.columnSums(), tiling.paddedColumns());
            double[] positives = new double[tiling.m()];
            int[] belonging = new int[tiling.m()];
            for (int i = 0; i < n; i++) {
                positives[targets[i]] += Math.exp(statistics.positive()[i]);
                belonging[targets[i]]++;
            }
            Factors factors = new Factors(new float[n], new float[tiling.m()], new float[n]);
            for (int j = 0; j < tiling.m(); j++) {
                factors.b[j] = (float) (MULTIPLE * 0.5 * belonging[j] / (column[j] + positives[j]));
                factors.b[j] = belonging[j] == 0 ? 0 : factors.b[j];
            }
            for (int i = 0; i < n; i++) {
                int t = targets[i];
                double e = Math.exp(statistics.positive()[i]);
                double ofRow = row[i] / (row[i] + e);
                double ofColumn = belonging[t] == 1 ? column[t] / (column[t] + e) : 1 - belonging[t] * e / (column[t]
                        + positives[t]);
                factors.a[i] = (float) (MULTIPLE * 0.5 / (row[i] + e));
                factors.g[i] = (float) (-MULTIPLE * 0.5 * (ofRow + ofColumn));
            }
            return factors;
        }

        private static double[] sums(float[] partials, int length) {
            double[] sums = new double[length];
            for (int i = 0; i < partials.length; i++) {
                sums[i % length] += partials[i];
            }
            return sums;
        }
    }

    /** Everything the three kernels wrote. */
    private record Gradients(OperandImage g, float[] dx, float[] dy) {}

    private static DeviceStorage image(PtxDevice device, OperandImage image) {
        return Devices.shorts(device, image.bits());
    }

    private static Gradients gradients(PtxDevice device, HopperPairwise kernels, Tiling tiling, int[] targets,
            HopperForwardTest.Statistics statistics, Factors factors, float before) {
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
                DeviceStorage g = device.allocate(tiling.gradientBytes());
                DeviceStorage dx = Devices.floats(device, Arrays.copyOf(old, tiling.n() * tiling.d()));
                DeviceStorage dy = Devices.floats(device, Arrays.copyOf(old, tiling.m() * tiling.d()))) {
            kernels.gradients(device.stream(), tiling, x, y, t, 0, s, new HopperPairwise.Factors(a, b, gt), g);
            kernels.rowGradients(device.stream(), tiling, g, y, s, unit, dx, before != 0);
            kernels.columnGradients(device.stream(), tiling, g, x, s, unit, dy, before != 0);
            return new Gradients(OperandImage.of(statistics.precision(), g, tiling.paddedColumns()),
                    Devices.toFloats(dx), Devices.toFloats(dy));
        }
    }

    private static void checkG(Tiling tiling, int[] targets, HopperForwardTest.Statistics statistics, Factors factors,
            OperandImage g) {
        double[][] x = statistics.x().rows(tiling.n(), tiling.d());
        double[][] y = statistics.y().rows(tiling.m(), tiling.d());
        double relative = Hopper.roundOff(statistics.precision()) * 1.001 + 0x1p-20 * (SCALE + 2);
        double absolute = statistics.precision() == Precision.F16 ? 0x1p-24 : 0;
        for (int i = 0; i < tiling.paddedRows(); i++) {
            for (int j = 0; j < tiling.paddedColumns(); j++) {
                double wanted = i >= tiling.n() || j >= tiling.m() ? 0 : j == targets[i] ? factors.g[i]
                        : Math.exp(SCALE * Hopper.dot(x[i], y[j])) * ((double) factors.a[i] + factors.b[j]);
                assertEquals(wanted, g.at(i, j), absolute + Math.abs(wanted) * relative, "G of row " + i + ", column "
                        + j);
            }
        }
    }

    /** out = before + factor M F, M [rows, summed] by {@code m}. */
    private static void checkProduct(String name, int rows, int summed, int d, MatrixEntry m, double[][] features,
            double factor, double before, float[] out) {
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

    private static void check(Tiling tiling, int[] targets, HopperForwardTest.Statistics statistics, Factors factors,
            float before, Gradients got) {
        int n = tiling.n();
        int m = tiling.m();
        int d = tiling.d();
        checkG(tiling, targets, statistics, factors, got.g);
        double factor = SCALE / (MULTIPLE * n);
        checkProduct("dx", n, m, d, got.g::at, statistics.y().rows(m, d), factor, before, got.dx);
        checkProduct("dy", m, n, d, (j, i) -> got.g.at(i, j), statistics.x().rows(n, d), factor, before, got.dy);
    }

    private static int[] targets(int n, int m) {
        return IntStream.range(0, n).map(i -> (i * 11 + 3) % m).toArray();
    }

    @ParameterizedTest
    @CsvSource({
        "1, 1, 64, 1, 1, 1, 0", "64, 127, 96, 1, 1, 1, 0", "127, 128, 128, 1, 1, 2, 1", "128, 129, 64, 1, 1, 1, 0",
        "129, 300, 37, 1, 1, 2, 0", "200, 200, 64, 2, 1, 1, 2", "300, 64, 128, 2, 1, 2, 0", "150, 520, 260, 2, 2, 2, 0",
    })
    void gradientsOfRaggedSizes(int n, int m, int d, int run, int group, int blocks, float before) {
        Tiling tiling = new Tiling(n, m, d, run, group, blocks);
        Precision precision = Precision.values()[(n + d) % 2];
        int[] targets = targets(n, m);
        Hopper.devices().forEach(opened -> {
            try (PtxDevice device = opened.get()) {
                HopperForwardTest.Statistics statistics = HopperForwardTest.forward(device, precision, tiling, SCALE,
                        targets);
                Factors factors = Factors.of(tiling, targets, statistics);
                check(tiling, targets, statistics, factors, before,
                        gradients(device, new HopperPairwise(device, precision), tiling, targets, statistics, factors,
                        before));
            }
        });
    }

    /** Against the definition, from features before rounding: the error is that of 16 bits. */
    @ParameterizedTest
    @CsvSource({"BF16, 6e-3", "F16, 8e-4"})
    void gradientOfTheLoss(Precision precision, double most) {
        int n = 140;
        int m = 150;
        int d = 64;
        Tiling tiling = new Tiling(n, m, d, 1, 1, 1);
        int[] targets = targets(n, m);
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            HopperForwardTest.Statistics statistics = HopperForwardTest.forward(device, precision, tiling, SCALE,
                    targets);
            Merged merged = merge(device, tiling, targets, SCALE, statistics.positive(), statistics.rowSums(),
                    statistics.columnSums());
            Gradients got = gradients(device, new HopperPairwise(device, precision), tiling, targets, statistics,
                    merged.factors, 0);
            PairwiseReference wanted = new PairwiseReference(n, m, d, flat(Hopper.unit(Hopper.random(1, n * d), d)),
                    flat(Hopper.unit(Hopper.random(2, m * d), d)), targets, Math.log(SCALE), 0, 0.5, 0.5);
            double loss = IntStream.range(0, n).mapToDouble(i -> merged.losses[i]).average().orElseThrow();
            assertEquals(wanted.loss, loss, SCALE * Hopper.roundOff(precision) / 4, "loss");
            double ofX = distance(wanted.dx, got.dx);
            double ofY = distance(wanted.dy, got.dy);
            assertTrue(ofX < most && ofY < most, "relative errors of dx " + ofX + ", of dy " + ofY);
        }
    }

    private record Merged(Factors factors, float[] losses) {}

    private static Merged merge(PtxDevice device, Tiling tiling, int[] targets, float scale, float[] positive,
            float[] rows, float[] columns) {
        int n = tiling.n();
        try (DeviceStorage t = targets == null ? null : Devices.ints(device, targets);
                DeviceStorage s = Devices.floats(device, scale);
                DeviceStorage p = Devices.floats(device, positive);
                DeviceStorage r = Devices.floats(device, rows);
                DeviceStorage c = Devices.floats(device, columns);
                DeviceStorage a = device.allocate(4L * n);
                DeviceStorage b = Devices.floats(device, new float[tiling.m()]);
                DeviceStorage g = device.allocate(4L * n);
                DeviceStorage losses = device.allocate(4L * n)) {
            new HopperPairwise(device, Precision.BF16).merge(device.stream(), tiling, new HopperPairwise.Sums(p, r, c),
                    t, s, (float) MULTIPLE, 0.5f, 0.5f, new HopperPairwise.Factors(a, b, g), losses);
            return new Merged(new Factors(Devices.toFloats(a), Devices.toFloats(b), Devices.toFloats(g)),
                    Devices.toFloats(losses));
        }
    }

    /** Sums and positives of every size that can be: hard and easy rows keep their relative accuracy. */
    @ParameterizedTest
    @CsvSource({"1", "75", "100"})
    void mergedSums(float scale) {
        Tiling tiling = new Tiling(300, 520, 64, 1, 1, 1);
        Random random = new Random(3);
        float[] positive = new float[300];
        for (int i = 0; i < positive.length; i++) {
            positive[i] = (float) (scale * (2 * random.nextDouble() - 1));
        }
        float[] rows = sums(random, tiling.columnTiles() * tiling.paddedRows());
        float[] columns = sums(random, tiling.rowItems() * tiling.paddedColumns());
        Merged got;
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            got = merge(device, tiling, null, scale, positive, rows, columns);
        }
        double[] row = Factors.sums(rows, tiling.paddedRows());
        double[] column = Factors.sums(columns, tiling.paddedColumns());
        double bound = 0x1p-16;
        int lost = 0;
        for (int i = 0; i < positive.length; i++) {
            double e = Math.exp(positive[i] - Math.max(0, scale - 75.0));
            if (scale > 81 && Math.min(row[i], column[i]) + e < 8.0e-25) {
                assertTrue(Float.isNaN(got.losses[i]) && Float.isNaN(got.factors.g[i]), "underflow of row " + i);
                lost++;
                continue;
            }
            near(0.5 * (Math.log1p(row[i] / e) + Math.log1p(column[i] / e)), got.losses[i], bound, "loss of row " + i);
            near(Math.min(3e38, MULTIPLE * 0.5 / (row[i] + e)), got.factors.a[i], bound, "factor of row " + i);
            near(Math.min(3e38, MULTIPLE * 0.5 / (column[i] + e)), got.factors.b[i], bound, "factor of column " + i);
            near(-MULTIPLE * 0.5 * (row[i] / (row[i] + e) + column[i] / (column[i] + e)), got.factors.g[i],
                    bound, "gradient of row " + i);
        }
        assertEquals(scale > 81, lost > 0, lost + " rows underflowed");
        for (int j = 300; j < 520; j++) {
            assertEquals(0, got.factors.b[j], "factor of column " + j + ", which no row belongs to");
        }
    }

    @Test
    void whatIsNotFiniteIsNotHidden() {
        Tiling tiling = new Tiling(4, 4, 64, 1, 1, 1);
        float[] rows = new float[tiling.paddedRows()];
        float[] columns = new float[tiling.paddedColumns()];
        float[] positive = {1, Float.NaN, 1, 1};
        rows[2] = Float.POSITIVE_INFINITY;
        columns[3] = Float.NaN;
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            Merged got = merge(device, tiling, null, 10, positive, rows, columns);
            for (int i = 0; i < 4; i++) {
                assertEquals(i > 0, Float.isNaN(got.losses[i]), "loss of row " + i + " is " + got.losses[i]);
                assertEquals(i > 0, Float.isNaN(got.factors.g[i]), "gradient of row " + i + " is " + got.factors.g[i]);
            }
        }
    }

    /** Zeros, and numbers between 1e-30 and 1e30. */
    private static float[] sums(Random random, int count) {
        float[] sums = new float[count];
        for (int i = 0; i < count; i++) {
            sums[i] = random.nextInt(8) == 0 ? 0 : (float) Math.pow(10, 60 * random.nextDouble() - 30);
        }
        return sums;
    }

    /** Equal within a relative bound; below 1e-30 an f32 need not keep all its digits. */
    private static void near(double wanted, float got, double relative, String message) {
        assertEquals(wanted, got, Math.abs(wanted) * relative + 1e-37, message);
    }

    private static double[] flat(double[][] rows) {
        return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    }

    private static double distance(double[] wanted, float[] got) {
        double error = 0;
        double size = 0;
        for (int i = 0; i < wanted.length; i++) {
            error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
            size += wanted[i] * wanted[i];
        }
        return Math.sqrt(error / size);
    }

    @Test
    void everyScheduleGivesTheSameBits() {
        Tiling tiling = new Tiling(130, 140, 96, 2, 1, 1);
        int[] targets = targets(130, 140);
        HopperForwardTest.Statistics statistics;
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            statistics = HopperForwardTest.forward(device, Precision.BF16, tiling, SCALE, targets);
        }
        Factors factors = Factors.of(tiling, targets, statistics);
        Gradients first = null;
        for (Schedule schedule : Hopper.schedules()) {
            try (SimDevice device = SimDevice.open(SimOptions.defaults().withSchedule(schedule))) {
                Gradients got = gradients(device, new HopperPairwise(device, Precision.BF16), tiling, targets,
                        statistics, factors, 0);
                first = first == null ? got : first;
                assertArrayEquals(first.g.bits(), got.g.bits(), schedule.toString());
                assertArrayEquals(first.dx, got.dx, schedule.toString());
                assertArrayEquals(first.dy, got.dy, schedule.toString());
            }
        }
    }

    /** Each has one thing wrong that a GPU might not show; the simulator must, under every schedule. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "stores not told of what was written | fence.proxy.async.shared::cta; |  | PROXY_FENCE",
        "buffer written while it is stored | @%storer cp.async.bulk.wait_group.read 1; |  | ASYNC_PENDING",
        "block stored before all have written | bar.sync %groupBarrier, 128; |  | ANY",
        "products not waited for | wgmma.wait_group.sync.aligned 0; |  | ASYNC_PENDING",
        "producer waits for the wrong phase | mov.u32 %phase, 1; | mov.u32 %phase, 0; | DEADLOCK",
        "one stage too few | #define STAGE_BYTES 49152 | #define STAGE_BYTES 32768 | ANY",
        "k steps of the other layout | PRODUCT(128, 256, 384, 128 | PRODUCT(2, 4, 6, 128 | WRONG",
        "leading offset of one block | 0x4000004002000000 | 0x4000004000010000 | ANY",
        "edges not put right | EACH32(PUT_EACH) |  | WRONG",
        "second row block of G left out | COPY(8192, %g+16384, 8192) | COPY(8192, %g, 8192) | WRONG",
    })
    void brokenTwinsAreCaught(String what, String right, String wrong, String kind) {
        Tiling tiling = new Tiling(150, 200, 160, 2, 1, 1);
        int[] targets = targets(150, 200);
        HopperForwardTest.Statistics statistics;
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            statistics = HopperForwardTest.forward(device, Precision.BF16, tiling, SCALE, targets);
        }
        Factors factors = Factors.of(tiling, targets, statistics);
        for (long seed : Hopper.SEEDS) {
            String found = "nothing";
            try (SimDevice device =
                    SimDevice.open(SimOptions.defaults().withSeed(seed).withInstructionLimit(2_000_000))) {
                Gradients got = gradients(device, Hopper.twin(device, Precision.BF16, right, wrong), tiling, targets,
                        statistics, factors, 0);
                try {
                    check(tiling, targets, statistics, factors, 0, got);
                } catch (AssertionError e) {
                    found = "WRONG";
                }
            } catch (Fault fault) {
                found = fault.kind().name();
            }
            assertTrue(found.equals(kind) || kind.equals("ANY") && !found.equals("nothing"),
                    what + ", seed " + seed + ": found " + found + ", wanted " + kind);
        }
    }
}
