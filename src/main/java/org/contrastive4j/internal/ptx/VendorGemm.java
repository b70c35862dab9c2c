package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.internal.device.MatrixLibrary.Element;
import org.contrastive4j.internal.device.MatrixLibrary.Product;
import org.contrastive4j.tensor.DType;

/**
 * Row-major products by a library whose matrices are column-major.
 *
 * <p>The bytes of a row-major matrix are those of its transpose column after column. So C = op(A) op(B) is asked for as
 * C^T = op(B)^T op(A)^T: the operands change places, m and n with them, transposes and leading sizes go with their
 * operand, and no byte moves.
 */
final class VendorGemm {
    private final MatrixLibrary library;
    private final DeviceStream stream;

    VendorGemm(MatrixLibrary library, DeviceStream stream) {
        this.library = library;
        this.stream = stream;
    }

    /** Returns the library's name for a storage type. */
    static Element element(DType dtype) {
        return switch (dtype) {
            case F32 -> Element.F32;
            case F16 -> Element.F16;
            case BF16 -> Element.BF16;
            default -> throw new IllegalArgumentException("expected f32, f16 or bf16, got " + dtype);
        };
    }

    /**
     * C[i] = alpha op(A[i]) op(B[i]) + beta C[i], all dense and row-major, one after the other in memory.
     *
     * @param a address of [batch, m, k], or [batch, k, m] when transA
     * @param b address of [batch, k, n], or [batch, n, k] when transB
     * @param c address of [batch, m, n]
     * @param k at least 1, like all sizes
     */
    void multiply(
            boolean transA,
            boolean transB,
            int batch,
            int m,
            int n,
            int k,
            float alpha,
            long a,
            long b,
            float beta,
            long c,
            Element inputs,
            Element output,
            boolean tensorFloats) {
        Product product = new Product(
                transB,
                transA,
                n,
                m,
                k,
                alpha,
                beta,
                transB ? k : n,
                transA ? m : k,
                n,
                (long) k * n,
                (long) m * k,
                (long) m * n,
                batch,
                inputs,
                output,
                tensorFloats);
        library.multiply(stream, product, b, a, c);
    }
}
