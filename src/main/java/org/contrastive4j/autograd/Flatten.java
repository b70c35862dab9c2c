package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** y[b] = all tokens of x[b] side by side: [b, t, w] to [b, t w]. Backward takes them apart again. */
final class Flatten extends Function {
    Flatten() {
        super("flatten");
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor y = f.allocate(x.dtype(), Shape.of(x.dim(0), x.dim(1) * x.dim(2)));
        f.ops().pointwise().copy(x.reshape(y.shape().dims()), y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        Tensor dy = b.outputGradient(0);
        b.ops().pointwise().copy(dy, dx.reshape(dy.shape().dims()));
        b.accumulate(0, dx);
    }
}
