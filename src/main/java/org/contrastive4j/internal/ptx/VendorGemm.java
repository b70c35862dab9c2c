package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.internal.device.MatrixLibrary.Element;
import org.contrastive4j.internal.device.MatrixLibrary.Product;
import org.contrastive4j.tensor.DType;

/**
 * Computes row-major products by a library of column-major matrices.
 *
 * <p>A row-major matrix has the same bytes as its transpose in column-major order. Therefore C = op(A) op(B) is
 * computed as C^T = op(B)^T op(A)^T: the operands are exchanged, m and n too, transposes and leading dimensions stay
 * with their operand, and no byte is copied.
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
     * Computes C[i] = alpha op(A[i]) op(B[i]) + beta C[i]; all matrices are dense, row-major and contiguous.
     *
     * @param a address of [batch, m, k], or [batch, k, m] if transA
     * @param b address of [batch, k, n], or [batch, n, k] if transB
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
