package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Schedule;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The parts of {@link HopperInfoNce} that no other kernels have: stored products, shifts at any scale, and plans that
 * depend on the workspace. {@link PortableInfoNceTest} tests what all InfoNCE kernels share.
 */
@Tag("gpu")
final class HopperInfoNceTest {
    /** The smallest workspace: one run of rows, one tile of G. */
    private static final long LEAST = 1;

    private static final long PLENTY = 1L << 30;

    private record Opened(PtxDevice device, Kernels kernels) {
        HopperInfoNce loss(Precision precision, long stripeBytes) {
            return new HopperInfoNce(new HopperInfoNceLaunches(kernels, precision), 4, stripeBytes);
        }
    }

    private static List<Opened> devices;

    @BeforeAll
    static void open() {
        devices = HopperFixture.devices().stream()
                .map(Supplier::get)
                .map(device -> new Opened(device, new Kernels(device)))
                .toList();
    }

    @AfterAll
    static void close() {
        devices.forEach(opened -> opened.device.close());
    }

    private static int[] targets(String kind, int n, int m) {
        return kind.equals("diagonal")
                ? null
                : IntStream.range(0, n)
                        .map(kind.equals("unique") ? i -> (i * 7 + 5) % m : i -> (i * i) % 7 * 11 % m)
                        .toArray();
    }

    /** Returns the relative error of G if products are stored in 16 bits. */
    private static double ofStored(HopperInfoNceCase c) {
        return c.scale / 62_000;
    }

    private static HopperInfoNceCase.Answer check(HopperInfoNceCase c, long stripeBytes) {
        HopperInfoNceCase.Answer last = null;
        for (Opened opened : devices) {
            last = c.ask(opened.device, opened.loss(c.precision, stripeBytes));
            c.check(opened.device, last, c.d >= 320 && stripeBytes == PLENTY ? ofStored(c) : 0);
        }
        return last;
    }

