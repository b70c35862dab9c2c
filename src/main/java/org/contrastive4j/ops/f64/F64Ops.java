package org.contrastive4j.ops.f64;

import org.contrastive4j.memory.HostMemory;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.DType;

/** The operations in f64 on this machine, as plain loops: the precise twin for gradient checks, and the truth in tests. */
public final class F64Ops extends Ops {
    private final HostMemory memory;

    public F64Ops(HostMemory memory) {
        this.memory = memory;
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
    public MatrixOps matrix() {
        return null;
    }

    @Override
    public PointwiseOps pointwise() {
        return null;
    }

    @Override
    public NormOps norm() {
        return null;
    }

    @Override
    public AttentionOps attention() {
        return null;
    }

    @Override
    public SequenceOps sequence() {
        return null;
    }

    @Override
    public PairwiseOps pairwise() {
        return null;
    }

    @Override
    public UpdateOps update() {
        return null;
    }
}
