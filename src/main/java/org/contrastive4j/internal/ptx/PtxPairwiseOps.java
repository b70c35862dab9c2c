package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * InfoNCE on f32 tensors of a device by {@link InfoNceKernels}. A call allocates its workspace from the pool of the
 * device; only reading the result synchronises.
 */
final class PtxPairwiseOps extends PairwiseOps {
    private final PtxDevice device;
    private final DeferredDownloads downloads;
    private final InfoNceKernels pairwise;

    /**
     * @param precision that rows and the gradient matrix are rounded to
     * @param choice of the kernels of that precision
     */
    PtxPairwiseOps(
            PtxDevice device,
            DeferredDownloads downloads,
            Kernels kernels,
            Precision precision,
            KernelChoice choice,
            long stripeBytes) {
        super(DType.F32);
        this.device = device;
        this.downloads = downloads;
        pairwise = choice.infoNce(kernels, device.facts().multiprocessors(), precision, stripeBytes);
    }

    @Override
    protected Deferred<Result> infoNceUnchecked(
            int n,
            int m,
            int d,
            InfoNce inputs,
            @Nullable Gradients gradients,
            double gradientScale,
            @Nullable Tensor hardestNegative) {
        if (inputs.targets() != null) {
            Indices.check("infoNce", "targets", inputs.targets(), m);
        }
        InfoNceKernels.Inputs in = new InfoNceKernels.Inputs(
                n,
                m,
                d,
                address("x", inputs.x()),
                address("y", inputs.y()),
                address("targets", inputs.targets()),
                address("logScale", inputs.logScale()),
                address("bias", inputs.bias()),
                inputs.rowWeight(),
                inputs.columnWeight());
        InfoNceKernels.Gradients out = gradients == null
                ? null
                : new InfoNceKernels.Gradients(
                        address("dx", gradients.dx()),
                        address("dy", gradients.dy()),
                        address("dLogScale", gradients.dLogScale()),
                        address("dBias", gradients.dBias()),
                        gradientScale);
        long bytes = pairwise.workspaceBytes(n, m, d, gradients != null);
        try (DeviceStorage workspace = device.allocate(bytes);
                DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES)) {
            pairwise.infoNce(
                    device.stream(),
                    in,
                    out,
                    address("hardestNegative", hardestNegative),
                    result.address(),
                    workspace.address(),
                    bytes);
            return downloads.download(
                    result,
                    values -> new Result(
                            values.getDouble(0), values.getDouble(8), values.getDouble(16), values.getDouble(24)));
        }
    }

    /** Returns the address of a tensor of this device, 0 for null. */
    private long address(String argument, @Nullable Tensor tensor) {
        return tensor == null ? 0 : DeviceTensors.address("infoNce", argument, device, tensor);
    }

    @Override
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        return pairwise.workspaceBytes(n, m, d, withGradients) + InfoNceKernels.RESULT_BYTES;
    }
}
