package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Schedule;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Named;

/** Inputs, schedules and mutations that the tests of the sm_90a kernels share. */
final class HopperFixture {
    private static final List<Supplier<PtxDevice>> DEVICES = ofHopper();

    /** Seeds of very different schedules: round-robin with early copies, random, random with late copies. */
    static final long[] SEEDS = {0, 1, 4};

    private HopperFixture() {}

    private static List<Supplier<PtxDevice>> ofHopper() {
        List<Supplier<PtxDevice>> found = Devices.all()
                .map(Named::getPayload)
                .filter(HopperFixture::isHopper)
                .toList();
        return found.isEmpty() ? List.of(() -> Backend.device("sim")) : found;
    }

    /** Returns the devices of {@link Devices} that are of sm_90, or the simulator; the caller closes them. */
    static List<Supplier<PtxDevice>> devices() {
        return DEVICES;
    }

    private static boolean isHopper(Supplier<PtxDevice> opened) {
        try (PtxDevice device = opened.get()) {
            return device.facts().architecture() == 90;
        }
    }

    static float[] random(long seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    static double roundOff(Precision precision) {
        return precision == Precision.BF16 ? 0x1p-8 : 0x1p-11;
    }

    static double[][] unit(float[] rows, int d) {
        double[][] units = new double[rows.length / d][d];
        for (int i = 0; i < units.length; i++) {
            for (int k = 0; k < d; k++) {
                units[i][k] = rows[i * d + k];
            }
            double norm = Math.sqrt(dot(units[i], units[i]));
            for (int k = 0; k < d; k++) {
                units[i][k] /= norm;
            }
        }
        return units;
    }

    static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int k = 0; k < a.length; k++) {
            sum += a[k] * b[k];
        }
        return sum;
    }

    static List<Schedule> schedules() {
        return Stream.concat(
                        LongStream.range(0, 5).mapToObj(Schedule::ofSeed),
                        Stream.of(new Schedule(7, Schedule.Order.RANDOM, Schedule.Completion.EARLY)))
                .toList();
    }

    static HopperInfoNceLaunches mutated(PtxDevice device, Precision precision, String right, String wrong) {
        int[] changed = new int[1];
        HopperInfoNceLaunches mutated =
                new HopperInfoNceLaunches(brokenKernels(device, right, wrong, changed), precision);
        assertTrue(changed[0] > 0, "no kernel has \"" + right + "\"");
        return mutated;
    }

    /**
     * Returns a kernel with the barriers of four pipeline stages in the memory of three: the last stage overlaps the
     * one before it, for the producer and for the consumers. Byte counts and phases are right, and so are results if
     * the schedule happens to be favourable.
     */
    private static Kernels oneStageTooFew(PtxDevice device, String kernel) {
        return new Kernels(device, name -> {
            String source = KernelFiles.whole(KernelFiles.find(name).path());
            return KernelFiles.expanded(
                    name,
                    name.equals(kernel)
                            ? lastStageFolded(
                                    lastStageFolded(source, "mad.lo.u32 %slot, %stage, STAGE_BYTES,"),
                                    "mul.wide.u32 %stageA, %stage, STAGE_UNITS;")
                            : source);
        });
    }

    private static String lastStageFolded(String source, String addressing) {
        assertTrue(source.contains(addressing), "no \"" + addressing + "\"");
        return source.replace(addressing, "min.u32 %slot, %stage, 2; " + addressing.replace("%stage,", "%slot,"));
    }

    /** With one stage too few, accesses are unordered, and the simulator reports it under every schedule. */
    static void assertRaceOfStages(String kernel, BiConsumer<PtxDevice, Kernels> launches) {
        for (long seed : SEEDS) {
            SimOptions options = SimOptions.defaults().withSeed(seed).withInstructionLimit(3_000_000);
            try (SimDevice device = SimDevice.open(options)) {
                Fault fault = assertThrows(
                        Fault.class,
                        () -> launches.accept(device, oneStageTooFew(device, kernel)),
                        kernel + ", seed " + seed);
                assertTrue(
                        Set.of(Fault.Kind.RACE, Fault.Kind.ASYNC_PENDING).contains(fault.kind()),
                        kernel + ", seed " + seed + ": " + fault.getMessage());
            }
        }
    }

    /** Returns the same; at least one of the names must contain {@code right}. */
    private static Kernels brokenKernels(PtxDevice device, String right, String wrong, int[] changed) {
        return new Kernels(device, name -> {
            String source = KernelFiles.whole(KernelFiles.find(name).path());
            String broken = source.replace(right, wrong == null ? "" : wrong);
            changed[0] += broken.equals(source) ? 0 : 1;
            return KernelFiles.expanded(name, broken);
        });
    }

    /** The same; one of the names must have it. */
    static Kernels brokenKernels(PtxDevice device, String right, String wrong, String... names) {
        int[] changed = new int[1];
        Kernels kernels = brokenKernels(device, right, wrong, changed);
        for (String name : names) {
            kernels.get(name);
        }
        assertTrue(changed[0] > 0, "no kernel has \"" + right + "\"");
        return kernels;
    }
}
