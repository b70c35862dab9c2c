package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Normalisations of rows. Rows of a layer norm and their gradients are of the type of activations, everything else,
 * unit rows included, of that of parameters, in which sums are formed too.
 */
public abstract class NormOps {
    private final DType dtype;
    private final DType parameterDtype;

    /** @param dtype of activations */
    protected NormOps(DType dtype) {
        this.dtype = dtype;
        parameterDtype = Ops.parameterDtype(dtype);
    }

    /**
     * y = gamma (x - mean) rstd + beta per row, with rstd = 1 / sqrt(variance + epsilon).
     *
     * @param x [..., width]; read as rows
     * @param gamma [width]; read
     * @param beta [width]; read
     * @param y like x; written
     * @param mean [rows]; written
     * @param rstd [rows]; written
     *     <p>Numerics: two passes over a row, mean first. Source: Ba et al., Layer Normalization, 2016.
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
     * With h = (x - mean) rstd and g = gamma dy: dx = rstd (g - avg(g) - h avg(g h)); dGamma += sum dy
     * h; dBeta += sum dy.
     *
     * @param dx like x; written, may be dy
     * @param dGamma [width] accumulated, or null when not wanted
     * @param dBeta [width] accumulated, or null when not wanted
     */
    public final void layerNormBackward(
            Tensor x, Tensor gamma, Tensor mean, Tensor rstd, Tensor dy, Tensor dx, Tensor dGamma, Tensor dBeta) {
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

    protected abstract void layerNormBackwardUnchecked(
            int rows,
            int width,
            Tensor x,
            Tensor gamma,
            Tensor mean,
            Tensor rstd,
            Tensor dy,
            Tensor dx,
            Tensor dGamma,
            Tensor dBeta);

    /**
     * y = x / |x| per row; a row of norm 0 gives a row of zeros.
     *
     * @param x [n, d]; read
     * @param y [n, d]; written
     * @param inverseNorm [n], 1 / |x|, 0 for a row of norm 0; written
     *     <p>Numerics: the sum of squares neither overflows nor underflows while |x| is representable.
     */
    public final void l2Normalize(Tensor x, Tensor y, Tensor inverseNorm) {
        Checks.rank("l2Normalize", "x", x, parameterDtype, 2);
        Checks.like("l2Normalize", "y", y, x);
        Checks.shape("l2Normalize", "inverseNorm", inverseNorm, parameterDtype, x.dim(0));
        if (x.size() > 0) {
            l2NormalizeUnchecked(x.dim(0), x.dim(1), x, y, inverseNorm);
        }
    }

    protected abstract void l2NormalizeUnchecked(int rows, int width, Tensor x, Tensor y, Tensor inverseNorm);

    /**
     * dx = inverseNorm (dy - y &lt;y, dy&gt;) per row; 0 for a row of norm 0.
     *
     * @param y [n, d] unit rows; read
     * @param inverseNorm [n]; read
     * @param dy [n, d]; read
     * @param dx [n, d]; written, may be dy
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

    protected abstract void l2NormalizeBackwardUnchecked(
            int rows, int width, Tensor y, Tensor inverseNorm, Tensor dy, Tensor dx);
}
