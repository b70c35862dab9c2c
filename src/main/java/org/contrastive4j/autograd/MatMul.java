package org.contrastive4j.autograd;

import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * c = alpha op(a) op(b) for two matrices, or for two batches of matrices; c is of the type of a and b, where they
 * differ of that of activations.
 *
 * <p>Backward: dA = alpha dC op(b)^T and dB = alpha op(a)^T dC, transposed where the input was.
 */
final class MatMul extends Function {
    private final boolean transA;
    private final boolean transB;
    private final double alpha;

    MatMul(boolean transA, boolean transB, double alpha) {
        super("matmul");
        this.transA = transA;
        this.transB = transB;
        this.alpha = alpha;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor a = f.input(0);
        Tensor b = f.input(1);
        int m = a.dim(transA ? -1 : -2);
        int n = b.dim(transB ? -2 : -1);
        Shape shape = a.shape().rank() == 3 ? Shape.of(a.dim(0), m, n) : Shape.of(m, n);
        Tensor c = f.allocate(a.dtype() == b.dtype() ? a.dtype() : f.ops().dtype(), shape);
        multiply(f.ops().matrix(), transA, transB, a, b, c);
        f.save(0, 1);
        return new Tensor[] {c};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dc = b.outputGradient(0);
        if (b.wants(0)) {
            Tensor da = b.allocateLike(0);
            if (transA) {
                multiply(b.ops().matrix(), transB, true, b.input(1), dc, da);
            } else {
                multiply(b.ops().matrix(), false, !transB, dc, b.input(1), da);
            }
            b.accumulate(0, da);
        }
        if (b.wants(1)) {
            Tensor db = b.allocateLike(1);
            if (transB) {
                multiply(b.ops().matrix(), true, transA, dc, b.input(0), db);
            } else {
                multiply(b.ops().matrix(), !transA, false, b.input(0), dc, db);
            }
            b.accumulate(1, db);
        }
    }

    private void multiply(MatrixOps ops, boolean ta, boolean tb, Tensor a, Tensor b, Tensor c) {
        if (a.shape().rank() == 3) {
            ops.batchedGemm(ta, tb, alpha, a, b, 0, c);
        } else {
            ops.gemm(ta, tb, alpha, a, b, 0, c);
        }
    }
}
