package org.contrastive4j.support;

import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.ops.ptx.PtxAttentionOps;
import org.contrastive4j.ops.ptx.PtxMatrixOps;
import org.contrastive4j.tensor.DType;

/** The families of operations of a device that are tested by themselves; the others are not there. */
public final class KernelOps extends Ops {
    private final PtxDevice device;
    private final PtxMatrixOps matrix;
    private final PtxAttentionOps attention;

    public KernelOps(PtxDevice device) {
        this.device = device;
        matrix = new PtxMatrixOps(device);
        attention = new PtxAttentionOps(device);
    }

    @Override
    public String name() {
        return "kernels on " + device.facts().name();
    }

    @Override
    public DType dtype() {
        return DType.F32;
    }

    @Override
    public Memory memory() {
        return device;
    }

    @Override
    public MatrixOps matrix() {
        return matrix;
    }

    @Override
    public AttentionOps attention() {
        return attention;
    }

    @Override
    public PointwiseOps pointwise() {
        throw absent();
    }

    @Override
    public NormOps norm() {
        throw absent();
    }

    @Override
    public SequenceOps sequence() {
        throw absent();
    }

    @Override
    public PairwiseOps pairwise() {
        throw absent();
    }

    @Override
    public UpdateOps update() {
        throw absent();
    }

    private static UnsupportedOperationException absent() {
        return new UnsupportedOperationException("only matrix products and attention are here");
    }

    @Override
    public void close() {
        matrix.close();
        super.close();
    }
}
