package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.PairwiseReference;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** The choice of InfoNCE kernels by device, precision and preference, and the accuracy of the chosen kernels. */
class KernelChoiceTest {
    @AfterEach
    void preference_isAutoAfterwards() {
        System.clearProperty(KernelChoice.PROPERTY);
    }

    private static PtxDevice.Facts facts(int architecture, int sharedBytes) {
        return new PtxDevice.Facts(
                "test", architecture, 132, 1L << 30, sharedBytes, 233_472, 65_536, 2048, 50 << 20, "0");
    }

    @Test
    void hopperKernels_chosenOnSm90Only() {
        for (KernelChoice.Preference preference :
                List.of(KernelChoice.Preference.AUTO, KernelChoice.Preference.HOPPER)) {
            KernelChoice choice = KernelChoice.of(facts(90, 232_448), Precision.BF16, preference);
            assertTrue(choice.hopper(), choice.toString());
        }
        assertFalse(KernelChoice.of(facts(90, 232_448), Precision.F16, KernelChoice.Preference.PORTABLE)
                .hopper());
        for (int architecture : new int[] {80, 86, 89, 100}) {
            KernelChoice choice =
                    KernelChoice.of(facts(architecture, 232_448), Precision.F16, KernelChoice.Preference.AUTO);
            assertFalse(choice.hopper(), choice.toString());
            assertTrue(choice.reason().contains("sm_" + architecture), choice.toString());
        }
        assertFalse(KernelChoice.of(facts(90, 232_448), Precision.F32, KernelChoice.Preference.AUTO)
                .hopper());
        for (KernelChoice.Preference preference : KernelChoice.Preference.values()) {
            assertFalse(
                    KernelChoice.of(facts(90, 232_448), Precision.TF32, preference)
                            .hopper(),
                    "there are none");
        }
        assertFalse(KernelChoice.of(facts(90, 166_912), Precision.F16, KernelChoice.Preference.AUTO)
                .hopper());
        String refusal = assertThrows(
                        IllegalArgumentException.class,
                        () -> KernelChoice.of(facts(80, 232_448), Precision.F16, KernelChoice.Preference.HOPPER))
                .getMessage();
        assertTrue(refusal.contains("sm_80"), refusal);
    }

    @Test
    void preference_isParsedAndApplied() {
        assertEquals(KernelChoice.Preference.AUTO, KernelChoice.preference());
        System.setProperty(KernelChoice.PROPERTY, "portable");
        assertEquals(KernelChoice.Preference.PORTABLE, KernelChoice.preference());
        System.setProperty(KernelChoice.PROPERTY, "fast");
        assertTrue(assertThrows(IllegalArgumentException.class, KernelChoice::preference)
                .getMessage()
                .contains("fast"));
    }

    /** Norms of gradients against f64 on the unrounded rows. */
    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {"TF32, 8e-4", "BF16, 6e-3", "F16, 8e-4", "HOPPER_BF16, 6e-3", "HOPPER_F16, 1e-3"})
    void gradients_errorWithinPrecision(InfoNceKernelSet set, double most) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            InfoNceKernels pairwise = set.open(new Kernels(device), 1 << 16);
            new InfoNceCase(100, 140, 64, true, 7).checkNear(device, pairwise, most);
            new InfoNceCase(33, 103, 31, false, 5).checkNear(device, pairwise, most);
            InfoNceCase shifted = new InfoNceCase(40, 70, 64, true, 6);
            shifted.shift = 1;
            shifted.gradientScale = 3;
            shifted.checkNear(device, pairwise, most);
        }
    }

    /** The whole way from tensors: backends in tf32 and in 16 bits round rows, in f32 they do not. */
    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {
                "80, BF16, portable, 6e-3",
                "80, F16, auto, 1e-3",
                "80, TF32, auto, 1e-3",
                "90, TF32, hopper, 1e-3",
                "90, BF16, auto, 6e-3",
                "90, F16, hopper, 1e-3",
                "90, F16, portable, 1e-3",
                "90, F32, auto, 1e-5"
            })
    /** From tensors: backends in tf32 and 16 bits round rows, those in f32 do not. */
    void infoNceOps_eachPrecision_errorWithinPrecision(
            int architecture, Precision precision, String preference, double most) {
        System.setProperty(KernelChoice.PROPERTY, preference);
        int n = 70;
        int d = 40;
        Random random = new Random(9);
        double[] x = unit(random, n, d);
        double[] y = unit(random, n, d);
        PairwiseReference expected = new PairwiseReference(
                n, n, d, x, y, IntStream.range(0, n).toArray(), (float) Math.log(12), 0, 0.5, 0.5);
        SimDevice device = SimDevice.open(SimOptions.defaults().withArchitecture(architecture));
        try (PtxOps ops = new PtxOps("sim", device, precision);
                Tensor xs = Tensor.of(device, DType.F32, Shape.of(n, d), x);
                Tensor ys = Tensor.of(device, DType.F32, Shape.of(n, d), y);
                Tensor logScale = Tensor.of(device, DType.F32, Shape.of(1), Math.log(12));
                Tensor dx = Tensor.allocate(device, DType.F32, Shape.of(n, d));
                Tensor dy = Tensor.allocate(device, DType.F32, Shape.of(n, d));
                Tensor dLogScale = Tensor.of(device, DType.F32, Shape.of(1), 0)) {
            PairwiseOps.Result result = ops.pairwise()
                    .infoNce(
                            new PairwiseOps.InfoNce(xs, ys, null, logScale, null, 0.5, 0.5),
                            new PairwiseOps.Gradients(dx, dy, dLogScale, null),
                            1,
                            null)
                    .get();
            assertEquals(expected.loss, result.loss(), 12 * most);
            assertTrue(
                    distance(expected.dx, dx.toDoubles()) <= most,
                    "dx off by " + distance(expected.dx, dx.toDoubles()));
            assertTrue(
                    distance(expected.dy, dy.toDoubles()) <= most,
                    "dy off by " + distance(expected.dy, dy.toDoubles()));
            assertEquals(expected.dLogScale, dLogScale.toDoubles()[0], 12 * most);
            // rounding shows: no such luck that rounding of 5600 numbers changed nothing
            assertEquals(precision == Precision.F32, distance(expected.dx, dx.toDoubles()) < 1e-5);
        }
    }

    private static double[] unit(Random random, int rows, int d) {
        double[] values = new double[rows * d];
        for (int i = 0; i < rows; i++) {
            double[] row = random.doubles(d, -1, 1).toArray();
            double norm = Math.sqrt(Arrays.stream(row).map(v -> v * v).sum());
            for (int k = 0; k < d; k++) {
                values[i * d + k] = (float) (row[k] / norm);
            }
        }
        return values;
    }

    private static double distance(double[] expected, double[] got) {
        double error = 0;
        double size = 0;
        for (int i = 0; i < expected.length; i++) {
            error += (got[i] - expected[i]) * (got[i] - expected[i]);
            size += expected[i] * expected[i];
        }
        return Math.sqrt(error / size);
    }
}
