package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.jspecify.annotations.Nullable;

/**
 * Symmetric InfoNCE of unit rows on device addresses: value, gradients and statistics as {@link
 * org.contrastive4j.ops.PairwiseOps#infoNce} defines them, without the n x m matrix of logits.
 *
 * <p>The implementation allocates nothing and never synchronises, so a CUDA graph can capture a call. The caller
 * queries the size of the workspace first:
 *
 * <pre>{@code
 * InfoNceKernels infoNce = KernelChoice.infoNce(device, Precision.BF16, 256L << 20);   // once
 * long bytes = infoNce.workspaceBytes(n, m, d, true);
 * try (DeviceStorage workspace = device.allocate(bytes);
 *         DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES)) {
 *     InfoNceKernels.Inputs inputs = new InfoNceKernels.Inputs(
 *             n, m, d, x.address(), y.address(), 0, logScale.address(), 0, 0.5, 0.5);
 *     InfoNceKernels.Gradients gradients =
 *             new InfoNceKernels.Gradients(dx.address(), dy.address(), dLogScale.address(), 0, 1);
 *     infoNce.infoNce(stream, inputs, gradients, 0, result.address(), workspace.address(), bytes);
 *     result.download(0, values);   // loss, row accuracy, column accuracy, mean positive logit
 * }
 * }</pre>
 */
public interface InfoNceKernels {
    /** Size of a result: loss, row accuracy, column accuracy, mean positive logit, each f64. */
    int RESULT_BYTES = 4 * Double.BYTES;

    /**
     * Sizes, weights and device addresses of what a call reads; address 0 where an optional input is absent.
     *
     * @param n rows of x
     * @param m rows of y
     * @param d width of x and y
     * @param x f32 [n, d], contiguous rows of norm 1 or 0; 4-byte aligned, faster when 16-byte aligned and d is a
     *     multiple of 4
     * @param y f32 [m, d]; like x
     * @param targets i32 [n], the column in [0, m) that row i belongs to, not checked; or 0: row i belongs to column i,
     *     then m &gt;= n
     * @param logScale f32 [1], the logarithm of the logit scale
     * @param bias f32 [1], added to each logit; or 0
     * @param rowWeight weight of the cross-entropy over rows, at least 0
     * @param columnWeight weight of the cross-entropy over columns, at least 0
     */
    record Inputs(
            int n,
            int m,
            int d,
            long x,
            long y,
            long targets,
            long logScale,
            long bias,
            double rowWeight,
            double columnWeight) {}

    /**
     * Device addresses of the gradients; address 0 skips a gradient.
     *
     * @param dx f32 [n, d]; written
     * @param dy f32 [m, d]; written
     * @param dLogScale f32 [1]; accumulated
     * @param dBias f32 [1]; accumulated
     * @param scale factor of all gradients, finite
     */
    record Gradients(long dx, long dy, long dLogScale, long dBias, double scale) {}

    /**
     * Returns the bytes of workspace that {@link #infoNce} needs: O((n + m) d) and a stripe of what depends on pairs.
     *
     * @param n rows of x, at least 1
     * @param m rows of y, at least 1
     * @param d width of x and y, at least 1
     * @param withGradients whether the call computes gradients
     * @return the least size of the workspace
     * @throws ShapeException if a size is out of range
     */
    long workspaceBytes(int n, int m, int d, boolean withGradients);

    /**
     * Launches InfoNCE over all pairs on a stream.
     *
     * <p>Cost: 2 n m d flops for the value, 8 n m d with gradients. The same inputs give the same bits in every run.
     *
     * @param stream where all kernels are launched
     * @param inputs what the call reads
     * @param gradients where the gradients go; null computes the value alone
     * @param hardest i32 [n], written: for each row the column other than the target with the largest logit, -1 when m
     *     is 1; or 0 to skip it
     * @param result f64 [4], written: loss, row accuracy, column accuracy, mean positive logit; 8-byte aligned
     * @param workspace 256-byte aligned; its contents are undefined on return
     * @param workspaceBytes size of the workspace, at least {@link #workspaceBytes}
     * @throws ShapeException if a size is out of range, a weight is negative or not finite, or the gradient scale is
     *     not finite
     * @throws LaunchException if an address is 0, misaligned or overlaps another, or the workspace is too small; then
     *     nothing was launched
     */
    void infoNce(
            DeviceStream stream,
            Inputs inputs,
            @Nullable Gradients gradients,
            long hardest,
            long result,
            long workspace,
            long workspaceBytes);
}
