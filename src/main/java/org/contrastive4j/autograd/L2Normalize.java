package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** y = x / |x| per row, zeros for a row of norm 0 or subnormal norm. Backward: dx = (dy - y &lt;y, dy&gt;) / |x|. */
final class L2Normalize extends Function {
    @SuppressWarnings("NullAway.Init") // assigned by forward, which runs before backward
    private Tensor inverseNorm;

    L2Normalize() {
        super("l2_normalize");
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor y = f.allocateLike(0);
        inverseNorm = f.keep(f.allocateParameter(Shape.of(f.input(0).dim(0))));
        f.ops().norm().l2Normalize(f.input(0), y, inverseNorm);
        f.saveOutput(0);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        b.ops().norm().l2NormalizeBackward(b.output(0), inverseNorm, b.outputGradient(0), dx);
        b.accumulate(0, dx);
    }
}
