package org.contrastive4j.bench.device;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.ops.ptx.HopperPairwise.Tiling;

/**
 * Time that the sm_90a kernels of the pairwise loss should take, from what they count: matrix operations, exponentials,
 * instructions, bytes of shared memory, L2 and HBM. Prints a table, with measurements beside where a file of them is
 * given.
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
    private record Machine(String name, int multiprocessors, double hertz, double flops, double exponentials,
            double instructions, double sharedBytes, double l2Bytes, double hbmBytesPerSecond) {
        double peak() {
            return multiprocessors * flops * hertz;
        }
    }

    private static final Machine H200 = new Machine("H200 at 1.6 GHz", 132, 1.6e9, 4096, 16, 4, 128, 6154, 4.3e12);

    /** Counts of one kernel; tiles are those that the busiest multiprocessor does. */
    private record Counts(double tiles, double kBlocks, double exponentials, double instructions,
            double tailInstructions, double hbmBytes) {}

    /** A loss of n x m pairs. */
    private record Problem(int n, int m, int d) {
        Tiling tiling(Machine machine) {
            return Tiling.of(n, m, d, machine.multiprocessors);
        }

        double kBlocks() {
            return Math.ceil((double) d / K_BLOCK);
        }

        /** Bytes of n + m rows of features of so many bytes each. */
        double features(double bytes) {
            return ((double) n + m) * d * bytes;
        }

        /** Stripes of rows that G is made in, so that it fits its budget. */
        double stripes() {
            return Math.ceil(2.0 * n * m / STRIPE_BYTES);
        }
    }

    /**
     * Seconds of tiles of 128 x 256: the products with copies under way, then the epilogue, in which copies fill the
     * ring.
     */
    private double seconds(Counts counts) {
        double products = counts.kBlocks * 2 * TILE_ROWS * TILE_COLUMNS * K_BLOCK / machine.flops;
        double bytes = counts.kBlocks * (TILE_ROWS + TILE_COLUMNS) * K_BLOCK * 2;
        double reads = counts.kBlocks * K_BLOCK / 16 * 2 * (64 + TILE_COLUMNS) * 16 * 2;
        double shared = (bytes + reads) / machine.sharedBytes;
        double l2PerBlock = machine.l2Bytes / machine.multiprocessors;
        double epilogue = Math.max(counts.exponentials / machine.exponentials,
                counts.instructions / machine.instructions);
        double early = Math.min(RING_BYTES, epilogue * l2PerBlock);
        double mainLoop = Math.max(Math.max(products, shared), (bytes - early) / l2PerBlock);
        double clocks = counts.tiles * (mainLoop + epilogue + counts.tailInstructions / machine.instructions);
        return LAUNCH + Math.max(clocks / machine.hertz, counts.hbmBytes / machine.hbmBytesPerSecond);
    }

    private double waves(double pieces) {
        return Math.ceil(pieces / machine.multiprocessors);
    }

    /** Kernels by name, in order, in seconds. */
    private Map<String, Double> kernels(Problem p) {
        Tiling tiling = p.tiling(machine);
        double tiles = waves(tiling.items()) * tiling.run();
        double sweeps = Math.ceil((double) tiling.columnTiles() / tiling.group());
        double operands = 2.0 * p.d * (p.m + sweeps * p.n);
        double partials = tiling.rowSumBytes() + tiling.columnSumBytes();
        double g = 2.0 * p.n * p.m;
        double logits = TILE_ROWS * TILE_COLUMNS;
        double stripes = p.stripes();
        double widths = Math.ceil((double) p.d / TILE_COLUMNS);
        Map<String, Double> seconds = new LinkedHashMap<>();
        seconds.put("normalise", 2 * LAUNCH + p.features(6) / machine.hbmBytesPerSecond);
        seconds.put("forward", seconds(
                new Counts(tiles, p.kBlocks(), logits, 4588, 2824.0 / tiling.run(), operands + partials)));
        seconds.put("merge", LAUNCH + partials / machine.hbmBytesPerSecond);
        seconds.put("g", seconds(new Counts(tiles, p.kBlocks(), logits, 5348, 1728.0 / tiling.run(), operands + g))
                + (stripes - 1) * LAUNCH);
        seconds.put("dx", seconds(new Counts(waves(Math.ceil(p.n / 128.0) * widths), Math.ceil(p.m / 64.0), 0, 4585, 0,
                g + p.features(4))) + (stripes - 1) * LAUNCH);
        seconds.put("dy", stripes * seconds(new Counts(waves(Math.ceil(p.m / 128.0) * widths),
                Math.ceil(p.n / 64.0 / stripes), 0, 4585, 0,
                g / stripes + p.features(4) + (stripes > 1 ? 4.0 * p.m * p.d : 0))));
        return seconds;
    }

    private void print(Map<String, Double> measured) {
        System.out.printf(Locale.ROOT, "%s: %.0f TFLOP/s in 16 bits, %.1f TB/s; milliseconds predicted%s%n",
                machine.name, machine.peak() / 1e12, machine.hbmBytesPerSecond / 1e12,
                measured.isEmpty() ? ", nothing measured yet" : " / measured");
        System.out.printf("%8s %5s %19s %19s %19s %19s %19s %19s %19s %6s%n", "n = m", "d", "normalise",
                "forward", "merge", "g", "dx", "dy", "all", "peak");
        for (int n = 8192; n <= 1 << 20; n *= 2) {
            for (int d : new int[] {512, 768, 1024}) {
                Problem problem = new Problem(n, n, d);
                Map<String, Double> kernels = kernels(problem);
                double all = kernels.values().stream().mapToDouble(Double::doubleValue).sum();
                kernels.put("all", all);
                System.out.printf("%8d %5d", n, d);
                kernels.forEach((name, seconds) -> System.out.printf(Locale.ROOT, " %9.3f%10s", 1e3 * seconds,
                        beside(measured.get(problem.n + "," + problem.d + "," + name))));
                System.out.printf(Locale.ROOT, " %5.0f%%%n", 100 * 8.0 * n * n * d / machine.peak() / all);
            }
        }
    }

    private static String beside(Double milliseconds) {
        return milliseconds == null ? "" : String.format(Locale.ROOT, " /%8.3f", milliseconds);
    }

    /** Lines "n,d,kernel,milliseconds" with n = m; lines that begin with # are comments. */
    private static Map<String, Double> measurements(Path file) throws IOException {
        Map<String, Double> measured = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            if (!line.isBlank() && !line.startsWith("#")) {
                int comma = line.lastIndexOf(',');
                double milliseconds = Double.parseDouble(line.substring(comma + 1).strip());
                measured.put(line.substring(0, comma).replace(" ", ""), milliseconds);
            }
        }
        return measured;
    }

    /** Milliseconds of each kernel of the loss of n x n pairs on an H200, by the names of the table, and of "all" of them. */
    static Map<String, Double> predicted(int n, int d) {
        Map<String, Double> kernels = new CostModel(H200).kernels(new Problem(n, n, d));
        kernels.replaceAll((name, seconds) -> 1e3 * seconds);
        kernels.put("all", kernels.values().stream().mapToDouble(Double::doubleValue).sum());
        return kernels;
    }

    /**
     * Milliseconds of a product of images with C in f32 on an H200.
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
        return 1e3 * (model.seconds(new Counts(model.waves(tiles), kBlocks, 0, 4585, 0, hbm)) + merge);
    }

    /** @param arguments a file of measurements, or none */
    public static void main(String[] arguments) throws IOException {
        new CostModel(H200).print(arguments.length == 0 ? Map.of() : measurements(Path.of(arguments[0])));
    }
}
