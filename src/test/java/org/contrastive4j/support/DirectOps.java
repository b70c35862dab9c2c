package org.contrastive4j.support;

import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Ops.CapturedGraph;
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
    public PrefetchStream prefetchStream() {
        return ops.prefetchStream();
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
    public Families families() {
        return ops.families();
    }

    @Override
    public void close() {
        ops.close();
    }
}
