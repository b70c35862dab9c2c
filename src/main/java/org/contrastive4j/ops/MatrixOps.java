package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products, and the bias and activation that follow them.
 *
 * <p>Each operand and result has the type of activations or that of parameters. If all have the type of parameters,
 * the product is computed in it. Otherwise operands are first rounded to the type of activations, into a workspace of
 * the size of the operand; sums are f32 and are rounded once if the result is a 16-bit type.
 *
 * <p>The public methods check their arguments; a backend implements the unchecked counterparts. In the costs, e is the
 * number of bytes of an element.
 *
 * <p>Tested by {@code ElementaryOpsTest}.
 */
public abstract class MatrixOps {
    private final DType dtype;
    private final DType parameterDtype;
    private final PointwiseOps pointwise;

    /**
     * Creates the family.
     *
     * @param dtype type of activations
     * @param pointwise of the same backend
     */
    protected MatrixOps(DType dtype, PointwiseOps pointwise) {
        this.dtype = dtype;
        this.pointwise = pointwise;
        parameterDtype = Ops.parameterDtype(dtype);
    }

    /**
     * Computes c = alpha op(a) op(b) + beta c, where op optionally transposes.
     *
     * <p>Cost: 2 m n k flops; (m k + k n + m n) e bytes if each element is moved once, m n e more unless beta is 0.
     * Memory: a rounded copy of each operand that has another type than the product is computed in.
     *
     * <p>Numerics: the order of the k products of a sum is fixed by the sizes, so repeated calls return the same
     * bits; backends differ by rounding.
     *
     * @param transA whether a is stored transposed
     * @param transB whether b is stored transposed
     * @param alpha factor of the product
     * @param a [m, k], or [k, m] if transA; read
     * @param b [k, n], or [n, k] if transB; read
     * @param beta factor of c; 0 writes c without reading it
     * @param c [m, n]; written or accumulated; must not overlap a or b
     * @throws ShapeException if types or sizes do not fit
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

    /**
     * Computes {@link #gemm} on arguments that were checked; there is at least one element.
     *
     * @param transA whether a is stored transposed
     * @param transB whether b is stored transposed
     * @param m rows of op(a) and c, at least 1
     * @param n columns of op(b) and c, at least 1
     * @param k columns of op(a); 0 leaves beta c
     * @param alpha factor of the product
     * @param a [m, k], or [k, m] if transA; read
     * @param b [k, n], or [n, k] if transB; read
     * @param beta factor of c; 0 writes c without reading it
     * @param c [m, n]; written or accumulated; must not overlap a or b
     */
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
     * Computes c[i] = alpha op(a[i]) op(b[i]) + beta c[i] for every matrix i of a batch.
     *
     * <p>Cost: 2 batch m n k flops; batch (m k + k n + m n) e bytes if each element is moved once, batch m n e more
     * unless beta is 0. Memory and numerics as for {@link #gemm}.
     *
     * @param transA whether each a[i] is stored transposed
     * @param transB whether each b[i] is stored transposed
     * @param alpha factor of the products
     * @param a [batch, m, k], or [batch, k, m] if transA; read
     * @param b [batch, k, n], or [batch, n, k] if transB; read
     * @param beta factor of c; 0 writes c without reading it
     * @param c [batch, m, n]; written or accumulated; must not overlap a or b
     * @throws ShapeException if types or sizes do not fit
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

    /**
     * Computes {@link #batchedGemm} on arguments that were checked; there is at least one element.
     *
     * @param transA whether each a[i] is stored transposed
     * @param transB whether each b[i] is stored transposed
     * @param batch number of matrices, at least 1
     * @param m rows of op(a[i]) and c[i], at least 1
     * @param n columns of op(b[i]) and c[i], at least 1
     * @param k columns of op(a[i]); 0 leaves beta c
     * @param alpha factor of the products
     * @param a [batch, m, k], or [batch, k, m] if transA; read
     * @param b [batch, k, n], or [batch, n, k] if transB; read
     * @param beta factor of c; 0 writes c without reading it
     * @param c [batch, m, n]; written or accumulated; must not overlap a or b
     */
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
     * Computes y = x w + bias for every row of x.
     *
     * <p>Cost: 2 rows in out flops; (rows in + in out + rows out) e bytes if each element is moved once. Memory: a
     * rounded copy of each operand that has another type than the product is computed in.
     *
     * @param x [..., in]; read as rows
     * @param w [in, out]; read
     * @param bias [out] of the type of parameters, or null; read
     * @param y [..., out] with as many rows as x; written
     * @throws ShapeException if types or sizes do not fit
     */
    public final void linear(Tensor x, Tensor w, @Nullable Tensor bias, Tensor y) {
        int out = linear("linear", x, w, bias);
        result("linear", "y", y, x.shape().withLast(out).dims());
        if (y.size() > 0) {
            linearUnchecked(x.shape().rows(), w.dim(0), out, x, w, bias, y);
        }
    }

    /**
     * Computes {@link #linear} on arguments that were checked; there is at least one element.
     *
     * @param rows rows of x and y, at least 1
     * @param in columns of x and rows of w; 0 leaves the bias
     * @param out columns of w and y, at least 1
     * @param x [..., in]; read as rows
     * @param w [in, out]; read
     * @param bias [out] of the type of parameters, or null; read
     * @param y [..., out] with as many rows as x; written
     */
    protected abstract void linearUnchecked(
            int rows, int in, int out, Tensor x, Tensor w, @Nullable Tensor bias, Tensor y);

    /**
     * Computes z = x w + bias and y = gelu(z) for every row of x. The result has the same bits as {@link #linear}
     * followed by {@link PointwiseOps#gelu}; backends fuse the two where that is faster.
     *
     * <p>Cost: 2 rows in out flops and one GELU for each of the rows x out elements; (rows in + in out + 2 rows out)
     * e bytes where fused, one more rows out e where not.
     *
     * @param kind activation function
     * @param x [..., in]; read as rows
     * @param w [in, out]; read
     * @param bias [out] of the type of parameters, or null; read
     * @param z [..., out] of the type of activations with as many rows as x; written, for the gradient of GELU
     * @param y like z, another tensor; written
     * @throws ShapeException if types or sizes do not fit
     */
    public final void linearGelu(
            PointwiseOps.Gelu kind, Tensor x, Tensor w, @Nullable Tensor bias, Tensor z, Tensor y) {
        int out = linear("linearGelu", x, w, bias);
        int[] expected = x.shape().withLast(out).dims();
        Checks.shape("linearGelu", "z", z, dtype, expected);
        Checks.shape("linearGelu", "y", y, dtype, expected);
        Checks.that(y != z, "linearGelu", "y and z are the same tensor, expected two");
        if (y.size() > 0) {
            linearGeluUnchecked(kind, x.shape().rows(), w.dim(0), out, x, w, bias, z, y);
        }
    }

    /**
     * Computes {@link #linearGelu} on arguments that were checked, as two operations; a backend that can fuse them
     * overrides this.
     *
     * @param kind activation function
     * @param rows rows of x and y, at least 1
     * @param in columns of x and rows of w; 0 leaves the bias
     * @param out columns of w and y, at least 1
     * @param x [..., in]; read as rows
     * @param w [in, out]; read
     * @param bias [out] of the type of parameters, or null; read
     * @param z [..., out] of the type of activations with as many rows as x; written, for the gradient of GELU
     * @param y like z, another tensor; written
     */
    protected void linearGeluUnchecked(
            PointwiseOps.Gelu kind,
            int rows,
            int in,
            int out,
            Tensor x,
            Tensor w,
            @Nullable Tensor bias,
            Tensor z,
            Tensor y) {
        linearUnchecked(rows, in, out, x, w, bias, z);
        pointwise.gelu(kind, z, y);
    }

    /** Checks the operands of a linear layer and returns its output width. */
    private int linear(String op, Tensor x, Tensor w, @Nullable Tensor bias) {
        operand(op, "w", w, 2);
        Checks.type(op, "x", x, dtype, parameterDtype);
        Checks.that(x.shape().rank() >= 1 && x.dim(-1) == w.dim(0), op, "x is " + x + " but w is " + w);
        if (bias != null) {
            Checks.shape(op, "bias", bias, parameterDtype, w.dim(1));
        }
        return w.dim(1);
    }

    /**
     * Computes dBias[j] += sum over rows of dy[row, j], in row order within fixed blocks.
     *
     * <p>Cost: rows out additions; rows out e bytes read. Memory: one partial sum for each block and column.
     *
     * @param dy [..., out]; read as rows
     * @param dBias [out] of the type of parameters, in which the sums are computed; accumulated
     * @throws ShapeException if types or sizes do not fit
     */
    public final void biasGradient(Tensor dy, Tensor dBias) {
        Checks.type("biasGradient", "dy", dy, dtype, parameterDtype);
        Checks.shape("biasGradient", "dBias", dBias, parameterDtype, dy.dim(-1));
        if (dy.size() > 0) {
            biasGradientUnchecked(dy.shape().rows(), dy.dim(-1), dy, dBias);
        }
    }

    /**
     * Computes {@link #biasGradient} on arguments that were checked; there is at least one element.
     *
     * @param rows rows of dy, at least 1
     * @param width columns of dy, at least 1
     * @param dy [..., out]; read as rows
     * @param dBias [out] of the type of parameters, in which the sums are computed; accumulated
     */
    protected abstract void biasGradientUnchecked(int rows, int width, Tensor dy, Tensor dBias);

    private void operand(String op, String argument, Tensor given, int rank) {
        Checks.type(op, argument, given, dtype, parameterDtype);
        Checks.rank(op, argument, given, given.dtype(), rank);
    }

    private void result(String op, String argument, Tensor given, int... expected) {
        Checks.type(op, argument, given, dtype, parameterDtype);
        Checks.shape(op, argument, given, given.dtype(), expected);
    }
}
