package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Normalisations with one warp for each row. Gradients of parameters are summed over groups of rows, without atomics.
 *
 * <p>Tested by {@code BackendAgreementTest}.
 */
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
        if (rows > 0 && width > 0) {
            launcher.call(TensorLauncher.of("layer_norm_fwd", x))
                    .pointer("x", launcher.address(x))
                    .pointer("gamma", launcher.address(gamma))
                    .pointer("beta", launcher.address(beta))
                    .pointer("y", launcher.address(y))
                    .pointer("mean", launcher.address(mean))
                    .pointer("rstd", launcher.address(rstd))
                    .int32("n", rows)
                    .int32("d", width)
                    .float32("epsilon", (float) epsilon)
                    .int32("aligned", launcher.aligned(width, x, y, gamma, beta))
                    .launch(launcher.stream, TensorLauncher.ofRows(rows));
        }
    }

    /** Computes the gradients of parameters first, because dx may be dy. */
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
            @Nullable Tensor dGamma,
            @Nullable Tensor dBeta) {
        if (dGamma != null || dBeta != null) {
            parameters(rows, width, x, mean, rstd, dy, dGamma, dBeta);
        }
        if (rows > 0 && width > 0) {
            launcher.call(TensorLauncher.of("layer_norm_bwd", x))
                    .pointer("x", launcher.address(x))
                    .pointer("gamma", launcher.address(gamma))
                    .pointer("mean", launcher.address(mean))
                    .pointer("rstd", launcher.address(rstd))
                    .pointer("dy", launcher.address(dy))
                    .pointer("dx", launcher.address(dx))
                    .int32("n", rows)
                    .int32("d", width)
                    .int32("aligned", launcher.aligned(width, x, dy, dx, gamma))
                    .launch(launcher.stream, TensorLauncher.ofRows(rows));
        }
    }

    private void parameters(
            int rows,
            int width,
            Tensor x,
            Tensor mean,
            Tensor rstd,
            Tensor dy,
            @Nullable Tensor dGamma,
            @Nullable Tensor dBeta) {
        int groups = TensorLauncher.blocks(rows, TensorLauncher.ROWS_PER_SUM);
        int aligned = launcher.aligned(width, x, dy);
        try (DeviceStorage sums = launcher.workspace(8L * groups * width)) {
            long gammas = sums.address();
            long betas = gammas + 4L * groups * width;
            launcher.columns(
                    TensorLauncher.of("layer_norm_bwd", x) + "_affine",
                    groups,
                    width,
                    aligned,
                    x,
                    mean,
                    rstd,
                    dy,
                    gammas,
                    betas,
                    rows,
                    width,
                    TensorLauncher.ROWS_PER_SUM,
                    aligned);
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
