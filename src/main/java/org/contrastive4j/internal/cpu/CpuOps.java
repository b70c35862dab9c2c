package org.contrastive4j.internal.cpu;

import org.bytedeco.openblas.global.openblas;
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

/** The operations in f32 on this machine: OpenBLAS for matrix products, vectorised Java on all cores for the rest. */
public final class CpuOps extends Ops {
    private final HostMemory memory;
    private final PointwiseOps pointwise = new CpuPointwiseOps();
    private final MatrixOps matrix = new CpuMatrixOps(pointwise);
    private final NormOps norm = new CpuNormOps();
    private final UpdateOps update = new CpuUpdateOps();
    private final AttentionOps attention = new CpuAttentionOps();
    private final SequenceOps sequence = new CpuSequenceOps();

    private final PairwiseOps pairwise;
    private final PairTileOps pairTiles;

    public CpuOps(HostMemory memory) {
        this.memory = memory;
        this.pairwise = new CpuPairwiseOps(memory);
        this.pairTiles = new CpuPairTileOps(memory);
    }

    /** The library of the matrix products and its version. */
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
