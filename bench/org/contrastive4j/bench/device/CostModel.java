package org.contrastive4j.bench.device;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.internal.ptx.HopperTiling;

/**
 * Predicts the time of the sm_90a kernels of the pairwise loss from their counts of matrix operations, exponentials,
 * instructions, and bytes of shared memory, L2 and HBM. Prints a table; with a file of measurements, it also prints
 * the measured times.
 *
 * <p>Nothing in it was fitted to a measurement. Rates are what data sheets and published microbenchmarks say;
 * instructions per tile are counts of the simulator. What it leaves out: latencies, the start of the ring, a clock that
 * falls under load more than assumed.
 */
public final class CostModel {
    private static final int TILE_ROWS = 128;
    private static final int TILE_COLUMNS = 256;
    private static final int K_BLOCK = 64;
    private static final double RING_BYTES = 4 * 49_152;
    private static final double LAUNCH = 3e-6;
    private static final double STRIPE_BYTES = 16e9;
    /** Maximum rows and columns of a rectangle of G. */
    private static final int MOST_SUMMED = 65_536;

    private static final double KEPT_BYTES = 110e9;
    private static final int SMALL_LAUNCHES = 7;

    // Warp instructions of a tile, without those per 64 columns of d, and of a run of tiles, counted by the simulator.
    // HopperKernelCountsTest parses these lines and compares them with the counts.
    private static final int FORWARD = 8107;
    private static final int FORWARD_STORING = 11_083;
    private static final int FORWARD_RUN = 2992;
    private static final int GRADIENTS = 8315;
    private static final int GRADIENTS_RUN = 1792;
    private static final int GRADIENT_PRODUCT = 5350;
    private static final int GEMM = 3304;
    /** Of 1024 rows and 64 columns. */
    private static final int STORED_GRADIENTS = 35_024;

    private static final double STORED_PAIRS = 65_536;
    /** Register moves of a tile that is stored in 16 bits; assemblers remove them. */
    private static final int MOVES = 1024;

    private final Machine machine;

    private CostModel(Machine machine) {
        this.machine = machine;
    }

    /**
     * Rates per clock, of one multiprocessor but for L2 and HBM.
     *
     * @param hertz under the load of matrix products
     * @param flops of 16-bit matrix products
     * @param exponentials ex2
     * @param instructions of warps
     * @param sharedBytes read or written
     * @param l2Bytes to all multiprocessors together
     * @param hbmBytesPerSecond that a copy reaches
     */
    private record Machine(
            String name,
            int multiprocessors,
            double hertz,
            double flops,
            double exponentials,
            double instructions,
            double sharedBytes,
            double l2Bytes,
            double hbmBytesPerSecond) {
        double peak() {
            return multiprocessors * flops * hertz;
        }
    }

    private static final Machine H200 = new Machine("H200 at 1.6 GHz", 132, 1.6e9, 4096, 16, 4, 128, 6154, 4.3e12);

    /** Counts of one kernel; tiles are those of the busiest multiprocessor. */
    private record Counts(
            double tiles,
            double kBlocks,
            double exponentials,
            double instructions,
            double tailInstructions,
            double hbmBytes) {}

    /** A loss of n x m pairs. */
    private record Problem(int n, int m, int d) {
        HopperTiling tiling(Machine machine) {
            return HopperTiling.of(n, m, d, machine.multiprocessors);
        }

        double kBlocks() {
            return Math.ceil((double) d / K_BLOCK);
        }

        /** Returns the bytes of n + m rows of features. */
        double features(double bytes) {
            return ((double) n + m) * d * bytes;
        }

        /** Returns the number of stripes of rows of the forward pass, whose statistics must fit the budget. */
        double stripes(HopperTiling tiling) {
            return Math.ceil((double) (tiling.rowStatisticBytes() + tiling.columnStatisticBytes()) / STRIPE_BYTES);
        }

        /** Divides the pairs into rectangles of at most {@link #MOST_SUMMED}. */
        double rectangles(int count) {
            return Math.ceil((double) count / MOST_SUMMED);
        }
    }

