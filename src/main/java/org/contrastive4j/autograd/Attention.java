package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * out = softmax(q k^T / sqrt(head width)) v over the keys that are not masked; input qkv [b, t, 3 w], output [b, t, w].
 */
final class Attention extends Function {
    private final int heads;
    private final boolean causal;
    private final @Nullable Tensor lengths;

    @SuppressWarnings("NullAway.Init") // assigned by forward, which runs before backward
    private Tensor logSumExp;

    /**
     * Creates an attention function.
     *
     * @param lengths [b] I32, the number of valid keys of each sample; null if all are valid. The caller owns the
     *     tensor and must keep it open until backward is done.
     */
    Attention(int heads, boolean causal, @Nullable Tensor lengths) {
        super("attention");
        this.heads = heads;
        this.causal = causal;
        this.lengths = lengths;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor qkv = f.input(0);
        Tensor out = f.allocate(qkv.shape().withLast(qkv.dim(-1) / 3));
        logSumExp = f.keep(f.allocateParameter(Shape.of(qkv.dim(0), heads, qkv.dim(1))));
        f.ops().attention().attention(qkv, heads, causal, lengths, out, logSumExp);
        f.save(0);
        f.saveOutput(0);
        return new Tensor[] {out};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dQkv = b.allocateLike(0);
        b.ops()
                .attention()
                .attentionBackward(
                        b.input(0), heads, causal, lengths, b.output(0), logSumExp, b.outputGradient(0), dQkv);
        b.accumulate(0, dQkv);
    }
}
