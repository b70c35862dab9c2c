package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Normalisations of rows. The rows of a layer norm and their gradients have the type of activations. Everything else,
 * including the rows that {@link #l2Normalize} makes, has the type of parameters, in which sums are computed too.
 *
 * <p>The public methods check their arguments; a backend implements the unchecked counterparts. In the costs, e is the
 * number of bytes of an element.
 *
 * <p>Tested by {@code ElementaryOpsTest}.
 */
public abstract class NormOps {
    private final DType dtype;
    private final DType parameterDtype;

    /**
     * Creates the family.
     *
     * @param dtype type of activations
     */
    protected NormOps(DType dtype) {
        this.dtype = dtype;
        parameterDtype = Ops.parameterDtype(dtype);
    }

    /**
     * Computes y = gamma (x - mean) rstd + beta per row, with rstd = 1 / sqrt(variance + epsilon); the variance is
     * the mean of (x - mean)^2.
     *
     * <p>Cost: 8 flops an element; 2 rows width e bytes, each element read and written once where a row fits in
     * registers or cache.
     *
     * <p>Numerics: two passes over a row, the mean first, so that rows with a large mean keep the accuracy of their
     * variance.
     *
     * <p>Source: Ba et al., Layer Normalization, 2016, equation 4.
     *
     * @param x [..., width]; read as rows
     * @param gamma [width]; read
     * @param beta [width]; read
     * @param epsilon added to the variance
     * @param y like x; written
     * @param mean [rows]; written
     * @param rstd [rows]; written
     * @throws ShapeException if types or sizes do not fit
     */
    public final void layerNorm(
            Tensor x, Tensor gamma, Tensor beta, double epsilon, Tensor y, Tensor mean, Tensor rstd) {
        Checks.type("layerNorm", "x", x, dtype, dtype);
        Checks.shape("layerNorm", "gamma", gamma, parameterDtype, x.dim(-1));
        Checks.shape("layerNorm", "beta", beta, parameterDtype, x.dim(-1));
        Checks.like("layerNorm", "y", y, x);
        Checks.shape("layerNorm", "mean", mean, parameterDtype, x.shape().rows());
        Checks.shape("layerNorm", "rstd", rstd, parameterDtype, x.shape().rows());
        if (x.size() > 0) {
            layerNormUnchecked(x.shape().rows(), x.dim(-1), x, gamma, beta, epsilon, y, mean, rstd);
        }
    }

    /**
     * Computes {@link #layerNorm} on arguments that were checked; there is at least one element.
     *
     * @param rows number of rows, at least 1
     * @param width elements of a row, at least 1
     * @param x [..., width]; read as rows
     * @param gamma [width]; read
     * @param beta [width]; read
     * @param epsilon added to the variance
     * @param y like x; written
     * @param mean [rows]; written
     * @param rstd [rows]; written
     */
    protected abstract void layerNormUnchecked(
            int rows,
            int width,
            Tensor x,
            Tensor gamma,
            Tensor beta,
            double epsilon,
            Tensor y,
            Tensor mean,
            Tensor rstd);

    /**
     * Computes the gradients of {@link #layerNorm}: with h = (x - mean) rstd and g = gamma dy, dx = rstd (g - avg(g)
     * - h avg(g h)), dGamma += sum of dy h, and dBeta += sum of dy; averages are over a row, sums over the rows.
     *
     * <p>Cost: 14 flops an element; 3 rows width e bytes, x and dy read and dx written once. Memory: partial sums of
     * dGamma and dBeta for fixed blocks of rows, which are added in the order of the blocks.
     *
     * @param x [..., width], input of the forward pass; read
     * @param gamma [width]; read
     * @param mean [rows], result of the forward pass; read
     * @param rstd [rows], result of the forward pass; read
     * @param dy like x; read
     * @param dx like x; written, may be dy
     * @param dGamma [width], accumulated; null skips it
     * @param dBeta [width], accumulated; null skips it
     * @throws ShapeException if types or sizes do not fit
     */
    public final void layerNormBackward(
            Tensor x,
            Tensor gamma,
            Tensor mean,
            Tensor rstd,
            Tensor dy,
            Tensor dx,
            @Nullable Tensor dGamma,
            @Nullable Tensor dBeta) {
        Checks.type("layerNormBackward", "x", x, dtype, dtype);
        int rows = x.shape().rows();
        int width = x.dim(-1);
        Checks.shape("layerNormBackward", "gamma", gamma, parameterDtype, width);
        Checks.shape("layerNormBackward", "mean", mean, parameterDtype, rows);
        Checks.shape("layerNormBackward", "rstd", rstd, parameterDtype, rows);
        Checks.like("layerNormBackward", "dy", dy, x);
        Checks.like("layerNormBackward", "dx", dx, x);
        if (dGamma != null) {
            Checks.shape("layerNormBackward", "dGamma", dGamma, parameterDtype, width);
        }
        if (dBeta != null) {
            Checks.shape("layerNormBackward", "dBeta", dBeta, parameterDtype, width);
        }
        if (x.size() > 0) {
            layerNormBackwardUnchecked(rows, width, x, gamma, mean, rstd, dy, dx, dGamma, dBeta);
        }
    }

    /**
     * Computes {@link #layerNormBackward} on arguments that were checked; there is at least one element.
     *
     * @param rows number of rows, at least 1
     * @param width elements of a row, at least 1
     * @param x [..., width], input of the forward pass; read
     * @param gamma [width]; read
     * @param mean [rows], result of the forward pass; read
     * @param rstd [rows], result of the forward pass; read
     * @param dy like x; read
     * @param dx like x; written, may be dy
     * @param dGamma [width], accumulated; null skips it
     * @param dBeta [width], accumulated; null skips it
     */
    protected abstract void layerNormBackwardUnchecked(
            int rows,
            int width,
            Tensor x,
            Tensor gamma,
            Tensor mean,
            Tensor rstd,
            Tensor dy,
            Tensor dx,
            @Nullable Tensor dGamma,
            @Nullable Tensor dBeta);

    /**
     * Computes y = x / |x| per row; a row of norm 0 becomes a row of zeros.
     *
     * <p>Cost: 3 n d flops; 2 n d e bytes.
     *
     * <p>Numerics: the sum of squares neither overflows nor underflows while |x| is a normal number. A subnormal |x|,
     * below 2^-126 in f32 and 2^-1022 in f64, counts as 0: its reciprocal is not finite. So y and inverseNorm are
     * always finite, and so is a gradient whose entries by y are below 4.
     *
     * @param x [n, d]; read
     * @param y [n, d]; written
     * @param inverseNorm [n], 1 / |x|, 0 for a row of norm 0 or subnormal norm; written
     * @throws ShapeException if types or sizes do not fit
     */
    public final void l2Normalize(Tensor x, Tensor y, Tensor inverseNorm) {
        Checks.rank("l2Normalize", "x", x, parameterDtype, 2);
        Checks.like("l2Normalize", "y", y, x);
        Checks.shape("l2Normalize", "inverseNorm", inverseNorm, parameterDtype, x.dim(0));
        if (x.size() > 0) {
            l2NormalizeUnchecked(x.dim(0), x.dim(1), x, y, inverseNorm);
        }
    }

    /**
     * Computes {@link #l2Normalize} on arguments that were checked; there is at least one element.
     *
     * @param rows number of rows, at least 1
     * @param width elements of a row, at least 1
     * @param x [n, d]; read
     * @param y [n, d]; written
     * @param inverseNorm [n], 1 / |x|, 0 for a row of norm 0 or subnormal norm; written
     */
    protected abstract void l2NormalizeUnchecked(int rows, int width, Tensor x, Tensor y, Tensor inverseNorm);

    /**
     * Computes dx = inverseNorm (dy - y &lt;y, dy&gt;) per row; 0 for a row of norm 0 or subnormal norm.
     *
     * <p>Cost: 5 n d flops; 3 n d e bytes.
     *
     * @param y [n, d], result of the forward pass; read
     * @param inverseNorm [n], result of the forward pass; read
     * @param dy [n, d]; read
     * @param dx [n, d]; written, may be dy
     * @throws ShapeException if types or sizes do not fit
     */
    public final void l2NormalizeBackward(Tensor y, Tensor inverseNorm, Tensor dy, Tensor dx) {
        Checks.rank("l2NormalizeBackward", "y", y, parameterDtype, 2);
        Checks.shape("l2NormalizeBackward", "inverseNorm", inverseNorm, parameterDtype, y.dim(0));
        Checks.like("l2NormalizeBackward", "dy", dy, y);
        Checks.like("l2NormalizeBackward", "dx", dx, y);
        if (y.size() > 0) {
            l2NormalizeBackwardUnchecked(y.dim(0), y.dim(1), y, inverseNorm, dy, dx);
        }
    }

    /**
     * Computes {@link #l2NormalizeBackward} on arguments that were checked; there is at least one element.
     *
     * @param rows number of rows, at least 1
     * @param width elements of a row, at least 1
     * @param y [n, d], result of the forward pass; read
     * @param inverseNorm [n], result of the forward pass; read
     * @param dy [n, d]; read
     * @param dx [n, d]; written, may be dy
     */
    protected abstract void l2NormalizeBackwardUnchecked(
            int rows, int width, Tensor y, Tensor inverseNorm, Tensor dy, Tensor dx);
}
