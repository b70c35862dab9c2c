package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Softmax attention over short sequences; all of the type of activations but logarithms, of that of parameters. */
public abstract class AttentionOps {
    private final DType dtype;

    /** @param dtype of activations */
    protected AttentionOps(DType dtype) {
        this.dtype = dtype;
    }

    /**
     * out = softmax(q k^T / sqrt(d)) v for every sample and head, over the keys that the masks admit.
     *
     * @param qkv [b, t, 3 w]: q, then k, then v of all heads, head h at columns [h w / heads, (h + 1) w / heads) of
     *     each; read
     * @param heads divides w
     * @param causal key j is admitted to query i only when j &lt;= i
     * @param lengths [b] I32 in [0, t], key j is admitted only when j &lt; lengths[b]; null admits all. A length of 0
     *     gives zeros. Queries beyond the length are computed like any other.
     * @param out [b, t, w]; written
     * @param logSumExp [b, heads, t], of the scaled scores; written, -infinity where no key is admitted
     * @throws ShapeException also when a length is outside
     *     <p>Cost: 4 b t t w flops. Source: Vaswani et al., Attention is all you need, 2017, section 3.2.
     */
    public final void attention(Tensor qkv, int heads, boolean causal, Tensor lengths, Tensor out, Tensor logSumExp) {
        check("attention", qkv, heads, lengths, out, logSumExp);
        if (out.size() > 0) {
            attentionUnchecked(qkv.dim(0), qkv.dim(1), qkv.dim(2) / 3, qkv, heads, causal, lengths, out, logSumExp);
        }
    }

    protected abstract void attentionUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            Tensor lengths,
            Tensor out,
            Tensor logSumExp);

    /**
     * dQkv = gradient of {@link #attention} with respect to qkv; the probabilities are formed again from logSumExp.
     *
     * @param qkv as in the forward pass; read
     * @param out result of the forward pass; read
     * @param logSumExp result of the forward pass; read
     * @param dOut like out; read
     * @param dQkv like qkv; written
     *     <p>Cost: 10 b t t w flops.
     */
    public final void attentionBackward(
            Tensor qkv,
            int heads,
            boolean causal,
            Tensor lengths,
            Tensor out,
            Tensor logSumExp,
            Tensor dOut,
            Tensor dQkv) {
        check("attentionBackward", qkv, heads, lengths, out, logSumExp);
        Checks.like("attentionBackward", "dOut", dOut, out);
        Checks.like("attentionBackward", "dQkv", dQkv, qkv);
        if (out.size() > 0) {
            attentionBackwardUnchecked(
                    qkv.dim(0), qkv.dim(1), qkv.dim(2) / 3, qkv, heads, causal, lengths, out, logSumExp, dOut, dQkv);
        }
    }

    protected abstract void attentionBackwardUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            Tensor lengths,
            Tensor out,
            Tensor logSumExp,
            Tensor dOut,
            Tensor dQkv);

    private void check(String op, Tensor qkv, int heads, Tensor lengths, Tensor out, Tensor logSumExp) {
        Checks.rank(op, "qkv", qkv, dtype, 3);
        int width = qkv.dim(2) / 3;
        Checks.that(
                qkv.dim(2) % 3 == 0 && heads > 0 && width % heads == 0,
                op,
                "qkv is " + qkv + " with " + heads + " heads, wanted a last size of 3 x heads x head width");
        Checks.shape(op, "out", out, dtype, qkv.dim(0), qkv.dim(1), width);
        Checks.shape(op, "logSumExp", logSumExp, Ops.parameterDtype(dtype), qkv.dim(0), heads, qkv.dim(1));
        if (lengths != null) {
            Checks.shape(op, "lengths", lengths, DType.I32, qkv.dim(0));
        }
    }
}
