package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Normalisations, a warp a row; gradients of parameters without atomics, by sums of groups of rows. */
final class PtxNormOps extends NormOps {
    private final Launches launches;
    private final PtxNormalize normalize;

    PtxNormOps(Launches launches, PtxNormalize normalize, DType activations) {
        super(activations);
        this.launches = launches;
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
        launches.rows(
                Launches.of("layer_norm_fwd", x),
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
                launches.wide(width, x, y, gamma, beta));
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
        launches.rows(
                Launches.of("layer_norm_bwd", x),
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
                launches.wide(width, x, dy, dx, gamma));
    }

    private void parameters(
            int rows, int width, Tensor x, Tensor mean, Tensor rstd, Tensor dy, Tensor dGamma, Tensor dBeta) {
        int groups = Launches.blocks(rows, Launches.ROWS_PER_SUM);
        int wide = launches.wide(width, x, dy);
        try (DeviceStorage sums = launches.workspace(8L * groups * width)) {
            long gammas = sums.address();
            long betas = gammas + 4L * groups * width;
            launches.columns(
                    Launches.of("layer_norm_bwd", x) + "_affine",
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
                    Launches.ROWS_PER_SUM,
                    wide);
            if (dGamma != null) {
                launches.sumRows(DType.F32, gammas, groups, width, width, launches.address(dGamma));
            }
            if (dBeta != null) {
                launches.sumRows(DType.F32, betas, groups, width, width, launches.address(dBeta));
            }
        }
    }

    @Override
    protected void l2NormalizeUnchecked(int rows, int width, Tensor x, Tensor y, Tensor inverseNorm) {
        normalize.forward(
                launches.stream, rows, width, launches.address(x), launches.address(y), launches.address(inverseNorm));
    }

    @Override
    protected void l2NormalizeBackwardUnchecked(
            int rows, int width, Tensor y, Tensor inverseNorm, Tensor dy, Tensor dx) {
        normalize.backward(
                launches.stream,
                rows,
                width,
                launches.address(y),
                launches.address(inverseNorm),
                launches.address(dy),
                launches.address(dx),
                0);
    }
}
