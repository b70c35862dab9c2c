package org.contrastive4j.support;

import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Storage;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.ops.CapturedGraph;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;

/** A backend that says it records, and does the work anew each time a recording runs: what recordings have to equal. */
public class DirectOps extends Ops {
    private final Ops ops;

    /** @param ops can record; closed with this */
    public DirectOps(Ops ops) {
        this.ops = ops;
    }

    @Override
    public CapturedGraph capture(Runnable work, Storage scratch) {
        return new CapturedGraph() {
            @Override
            public void run() {
                work.run();
            }

            @Override
            public int operations() {
                return 0;
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public boolean canCapture() {
        return true;
    }

    @Override
    public void send(int[] values, Tensor target) {
        ops.send(values, target);
    }

    @Override
    public void send(float[] values, Tensor target) {
        ops.send(values, target);
    }

    @Override
    public Aside aside() {
        return ops.aside();
    }

    @Override
    public Deferred<double[]> values(Tensor x) {
        return ops.values(x);
    }

    @Override
    public void synchronize() {
        ops.synchronize();
    }

    @Override
    public String name() {
        return ops.name();
    }

    @Override
    public DType dtype() {
        return ops.dtype();
    }

    @Override
    public Precision precision() {
        return ops.precision();
    }

    @Override
    public Memory memory() {
        return ops.memory();
    }

    @Override
    public MatrixOps matrix() {
        return ops.matrix();
    }

    @Override
    public PointwiseOps pointwise() {
        return ops.pointwise();
    }

    @Override
    public NormOps norm() {
        return ops.norm();
    }

    @Override
    public AttentionOps attention() {
        return ops.attention();
    }

    @Override
    public SequenceOps sequence() {
        return ops.sequence();
    }

    @Override
    public PairwiseOps pairwise() {
        return ops.pairwise();
    }

    @Override
    public PairTileOps pairTiles() {
        return ops.pairTiles();
    }

    @Override
    public UpdateOps update() {
        return ops.update();
    }

    @Override
    public void close() {
        ops.close();
    }
}
