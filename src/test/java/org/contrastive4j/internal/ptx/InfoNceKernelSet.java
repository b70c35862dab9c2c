package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.params.provider.Arguments;

/** The sets of kernels that implement the same InfoNCE call on f32 rows, which one test body runs over. */
enum InfoNceKernelSet {
    F32(Precision.F32, false),
    TF32(Precision.TF32, false),
    BF16(Precision.BF16, false),
    F16(Precision.F16, false),
    HOPPER_BF16(Precision.BF16, true),
    HOPPER_F16(Precision.F16, true);

    /** Budget of a stripe in tests that are not about it. */
    static final long PLENTY = 1L << 28;

    final Precision precision;
    final boolean hopper;

    InfoNceKernelSet(Precision precision, boolean hopper) {
        this.precision = precision;
        this.hopper = hopper;
    }

    InfoNceKernels open(Kernels kernels, long stripeBytes) {
        if (hopper) { // a few multiprocessors, so that blocks have several tiles
            return new HopperInfoNce(new HopperInfoNceLaunches(kernels, precision), 4, stripeBytes);
        }
        return precision == Precision.F32
                ? new PortableInfoNce(kernels, precision, stripeBytes)
                : new RoundingInfoNce(kernels, precision, stripeBytes);
    }

    /** Returns the relative error of an element of G, and of a statistic of a row. */
    double roundOff() {
        return switch (precision) {
            case F32 -> 0;
            case BF16 -> 0x1p-8;
            case TF32, F16 -> 0x1p-11;
            case F64 -> throw new IllegalStateException("no kernels in f64");
        };
    }

    /** Returns whether this set takes a case of many: sets whose kernels have the same bodies take turns. */
    boolean takes(int turn) {
        int sharers = hopper ? 2 : 3;
        return precision == Precision.F32
                || turn % sharers == (precision == Precision.BF16 ? 0 : precision == Precision.F16 ? 1 : 2);
    }

    /**
     * Returns the rows as these kernels round them: to the nearest of the precision; the sm_90a kernels also
     * normalise them.
     */
    float[] seen(PtxDevice device, Kernels kernels, float[] rows, int count) {
        if (precision == Precision.F32) {
            return rows;
        }
        return hopper ? normalized(device, kernels, rows, count) : rounded(rows);
    }

    private float[] normalized(PtxDevice device, Kernels kernels, float[] rows, int count) {
        int d = rows.length / count;
        try (DeviceStorage in = Devices.floats(device, rows);
                DeviceStorage image = device.allocate(HopperInfoNceLaunches.packedBytes(count, d))) {
            new HopperInfoNceLaunches(kernels, precision)
                    .normalize(device.stream(), in.address(), count, d, image.address(), 0);
            float[] seen = new float[rows.length];
            double[][] units = HopperOperandTiles.of(precision, image, d).rows(count, d);
            for (int i = 0; i < seen.length; i++) {
                seen[i] = (float) units[i / d][i % d];
                double bound = Math.max(0x1p-25, 1.01 * roundOff() * Math.abs(rows[i])); // rows have norm 1 or 0
                assertEquals(rows[i], seen[i], bound, "unit row " + i / d + ", column " + i % d);
            }
            return seen;
        }
    }

    private float[] rounded(float[] rows) {
        float[] seen = new float[rows.length];
        for (int i = 0; i < seen.length; i++) {
            seen[i] = (float) NaiveInfoNce.round(rows[i], precision);
        }
        return seen;
    }

    /** Returns, for {@code @MethodSource}, each device with each set that it can run. */
    static Stream<Arguments> everywhere() {
        return Devices.names().flatMap(name -> {
            try (PtxDevice device = Backend.device(name)) {
                boolean ofHopper = device.facts().architecture() == 90;
                return Arrays.stream(values())
                        .filter(set -> ofHopper || !set.hopper)
                        .map(set -> Arguments.of(name, set));
            }
        });
    }

    /** A set opened on a device; on the simulator on three with different schedules, which take turns. */
    static final class Bench implements AutoCloseable {
        final InfoNceKernelSet set;
        private final PtxDevice[] devices;
        private final Kernels[] kernels;
        private int turn;

        /** @param change applied to the text of each kernel */
        Bench(String device, InfoNceKernelSet set) {
            this(device, set, source -> source);
        }

        /** @param change of the text of each kernel */
        Bench(String device, InfoNceKernelSet set, UnaryOperator<String> change) {
            this.set = set;
            devices = device.equals("sim")
                    ? Arrays.stream(HopperFixture.SEEDS)
                            .mapToObj(
                                    seed -> SimDevice.open(SimOptions.defaults().withSeed(seed)))
                            .toArray(PtxDevice[]::new)
                    : new PtxDevice[] {Backend.device(device)};
            kernels = Arrays.stream(devices)
                    .map(on -> new Kernels(on, name -> change.apply(Kernels.text(name))))
                    .toArray(Kernels[]::new);
        }

        /** Returns the first device. */
        PtxDevice device() {
            return devices[0];
        }

        /** Opens the kernels on {@link #device}. */
        InfoNceKernels open(long stripeBytes) {
            return set.open(kernels[0], stripeBytes);
        }

        /** Runs the case on the device whose turn it is, and compares. */
        InfoNceCase.Answer check(InfoNceCase c, long stripeBytes) {
            int at = turn++ % devices.length;
            InfoNceCase.Answer answer = c.ask(devices[at], set.open(kernels[at], stripeBytes));
            c.compare(devices[at], kernels[at], set, answer);
            return answer;
        }

        InfoNceCase.Answer check(InfoNceCase c) {
            return check(c, PLENTY);
        }

        @Override
        public void close() {
            for (PtxDevice device : devices) {
                device.close();
            }
        }
    }

    /** Runs a test with a set of kernels on a device, which is closed afterwards. */
    static void on(String device, InfoNceKernelSet set, Consumer<Bench> test) {
        try (Bench bench = new Bench(device, set)) {
            test.accept(bench);
        }
    }
}
