package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Tensor;

/** y[b] = x[b, at[b]], the first token where at is null. Backward puts dy there and zeros elsewhere. */
public final class SelectToken extends Function {
    private final Tensor at;

    /** @param at [b] I32 or null; stays the caller's, must be open until backward is done */
    public SelectToken(Tensor at) {
        super("select_token");
        this.at = at;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor y = f.allocate(x.dim(0), x.dim(2));
        f.ops().sequence().selectToken(x, at, y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        b.ops().sequence().selectTokenBackward(b.outputGradient(0), at, dx);
        b.give(0, dx);
    }
}
