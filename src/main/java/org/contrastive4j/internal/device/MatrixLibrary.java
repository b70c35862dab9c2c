package org.contrastive4j.internal.device;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.jspecify.annotations.Nullable;

/**
 * Plain matrix products by a vendor library (cuBLAS), with column-major matrices: column after
 * column.
 *
 * <p>Work goes to the stream that is given, nothing is allocated and nothing waits, so that a graph can capture it; the
 * same call gives the same bits.
 */
public interface MatrixLibrary {
    /** How elements of A, B and C are stored; sums are f32. */
    enum Element {
        F32(4),
        F16(2),
        BF16(2);

        private final int bytes;

        Element(int bytes) {
            this.bytes = bytes;
        }

        public int bytes() {
            return bytes;
        }
    }

    /**
     * C[i] = alpha op(A[i]) op(B[i]) + beta C[i] for i in [0, batch), where op transposes if the flag is set.
     *
     * @param transA whether A is stored transposed, transB likewise
     * @param m rows of C, n columns of C, k columns of op(A): 1 or more each
     * @param beta 0 means that C is written without being read
     * @param lda elements from a column of A to the next, at least its rows; ldb and ldc likewise
     * @param strideA elements from a matrix to the next, strideB and strideC likewise; without meaning for a batch of 1
     * @param inputs elements of A and B
     * @param output elements of C
     * @param tensorFloats whether f32 inputs may be rounded to tf32
     */
    record Product(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            float alpha,
            float beta,
            int lda,
            int ldb,
            int ldc,
            long strideA,
            long strideB,
            long strideC,
            int batch,
            Element inputs,
            Element output,
            boolean tensorFloats) {}

    /** The library, or null, and why: half a sentence for people. */
    record Choice(@Nullable MatrixLibrary library, String reason) {}

    /** A device that may have a vendor library. */
    interface Provider {
        /** Returns the library, or why there is none; looks it up once. */
        Choice matrixLibrary();
    }

    /** Returns the vendor library of the device, or why it has none. */
    static Choice of(PtxDevice device) {
        return device instanceof Provider provider
                ? provider.matrixLibrary()
                : new Choice(null, "this device has no vendor library");
    }

    /** Its name and version. */
    String name();

    /**
     * Gives the product to a stream.
     *
     * @param a address of the first element of A, b of B and c of C
     * @throws LaunchException when the library refuses the sizes; nothing has run
     */
    void multiply(DeviceStream stream, Product product, long a, long b, long c);
}
