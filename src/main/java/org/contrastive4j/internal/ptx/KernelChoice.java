package org.contrastive4j.internal.ptx;

import java.util.Locale;
import org.contrastive4j.device.DeviceFacts;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.config.SystemProperties;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.kernels.InfoNceKernels;
import org.contrastive4j.tensor.Precision;

/**
 * Which kernels do what both can do: those of sm_90a, on warp-group matrix instructions, or the portable ones.
 *
 * @param hopper those of sm_90a
 * @param reason half a sentence for people
 */
public record KernelChoice(boolean hopper, String reason) {
    /**
     * What to use where there is a choice; {@code -Dcontrastive4j.kernels=auto}, {@code portable} or {@code hopper}.
     * The latter two are kernels of our own: no library of the device's maker.
     */
    enum Preference {
        AUTO,
        PORTABLE,
        HOPPER
    }

    static final String PROPERTY = SystemProperties.KERNELS;
    private static final int ARCHITECTURE = 90;
    private static final int SHARED_BYTES = 232_448; // of a block

    /** @throws IllegalArgumentException when the property is none of the three */
    static Preference preference() {
        String preference = SystemProperties.kernels();
        for (Preference value : Preference.values()) {
            if (value.name().equals(preference.toUpperCase(Locale.ROOT))) {
                return value;
            }
        }
        throw new IllegalArgumentException("-D" + PROPERTY + "=" + preference + ", wanted auto, portable or hopper");
    }

    /**
     * For products in that precision; only in 16 bits there is a choice.
     *
     * @throws IllegalArgumentException when the preference cannot be met
     */
    static KernelChoice of(DeviceFacts facts, Precision precision, Preference preference) {
        String problem = problem(facts, precision);
        if (preference == Preference.HOPPER && problem != null && hasHopper(precision)) {
            throw new IllegalArgumentException("-D" + PROPERTY + "=hopper, but " + problem + "; say auto or portable");
        }
        if (problem != null) {
            return new KernelChoice(false, problem);
        }
        return preference == Preference.PORTABLE
                ? new KernelChoice(false, "-D" + PROPERTY + "=portable")
                : new KernelChoice(true, "the device is sm_90 and the precision " + precision);
    }

    /** The library of the device's maker, for products that are nothing else; by any other preference there is none. */
    static MatrixLibrary.Choice library(MatrixLibrary.Choice there, Preference preference) {
        return there.library() == null || preference == Preference.AUTO
                ? there
                : new MatrixLibrary.Choice(
                        null, "-D" + PROPERTY + "=" + preference.name().toLowerCase(Locale.ROOT));
    }

    /** Returns whether there are sm_90a kernels for products in {@code precision}. */
    private static boolean hasHopper(Precision precision) {
        return HopperInfoNceLaunches.PRECISIONS.contains(precision);
    }

    /**
     * Returns {@code precision}.
     *
     * @throws IllegalArgumentException if there are no sm_90a kernels for it
     */
    static Precision requireHopper(Precision precision) {
        if (!hasHopper(precision)) {
            throw new IllegalArgumentException("expected bf16 or f16 for sm_90a kernels, got " + precision);
        }
        return precision;
    }

    /**
     * Opens the InfoNCE kernels for a device: exact ones in f32; in bf16 and f16 those of sm_90a where the device and
     * the preference allow; otherwise portable ones on tensor cores. Loads them, so it cannot be called during capture.
     *
     * @throws IllegalArgumentException if the preference names kernels that the device cannot run
     */
    public static InfoNceKernels infoNce(PtxDevice device, Precision precision, long stripeBytes) {
        if (!RowLayout.PRECISIONS.contains(precision)) {
            throw new IllegalArgumentException("expected precision f32, tf32, bf16 or f16, got " + precision);
        }
        KernelChoice choice = of(device.facts(), precision, preference());
        return choice.infoNce(new Kernels(device), device.facts().multiprocessors(), precision, stripeBytes);
    }

    /** Those of InfoNCE of f32 rows, assembled; the choice was made for the precision. */
    InfoNceKernels infoNce(Kernels kernels, int multiprocessors, Precision precision, long stripeBytes) {
        if (hopper) {
            return new HopperInfoNce(new HopperInfoNceLaunches(kernels, precision), multiprocessors, stripeBytes);
        }
        return precision.usesTensorCores()
                ? new RoundingInfoNce(kernels, precision, stripeBytes)
                : new PortableInfoNce(kernels, precision, stripeBytes);
    }

    /** Why those of sm_90a cannot be used, or null. */
    private static String problem(DeviceFacts facts, Precision precision) {
        if (!precision.usesTensorCores()) {
            return "f32 is multiplied exactly, which matrix instructions do not";
        }
        if (!hasHopper(precision)) {
            return "there are none for sm_90a in tf32";
        }
        if (facts.architecture() != ARCHITECTURE) {
            return "the device is sm_" + facts.architecture() + ", kernels of sm_90a run on sm_90 alone";
        }
        if (facts.sharedBytesPerBlock() < SHARED_BYTES) {
            return "a block has " + facts.sharedBytesPerBlock() + " bytes of shared memory, wanted " + SHARED_BYTES;
        }
        return null;
    }

    @Override
    public String toString() {
        return (hopper ? "kernels for sm_90a: " : "portable kernels: ") + reason;
    }
}
