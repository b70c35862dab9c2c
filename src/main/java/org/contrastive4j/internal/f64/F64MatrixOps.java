package org.contrastive4j.internal.f64;

import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products as three loops, each sum in the order of the inner index.
 *
 * <p>Tested by {@code ElementaryOpsTest}.
 */
final class F64MatrixOps extends MatrixOps {
    F64MatrixOps(PointwiseOps pointwise) {
        super(DType.F64, pointwise);
    }

    @Override
    protected void gemmUnchecked(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            double alpha,
            Tensor a,
            Tensor b,
            double beta,
            Tensor c) {
        double[] left = transA ? transposed(Doubles.load(a), k, m) : Doubles.load(a);
        double[] right = transB ? transposed(Doubles.load(b), n, k) : Doubles.load(b);
        double[] product = product(left, right, m, n, k);
        double[] result = beta == 0 ? Doubles.zerosLike(c) : Doubles.load(c);
        for (int i = 0; i < result.length; i++) {
            result[i] = alpha * product[i] + (beta == 0 ? 0 : beta * result[i]);
        }
        Doubles.store(result, c);
    }

    @Override
    protected void batchedGemmUnchecked(
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
            Tensor c) {
        for (int i = 0; i < batch; i++) {
            gemmUnchecked(transA, transB, m, n, k, alpha, matrix(a, i), matrix(b, i), beta, matrix(c, i));
        }
    }

    private static Tensor matrix(Tensor batch, int i) {
        return batch.rows(i, i + 1).reshape(batch.dim(1), batch.dim(2));
    }

    @Override
    protected void linearUnchecked(int rows, int in, int out, Tensor x, Tensor w, @Nullable Tensor bias, Tensor y) {
        double[] result = product(Doubles.load(x), Doubles.load(w), rows, out, in);
        if (bias != null) {
            double[] b = Doubles.load(bias);
            for (int r = 0; r < rows; r++) {
                Doubles.axpy(1, b, 0, result, r * out, out);
            }
        }
        Doubles.store(result, y);
    }

    @Override
    protected void biasGradientUnchecked(int rows, int width, Tensor dy, Tensor dBias) {
        double[] gradient = Doubles.load(dy);
        double[] sum = new double[width];
        for (int r = 0; r < rows; r++) {
            Doubles.axpy(1, gradient, r * width, sum, 0, width);
        }
        double[] result = Doubles.load(dBias);
        Doubles.axpy(1, sum, 0, result, 0, width);
        Doubles.store(result, dBias);
    }

    /** Returns a b for a [m, k] and b [k, n]. */
    private static double[] product(double[] a, double[] b, int m, int n, int k) {
        double[] c = new double[m * n];
        for (int i = 0; i < m; i++) {
            for (int l = 0; l < k; l++) {
                Doubles.axpy(a[i * k + l], b, l * n, c, i * n, n);
            }
        }
        return c;
    }

    private static double[] transposed(double[] a, int rows, int columns) {
        double[] t = new double[a.length];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                t[c * rows + r] = a[r * columns + c];
            }
        }
        return t;
    }
}
