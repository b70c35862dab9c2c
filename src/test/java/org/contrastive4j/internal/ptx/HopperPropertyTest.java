package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.ptx.HopperGemm.Activation;
import org.contrastive4j.internal.ptx.HopperGemm.Product;
import org.contrastive4j.internal.ptx.HopperGemmCase.Inputs;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.params.ParameterizedTest;

/**
 * Random problems that wrap around the pipeline more than once, on the simulator with all checkers and two schedules:
 * losses of wide rows, which {@link InfoNcePropertyTest} leaves out, and products in all layouts.
 */
class HopperPropertyTest {
    private static final int LOSSES = 6;
    private static final int PRODUCTS = 8;
    private static final int LEAST_STORED_WIDTH = 320;
    private static final int MULTIPROCESSORS = 2;

    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"BF16", "F16"})
    void infoNce_randomWideRows_agreesWithF64(Precision precision) {
        int stored = 0;
        for (int schedule = 0; schedule < 2; schedule++) {
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(schedule))) {
                HopperInfoNce loss = new HopperInfoNce(
                        new HopperInfoNceLaunches(new Kernels(device), precision),
                        MULTIPROCESSORS,
                        InfoNceKernelSet.PLENTY);
                for (int seed = schedule; seed < LOSSES; seed += 2) {
                    HopperInfoNceCase c = drawn(100 * precision.ordinal() + seed);
                    c.precision = precision;
                    boolean keeps =
                            new HopperInfoNcePlan(c.n, c.m, c.d, MULTIPROCESSORS, true, InfoNceKernelSet.PLENTY).stored;
                    assertEquals(c.d >= LEAST_STORED_WIDTH, keeps, c + ": products kept");
                    stored += keeps ? 1 : 0;
                    try {
                        c.check(device, c.ask(device, loss), keeps ? c.scale / 62_000 : 0);
                    } catch (RuntimeException | AssertionError e) {
                        throw new AssertionError("seed " + seed + ", " + c, e);
                    }
                }
            }
        }
        assertTrue(stored > 0 && stored < LOSSES, stored + " of " + LOSSES + " kept products, expected some, not all");
    }

    /**
     * Draws five to seven blocks of 64 columns and few rows; the diagonal or any targets; scales from 0.1 to 100;
     * weights that may be 0; zero rows and equal rows.
     */
    private static HopperInfoNceCase drawn(long seed) {
        Random random = new Random(seed);
        int n = 1 + random.nextInt(random.nextInt(4) == 0 ? 150 : 40);
        boolean diagonal = random.nextBoolean();
        int m = diagonal ? n + random.nextInt(20) : 1 + random.nextInt(60);
        int d = 257 + random.nextInt(144);
        int[] targets = diagonal
                ? null
                : IntStream.range(0, n).map(i -> random.nextInt(m)).toArray();
        HopperInfoNceCase c = new HopperInfoNceCase(
                        n,
                        m,
                        d,
                        targets,
                        HopperFixture.random(seed + 1000, n * d),
                        HopperFixture.random(seed + 2000, m * d))
                .withNeighbours();
        c.scale = 0.1 * Math.pow(1000, random.nextDouble());
        c.rowWeight = random.nextInt(4) == 0 ? 0 : random.nextDouble();
        c.columnWeight = random.nextInt(4) == 0 ? 0 : random.nextDouble();
        c.gradientScale = Math.exp(random.nextGaussian());
        if (random.nextInt(3) == 0) {
            int row = random.nextInt(n);
            Arrays.fill(c.u, row * d, (row + 1) * d, 0);
        }
        if (random.nextInt(3) == 0) {
            System.arraycopy(c.v, 0, c.v, (m - 1) * d, d);
        }
        return c;
    }

    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"BF16", "F16"})
    void gemm_random_agreesWithF64(Precision precision) {
        for (int schedule = 0; schedule < 2; schedule++) {
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(schedule))) {
                HopperGemm gemm = new HopperGemm(new Kernels(device), precision, MULTIPROCESSORS);
                for (int seed = schedule; seed < PRODUCTS; seed += 2) {
                    Inputs in = product(seed / 2 % 4, 100 * precision.ordinal() + seed);
                    try {
                        HopperGemmCase.check(in, HopperGemmCase.run(device, gemm, precision, in));
                    } catch (RuntimeException | AssertionError e) {
                        throw new AssertionError("seed " + seed + ", " + in.product(), e);
                    }
                }
            }
        }
    }

    /** Draws up to two tiles along m and n, up to five blocks of k, batches, and every kind of result. */
    private static Inputs product(int layout, long seed) {
        Random random = new Random(seed);
        Product p = new Product(
                layout / 2 == 1,
                layout % 2 == 1,
                1 + random.nextInt(2),
                size(random, 140),
                size(random, 270),
                size(random, 300));
        double beta = random.nextInt(2) == 0 ? 0 : random.nextGaussian();
        Activation activation = random.nextInt(2) == 0 ? null : Activation.values()[random.nextInt(3)];
        boolean stored = activation == null || beta != 0 || random.nextBoolean();
        Inputs in = Inputs.of(seed, p, random.nextBoolean(), beta, stored, activation);
        return stored && random.nextInt(3) == 0 ? in.inSixteenBits() : in;
    }

    /** Draws a small size, one next to a multiple of 64, or any. */
    private static int size(Random random, int most) {
        return switch (random.nextInt(3)) {
            case 0 -> 1 + random.nextInt(9);
            case 1 -> Math.min(most, 64 * (1 + random.nextInt(4)) - 1 + random.nextInt(3));
            default -> 1 + random.nextInt(most);
        };
    }
}
