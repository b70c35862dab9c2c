package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Matrix products and the bias that follows them. */
public abstract class MatrixOps {
    private final DType dtype;

    protected MatrixOps(DType dtype) {
        this.dtype = dtype;
    }

    /**
     * c = alpha op(a) op(b) + beta c, where op transposes when asked.
     *
     * @param a [m, k], or [k, m] when transA; read
     * @param b [k, n], or [n, k] when transB; read
     * @param beta 0 means that c is written without being read
     * @param c [m, n]; written or accumulated; must not overlap a or b
     * @throws ShapeException when the sizes do not fit
     *     <p>Cost: 2 m n k flops.
     */
    public final void gemm(
            boolean transA, boolean transB, double alpha, Tensor a, Tensor b, double beta, Tensor c) {
        Checks.rank("gemm", "a", a, dtype, 2);
        Checks.rank("gemm", "b", b, dtype, 2);
        int m = a.dim(transA ? 1 : 0);
        int k = a.dim(transA ? 0 : 1);
        int n = b.dim(transB ? 0 : 1);
        int kb = b.dim(transB ? 1 : 0);
        Checks.that(k == kb, "gemm", "inner sizes differ: a " + a + (transA ? " transposed" : "") + ", b " + b
                + (transB ? " transposed" : ""));
        Checks.shape("gemm", "c", c, dtype, m, n);
        if (m > 0 && n > 0) {
            gemmUnchecked(transA, transB, m, n, k, alpha, a, b, beta, c);
        }
    }

    protected abstract void gemmUnchecked(boolean transA, boolean transB, int m, int n, int k, double alpha, Tensor a,
            Tensor b, double beta, Tensor c);

    /**
     * c[i] = alpha op(a[i]) op(b[i]) + beta c[i] for every matrix i of the batch.
     *
     * @param a [batch, m, k], or [batch, k, m] when transA; read
     * @param b [batch, k, n], or [batch, n, k] when transB; read
     * @param c [batch, m, n]; written or accumulated
     * @throws ShapeException when the sizes do not fit
     *     <p>Cost: 2 batch m n k flops.
     */
    public final void batchedGemm(
            boolean transA, boolean transB, double alpha, Tensor a, Tensor b, double beta, Tensor c) {
        Checks.rank("batchedGemm", "a", a, dtype, 3);
        Checks.rank("batchedGemm", "b", b, dtype, 3);
        int batch = a.dim(0);
        int m = a.dim(transA ? 2 : 1);
        int k = a.dim(transA ? 1 : 2);
        int n = b.dim(transB ? 1 : 2);
        int kb = b.dim(transB ? 2 : 1);
        Checks.that(k == kb && batch == b.dim(0), "batchedGemm", "sizes differ: a " + a
                + (transA ? " transposed" : "") + ", b " + b + (transB ? " transposed" : ""));
        Checks.shape("batchedGemm", "c", c, dtype, batch, m, n);
        if (batch > 0 && m > 0 && n > 0) {
            batchedGemmUnchecked(transA, transB, batch, m, n, k, alpha, a, b, beta, c);
        }
    }

    protected abstract void batchedGemmUnchecked(boolean transA, boolean transB, int batch, int m, int n, int k,
            double alpha, Tensor a, Tensor b, double beta, Tensor c);

    /**
     * y = x w + bias, for every row of x.
     *
     * @param x [..., in]; read as rows
     * @param w [in, out]; read
     * @param bias [out] or null; read
     * @param y [..., out] with as many rows as x; written
     *     <p>Cost: 2 rows in out flops.
     */
    public final void linear(Tensor x, Tensor w, Tensor bias, Tensor y) {
        Checks.rank("linear", "w", w, dtype, 2);
        Checks.require("linear", "x", x);
        Checks.that(x.shape().rank() >= 1 && x.dim(-1) == w.dim(0), "linear", "x is " + x + " but w is " + w);
        if (bias != null) {
            Checks.shape("linear", "bias", bias, dtype, w.dim(1));
        }
        Checks.shape("linear", "y", y, dtype, x.shape().withLast(w.dim(1)).dims());
        if (y.size() > 0) {
            linearUnchecked(x.shape().rows(), w.dim(0), w.dim(1), x, w, bias, y);
        }
    }

    protected abstract void linearUnchecked(int rows, int in, int out, Tensor x, Tensor w, Tensor bias, Tensor y);

    /**
     * dBias[j] += sum over rows of dy[row, j], in row order by fixed blocks.
     *
     * @param dy [..., out]; read as rows
     * @param dBias [out]; accumulated
     */
    public final void biasGradient(Tensor dy, Tensor dBias) {
        Checks.require("biasGradient", "dy", dy);
        Checks.shape("biasGradient", "dBias", dBias, dtype, dy.dim(-1));
        if (dy.size() > 0) {
            biasGradientUnchecked(dy.shape().rows(), dy.dim(-1), dy, dBias);
        }
    }

    protected abstract void biasGradientUnchecked(int rows, int width, Tensor dy, Tensor dBias);
}
