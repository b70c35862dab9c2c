package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.function.Supplier;
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

/** The sm_90a kernels normalize_fwd and pairwise_fwd against f64, on the simulator with all checkers. */
@Tag("gpu")
final class HopperInfoNceForwardTest {
    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {"1, 1", "3, 63", "33, 64", "2, 65", "129, 100", "5, 300", "257, 6"})
    void normalize_packsUnitRows(int rows, int d) {
        HopperFixture.devices().forEach(opened -> {
            for (Precision precision : HopperInfoNceLaunches.PRECISIONS) {
                unitRows(opened, precision, rows, d);
            }
        });
    }

    private static void unitRows(Supplier<PtxDevice> opened, Precision precision, int rows, int d) {
        float[] u = HopperFixture.random(rows * 1000L + d, rows * d);
        for (int k = 0; k < d; k++) {
            u[(rows - 1) * d + k] *= rows == 2 ? 0 : rows == 3 ? 1e-30f : rows == 5 ? 1e30f : 1;
        }
        try (PtxDevice device = opened.get();
                DeviceStorage in = Devices.floats(device, u);
                DeviceStorage image = device.allocate(HopperInfoNceLaunches.packedBytes(rows, d));
                DeviceStorage inverse = device.allocate(4L * rows)) {
            new HopperInfoNceLaunches(device, precision)
                    .normalize(device.stream(), in.address(), rows, d, image.address(), inverse.address());
            checkUnits(precision, rows, d, u, HopperOperandTiles.of(precision, image, d), Devices.toFloats(inverse));
        }
    }

    private static void checkUnits(
            Precision precision, int rows, int d, float[] u, HopperOperandTiles image, float[] inverse) {
        double half = precision == Precision.BF16 ? 0x1.001p-8 : 0x1.001p-11;
        double least = precision == Precision.BF16 ? 0 : 0x1p-25;
        for (int i = 0; i < HopperInfoNceLaunches.packedRows(rows); i++) {
            double sum = 0;
            for (int k = 0; i < rows && k < d; k++) {
                sum += (double) u[i * d + k] * u[i * d + k];
            }
            double expected = sum == 0 ? 0 : 1 / Math.sqrt(sum);
            if (i < rows) {
                assertEquals(expected, inverse[i], expected * 0x1p-23, "1 / norm of row " + i);
            }
            for (int k = 0; k < (d + 63) / 64 * 64; k++) {
                double x = i < rows && k < d ? u[i * d + k] * expected : 0;
                assertEquals(
                        x,
                        image.at(i, k),
                        Math.max(least, Math.abs(x) * half),
                        precision + " row " + i + ", column " + k);
            }
        }
    }

    /** The outputs of one forward pass, bit for bit; sums and largest alternate. */
    record Statistics(
            Precision precision,
            float[] positive,
            float[] rows,
            int[] rowAts,
            float[] columns,
            short[] products,
            HopperOperandTiles x,
            HopperOperandTiles y) {}

    static Statistics forward(PtxDevice device, Precision precision, HopperTiling tiling, double scale, int[] targets) {
        return forward(device, precision, tiling, scale, targets, new HopperInfoNceLaunches(device, precision), false);
    }

    static Statistics forward(
            PtxDevice device,
            Precision precision,
            HopperTiling tiling,
            double scale,
            int[] targets,
            HopperInfoNceLaunches kernels,
            boolean stored) {
        int n = tiling.n();
        int m = tiling.m();
        int d = tiling.d();
        try (DeviceStorage u = Devices.floats(device, HopperFixture.random(1, n * d));
                DeviceStorage v = Devices.floats(device, HopperFixture.random(2, m * d));
                DeviceStorage x = device.allocate(HopperInfoNceLaunches.packedBytes(n, d));
                DeviceStorage y = device.allocate(HopperInfoNceLaunches.packedBytes(m, d));
                DeviceStorage t = Devices.ints(device, targets == null ? new int[1] : targets);
                DeviceStorage logScale = Devices.floats(device, (float) Math.log(scale));
                DeviceStorage scalars = device.allocate(HopperInfoNceLaunches.SCALARS_BYTES);
                DeviceStorage positive = device.allocate(4L * n);
                DeviceStorage rows = device.allocate(tiling.rowStatisticBytes());
                DeviceStorage ats = device.allocate(tiling.rowAtBytes());
                DeviceStorage columns = device.allocate(tiling.columnStatisticBytes());
                DeviceStorage products = device.allocate(tiling.gradientBytes())) {
            kernels.begin(device.stream(), logScale.address(), scalars.address(), 0, m);
            kernels.normalize(device.stream(), u.address(), n, d, x.address(), 0);
            kernels.normalize(device.stream(), v.address(), m, d, y.address(), 0);
            kernels.forward(
                    device.stream(),
                    tiling,
                    new HopperInfoNceLaunches.Pairs(
                            x.address(), y.address(), targets == null ? 0 : t.address(), 0, 0, scalars.address()),
                    new HopperInfoNceLaunches.Statistics(
                            positive.address(), rows.address(), stored ? 0 : ats.address(), columns.address()),
                    stored ? products.address() : 0);
            return new Statistics(
                    precision,
                    Devices.toFloats(positive),
                    Devices.toFloats(rows),
                    stored ? null : Devices.toInts(ats),
                    Devices.toFloats(columns),
                    stored ? Devices.toShorts(products) : null,
                    HopperOperandTiles.of(precision, x, d),
                    HopperOperandTiles.of(precision, y, d));
        }
    }

    private static void check(HopperTiling tiling, double scale, int[] targets, Statistics got) {
        int n = tiling.n();
        int m = tiling.m();
        double[][] x = got.x.rows(n, tiling.d());
        double[][] y = got.y.rows(m, tiling.d());
        double[][] u = HopperFixture.unit(HopperFixture.random(1, n * tiling.d()), tiling.d());
        double[][] v = HopperFixture.unit(HopperFixture.random(2, m * tiling.d()), tiling.d());
        double[][] row = new double[tiling.columnTiles()][tiling.paddedRows()];
        double[][] column = new double[tiling.rowItems()][tiling.paddedColumns()];
        double[][] rowLargest = lowest(row);
        double[][] columnLargest = lowest(column);
        double s = Math.exp((float) Math.log(scale));
        double shift = Math.max(0, 1.004 * s - 75);
        double bound = 0x1p-20 * (scale + 2);
        HopperOperandTiles products = got.products == null
                ? null
                : new HopperOperandTiles(Precision.F16, tiling.columnBlocks(), got.products);
        for (int i = 0; i < n; i++) {
            int target = targets == null ? i : targets[i];
            for (int j = 0; j < m; j++) {
                double product = HopperFixture.dot(x[i], y[j]);
                if (j == target) {
                    assertEquals(product, got.positive[i], 0x1p-21, "positive of row " + i);
                    assertEquals(
                            HopperFixture.dot(u[i], v[j]),
                            got.positive[i],
                            2 * HopperFixture.roundOff(got.precision),
                            "cosine of row " + i);
                } else {
                    int item = i / (128 * tiling.run());
                    row[j / 256][i] += Math.exp(s * product - shift);
                    column[item][j] += Math.exp(s * product - shift);
                    rowLargest[j / 256][i] = Math.max(rowLargest[j / 256][i], product);
                    columnLargest[item][j] = Math.max(columnLargest[item][j], product);
                    if (products != null) {
                        assertEquals(
                                product,
                                products.number(i, j) / 32_000.0,
                                0x1.01p-16 / 0.9765625,
                                "stored product of row " + i + ", column " + j);
                    }
                }
            }
        }
        double most = Math.max(worst(row, rowLargest, got.rows), worst(column, columnLargest, got.columns));
        assertTrue(most <= bound, () -> "relative error " + most + ", expected at most " + bound);
        checkColumns(tiling, rowLargest, x, y, got);
    }

    /** Checks that the reported column has the largest product of a row and column tile. */
    private static void checkColumns(
            HopperTiling tiling, double[][] largest, double[][] x, double[][] y, Statistics got) {
        for (int tile = 0; got.rowAts != null && tile < tiling.columnTiles(); tile++) {
            for (int i = 0; i < tiling.n(); i++) {
                int at = got.rowAts[tile * tiling.paddedRows() + i];
                if (largest[tile][i] > -1e38) {
                    assertEquals(tile, at / 256, "tile of the largest of row " + i);
                    assertEquals(largest[tile][i], HopperFixture.dot(x[i], y[at]), 0x1p-21, "largest of row " + i);
                }
            }
        }
    }

    private static double[][] lowest(double[][] like) {
        return Arrays.stream(like)
                .map(row -> {
                    double[] lowest = new double[row.length];
                    Arrays.fill(lowest, -3e38f);
                    return lowest;
                })
                .toArray(double[][]::new);
    }

    private static double worst(double[][] sums, double[][] largest, float[] got) {
        double worst = 0;
        for (int i = 0; i < sums.length; i++) {
            for (int j = 0; j < sums[i].length; j++) {
                int at = 2 * (i * sums[i].length + j);
                double error = Math.abs(got[at] - sums[i][j]);
                worst = Math.max(
                        worst, error == 0 ? 0 : Double.isNaN(error) ? Double.POSITIVE_INFINITY : error / sums[i][j]);
                assertEquals(largest[i][j], got[at + 1], Math.abs(largest[i][j]) > 2 ? 1e31 : 0x1p-21, "largest");
            }
        }
        return worst;
    }

    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {
                "1, 1, 64, 1, 1, 1",
                "64, 127, 96, 1, 1, 2",
                "127, 128, 128, 2, 1, 1",
                "128, 129, 64, 1, 2, 3",
                "129, 300, 100, 1, 1, 2",
                "200, 200, 64, 2, 1, 1",
                "300, 64, 128, 2, 2, 2",
                "300, 513, 7, 2, 2, 1"
            })
    void forward_raggedSizes_statisticsAgreeWithF64(int n, int m, int d, int run, int group, int blocks) {
        HopperTiling tiling = new HopperTiling(n, m, d, run, group, blocks);
        int[] targets =
                m >= n ? null : IntStream.range(0, n).map(i -> i * 7 % m).toArray();
        Precision precision = HopperInfoNceLaunches.PRECISIONS.get((n + d) % 2);
        HopperFixture.devices().forEach(opened -> {
            try (PtxDevice device = opened.get()) {
                check(
                        tiling,
                        20,
                        targets,
                        forward(
                                device,
                                precision,
                                tiling,
                                20,
                                targets,
                                new HopperInfoNceLaunches(device, precision),
                                d % 3 == 2));
            }
        });
    }

    @Test
    void forward_computesOneExponentialPerLogit() {
        HopperTiling tiling = new HopperTiling(200, 300, 64, 2, 1, 1);
        try (SimDevice device =
                SimDevice.open(SimOptions.defaults().withoutChecks().withCounts())) {
            forward(device, Precision.BF16, tiling, 20, null);
            long exponentials = device.counts().byLine().stream()
                    .filter(line -> line.getKey().source().text().startsWith("ex2"))
                    .mapToLong(line -> line.getValue().lanes())
                    .sum();
            assertEquals((long) tiling.paddedRows() * tiling.paddedColumns(), exponentials);
        }
    }

    @Test
    void forward_largestScale_staysFinite() {
        HopperTiling tiling = new HopperTiling(100, 100, 64, 1, 1, 1);
        HopperFixture.devices().forEach(opened -> {
            try (PtxDevice device = opened.get()) {
                check(tiling, 100, null, forward(device, Precision.F16, tiling, 100, null));
            }
        });
    }

    @Tag("exhaustive")
    @Test
    void forward_anySchedule_sameBits() {
        HopperTiling tiling = new HopperTiling(300, 257, 128, 2, 1, 2);
        int[] targets = IntStream.range(0, 300).map(i -> (i * 11 + 3) % 257).toArray();
        Statistics first = null;
        for (Schedule schedule : HopperFixture.schedules()) {
            try (SimDevice device = SimDevice.open(SimOptions.defaults().withSchedule(schedule))) {
                Statistics got = forward(device, Precision.BF16, tiling, 20, targets);
                if (first == null) {
                    first = got;
                    check(tiling, 20, targets, got);
                }
                assertArrayEquals(first.positive, got.positive, schedule.toString());
                assertArrayEquals(first.rows, got.rows, schedule.toString());
                assertArrayEquals(first.rowAts, got.rowAts, schedule.toString());
                assertArrayEquals(first.columns, got.columns, schedule.toString());
            }
        }
    }

    /** Each has one thing wrong that a GPU might not show; the simulator must, under every schedule. */
    @ParameterizedTest
    @SampledSource(
            every = 20,
            delimiter = '|',
            csv = {
                "products not waited for | wgmma.wait_group.sync.aligned 0; |  | ASYNC_PENDING| false",
                "stage given back too early | wgmma.wait_group.sync.aligned 1; |  | ASYNC_PENDING| false",
                "no fence before the products | wgmma.fence.sync.aligned; |  | WGMMA_FENCE| false",
                "consumer waits for the wrong phase | mov.u32 %phase, 0; | mov.u32 %phase, 1; | ANY| false",
                "producer waits for the wrong phase | mov.u32 %phase, 1; | mov.u32 %phase, 0; | DEADLOCK| false",
                "producer does not wait | WAIT(LABEL, %barrier+EMPTY, %phase) |  | ANY| false",
                "one warp more is waited for | [%barriers+empty], 8; | [%barriers+empty], 9; | DEADLOCK| false",
                "column sums read before written | bar.sync 1, 256; |  | ANY| false",
                "positives not taken out | EACH32(TAKE_EACH) |  | WRONG| false",
                "swizzle of rows left out | xor.b32 %at, %at, %swizzle; |  | WRONG| false",
                "Y half twice | COPY(Y1_TILE, %sourceY1, BLOCK_BYTES) | COPY(Y1_TILE, %sourceY0, BLOCK_BYTES) "
                        + "| WRONG| false",
                "stores not told of what was written | fence.proxy.async.shared::cta; |  | PROXY_FENCE| true",
                "buffer reused too early | @%storer cp.async.bulk.wait_group.read pending; |  | ASYNC_PENDING| true",
                "sums written while a store reads | @%storer cp.async.bulk.wait_group.read 0; |  | ASYNC_PENDING| true",
                "block stored before all have written | bar.sync %groupBarrier, 128; |  | ANY| true",
                "largest of lanes left out | LARGER_OF_LANES(%upperBest, %upperAt, 2) |  | WRONG| false",
                "other rows left out | max.f32 to, %d##j##upper, %d##j##lower; | mov.f32 to, %d##j##upper; "
                        + "| WRONG| false",
                "products off by one | 12582912.0 | 12582911.0 | WRONG| true",
            })
    /** Each mutation is a fault that a GPU might not show; the simulator must report it under every schedule. */
    void mutation_isDetected(String what, String right, String wrong, String kind, boolean stored) {
        HopperTiling tiling = new HopperTiling(200, 200, 192, 2, 1, 1);
        int[] targets = IntStream.range(0, 200).map(i -> (i * 11 + 3) % 200).toArray();
        for (long seed : HopperFixture.SEEDS) {
            String found = "nothing";
            try (SimDevice device =
                    SimDevice.open(SimOptions.defaults().withSeed(seed).withInstructionLimit(3_000_000))) {
                Statistics got = forward(
                        device,
                        Precision.BF16,
                        tiling,
                        20,
                        targets,
                        HopperFixture.mutated(device, Precision.BF16, right, wrong),
                        stored);
                try {
                    check(tiling, 20, targets, got);
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

    /** 14 stages in one work item: the pipeline wraps around more than three times. */
    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"false", "true"})
    void oneStageTooFew_isDetected(boolean stored) {
        HopperTiling tiling = new HopperTiling(200, 200, 400, 2, 1, 1);
        String kernel = stored ? "pairwise_fwd_bf16_stored_sm90a" : "pairwise_fwd_bf16_sm90a";
        HopperFixture.assertRaceOfStages(
                kernel,
                (device, kernels) -> forward(
                        device,
                        Precision.BF16,
                        tiling,
                        20,
                        null,
                        new HopperInfoNceLaunches(kernels, Precision.BF16),
                        stored));
    }
}
