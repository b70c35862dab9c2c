package org.contrastive4j.internal.ptx;

import java.util.Arrays;
import java.util.Random;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.SampledSource;
import org.junit.jupiter.params.ParameterizedTest;

/**
 * InfoNCE of random problems against its definition, by every set of kernels, on the simulator with all checkers and
 * two schedules.
 */
class InfoNcePropertyTest {
    private static final int PROBLEMS = 12;

    @ParameterizedTest
    @SampledSource(every = 3)
    void infoNce_random_agreesWithDefinition(InfoNceKernelSet set) {
        for (int schedule = 0; schedule < 2; schedule++) {
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(schedule))) {
                Kernels kernels = new Kernels(device);
                for (int seed = schedule; seed < PROBLEMS; seed += 2) {
                    checkRandom(device, kernels, set, seed);
                }
            }
        }
    }

    private static void checkRandom(PtxDevice device, Kernels kernels, InfoNceKernelSet set, int seed) {
        Random random = new Random(1000 * set.ordinal() + seed);
        try {
            InfoNceCase c = drawn(random);
            InfoNceKernels pairwise = set.open(kernels, 1L << random.nextInt(24)); // one tile to everything
            c.compare(device, kernels, set, c.ask(device, pairwise));
        } catch (RuntimeException | AssertionError e) {
            throw new AssertionError("seed " + seed + " of " + set, e);
        }
    }

    /**
     * Draws sizes from 1 on, small ones and those next to tile edges more often; scales from 0.1 to 100; weights that
     * may be 0; zero rows and equal rows.
     */
    private static InfoNceCase drawn(Random random) {
        int n = size(random, 130);
        boolean diagonal = random.nextBoolean();
        int m = diagonal ? n + random.nextInt(3) * random.nextInt(30) : size(random, 130);
        int d = size(random, 70);
        InfoNceCase c = new InfoNceCase(n, m, d, diagonal, random.nextLong());
        c.logScale = (float) (Math.log(0.1) + random.nextDouble() * Math.log(1000));
        c.bias = (float) random.nextGaussian();
        c.rowWeight = random.nextInt(4) == 0 ? 0 : random.nextDouble();
        c.columnWeight = random.nextInt(4) == 0 ? 0 : random.nextDouble();
        c.gradientScale = Math.exp(random.nextGaussian());
        c.shift = random.nextInt(4) == 0 ? 1 : 0;
        if (random.nextInt(3) == 0) {
            int row = random.nextInt(n);
            Arrays.fill(c.x, row * d, (row + 1) * d, 0);
        }
        if (random.nextInt(3) == 0) {
            System.arraycopy(c.y, 0, c.y, (m - 1) * d, d);
        }
        return c;
    }

    /** Draws a size from 1 to most: small, next to a multiple of 32, or any. */
    static int size(Random random, int most) {
        return switch (random.nextInt(3)) {
            case 0 -> 1 + random.nextInt(9);
            case 1 -> Math.min(most, 32 * (1 + random.nextInt(4)) - 1 + random.nextInt(3));
            default -> 1 + random.nextInt(most);
        };
    }
}
