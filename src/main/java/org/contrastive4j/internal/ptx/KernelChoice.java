package org.contrastive4j.internal.ptx;

import java.util.Locale;
import org.contrastive4j.device.DeviceFacts;
import org.contrastive4j.internal.device.MatrixLibrary;

/**
 * Which kernels do what both can do: those of sm_90a, on warp-group matrix instructions, or the portable ones.
 *
 * @param hopper those of sm_90a
 * @param reason half a sentence for people
 */
record KernelChoice(boolean hopper, String reason) {
    /**
     * What to use where there is a choice; {@code -Dcontrastive4j.kernels=auto}, {@code portable} or {@code hopper}.
     * The latter two are kernels of our own: no library of the device's maker.
     */
    enum Wish {
        AUTO,
        PORTABLE,
        HOPPER
    }

    static final String PROPERTY = "contrastive4j.kernels";
    private static final int ARCHITECTURE = 90;
    private static final int SHARED_BYTES = 232_448; // of a block

    /** @throws IllegalArgumentException when the property is none of the three */
    static Wish wish() {
        String wish = System.getProperty(PROPERTY, "auto");
        for (Wish value : Wish.values()) {
            if (value.name().equals(wish.toUpperCase(Locale.ROOT))) {
                return value;
            }
        }
        throw new IllegalArgumentException("-D" + PROPERTY + "=" + wish + ", wanted auto, portable or hopper");
    }

    /**
     * For products in that precision; only in 16 bits there is a choice.
     *
     * @throws IllegalArgumentException when the wish cannot be met
     */
    static KernelChoice of(DeviceFacts facts, Precision precision, Wish wish) {
        String problem = problem(facts, precision);
        if (wish == Wish.HOPPER && problem != null && precision.hasHopper()) {
            throw new IllegalArgumentException("-D" + PROPERTY + "=hopper, but " + problem + "; say auto or portable");
        }
        if (problem != null) {
            return new KernelChoice(false, problem);
        }
        return wish == Wish.PORTABLE
                ? new KernelChoice(false, "-D" + PROPERTY + "=portable")
                : new KernelChoice(true, "the device is sm_90 and the precision " + precision);
    }

    /** The library of the device's maker, for products that are nothing else; by any other wish there is none. */
    static MatrixLibrary.Choice library(MatrixLibrary.Choice there, Wish wish) {
        return there.library() == null || wish == Wish.AUTO
                ? there
                : new MatrixLibrary.Choice(
                        null, "-D" + PROPERTY + "=" + wish.name().toLowerCase(Locale.ROOT));
    }

    /** Those of InfoNCE of f32 rows, assembled; the choice was made for the precision. */
    InfoNceKernels infoNce(Kernels kernels, int multiprocessors, Precision precision, long stripeBytes) {
        if (hopper) {
            return new HopperInfoNce(new HopperPairwise(kernels, precision.ofHopper()), multiprocessors, stripeBytes);
        }
        return precision.onTensorCores()
                ? new RoundedPairwise(kernels, precision, stripeBytes)
                : new PtxPairwise(kernels, precision, stripeBytes);
    }

    /** Why those of sm_90a cannot be used, or null. */
    private static String problem(DeviceFacts facts, Precision precision) {
        if (!precision.onTensorCores()) {
            return "f32 is multiplied exactly, which matrix instructions do not";
        }
        if (!precision.hasHopper()) {
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
