package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.PairwiseReference;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/**
 * InfoNCE kernels against the definition: each test body runs on every device with every set of kernels, including
 * sm_90a. On the simulator all checkers are on, and cases take turns under three schedules.
 */
class PortableInfoNceTest {
    private static final int[] SIZES = {1, 31, 32, 33, 103, 127, 128, 129};
    private static final int[] WIDTHS = {1, 3, 33, 64, 100};

    static Stream<Arguments> everywhere() {
        return InfoNceKernelSet.everywhere();
    }

    /** Every set of kernels with the index of every size. */
    static Stream<Arguments> everySize() {
        return everywhere()
                .flatMap(arguments -> IntStream.range(0, SIZES.length)
                        .mapToObj(
                                i -> Arguments.of(arguments.get()[0], arguments.get()[1], i)));
    }

    @ParameterizedTest
    @SampledSource(value = "everySize", every = 16)
    void infoNce_raggedSizes_agreesWithDefinition(String device, InfoNceKernelSet set, int size) {
        InfoNceKernelSet.on(device, set, bench -> {
            int n = SIZES[size];
            for (int i = 0; i < WIDTHS.length; i++) {
                if (set.takes(size * WIDTHS.length + i)) {
                    bench.check(new InfoNceCase(n, n, WIDTHS[i], true, 10 + n));
                }
            }
        });
    }

