package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Factors;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Pairs;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Statistics;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Warp instructions of a tile, counted by the simulator, against the constants of the cost model. The library's tests
 * are compiled without the cost model, so its text is read.
 */
class HopperKernelCountsTest {
    private static final int ROWS = HopperInfoNceLaunches.TILE_ROWS;
    private static final int COLUMNS = HopperInfoNceLaunches.TILE_COLUMNS;
    private static final int BLOCK = HopperInfoNceLaunches.BLOCK_COLUMNS;

    /** What is counted. */
    private enum Work {
        FORWARD,
        STORING,
        GRADIENTS,
        DX,
        DY,
        STORED_GRADIENTS,
        GEMM
    }

    /** Counts of a tile without its blocks of 64 of k, and of a run without its tiles. */
    private record Counted(long tile, long run) {}

    private final SimDevice device =
            SimDevice.open(SimOptions.defaults().withoutChecks().withCounts());
    private final HopperInfoNceLaunches kernels = new HopperInfoNceLaunches(device, Precision.BF16);
    private final HopperGemm gemm = new HopperGemm(new Kernels(device), Precision.BF16, 1);

    @AfterEach
    void close() {
        device.close();
    }

    /** Differences of launches: two tiles less one, at one k block and at two; two runs less one run of two tiles. */
    private Counted count(Work work) {
        long one = executions(work, 2, 2, 1) - executions(work, 1, 1, 1);
        long two = executions(work, 2, 2, 2) - executions(work, 1, 1, 2);
        return new Counted(2 * one - two, executions(work, 2, 1, 1) - executions(work, 2, 2, 1));
    }

    /** Instructions of one launch of one block over {@code tiles} row tiles, without targets or edges. */
    private long executions(Work work, int tiles, int run, int kBlocks) {
        int one = Float.floatToIntBits(1);
        try (DeviceStorage buffer = device.allocate(16L << 20);
                DeviceStorage scalars = Devices.ints(device, one, one, 0, 0, 0, 1, 0, 0)) {
            device.counts().reset();
            HopperTiling tiling = new HopperTiling(ROWS * tiles, COLUMNS, BLOCK * kBlocks, run, 1, 1);
            launch(work, tiling, buffer.address(), scalars.address());
            return device.counts().total().executions();
        }
    }

    private void launch(Work work, HopperTiling tiling, long at, long scalars) {
        long[] part = new long[8];
        for (int i = 0; i < part.length; i++) {
            part[i] = at + i * (2L << 20);
        }
        Pairs pairs = new Pairs(part[0], part[1], 0, 0, 1 << 20, scalars); // targets are in columns far away
        Statistics statistics = new Statistics(part[2], part[3], 0, part[5]);
        Factors factors = new Factors(part[2], part[3], part[4]);
        int summed = tiling.d();
        switch (work) {
            case FORWARD -> kernels.forward(device.stream(), tiling, pairs, statistics, 0);
            case STORING -> kernels.forward(device.stream(), tiling, pairs, statistics, part[6]);
            case GRADIENTS -> kernels.gradients(device.stream(), tiling, pairs, factors, part[6], part[7]);
            case STORED_GRADIENTS -> kernels.storedGradients(device.stream(), tiling, pairs, factors, part[6], part[7]);
            case DX ->
                kernels.rowGradients(
                        device.stream(),
                        new HopperTiling(tiling.n(), summed, COLUMNS, 1, 1, 1),
                        part[0],
                        4,
                        part[1],
                        scalars,
                        1,
                        part[2],
                        false);
            case DY ->
                kernels.columnGradients(
                        device.stream(),
                        new HopperTiling(summed, tiling.n(), COLUMNS, 1, 1, 1),
                        part[0],
                        4,
                        part[1],
                        scalars,
                        1,
                        part[2],
                        false);
            case GEMM ->
                gemm.multiply(
                        device.stream(),
                        new HopperGemm.Product(false, false, 1, tiling.n(), COLUMNS, summed),
                        part[0],
                        part[1],
                        HopperGemm.Result.of(part[2]),
                        0,
                        0);
        }
    }

    private static Map<String, Long> constants(String text) {
        Matcher matcher = Pattern.compile("private static final int ([A-Z_]+) = ([0-9_]+);")
                .matcher(text);
        Map<String, Long> constants = new TreeMap<>();
        while (matcher.find()) {
            constants.put(matcher.group(1), Long.parseLong(matcher.group(2).replace("_", "")));
        }
        return constants;
    }

    @Test
    void costModel_constants_equalSimulatorCounts() throws IOException {
        Counted forward = count(Work.FORWARD);
        Counted storing = count(Work.STORING);
        Counted gradients = count(Work.GRADIENTS);
        Counted dx = count(Work.DX);
        Counted dy = count(Work.DY);
        Counted gemm = count(Work.GEMM);
        // scaled from a block of the kernel, 64 columns of 1024 rows, to a tile
        long stored =
                executions(Work.STORED_GRADIENTS, HopperInfoNceLaunches.STORED_ROWS / ROWS, 1, 1) * BLOCK / COLUMNS;
        Map<String, Long> counted = new LinkedHashMap<>();
        counted.put("FORWARD", forward.tile);
        counted.put("FORWARD_STORING", storing.tile);
        counted.put("FORWARD_RUN", forward.run);
        counted.put("GRADIENTS", gradients.tile);
        counted.put("GRADIENTS_RUN", gradients.run);
        counted.put("GRADIENT_PRODUCT", dx.tile);
        counted.put("GEMM", gemm.tile);
        counted.put("STORED_GRADIENTS", stored);
        Map<String, Long> constants =
                constants(Files.readString(Path.of("bench/org/contrastive4j/bench/device/CostModel.java")));
        assertTrue(constants.keySet().containsAll(counted.keySet()), constants.toString());
        constants.keySet().retainAll(counted.keySet());
        assertEquals(new TreeMap<>(counted), constants);
        assertEquals(dx.tile, dy.tile, "both products of G");
    }
}
