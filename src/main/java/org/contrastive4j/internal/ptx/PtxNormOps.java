package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Normalisations, a warp a row; gradients of parameters without atomics, by sums of groups of rows. */
final class PtxNormOps extends NormOps {
    private final TensorLauncher launcher;
    private final PtxNormalize normalize;

    PtxNormOps(TensorLauncher launcher, PtxNormalize normalize, DType activations) {
        super(activations);
        this.launcher = launcher;
        this.normalize = normalize;
    }

    @Override
    protected void layerNormUnchecked(
            int rows,
            int width,
            Tensor x,
            Tensor gamma,
            Tensor beta,
            double epsilon,
            Tensor y,
            Tensor mean,
            Tensor rstd) {
        launcher.rows(
                TensorLauncher.of("layer_norm_fwd", x),
                rows,
                width,
                x,
                gamma,
                beta,
                y,
                mean,
                rstd,
                rows,
                width,
                (float) epsilon,
                launcher.wide(width, x, y, gamma, beta));
    }

    /** Parameters first: dx may be dy. */
    @Override
    protected void layerNormBackwardUnchecked(
            int rows,
            int width,
            Tensor x,
            Tensor gamma,
            Tensor mean,
            Tensor rstd,
            Tensor dy,
            Tensor dx,
            Tensor dGamma,
            Tensor dBeta) {
        if (dGamma != null || dBeta != null) {
            parameters(rows, width, x, mean, rstd, dy, dGamma, dBeta);
        }
        launcher.rows(
                TensorLauncher.of("layer_norm_bwd", x),
                rows,
                width,
                x,
                gamma,
                mean,
                rstd,
                dy,
                dx,
                rows,
                width,
                launcher.wide(width, x, dy, dx, gamma));
    }

    private void parameters(
            int rows, int width, Tensor x, Tensor mean, Tensor rstd, Tensor dy, Tensor dGamma, Tensor dBeta) {
        int groups = TensorLauncher.blocks(rows, TensorLauncher.ROWS_PER_SUM);
        int wide = launcher.wide(width, x, dy);
        try (DeviceStorage sums = launcher.workspace(8L * groups * width)) {
            long gammas = sums.address();
            long betas = gammas + 4L * groups * width;
            launcher.columns(
                    TensorLauncher.of("layer_norm_bwd", x) + "_affine",
                    groups,
                    width,
                    wide,
                    x,
                    mean,
                    rstd,
                    dy,
                    gammas,
                    betas,
                    rows,
                    width,
                    TensorLauncher.ROWS_PER_SUM,
                    wide);
            if (dGamma != null) {
                launcher.sumRows(DType.F32, gammas, groups, width, width, launcher.address(dGamma));
            }
            if (dBeta != null) {
                launcher.sumRows(DType.F32, betas, groups, width, width, launcher.address(dBeta));
            }
        }
    }

    @Override
    protected void l2NormalizeUnchecked(int rows, int width, Tensor x, Tensor y, Tensor inverseNorm) {
        normalize.forward(
                launcher.stream, rows, width, launcher.address(x), launcher.address(y), launcher.address(inverseNorm));
    }

    @Override
    protected void l2NormalizeBackwardUnchecked(
            int rows, int width, Tensor y, Tensor inverseNorm, Tensor dy, Tensor dx) {
        normalize.backward(
                launcher.stream,
                rows,
                width,
                launcher.address(y),
                launcher.address(inverseNorm),
                launcher.address(dy),
                launcher.address(dx),
                0);
    }
}
