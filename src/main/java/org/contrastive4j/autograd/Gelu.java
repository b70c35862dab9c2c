package org.contrastive4j.autograd;

import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.Tensor;

/** y = gelu(x), exact or quick. Backward: dx = dy gelu'(x). */
final class Gelu extends Function {
    private final PointwiseOps.Gelu kind;

    Gelu(PointwiseOps.Gelu kind) {
        super("gelu");
        this.kind = kind;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor y = f.allocateLike(0);
        f.ops().pointwise().gelu(kind, f.input(0), y);
        f.save(0);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        b.ops().pointwise().geluBackward(kind, b.input(0), b.outputGradient(0), dx);
        b.accumulate(0, dx);
    }
}
