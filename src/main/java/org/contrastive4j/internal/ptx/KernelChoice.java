package org.contrastive4j.internal.ptx;

import java.util.Locale;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.config.SystemProperties;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.tensor.Precision;
import org.jspecify.annotations.Nullable;

/**
 * Chooses between sm_90a kernels, which use warp-group matrix instructions, and portable kernels.
 *
 * @param hopper whether the sm_90a kernels are chosen
 * @param reason for log messages
 */
public record KernelChoice(boolean hopper, String reason) {
    /**
     * The user's preference, {@code -Dcontrastive4j.kernels=auto}, {@code portable} or {@code hopper}. The latter two
     * also exclude the vendor library (cuBLAS).
     */
    enum Preference {
        AUTO,
        PORTABLE,
        HOPPER
    }

    static final String PROPERTY = SystemProperties.KERNELS;
    private static final int ARCHITECTURE = 90;
    private static final int SHARED_BYTES = 232_448; // of a block

    /**
     * Returns the preference.
     *
     * @throws IllegalArgumentException if the property has another value
     */
    static Preference preference() {
        String preference = SystemProperties.kernels();
        for (Preference value : Preference.values()) {
            if (value.name().equals(preference.toUpperCase(Locale.ROOT))) {
                return value;
            }
        }
        throw new IllegalArgumentException("-D" + PROPERTY + "=" + preference + ", expected auto, portable or hopper");
    }

    /**
     * Chooses for products in a precision; only in bf16 and f16 there is a choice.
     *
     * @throws IllegalArgumentException if the preference cannot be satisfied
     */
    static KernelChoice of(PtxDevice.Facts facts, Precision precision, Preference preference) {
        String problem = problem(facts, precision);
        if (preference == Preference.HOPPER && problem != null && hasHopper(precision)) {
            throw new IllegalArgumentException("-D" + PROPERTY + "=hopper, but " + problem + "; use auto or portable");
        }
        if (problem != null) {
            return new KernelChoice(false, problem);
        }
        return preference == Preference.PORTABLE
                ? new KernelChoice(false, "-D" + PROPERTY + "=portable")
                : new KernelChoice(true, "the device is sm_90 and the precision " + precision);
    }

    /** Returns the vendor library for plain products, or none if the preference excludes it. */
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

    /** Loads the chosen InfoNCE kernels of f32 rows. */
    InfoNceKernels infoNce(Kernels kernels, int multiprocessors, Precision precision, long stripeBytes) {
        if (hopper) {
            return new HopperInfoNce(new HopperInfoNceLaunches(kernels, precision), multiprocessors, stripeBytes);
        }
        return precision.usesTensorCores()
                ? new RoundingInfoNce(kernels, precision, stripeBytes)
                : new PortableInfoNce(kernels, precision, stripeBytes);
    }

    /** Returns why the sm_90a kernels cannot be used, or null. */
    private static @Nullable String problem(PtxDevice.Facts facts, Precision precision) {
        if (!precision.usesTensorCores()) {
            return "tensor cores do not multiply f32 exactly";
        }
        if (!hasHopper(precision)) {
            return "there are no sm_90a kernels in tf32";
        }
        if (facts.architecture() != ARCHITECTURE) {
            return "the device is sm_" + facts.architecture() + "; sm_90a kernels run only on sm_90";
        }
        if (facts.sharedBytesPerBlock() < SHARED_BYTES) {
            return "a block has " + facts.sharedBytesPerBlock() + " bytes of shared memory, expected " + SHARED_BYTES;
        }
        return null;
    }

    @Override
    public String toString() {
        return (hopper ? "kernels for sm_90a: " : "portable kernels: ") + reason;
    }
}
