package org.contrastive4j.device.conformance;

import java.util.Locale;

/** Rounding: to nearest even, to zero, down, up, to nearest with halves away from zero. */
enum Mode {
    RN,
    RZ,
    RM,
    RP,
    RNA;

    String ptx() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Returns whether a magnitude between two neighbours is rounded up; {@code half} compares the remainder with 1/2.
     */
    boolean up(boolean negative, boolean odd, boolean exact, int half) {
        if (exact) {
            return false;
        }
        return switch (this) {
            case RN -> half > 0 || half == 0 && odd;
            case RNA -> half >= 0;
            case RZ -> false;
            case RM -> negative;
            case RP -> !negative;
        };
    }
}
