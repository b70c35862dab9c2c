package org.contrastive4j.internal.ptx;

import java.util.List;
import org.contrastive4j.tensor.Precision;

/**
 * Layout of the normalised rows that the portable InfoNCE kernels multiply: row-major, padded with zeros to whole
 * 16-byte vectors where tensor cores read them.
 */
public final class RowLayout {
    /** The precisions that there are portable InfoNCE kernels for. */
    public static final List<Precision> PRECISIONS =
            List.of(Precision.F32, Precision.TF32, Precision.BF16, Precision.F16);

    /** Elements that one row is padded to for tensor cores: 16 bytes of bf16 and f16, 32 bytes of tf32. */
    private static final int TENSOR_CORE_MULTIPLE = 8;

    private RowLayout() {}

    /** Returns the elements from one row to the next of a matrix of width {@code d}. */
    public static int pitch(Precision precision, int d) {
        int multiple = precision.usesTensorCores() ? TENSOR_CORE_MULTIPLE : 1;
        return (d + multiple - 1) / multiple * multiple;
    }

    /** Returns the bytes from one row to the next of a matrix of width {@code d}. */
    public static long rowBytes(Precision precision, int d) {
        return (long) precision.storage().bytes() * pitch(precision, d);
    }
}
