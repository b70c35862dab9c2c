package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Tensor;

/** y = alpha x for a constant alpha. Backward: dx = alpha dy. */
final class Scale extends Function {
    private final double alpha;

    Scale(double alpha) {
        super("scale");
        this.alpha = alpha;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor y = f.allocateLike(0);
        f.ops().pointwise().scale(alpha, f.input(0), y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        b.ops().pointwise().scale(alpha, b.outputGradient(0), dx);
        b.accumulate(0, dx);
    }
}
