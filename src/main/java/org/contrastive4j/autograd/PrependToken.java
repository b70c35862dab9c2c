package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Tensor;

/** y[b, 0] = token, y[b, t + 1] = x[b, t]; inputs x [b, t, w], token [w]. Backward splits dy accordingly. */
final class PrependToken extends Function {
    PrependToken() {
        super("prepend_token");
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor y = f.allocate(x.dim(0), x.dim(1) + 1, x.dim(2));
        f.ops().sequence().prependToken(x, f.input(1), y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.wants(0) ? b.allocateLike(0) : null;
        Tensor dToken = b.wants(1) ? b.accumulator(1) : null;
        b.ops().sequence().prependTokenBackward(b.outputGradient(0), dx, dToken);
        if (dx != null) {
            b.accumulate(0, dx);
        }
        if (dToken != null) {
            b.accumulate(1, dToken);
        }
    }
}