    /** Sizes beyond a tile of each kind of kernel, the largest being 128 x 256, and beyond a run of tiles. */
    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 6)
    void infoNce_sizesAcrossTiles_agreesWithDefinition(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            bench.check(new InfoNceCase(257, 257, 33, true, 1));
            bench.check(new InfoNceCase(140, 260, 72, false, 2));
            bench.check(new InfoNceCase(300, 130, 40, false, 3), 1);
            bench.check(new InfoNceCase(600, 250, 24, false, 4), 1);
        });
    }

    @ParameterizedTest
    @SampledSource(value = "everySize", every = 16)
    void infoNce_everyKindOfTarget_agreesWithDefinition(String device, InfoNceKernelSet set, int size) {
        InfoNceKernelSet.on(device, set, bench -> {
            int n = SIZES[size];
            bench.check(new InfoNceCase(n, n + 9, WIDTHS[size % 5], true, 20 + n));
            bench.check(new InfoNceCase(n, Math.max(1, n / 2), WIDTHS[(size + 1) % 5], false, 30 + n));
            InfoNceCase scaled = new InfoNceCase(n, n + 40, WIDTHS[(size + 2) % 5], false, 40 + n);
            scaled.gradientScale = 0.25;
            bench.check(scaled);
        });
    }

    static Stream<Arguments> roundings() {
        return Devices.names()
                .flatMap(name -> InfoNceCase.ROUNDED.stream().map(precision -> Arguments.of(name, precision)));
    }

    /** Rows that a kernel has rounded before. */
    @ParameterizedTest
    @SampledSource(value = "roundings", every = 3)
    void infoNce_roundedRows_agreesWithDefinition(String name, Precision precision) {
        try (PtxDevice device = Backend.device(name)) {
            PtxNormalize normalize = new PtxNormalize(device);
            PortableInfoNce pairwise = new PortableInfoNce(device, precision, 1 << 20);
            for (int i = 0; i < SIZES.length; i++) {
                int n = SIZES[i];
                new InfoNceCase(n, n, WIDTHS[i % 5], true, n).checkValue(device, pairwise, normalize, precision);
                new InfoNceCase(n, Math.max(1, 130 - n), WIDTHS[(i + 2) % 5], false, n)
                        .checkValue(device, pairwise, normalize, precision);
            }
            PortableInfoNce striped = new PortableInfoNce(device, precision, 1);
            new InfoNceCase(193, 65, 40, false, 1).checkValue(device, striped, normalize, precision);
            InfoNceCase hot = new InfoNceCase(70, 200, 100, true, 2);
            hot.logScale = (float) Math.log(100);
            hot.checkValue(device, striped, normalize, precision);
        }
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 6)
    void infoNce_misalignedRows_agreesWithDefinition(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            for (int d : new int[] {4, 20, 64}) {
                InfoNceCase shifted = new InfoNceCase(70, 67, d, false, 3);
                InfoNceCase straight = new InfoNceCase(70, 67, d, false, 3);
                shifted.shift = 1;
                InfoNceCase.Answer answer = bench.check(shifted);
                assertSame(straight.ask(bench.device(), bench.open(InfoNceKernelSet.PLENTY)), answer);
            }
        });
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 6)
    void infoNce_smallestStripes_agreesWithDefinition(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            bench.check(new InfoNceCase(129, 140, 33, true, 1), 1);
            bench.check(new InfoNceCase(200, 70, 8, false, 2), 1);
            long two = 4L * 64 * 128 * 2; // gradients of two rows of tiles of f32
            bench.check(new InfoNceCase(200, 70, 8, false, 2), two);
            assertTrue(bench.open(1).workspaceBytes(200, 70, 8, true)
                    < bench.open(InfoNceKernelSet.PLENTY).workspaceBytes(200, 70, 8, true));
        });
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 6)
    void infoNce_scalesAndDirections_agreesWithDefinition(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            for (double scale : new double[] {1, 100}) {
                for (double rowWeight : new double[] {0, 0.5, 1}) {
                    for (int m : new int[] {20, 75}) { // 20: most columns belong to several rows
                        InfoNceCase c = new InfoNceCase(61, m, 16, m == 75 && rowWeight != 0.5, 7);
                        c.logScale = (float) Math.log(scale);
                        c.rowWeight = rowWeight;
                        c.columnWeight = 1 - rowWeight;
                        c.gradientScale = 3;
                        bench.check(c);
                    }
                }
            }
        });
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void infoNce_alignedAndOppositeAtScale100_agreesWithDefinition(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            for (int sign : new int[] {1, -1}) {
                InfoNceCase c = new InfoNceCase(40, 40, 8, true, 5);
                for (int i = 0; i < c.x.length; i++) {
                    c.y[i] = sign * c.x[i];
                }
                c.logScale = (float) Math.log(100);
                bench.check(c);
            }
        });
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void infoNce_equalAndZeroRows_agreesWithDefinition(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            InfoNceCase equal = new InfoNceCase(33, 33, 4, true, 5);
            Arrays.fill(equal.x, 0.5f);
            Arrays.fill(equal.y, 0.5f);
            InfoNceCase.Answer answer = bench.check(equal);
            assertEquals(Math.log(33), answer.loss(), 1e-5);
            assertEquals(0, answer.result()[1] + answer.result()[2], "a tie is no hit");
            InfoNceCase zero = new InfoNceCase(35, 35, 6, true, 5);
            Arrays.fill(zero.x, 6, 18, 0);
            Arrays.fill(zero.y, 0, 12, 0);
            bench.check(zero);
        });
    }

    /** Losses of 1e-3 and 1e-8 keep their relative accuracy: the positive is not added to the sum of the negatives. */
    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void infoNce_smallLoss_keepsRelativeAccuracy(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            for (double scale : new double[] {9, 24}) {
                InfoNceCase c = new InfoNceCase(20, 20, 40, true, 5);
                Arrays.fill(c.x, 0);
                for (int i = 0; i < 20; i++) {
                    c.x[i * 40 + i] = 1;
                }
                System.arraycopy(c.x, 0, c.y, 0, c.x.length);
                c.logScale = (float) Math.log(scale);
                PairwiseReference truth = c.truth();
                InfoNceCase.Answer answer = bench.check(c);
                assertTrue(truth.loss < 3e-3 && truth.loss > 0);
                assertEquals(1, answer.loss() / truth.loss, 1e-5, "loss " + truth.loss);
                for (int i = 0; i < 20; i++) {
                    double expected = truth.dx[i * 40 + i];
                    double least = set.precision == Precision.F16
                            ? 0x1p-39 * scale / 20
                            : 0; // half the distance of small ones
                    assertEquals(
                            expected,
                            answer.dx()[i * 40 + i],
                            (1e-5 + 1.01 * set.roundOff()) * Math.abs(expected) + least,
                            "loss " + truth.loss);
                }
            }
        });
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 6)
    void infoNce_nanAnywhere_nanLoss(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            for (double rowWeight : new double[] {0, 1}) {
                for (int at : new int[] {0, 17, 70 * 5 - 1}) {
                    for (boolean left : new boolean[] {true, false}) {
                        InfoNceCase c = new InfoNceCase(70, 70, 5, true, 5);
                        c.rowWeight = rowWeight;
                        c.columnWeight = 1 - rowWeight;
                        (left ? c.x : c.y)[at] = Float.NaN;
                        double loss = c.ask(bench.device(), bench.open(InfoNceKernelSet.PLENTY))
                                .loss();
                        assertTrue(
                                Double.isNaN(loss),
                                (left ? "x[" : "y[") + at + "], row weight " + rowWeight + ": " + loss);
                    }
                }
            }
        });
    }

    /** Other orders of warps and asynchronous copies give the same bits. */
    @ParameterizedTest
    @SampledSource(every = 6)
    void infoNce_anySchedule_sameBits(InfoNceKernelSet set) {
        InfoNceCase c = new InfoNceCase(150, 140, 33, false, 9);
        List<InfoNceCase.Answer> answers = new ArrayList<>();
        for (long seed = 0; seed < 5; seed++) {
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed))) {
                Kernels kernels = new Kernels(device);
                answers.add(c.ask(device, set.open(kernels, 1)));
                c.compare(device, kernels, set, answers.get(0));
                assertSame(answers.get(0), answers.get(answers.size() - 1));
            }
        }
    }

    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {"TF32", "BF16", "F16"})
    void infoNce_roundedRowsAnySchedule_sameBits(Precision precision) {
        List<InfoNceCase.Answer> answers = new ArrayList<>();
        for (long seed = 0; seed < 5; seed++) {
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed))) {
                answers.add(new InfoNceCase(150, 103, 33, false, 9)
                        .checkValue(
                                device,
                                new PortableInfoNce(device, precision, 1),
                                new PtxNormalize(device),
                                precision));
                assertSame(answers.get(0), answers.get(answers.size() - 1));
            }
        }
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 6)
    void infoNce_repeated_sameBits(String device, InfoNceKernelSet set) {
        InfoNceKernelSet.on(device, set, bench -> {
            InfoNceCase c = new InfoNceCase(129, 103, 20, false, 9);
            InfoNceKernels pairwise = bench.open(InfoNceKernelSet.PLENTY);
            assertSame(c.ask(bench.device(), pairwise), c.ask(bench.device(), pairwise));
        });
    }

    private static void assertSame(InfoNceCase.Answer want, InfoNceCase.Answer got) {
        assertArrayEquals(want.result(), got.result());
        assertArrayEquals(want.dx(), got.dx());
        assertArrayEquals(want.dy(), got.dy());
        assertArrayEquals(want.hardest(), got.hardest());
        assertEquals(want.dLogScale(), got.dLogScale());
        assertEquals(want.dBias(), got.dBias());
    }

    @Test
    void workspaceBytes_isLinearInSizes() {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            PortableInfoNce pairwise = new PortableInfoNce(device);
            assertTrue(pairwise.workspaceBytes(8192, 8192, 512, true) < (260L << 20));
            assertTrue(pairwise.workspaceBytes(262_144, 262_144, 512, true) < (280L << 20));
        }
    }

    @ParameterizedTest
    @SampledSource(every = 4)
    void comparison_wrongResult_fails(InfoNceKernelSet set) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            Kernels kernels = new Kernels(device);
            InfoNceCase c = new InfoNceCase(33, 40, 7, false, 5);
            InfoNceCase.Answer right = c.ask(device, set.open(kernels, 1));
            c.compare(device, kernels, set, right);
            float[] wrong = right.dy().clone();
            float largest = 0;
            for (float value : wrong) {
                largest = Math.max(largest, Math.abs(value));
            }
            wrong[100] += (1e-4 + 10 * set.roundOff()) * largest;
            refused(
                    c,
                    device,
                    kernels,
                    set,
                    new InfoNceCase.Answer(
                            right.result(), right.dx(), wrong, right.dLogScale(), right.dBias(), right.hardest()));
            refused(
                    c,
                    device,
                    kernels,
                    set,
                    new InfoNceCase.Answer(
                            right.result(),
                            right.dx(),
                            right.dy(),
                            1.001f * right.dLogScale(),
                            right.dBias(),
                            right.hardest()));
            c.rowWeight = 0.501;
            refused(c, device, kernels, set, right);
        }
    }

    private static void refused(
            InfoNceCase c, PtxDevice device, Kernels kernels, InfoNceKernelSet set, InfoNceCase.Answer wrong) {
        assertThrows(AssertionError.class, () -> c.compare(device, kernels, set, wrong));
    }
}