    /**
     * Returns the seconds of tiles of 128 x 256: products that overlap with copies, then the epilogue, during which
     * copies fill the pipeline stages.
     */
    private double seconds(Counts counts) {
        double products = counts.kBlocks * 2 * TILE_ROWS * TILE_COLUMNS * K_BLOCK / machine.flops;
        double bytes = counts.kBlocks * (TILE_ROWS + TILE_COLUMNS) * K_BLOCK * 2;
        double reads = counts.kBlocks * K_BLOCK / 16 * 2 * (64 + TILE_COLUMNS) * 16 * 2;
        double shared = (bytes + reads) / machine.sharedBytes;
        double l2PerBlock = machine.l2Bytes / machine.multiprocessors;
        double epilogue =
                Math.max(counts.exponentials / machine.exponentials, counts.instructions / machine.instructions);
        double early = Math.min(RING_BYTES, epilogue * l2PerBlock);
        double mainLoop = Math.max(Math.max(products, shared), (bytes - early) / l2PerBlock);
        double clocks = counts.tiles * (mainLoop + epilogue + counts.tailInstructions / machine.instructions);
        return LAUNCH + Math.max(clocks / machine.hertz, counts.hbmBytes / machine.hbmBytesPerSecond);
    }

    private double waves(double pieces) {
        return Math.ceil(pieces / machine.multiprocessors);
    }

    /** Returns seconds by kernel, in launch order; products are stored by the forward pass or recomputed. */
    private Map<String, Double> kernels(Problem p, boolean kept) {
        HopperTiling tiling = p.tiling(machine);
        double stripes = p.stripes(tiling);
        double tiles = stripes * waves(tiling.items() / stripes) * tiling.run();
        double sweeps = stripes * Math.ceil((double) tiling.columnTiles() / tiling.group());
        double operands = 2.0 * p.d * (stripes * p.m + sweeps / stripes * p.n);
        double partials = tiling.rowStatisticBytes() + tiling.columnStatisticBytes();
        double g = 2.0 * p.n * p.m;
        double logits = TILE_ROWS * TILE_COLUMNS;
        Map<String, Double> seconds = new LinkedHashMap<>();
        seconds.put("normalise", 2 * LAUNCH + p.features(6) / machine.hbmBytesPerSecond);
        seconds.put(
                "forward",
                (stripes - 1) * LAUNCH
                        + seconds(new Counts(
                                tiles,
                                p.kBlocks(),
                                logits,
                                kept ? FORWARD_STORING - MOVES : FORWARD,
                                (double) FORWARD_RUN / tiling.run(),
                                operands + partials + (kept ? g : 0))));
        seconds.put("statistics", (SMALL_LAUNCHES + 3 * (stripes - 1)) * LAUNCH + partials / machine.hbmBytesPerSecond);
        seconds.put(
                "g",
                kept
                        ? keptGradients(p)
                        : seconds(new Counts(
                                        tiles,
                                        p.kBlocks(),
                                        logits,
                                        GRADIENTS - MOVES,
                                        (double) GRADIENTS_RUN / tiling.run(),
                                        operands + g))
                                + (p.rectangles(p.n) * p.rectangles(p.m) - 1) * LAUNCH);
        seconds.put("dx", product(p, p.n, p.m));
        seconds.put("dy", product(p, p.m, p.n));
        return seconds;
    }

    /** Computes G in place: 4 bytes, one exponential and half a warp instruction for each pair. */
    private double keptGradients(Problem p) {
        double pairs = (double) p.n * p.m;
        double clocks = pairs
                / machine.multiprocessors
                * Math.max(1 / machine.exponentials, STORED_GRADIENTS / STORED_PAIRS / machine.instructions);
        return LAUNCH + Math.max(clocks / machine.hertz, 4 * pairs / machine.hbmBytesPerSecond);
    }

    /** The products [rows, summed] x [summed, d] of rectangles of G, summed in memory. */
    private double product(Problem p, int rows, int summed) {
        double rowParts = p.rectangles(rows);
        double sumParts = p.rectangles(summed);
        double ofRows = rows / rowParts;
        double ofSum = summed / sumParts;
        double outs = ofRows * p.d * 4 * (sumParts > 1 ? 2 : 1);
        return rowParts
                * sumParts
                * seconds(new Counts(
                        waves(Math.ceil(ofRows / TILE_ROWS) * Math.ceil((double) p.d / TILE_COLUMNS)),
                        Math.ceil(ofSum / K_BLOCK),
                        0,
                        GRADIENT_PRODUCT,
                        0,
                        2 * ofRows * ofSum + 2 * ofSum * p.d + outs));
    }

