package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Factors;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Pairs;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Statistics;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Sums;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * The warp instructions of a tile, counted by the simulator, equal the constants of the cost model and the table in
 * {@code kernels}. The cost model is not compiled with the tests; its text is parsed.
 */
class HopperKernelCountsTest {
    private static final int ROWS = HopperInfoNceLaunches.TILE_ROWS;
    private static final int COLUMNS = HopperInfoNceLaunches.TILE_COLUMNS;
    private static final int BLOCK = HopperInfoNceLaunches.BLOCK_COLUMNS;

    /** What is counted. */
    private enum Work {
        FORWARD,
        HARDEST,
        STORING,
        WIDE,
        GRADIENTS,
        WIDE_GRADIENTS,
        DX,
        DY,
        STORED_GRADIENTS,
        GEMM
    }

    /** Instructions of a tile without its blocks of 64 k, of such a block, and of a run without its tiles. */
    private record Counted(long tile, long block, long run) {}

    private final SimDevice device =
            SimDevice.open(SimOptions.defaults().withoutChecks().withCounts());
    private final HopperInfoNceLaunches kernels = new HopperInfoNceLaunches(device, Precision.BF16);
    private final HopperGemm gemm = new HopperGemm(new Kernels(device), Precision.BF16, 1);

    @AfterEach
    void close() {
        device.close();
    }

    /**
     * Solves for these from launches of two tiles and one, of one block and two, of two runs of one tile and one run
     * of two.
     */
    private Counted count(Work work) {
        long one = executions(work, 2, 2, 1) - executions(work, 1, 1, 1);
        long two = executions(work, 2, 2, 2) - executions(work, 1, 1, 2);
        return new Counted(2 * one - two, two - one, executions(work, 2, 1, 1) - executions(work, 2, 2, 1));
    }

    /** Counts one launch of one thread block over a column of tiles without targets or edges. */
    private long executions(Work work, int tiles, int run, int kBlocks) {
        boolean wide = work == Work.WIDE || work == Work.WIDE_GRADIENTS;
        int one = Float.floatToIntBits(1);
        try (DeviceStorage room = device.allocate(16L << 20);
                DeviceStorage numbers = Devices.ints(device, one, one, 0, 0, wide ? 1 : 0, 1, 0, 0)) {
            device.counts().reset();
            HopperTiling tiling = new HopperTiling(ROWS * tiles, COLUMNS, BLOCK * kBlocks, run, 1, 1);
            launch(work, tiling, room.address(), numbers.address());
            return device.counts().total().executions();
        }
    }

    private void launch(Work work, HopperTiling tiling, long at, long numbers) {
        long[] part = new long[8];
        for (int i = 0; i < part.length; i++) {
            part[i] = at + i * (2L << 20);
        }
        Pairs pairs = new Pairs(part[0], part[1], 0, 0, 1 << 20, numbers); // targets are in columns far away
        Statistics statistics = new Statistics(part[2], part[3], work == Work.HARDEST ? part[4] : 0, part[5]);
        Factors factors = new Factors(part[2], part[3], part[4]);
        int summed = tiling.d();
        switch (work) {
            case FORWARD, HARDEST -> kernels.forward(device.stream(), tiling, pairs, statistics, 0);
            case STORING -> kernels.forward(device.stream(), tiling, pairs, statistics, part[6]);
            case WIDE ->
                kernels.wideForward(device.stream(), tiling, pairs, statistics, new Sums(0, part[6], 0, part[7], 0));
            case GRADIENTS, WIDE_GRADIENTS ->
                kernels.gradients(device.stream(), tiling, pairs, factors, part[6], part[7]);
            case STORED_GRADIENTS -> kernels.storedGradients(device.stream(), tiling, pairs, factors, part[6], part[7]);
            case DX ->
                kernels.rowGradients(
                        device.stream(),
                        new HopperTiling(tiling.n(), summed, COLUMNS, 1, 1, 1),
                        part[0],
                        4,
                        part[1],
                        numbers,
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
                        numbers,
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
    void costModelAndReadme_equalCounts() throws IOException {
        Counted forward = count(Work.FORWARD);
        Counted storing = count(Work.STORING);
        Counted gradients = count(Work.GRADIENTS);
        Counted dx = count(Work.DX);
        Counted dy = count(Work.DY);
        Counted gemm = count(Work.GEMM);
        // as many column blocks as a tile has, of as many rows as one of these blocks takes
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
        String readme = Files.readString(Path.of("kernels/README.md")).replaceAll("\\s+", " ");
        String expected = String.format(
                Locale.ROOT,
                "warp instructions beside %d for each 64 of d: forward %,d (+ %,d"
                        + " for each run of up to 8 tiles; %,d with hardest negatives; %,d storing products;"
                        + " %,d with two"
                        + " shifts), G %,d (+ %,d; %,d with two shifts)",
                forward.block,
                forward.tile,
                forward.run,
                count(Work.HARDEST).tile,
                storing.tile,
                count(Work.WIDE).tile,
                gradients.tile,
                gradients.run,
                count(Work.WIDE_GRADIENTS).tile);
        assertTrue(readme.contains(expected), "kernels/README.md lacks: " + expected);
        String products = String.format(
                Locale.ROOT,
                "gradients %,d beside %d or %d, of images %,d beside %d",
                dx.tile,
                dx.block,
                dy.block,
                gemm.tile,
                gemm.block);
        assertTrue(readme.contains(products), "kernels/README.md lacks: " + products);
    }
}
