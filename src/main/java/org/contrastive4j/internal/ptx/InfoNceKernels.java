package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.UnsupportedDeviceException;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Precision;

/**
 * Symmetric InfoNCE of f32 rows on addresses of a device: value, gradients and statistics as {@link
 * org.contrastive4j.ops.PairwiseOps#infoNce} defines them, without the n x m matrix, in a precision, by the kernels
 * that are best for the device.
 *
 * <p>For who has pointers and a stream of their own; nothing is allocated and nothing waits. The caller asks for the
 * size of the workspace first:
 *
 * <pre>{@code
 * InfoNceKernels infoNce = InfoNceKernels.on(device, Precision.BF16, 256L << 20);   // once
 * long bytes = infoNce.workspaceBytes(n, m, d, true);
 * try (DeviceStorage workspace = device.allocate(bytes);
 *         DeviceStorage result = device.allocate(PtxPairwise.RESULT_BYTES)) {
 *     PtxPairwise.Inputs inputs = new PtxPairwise.Inputs(
 *             n, m, d, x.address(), y.address(), 0, logScale.address(), 0, 0.5, 0.5);
 *     PtxPairwise.Gradients gradients =
 *             new PtxPairwise.Gradients(dx.address(), dy.address(), dLogScale.address(), 0, 1);
 *     infoNce.infoNce(stream, inputs, gradients, 0, result.address(), workspace.address(), bytes);
 *     result.download(0, values);   // loss, row accuracy, column accuracy, mean positive logit
 * }
 * }</pre>
 */
public interface InfoNceKernels {
    /**
     * The kernels for {@code device} and {@code precision}: in f32 {@link PtxPairwise}; in bf16 and f16 {@link
     * HopperInfoNce} on a device of sm_90, unless {@code -Dcontrastive4j.kernels=portable} says otherwise; else
     * portable ones on tensor cores. Assembles them; to be called once, and not while work is recorded.
     *
     * @param precision that rows and the gradient matrix are rounded to inside; rows are f32 in each
     * @param stripeBytes what may be taken of the workspace for what depends on pairs, such as 256 MiB: more of it is
     *     faster up to 2 bytes a pair, and the least that can be done is done with any
     * @throws UnsupportedDeviceException for a device below compute capability 8.0
     * @throws IllegalArgumentException when {@code -Dcontrastive4j.kernels} asks for what the device does not have
     */
    static InfoNceKernels on(PtxDevice device, Precision precision, long stripeBytes) {
        KernelChoice choice = KernelChoice.of(device.facts(), precision, KernelChoice.wish());
        return choice.infoNce(new Kernels(device), device.facts().multiprocessors(), precision, stripeBytes);
    }

    /** Bytes of workspace that {@link #infoNce} wants: O((n + m) d) and a stripe of what depends on pairs. */
    long workspaceBytes(int n, int m, int d, boolean withGradients);

    /**
     * Value, and where wanted gradients, of InfoNCE over all pairs, as work of the stream. Nothing waits and nothing is
     * allocated: a graph can capture it. The same bits every run. Cost: 2 n m d flops for the value, 8 n m d with
     * gradients.
     *
     * @param inputs x and y are unit (or zero) rows, f32 [n, d] and [m, d] close together, 4-byte aligned (faster when
     *     16-byte aligned and d is a multiple of 4), in every precision; the rest as in {@link PtxPairwise.Inputs};
     *     read
     * @param gradients f32, dx and dy written, the others accumulated; null for the value alone
     * @param hardest i32 [n], the column other than the target with the largest logit, -1 when m = 1; written; or 0
     *     when not wanted
     * @param result f64 [4]; written: loss, row accuracy, column accuracy, mean positive logit
     * @param workspace 256-byte aligned; what it holds afterwards is nobody's
     * @param workspaceBytes at least {@link #workspaceBytes}
     * @throws ShapeException when sizes do not fit, for a weight that is below 0 or not finite, or a gradient scale
     *     that is not
     * @throws LaunchException for an address that is missing, misaligned or overlaps another, or a workspace that is
     *     too small; nothing was launched
     */
    void infoNce(
            DeviceStream stream,
            PtxPairwise.Inputs inputs,
            PtxPairwise.Gradients gradients,
            long hardest,
            long result,
            long workspace,
            long workspaceBytes);
}