    private void print(Map<String, Double> measured) {
        System.out.printf(
                Locale.ROOT,
                "%s: %.0f TFLOP/s in 16 bits, %.1f TB/s; milliseconds predicted%s%n",
                machine.name,
                machine.peak() / 1e12,
                machine.hbmBytesPerSecond / 1e12,
                measured.isEmpty() ? ", nothing measured yet" : " / measured");
        for (boolean kept : new boolean[] {false, true}) {
            System.out.println(kept ? "products kept, 2 n m bytes" : "products made again");
            System.out.printf(
                    "%8s %5s %19s %19s %19s %19s %19s %19s %19s %6s%n",
                    "n = m", "d", "normalise", "forward", "statistics", "g", "dx", "dy", "all", "peak");
            for (int n = 8192; n <= 1 << 20; n *= 2) {
                for (int d : new int[] {512, 768, 1024}) {
                    if (!kept || 2.0 * n * n <= KEPT_BYTES) {
                        print(new Problem(n, n, d), kept, measured);
                    }
                }
            }
        }
    }

    /**
     * Share of peak counts the 8 n m d operations of a loss that makes products again, so that both can be compared.
     */
    private void print(Problem problem, boolean kept, Map<String, Double> measured) {
        Map<String, Double> kernels = kernels(problem, kept);
        double all = kernels.values().stream().mapToDouble(Double::doubleValue).sum();
        kernels.put("all", all);
        System.out.printf("%8d %5d", problem.n, problem.d);
        boolean beside = kept == (2.0 * problem.n * problem.m < STRIPE_BYTES);
        kernels.forEach((name, seconds) -> System.out.printf(
                Locale.ROOT,
                " %9.3f%10s",
                1e3 * seconds,
                beside(beside ? measured.get(problem.n + "," + problem.d + "," + name) : null)));
        System.out.printf(
                Locale.ROOT, " %5.0f%%%n", 100 * 8.0 * problem.n * problem.m * problem.d / machine.peak() / all);
    }

    private static String beside(Double milliseconds) {
        return milliseconds == null ? "" : String.format(Locale.ROOT, " /%8.3f", milliseconds);
    }

    /** Reads lines "n,d,kernel,milliseconds" with n = m; lines that begin with # are comments. */
    private static Map<String, Double> measurements(Path file) throws IOException {
        Map<String, Double> measured = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            if (!line.isBlank() && !line.startsWith("#")) {
                int comma = line.lastIndexOf(',');
                double milliseconds =
                        Double.parseDouble(line.substring(comma + 1).strip());
                measured.put(line.substring(0, comma).replace(" ", ""), milliseconds);
            }
        }
        return measured;
    }

    /**
     * Milliseconds of each kernel of the loss of n x n pairs on an H200, by the names of the table, and of "all" of
     * them; products are kept where they fit the budget of {@link PairwiseTimes}.
     */
    static Map<String, Double> predicted(int n, int d) {
        Map<String, Double> kernels = new CostModel(H200).kernels(new Problem(n, n, d), 2.0 * n * n < STRIPE_BYTES);
        kernels.replaceAll((name, seconds) -> 1e3 * seconds);
        kernels.put(
                "all",
                kernels.values().stream().mapToDouble(Double::doubleValue).sum());
        return kernels;
    }

    /**
     * Returns the milliseconds of a product of packed operands with C in f32 on an H200.
     *
     * @param parts of k that are summed apart
     */
    static double product(int m, int n, int k, int parts) {
        CostModel model = new CostModel(H200);
        double tiles = Math.ceil((double) m / TILE_ROWS) * Math.ceil((double) n / TILE_COLUMNS) * parts;
        double kBlocks = Math.ceil(Math.ceil((double) k / K_BLOCK) / parts);
        double c = 4.0 * m * n;
        double hbm = 2.0 * k * (m + n) + parts * c;
        double merge = parts == 1 ? 0 : LAUNCH + (parts + 1) * c / H200.hbmBytesPerSecond;
        return 1e3 * (model.seconds(new Counts(model.waves(tiles), kBlocks, 0, GEMM, 0, hbm)) + merge);
    }

    /** @param arguments a file of measurements, or none */
    public static void main(String[] arguments) throws IOException {
        new CostModel(H200).print(arguments.length == 0 ? Map.of() : measurements(Path.of(arguments[0])));
    }
}
