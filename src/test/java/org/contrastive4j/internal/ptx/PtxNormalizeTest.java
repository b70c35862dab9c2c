package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Normalised rows and their gradient in kernels against f64, on every device. */
class PtxNormalizeTest {
    private static final double ULP = 0x1p-24;

    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    /** Returns rows of any norm: the first is zero, the second huge, the third tiny. */
    private static float[] rows(int n, int d, long seed) {
        Random random = new Random(seed);
        float[] values = new float[n * d];
        for (int i = d; i < values.length; i++) {
            float scale = i / d == 1 ? 1e30f : i / d == 2 ? 1e-35f : 3;
            values[i] = (float) random.nextGaussian() * scale;
        }
        return values;
    }

    private static double norm(float[] x, int row, int d) {
        double squares = 0;
        for (int k = 0; k < d; k++) {
            squares += (double) x[row * d + k] * x[row * d + k];
        }
        return Math.sqrt(squares);
    }

    private static float[] poison(int count) {
        float[] values = new float[count];
        Arrays.fill(values, Float.NaN);
        return values;
    }

    /** Runs the forward pass at an address {@code shift} floats behind a multiple of 16, optionally in place. */
    static void checkForward(PtxDevice device, PtxNormalize normalize, int n, int d, int shift, boolean inPlace) {
        float[] x = rows(n, d, 31L * n + d);
        float[] shifted = new float[shift + x.length];
        System.arraycopy(x, 0, shifted, shift, x.length);
        try (DeviceStorage from = Devices.floats(device, shifted);
                DeviceStorage to = Devices.floats(device, poison(shifted.length));
                DeviceStorage inverse = Devices.floats(device, poison(n))) {
            DeviceStorage y = inPlace ? from : to;
            normalize.forward(
                    device.stream(), n, d, from.address() + 4L * shift, y.address() + 4L * shift, inverse.address());
            float[] got = Devices.toFloats(y);
            float[] inverses = Devices.toFloats(inverse);
            for (int i = 0; i < n; i++) {
                double norm = norm(x, i, d);
                String what = "n " + n + " d " + d + " shift " + shift + " row " + i;
                assertEquals(norm == 0 ? 0 : 1 / norm, inverses[i], norm == 0 ? 0 : (d / 32 + 12) * ULP / norm, what);
                for (int k = 0; k < d; k++) {
                    double want = norm == 0 ? 0 : x[i * d + k] / norm;
                    assertEquals(
                            want, got[shift + i * d + k], (d / 32 + 12) * ULP * Math.abs(want), what + " column " + k);
                }
            }
        }
    }

