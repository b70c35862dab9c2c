package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * y[b, t] = x[b, t] and y[b, last] = token; inputs x [b, t, w], token [w] or [1, w]. Backward splits dy accordingly.
 *
 * <p>Composed of one copy per sample, so it runs on every backend without a kernel of its own.
 */
final class AppendToken extends Function {
    private final Tensor lengths;

    /**
     * Creates the function.
     *
     * @param lengths [b] I32, t + 1 everywhere; the caller owns the tensor and must keep it open until backward is done
     */
    AppendToken(Tensor lengths) {
        super("append_token");
        this.lengths = lengths;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        int samples = x.dim(0);
        int tokens = x.dim(1);
        Tensor y = f.allocate(samples, tokens + 1, x.dim(2));
        Tensor rows = y.reshape(samples * (tokens + 1), x.dim(2));
        Tensor from = x.reshape(samples * tokens, x.dim(2));
        Tensor token = f.input(1).reshape(1, x.dim(2));
        for (int k = 0; k < samples; k++) {
            int first = k * (tokens + 1);
            f.ops().pointwise().copy(from.rows(k * tokens, (k + 1) * tokens), rows.rows(first, first + tokens));
            f.ops().pointwise().cast(token, rows.rows(first + tokens, first + tokens + 1));
        }
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dy = b.outputGradient(0);
        int samples = dy.dim(0);
        int tokens = dy.dim(1) - 1;
        int width = dy.dim(2);
        if (b.wants(1)) {
            Tensor last = b.allocate(Shape.of(samples, width));
            b.ops().sequence().selectToken(dy, lengths, last);
            Tensor dToken = b.accumulator(1);
            b.ops().matrix().biasGradient(last, dToken.reshape(width));
            b.accumulate(1, dToken);
        }
        if (b.wants(0)) {
            Tensor dx = b.allocateLike(0);
            Tensor rows = dx.reshape(samples * tokens, width);
            Tensor from = dy.reshape(samples * (tokens + 1), width);
            for (int k = 0; k < samples; k++) {
                int first = k * (tokens + 1);
                b.ops().pointwise().copy(from.rows(first, first + tokens), rows.rows(k * tokens, (k + 1) * tokens));
            }
            b.accumulate(0, dx);
        }
    }
}
