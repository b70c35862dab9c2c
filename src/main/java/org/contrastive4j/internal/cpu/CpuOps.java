package org.contrastive4j.internal.cpu;

import org.bytedeco.openblas.global.openblas;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.DType;

/** Runs the operations in f32 on the CPU: matrix products by OpenBLAS, the rest by vectorised Java on all cores. */
public final class CpuOps extends Ops {
    private final HostMemory memory;
    private final Families families;

    /** Opens the operations; the memory is closed with them. */
    public CpuOps(HostMemory memory) {
        this.memory = memory;
        PointwiseOps pointwise = new CpuPointwiseOps();
        families = new Families(
                new CpuMatrixOps(pointwise),
                pointwise,
                new CpuNormOps(),
                new CpuAttentionOps(),
                new CpuSequenceOps(),
                new CpuPairwiseOps(memory),
                new CpuPairTileOps(memory),
                new CpuUpdateOps());
    }

    /** Returns the name and version of the BLAS library. */
    public static String library() {
        return openblas.OPENBLAS_VERSION.strip();
    }

    @Override
    public String name() {
        return "cpu";
    }

    @Override
    public DType dtype() {
        return DType.F32;
    }

    @Override
    public HostMemory memory() {
        return memory;
    }

    @Override
    public Families families() {
        return families;
    }
}