    /** Computes from stored products, and with one byte less workspace than they need. */
    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"BF16, 12", "F16, 100"})
    void infoNce_storedProducts_agreesWithF64(Precision precision, double scale) {
        HopperInfoNceCase c = new HopperInfoNceCase(130, 140, 320, targets("shared", 130, 140)).withNeighbours();
        c.precision = precision;
        c.scale = scale;
        HopperInfoNceCase.Answer kept = check(c, PLENTY);
        HopperInfoNceCase.Answer recomputed = check(c, LEAST);
        assertArrayEquals(recomputed.result(), kept.result());
        assertArrayEquals(recomputed.hardest(), kept.hardest());
        assertTrue(!Arrays.equals(recomputed.dx(), kept.dx()), "both gradients came from the same products");
    }

    /**
     * Problems where one constant shift underflows: rows all equal or opposite, one of them aligned, all pairs exact,
     * clusters.
     */
    static HopperInfoNceCase adversary(String what, int n, double scale) {
        int d = 64;
        Random random = new Random(7);
        float[] u = new float[n * d];
        float[] v = new float[n * d];
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < d; k++) {
                float noise = (float) random.nextGaussian() * 0.05f;
                u[i * d + k] = switch (what) {
                    case "opposite", "alike", "one aligned" -> k == 0 ? 1 : 0;
                    case "far" -> (k == 0 ? 1 : 0) + noise * 0.3f;
                    default -> k == i % d ? 1 : 0;
                };
                v[i * d + k] = switch (what) {
                    case "opposite" -> k == 0 ? -2 : 0;
                    case "one aligned" -> k == 0 ? i == 3 ? 1 : -1 : 0;
                    case "far" -> (k == 0 ? -1 : 0) + noise * 0.3f;
                    case "one far row" -> k == i % d ? 1 : k == 5 && i != 5 ? -0.9f : 0;
                    default -> u[i * d + k];
                };
            }
        }
        HopperInfoNceCase c = new HopperInfoNceCase(n, n, d, null, u, v);
        c.scale = scale;
        return c;
    }

    @ParameterizedTest
    @SampledSource(
            every = 4,
            csv = {
                "opposite, 60, 100",
                "alike, 60, 100",
                "one aligned, 60, 100",
                "far, 130, 100",
                "exact, 60, 100",
                "one far row, 64, 100",
                "far, 60, 1000",
                "exact, 60, 5000",
                "opposite, 33, 1e-3"
            })
    void infoNce_anyScale_agreesWithF64(String what, int n, double scale) {
        HopperInfoNceCase c = adversary(what, n, scale);
        check(c, LEAST);
    }

    @Tag("exhaustive")
    @Test
    void infoNce_anyScaleSharedTargetsStoredProducts_agreesWithF64() {
        Random random = new Random(3);
        float[] u = new float[130 * 320];
        float[] v = new float[90 * 320];
        for (int i = 0; i < u.length; i++) {
            u[i] = (i % 320 == 0 ? 1 : 0) + (float) random.nextGaussian() * 0.02f;
        }
        for (int i = 0; i < v.length; i++) {
            v[i] = (i % 320 == 0 ? -1 : 0) + (float) random.nextGaussian() * 0.02f;
        }
        HopperInfoNceCase c = new HopperInfoNceCase(130, 90, 320, targets("shared", 130, 90), u, v);
        c.scale = 100;
        c.precision = Precision.F16;
        check(c, PLENTY);
        check(c, LEAST);
    }

    /** A row that is not finite makes the loss not finite. */
    @ParameterizedTest
    @CsvSource({"12", "100"})
    void infoNce_nonFiniteRow_nonFiniteLoss(double scale) {
        HopperInfoNceCase c = new HopperInfoNceCase(40, 50, 20, null);
        c.scale = scale;
        c.u[7 * 20 + 3] = Float.NaN;
        for (Opened opened : devices) {
            HopperInfoNceCase.Answer got = c.ask(opened.device, opened.loss(c.precision, PLENTY));
            assertTrue(Double.isNaN(got.result()[0]), "loss is " + got.result()[0]);
            assertTrue(
                    Float.isNaN(got.dx()[7 * 20]) && Float.isNaN(got.dy()[0]) && Float.isNaN(got.dLogScale()),
                    "gradients");
        }
    }

    /** Statistics do not depend on stripes, nor does a gradient whose sums are not split. */
    @Test
    void infoNce_anyStripe_sameBits() {
        HopperInfoNceCase c = new HopperInfoNceCase(600, 250, 24, targets("shared", 600, 250)).withNeighbours();
        for (Opened opened : devices) {
            HopperInfoNceCase.Answer whole = c.ask(opened.device, opened.loss(c.precision, PLENTY));
            HopperInfoNceCase.Answer striped = c.ask(opened.device, opened.loss(c.precision, LEAST));
            assertArrayEquals(whole.result(), striped.result());
            assertArrayEquals(whole.hardest(), striped.hardest());
            assertArrayEquals(whole.dx(), striped.dx());
            c.check(opened.device, striped, 0);
        }
        HopperInfoNcePlan plan = new HopperInfoNcePlan(600, 250, 24, 4, true, LEAST);
        assertTrue(plan.forwardRows < 600 && plan.rows < 600, "there is one stripe only");
    }

    @Tag("exhaustive")
    @Test
    void infoNce_anySchedule_sameBits() {
        HopperInfoNceCase c = adversary("far", 130, 100);
        HopperInfoNceCase shared = new HopperInfoNceCase(c.n, c.m, c.d, targets("shared", c.n, c.m), c.u, c.v);
        shared.scale = 100;
        HopperInfoNceCase.Answer first = null;
        for (Schedule schedule : List.of(Schedule.ofSeed(0), Schedule.ofSeed(4), Schedule.ofSeed(5))) {
            try (SimDevice device = SimDevice.open(SimOptions.defaults().withSchedule(schedule))) {
                HopperInfoNceCase.Answer got = shared.ask(device, new HopperInfoNce(device, Precision.BF16, LEAST));
                first = first == null ? got : first;
                first.same(got);
            }
        }
    }

    /** Each has one thing wrong in what only the whole loss shows; the simulator or the comparison must notice. */
    @ParameterizedTest
    @SampledSource(
            every = 8,
            delimiter = '|',
            csv = {
                "underflow not seen | @%lost red.global.or.b32 [%scalars+SHIFTED_AT], 1; |",
                "sums not made again | setp.eq.u32 %hit, %t, 0; | setp.ge.u32 %hit, %t, 0;",
                "no row shift | fma.rn.ftz.f32 %power, x, %slope, rowShift; | mul.rn.ftz.f32 %power, x, %slope;",
                "shifted G of one term | ex2.approx.ftz.f32 %factor, %factor; | mov.f32 %factor, 0.0;",
                "columns of stripes not added | @%goesOn ld.global.f64 %total, [%atAddress]; |",
                "rows of a column not counted | red.global.add.u32 [%atAddress+POSITIVES_ROWS_AT], 1; |",
                "products of shifted sums not waited for | wgmma.wait_group.sync.aligned 0; |",
            })
    /** Each mutation is a fault that only the whole loss shows; the simulator or the comparison must detect it. */
    void mutation_isDetected(String what, String right, String wrong) {
        HopperInfoNceCase c = adversary("far", 130, 100);
        HopperInfoNceCase shared = new HopperInfoNceCase(c.n, c.m, c.d, targets("shared", c.n, c.m), c.u, c.v);
        shared.scale = 100;
        for (long seed : new long[] {0, 4}) {
            boolean caught = false;
            try (SimDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed))) {
                HopperInfoNceCase.Answer got = shared.ask(
                        device,
                        new HopperInfoNce(HopperFixture.mutated(device, Precision.BF16, right, wrong), 4, LEAST));
                try {
                    shared.check(device, got, 0);
                } catch (AssertionError e) {
                    caught = true;
                }
            } catch (Fault fault) {
                caught = true;
            }
            assertTrue(caught, what + ", seed " + seed);
        }
    }

    /** One batch of 4 million pairs: rows, packed features, gradients and workspace on a GPU with 141 GB. */
    @ParameterizedTest
    @CsvSource({"512", "1024"})
    void infoNce_fourMillionPairs_fits(int d) {
        int n = 1 << 22;
        HopperInfoNce loss = devices.get(0).loss(Precision.BF16, 8L << 30);
        long workspace = loss.workspaceBytes(n, n, d, true);
        long rows = 4L * 4 * n * d;
        assertTrue(workspace + rows < 141_000_000_000L * 97 / 100, workspace + " + " + rows + " bytes");
        HopperInfoNcePlan plan = new HopperInfoNcePlan(n, n, d, 132, true, 8L << 30);
        assertTrue(plan.rows >= 32_768 && plan.columns >= 65_536, "rectangles of " + plan.rows + " x " + plan.columns);
        assertTrue(plan.forwardRows >= 8192, "stripes of " + plan.forwardRows + " rows");
    }

    @Test
    void plan_dependsOnBudget() {
        for (int n : new int[] {1000, 40_000, 300_000}) {
            long pairs = 2L * HopperInfoNceLaunches.packedRows(n) * HopperInfoNceLaunches.packedRows(n);
            long fixed = new HopperInfoNcePlan(n, n, 512, 132, true, 1).gradient;
            for (long budget = 1L << 16; budget < 1L << 39; budget *= 2) {
                HopperInfoNcePlan plan = new HopperInfoNcePlan(n, n, 512, 132, true, budget);
                String what = n + " pairs, " + budget + " bytes";
                long gradients = plan.scaleGradientPartials - plan.gradient;
                assertTrue(gradients <= budget, what + ": gradients take " + gradients);
                assertTrue(
                        plan.stored ? pairs <= budget : budget < 1.5 * pairs + (1L << 24),
                        what + ": kept " + plan.stored);
                assertTrue(plan.rows <= 65_536 && plan.columns <= 65_536, what + ": sums are too long");
                long leastStatistics = n * (16 * 2048L / 256 * 8 + 64);
                assertTrue(
                        plan.bytes <= fixed + Math.max(1.05 * budget, leastStatistics) + 4096,
                        what + ": " + (plan.bytes - fixed));
            }
            assertEquals(fixed, new HopperInfoNcePlan(n, n, 512, 132, false, 1).gradient);
        }
        assertTrue(!new HopperInfoNcePlan(1000, 1000, 256, 132, true, PLENTY).stored, "kept products of narrow rows");
    }
}
