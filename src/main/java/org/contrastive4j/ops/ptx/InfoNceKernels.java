package org.contrastive4j.ops.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.ops.ShapeException;

/** Symmetric InfoNCE of f32 rows on addresses of a device, by one set of kernels in one precision. */
interface InfoNceKernels {
    /** Bytes of workspace that {@link #infoNce} wants. */
    long workspaceBytes(int n, int m, int d, boolean withGradients);

    /**
     * As {@link PtxPairwise#infoNce}.
     *
     * @param inputs x and y are f32 [n, d] and [m, d], 4-byte aligned, in every precision
     * @throws ShapeException when sizes do not fit
     * @throws LaunchException for an address that is missing, misaligned or overlaps another, or a workspace that is too
     *     small
     */
    void infoNce(DeviceStream stream, PtxPairwise.Inputs inputs, PtxPairwise.Gradients gradients, long hardest,
            long result, long workspace, long workspaceBytes);
}
