package org.contrastive4j.support;

import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Ops.CapturedGraph;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;

/**
 * A backend whose captured graphs run their work eagerly at each launch: the reference that real graphs must equal bit
 * for bit.
 */
public class EagerOps extends Ops {
    private final Ops ops;

    /** @param ops backend that can capture; closed with this */
    public EagerOps(Ops ops) {
        this.ops = ops;
    }

    @Override
    public CapturedGraph capture(Runnable work, Storage arena) {
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
