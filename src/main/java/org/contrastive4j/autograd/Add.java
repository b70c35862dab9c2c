package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Tensor;

/** y = a + b, the residual connection. Backward: dy for both. */
final class Add extends Function {
    Add() {
        super("add");
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor y = f.allocateLike(0);
        f.ops().pointwise().add(f.input(0), f.input(1), y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        if (b.wants(1)) {
            b.accumulate(1, b.outputGradient(0));
        }
        if (b.wants(0)) {
            b.accumulate(0, b.outputGradient(0));
        }
    }
}
