package org.contrastive4j.internal.f64;

import org.contrastive4j.memory.HostMemory;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.DType;

/** The operations in f64 on this machine, as plain loops: the twin for gradient checks, and the truth in tests. */
public final class F64Ops extends Ops {
    private final HostMemory memory;
    private final PointwiseOps pointwise = new F64PointwiseOps();
    private final MatrixOps matrix = new F64MatrixOps(pointwise);
    private final NormOps norm = new F64NormOps();
    private final AttentionOps attention = new F64AttentionOps();
    private final SequenceOps sequence = new F64SequenceOps();
    private final PairwiseOps pairwise = new F64PairwiseOps();
    private final PairTileOps pairTiles = new F64PairTileOps();
    private final UpdateOps update = new F64UpdateOps();

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
        return matrix;
    }

    @Override
    public PointwiseOps pointwise() {
        return pointwise;
    }

    @Override
    public NormOps norm() {
        return norm;
    }

    @Override
    public AttentionOps attention() {
        return attention;
    }

    @Override
    public SequenceOps sequence() {
        return sequence;
    }

    @Override
    public PairwiseOps pairwise() {
        return pairwise;
    }

    @Override
    public PairTileOps pairTiles() {
        return pairTiles;
    }

    @Override
    public UpdateOps update() {
        return update;
    }
}