    /** Runs the backward pass of unit rows and random gradients, optionally in place. */
    static void checkBackward(
            PtxDevice device, PtxNormalize normalize, int n, int d, boolean inPlace, boolean withDots) {
        Random random = new Random(n + 57L * d);
        float[] y = rows(n, d, 5);
        float[] dy = new float[n * d];
        float[] inverse = new float[n];
        for (int i = 0; i < n; i++) {
            double norm = norm(y, i, d);
            inverse[i] = norm == 0 ? 0 : 0.3f;
            for (int k = 0; k < d; k++) {
                y[i * d + k] = norm == 0 ? 0 : (float) (y[i * d + k] / norm);
                dy[i * d + k] = (float) random.nextGaussian();
            }
        }
        try (DeviceStorage ys = Devices.floats(device, y);
                DeviceStorage rs = Devices.floats(device, inverse);
                DeviceStorage gs = Devices.floats(device, dy);
                DeviceStorage out = Devices.floats(device, poison(n * d));
                DeviceStorage dots = Devices.floats(device, poison(n))) {
            DeviceStorage dx = inPlace ? gs : out;
            normalize.backward(
                    device.stream(),
                    n,
                    d,
                    ys.address(),
                    rs.address(),
                    gs.address(),
                    dx.address(),
                    withDots ? dots.address() : 0);
            float[] got = Devices.toFloats(dx);
            float[] gotDots = Devices.toFloats(dots);
            for (int i = 0; i < n; i++) {
                double dot = 0;
                double size = 0;
                for (int k = 0; k < d; k++) {
                    dot += (double) y[i * d + k] * dy[i * d + k];
                    size += Math.abs((double) y[i * d + k] * dy[i * d + k]);
                }
                double error = (d / 32 + 8) * ULP * size;
                String what = "n " + n + " d " + d + " row " + i;
                assertEquals(withDots ? dot : Double.NaN, gotDots[i], error, what + " dot");
                for (int k = 0; k < d; k++) {
                    double want = inverse[i] * (dy[i * d + k] - y[i * d + k] * dot);
                    assertEquals(
                            want,
                            got[i * d + k],
                            error + 4 * ULP * (Math.abs(dy[i * d + k]) + Math.abs(dot)),
                            what + " column " + k);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void normalize_anyWidth_agreesWithF64(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get()) {
            PtxNormalize normalize = new PtxNormalize(device);
            for (int d : new int[] {1, 3, 4, 31, 32, 33, 64, 100, 127, 128, 129, 512}) {
                for (int n : new int[] {1, 3, 4, 5, 33}) {
                    checkForward(device, normalize, n, d, 0, n == 5);
                    checkBackward(device, normalize, n, d, n == 5, n != 3);
                }
                checkForward(device, normalize, 6, d, 1, false);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void normalize_extremeNorms_agreesWithF64(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get()) {
            checkExtremes(device, new PtxNormalize(device));
        }
    }

    static void checkExtremes(PtxDevice device, PtxNormalize normalize) {
        float[] x = {
            Float.MAX_VALUE / 2,
            Float.MAX_VALUE / 2,
            1.2e-38f,
            1.6e-38f,
            0,
            0,
            Float.NaN,
            1,
            Float.MAX_VALUE,
            0,
            3e-45f,
            4.2e-45f
        };
        try (DeviceStorage from = Devices.floats(device, x);
                DeviceStorage to = Devices.floats(device, poison(12));
                DeviceStorage inverse = Devices.floats(device, poison(6))) {
            normalize.forward(device.stream(), 6, 2, from.address(), to.address(), inverse.address());
            float[] y = Devices.toFloats(to);
            assertEquals(Math.sqrt(0.5), y[0], 1e-6);
            assertEquals(x[2] / Math.hypot(x[2], x[3]), y[2], 1e-6);
            assertEquals(x[3] / Math.hypot(x[2], x[3]), y[3], 1e-6);
            assertEquals(0, y[4] + y[5]);
            assertTrue(Float.isNaN(y[6]) && Float.isNaN(y[7]));
            assertEquals(1, y[8], 1e-6);
            assertEquals(0, y[9]);
            assertEquals(0, y[10] + y[11], "a subnormal norm counts as 0");
            float[] inverses = Devices.toFloats(inverse);
            assertEquals(5e37, inverses[1], 1e32);
            assertEquals(0, inverses[5]);
        }
    }

    @Test
    void normalize_anySchedule_agreesWithF64() {
        for (long seed = 1; seed < 5; seed++) {
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed))) {
                PtxNormalize normalize = new PtxNormalize(device);
                checkForward(device, normalize, 5, 128, 0, true);
                checkBackward(device, normalize, 5, 33, true, true);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void normalize_repeated_sameBits(Supplier<PtxDevice> open) {
        float[][] answers = new float[2][];
        for (int run = 0; run < 2; run++) {
            try (PtxDevice device = open.get();
                    DeviceStorage x = Devices.floats(device, rows(9, 77, 4));
                    DeviceStorage r = device.allocate(36)) {
                new PtxNormalize(device).forward(device.stream(), 9, 77, x.address(), x.address(), r.address());
                answers[run] = Devices.toFloats(x);
            }
        }
        assertArrayEquals(answers[0], answers[1]);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void invalidArguments_areRefused(Supplier<PtxDevice> open) {
        try (PtxDevice device = open.get();
                DeviceStorage x = device.allocate(256);
                DeviceStorage r = device.allocate(16)) {
            PtxNormalize normalize = new PtxNormalize(device);
            assertThrows(
                    ShapeException.class,
                    () -> normalize.forward(device.stream(), 0, 4, x.address(), x.address(), r.address()));
            assertThrows(
                    LaunchException.class, () -> normalize.forward(device.stream(), 4, 4, x.address(), 0, r.address()));
            assertThrows(
                    LaunchException.class,
                    () -> normalize.forward(device.stream(), 4, 4, x.address(), x.address() + 64, r.address() + 1));
            LaunchException shared = assertThrows(
                    LaunchException.class,
                    () -> normalize.forward(device.stream(), 4, 4, x.address(), x.address() + 16, r.address()));
            assertTrue(shared.getMessage().contains("y and x share memory"), shared.getMessage());
        }
    }
}
