package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** y[b] = mean of the first lengths[b] tokens of x [b, t, w]. Backward spreads dy / length over them. */
final class MeanPool extends Function {
    private final @Nullable Tensor lengths;

    /** @param lengths [b] I32, null for all tokens; stays the caller's, must be open until backward is done */
    MeanPool(@Nullable Tensor lengths) {
        super("mean_pool");
        this.lengths = lengths;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor y = f.allocate(x.dim(0), x.dim(2));
        f.ops().sequence().meanPool(x, lengths, y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        b.ops().sequence().meanPoolBackward(b.outputGradient(0), lengths, dx);
        b.accumulate(0, dx);
    }
}
