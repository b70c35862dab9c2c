package org.contrastive4j.ops.ptx;

import java.util.Locale;

/** Type of the unit rows that are multiplied; sums are f32 in each. */
public enum Precision {
    /** Exact products, FMA. */
    F32(4, 1, 1),
    /** Tensor cores; 8 bits of mantissa. */
    BF16(2, 8, 2),
    /** Tensor cores; 11 bits of mantissa, which is better for unit rows. */
    F16(2, 8, 2);

    final int bytes;
    /** Rows begin at multiples of this many elements. */
    private final int multiple;
    /** Tiles of 64 rows that a block takes. */
    final int step;

    Precision(int bytes, int multiple, int step) {
        this.bytes = bytes;
        this.multiple = multiple;
        this.step = step;
    }

    /** Elements from row to row of a matrix of width d; those beyond d are zeros. */
    public int pitch(int d) {
        return (d + multiple - 1) / multiple * multiple;
    }

    /** The same of the sm_90a kernels; of 16 bits. */
    HopperPairwise.Precision ofHopper() {
        return HopperPairwise.Precision.valueOf(name());
    }

    /** As in the names of kernels. */
    String suffix() {
        return name().toLowerCase(Locale.ROOT);
    }
}
