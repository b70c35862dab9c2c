package org.contrastive4j.internal.f64;

import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.DType;

/**
 * Runs the operations in f64 on the CPU as plain loops: the reference implementation for gradient checks and tests.
 */
public final class F64Ops extends Ops {
    private final HostMemory memory;
    private final Families families;

    /** Opens the operations; the memory is closed with them. */
    public F64Ops(HostMemory memory) {
        this.memory = memory;
        PointwiseOps pointwise = new F64PointwiseOps();
        families = new Families(
                new F64MatrixOps(pointwise),
                pointwise,
                new F64NormOps(),
                new F64AttentionOps(),
                new F64SequenceOps(),
                new F64PairwiseOps(),
                new F64PairTileOps(),
                new F64UpdateOps());
    }

    @Override
    public String name() {
        return "cpu-f64";
    }

    @Override
    public DType dtype() {
        return DType.F64;
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
