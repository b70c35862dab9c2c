package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** y[b] = x[b, lengths[b] - 1], the first token where lengths is null. Backward puts dy there and zeros elsewhere. */
final class SelectToken extends Function {
    private final @Nullable Tensor lengths;

    /** @param lengths [b] I32, at least 1, or null; stays the caller's, must be open until backward is done */
    SelectToken(@Nullable Tensor lengths) {
        super("select_token");
        this.lengths = lengths;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor y = f.allocate(x.dim(0), x.dim(2));
        f.ops().sequence().selectToken(x, lengths, y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        b.ops().sequence().selectTokenBackward(b.outputGradient(0), lengths, dx);
        b.accumulate(0, dx);
    }
}
