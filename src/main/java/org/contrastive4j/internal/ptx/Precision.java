package org.contrastive4j.internal.ptx;

import java.util.Locale;

/** Type of the unit rows that are multiplied; sums are f32 in each. */
public enum Precision {
    /** Exact products, FMA. */
    F32(4, 1, 1),
    /** Tensor cores, on f32 of which 11 bits of mantissa are left: as good as {@link #F16} and of any size. */
    TF32(4, 8, 2),
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

    /** Whether tensor cores multiply: rows and gradient matrix are rounded, rows begin at multiples of 16 bytes. */
    boolean onTensorCores() {
        return this != F32;
    }

    /** Elements from row to row of a matrix of width d; those beyond d are zeros. */
    public int pitch(int d) {
        return (d + multiple - 1) / multiple * multiple;
    }

    /** Bytes from row to row of a matrix of width d. */
    public long rowBytes(int d) {
        return (long) bytes * pitch(d);
    }

    /** Whether there are kernels of sm_90a. */
    boolean hasHopper() {
        return bytes == 2;
    }

    /** The same of the sm_90a kernels, where there are some. */
    HopperPairwise.Precision ofHopper() {
        return HopperPairwise.Precision.valueOf(name());
    }

    /** As in the names of kernels. */
    String suffix() {
        return name().toLowerCase(Locale.ROOT);
    }
}
