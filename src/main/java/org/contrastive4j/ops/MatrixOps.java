package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Matrix products, and the bias and activation that follow them.
 *
 * <p>Each operand and result is of the type of activations or of that of parameters. Where all are of the type of
 * parameters, the product is formed in it; else operands are rounded to the type of activations first (into a workspace
 * of the operand's size) and sums are f32, rounded once when the result is of 16 bits.
 */
public abstract class MatrixOps {
    private final DType dtype;
    private final DType parameterDtype;
    private final PointwiseOps pointwise;

    /**
     * @param dtype of activations
     * @param pointwise of the same backend
     */
    protected MatrixOps(DType dtype, PointwiseOps pointwise) {
        this.dtype = dtype;
        this.pointwise = pointwise;
        parameterDtype = Ops.parameterDtype(dtype);
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
    public final void gemm(boolean transA, boolean transB, double alpha, Tensor a, Tensor b, double beta, Tensor c) {
        operand("gemm", "a", a, 2);
        operand("gemm", "b", b, 2);
        int m = a.dim(transA ? 1 : 0);
        int k = a.dim(transA ? 0 : 1);
        int n = b.dim(transB ? 0 : 1);
        int kb = b.dim(transB ? 1 : 0);
        Checks.that(
                k == kb,
                "gemm",
                "inner sizes differ: a " + a + (transA ? " transposed" : "") + ", b " + b
                        + (transB ? " transposed" : ""));
        result("gemm", "c", c, m, n);
        if (m > 0 && n > 0) {
            gemmUnchecked(transA, transB, m, n, k, alpha, a, b, beta, c);
        }
    }

    protected abstract void gemmUnchecked(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            double alpha,
            Tensor a,
            Tensor b,
            double beta,
            Tensor c);

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
        operand("batchedGemm", "a", a, 3);
        operand("batchedGemm", "b", b, 3);
        int batch = a.dim(0);
        int m = a.dim(transA ? 2 : 1);
        int k = a.dim(transA ? 1 : 2);
        int n = b.dim(transB ? 1 : 2);
        int kb = b.dim(transB ? 2 : 1);
        Checks.that(
                k == kb && batch == b.dim(0),
                "batchedGemm",
                "sizes differ: a " + a + (transA ? " transposed" : "") + ", b " + b + (transB ? " transposed" : ""));
        result("batchedGemm", "c", c, batch, m, n);
        if (batch > 0 && m > 0 && n > 0) {
            batchedGemmUnchecked(transA, transB, batch, m, n, k, alpha, a, b, beta, c);
        }
    }

    protected abstract void batchedGemmUnchecked(
            boolean transA,
            boolean transB,
            int batch,
            int m,
            int n,
            int k,
            double alpha,
            Tensor a,
            Tensor b,
            double beta,
            Tensor c);

    /**
     * y = x w + bias, for every row of x.
     *
     * @param x [..., in]; read as rows
     * @param w [in, out]; read
     * @param bias [out] of the type of parameters, or null; read
     * @param y [..., out] with as many rows as x; written
     *     <p>Cost: 2 rows in out flops.
     */
    public final void linear(Tensor x, Tensor w, Tensor bias, Tensor y) {
        int out = linear("linear", x, w, bias);
        result("linear", "y", y, x.shape().withLast(out).dims());
        if (y.size() > 0) {
            linearUnchecked(x.shape().rows(), w.dim(0), out, x, w, bias, y);
        }
    }

    protected abstract void linearUnchecked(int rows, int in, int out, Tensor x, Tensor w, Tensor bias, Tensor y);

    /**
     * z = x w + bias and y = gelu(z), for every row of x; the same bits as {@link #linear} and
     * {@link PointwiseOps#gelu} after it, which backends do in one pass over the results where that is faster.
     *
     * @param x [..., in]; read as rows
     * @param w [in, out]; read
     * @param bias [out] of the type of parameters, or null; read
     * @param z [..., out] of the type of activations with as many rows as x; written: the gradient of GELU reads it
     * @param y like z, and not z; written
     *     <p>Cost: 2 rows in out flops.
     */
    public final void linearGelu(PointwiseOps.Gelu kind, Tensor x, Tensor w, Tensor bias, Tensor z, Tensor y) {
        int out = linear("linearGelu", x, w, bias);
        int[] wanted = x.shape().withLast(out).dims();
        Checks.shape("linearGelu", "z", z, dtype, wanted);
        Checks.shape("linearGelu", "y", y, dtype, wanted);
        Checks.that(y != z, "linearGelu", "y is z, wanted a tensor of its own");
        if (y.size() > 0) {
            linearGeluUnchecked(kind, x.shape().rows(), w.dim(0), out, x, w, bias, z, y);
        }
    }

    /** One after the other; a backend that can do both at once overrides it. */
    protected void linearGeluUnchecked(
            PointwiseOps.Gelu kind, int rows, int in, int out, Tensor x, Tensor w, Tensor bias, Tensor z, Tensor y) {
        linearUnchecked(rows, in, out, x, w, bias, z);
        pointwise.gelu(kind, z, y);
    }

    /** Checks the operands of a layer; its width. */
    private int linear(String op, Tensor x, Tensor w, Tensor bias) {
        operand(op, "w", w, 2);
        Checks.type(op, "x", x, dtype, parameterDtype);
        Checks.that(x.shape().rank() >= 1 && x.dim(-1) == w.dim(0), op, "x is " + x + " but w is " + w);
        if (bias != null) {
            Checks.shape(op, "bias", bias, parameterDtype, w.dim(1));
        }
        return w.dim(1);
    }

    /**
     * dBias[j] += sum over rows of dy[row, j], in row order by fixed blocks.
     *
     * @param dy [..., out]; read as rows
     * @param dBias [out] of the type of parameters, in which the sums are; accumulated
     */
    public final void biasGradient(Tensor dy, Tensor dBias) {
        Checks.type("biasGradient", "dy", dy, dtype, parameterDtype);
        Checks.shape("biasGradient", "dBias", dBias, parameterDtype, dy.dim(-1));
        if (dy.size() > 0) {
            biasGradientUnchecked(dy.shape().rows(), dy.dim(-1), dy, dBias);
        }
    }

    protected abstract void biasGradientUnchecked(int rows, int width, Tensor dy, Tensor dBias);

    private void operand(String op, String argument, Tensor given, int rank) {
        Checks.type(op, argument, given, dtype, parameterDtype);
        Checks.rank(op, argument, given, given.dtype(), rank);
    }

    private void result(String op, String argument, Tensor given, int... wanted) {
        Checks.type(op, argument, given, dtype, parameterDtype);
        Checks.shape(op, argument, given, given.dtype(), wanted);
    }
}
