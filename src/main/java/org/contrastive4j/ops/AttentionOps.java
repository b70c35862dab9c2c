package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Softmax attention over short sequences. All tensors have the type of activations except the log-sum-exps, which
 * have the type of parameters.
 *
 * <p>The public methods check their arguments; a backend implements the unchecked counterparts. The t x t matrix of
 * scores is never stored. In the costs, e is the number of bytes of an element.
 */
public abstract class AttentionOps {
    private final DType dtype;

    /**
     * Creates the family.
     *
     * @param dtype type of activations
     */
    protected AttentionOps(DType dtype) {
        this.dtype = dtype;
    }

    /**
     * Computes out = softmax(q k^T / sqrt(head width)) v for every sample and head, over the keys that the masks
     * admit.
     *
     * <p>Cost: 4 b t t w flops and b heads t t exponentials, half of both if causal; 4 b t w e bytes read and written
     * if each element is moved once.
     *
     * <p>Numerics: scores and sums are f32 for 16-bit types; the largest score is subtracted before the exponential,
     * so no finite score overflows.
     *
     * <p>Source: Vaswani et al., Attention is all you need, 2017, section 3.2; tiles with a running maximum as in Dao
     * et al., FlashAttention, 2022, algorithm 1.
     *
     * @param qkv [b, t, 3 w]: q, then k, then v of all heads, head h at columns [h w / heads, (h + 1) w / heads) of
     *     each; read
     * @param heads number of heads, a divisor of w
     * @param causal admits key j to query i only if j &lt;= i
     * @param lengths [b] I32 in [0, t]: key j is admitted only if j &lt; lengths[b]; null admits all. A length of 0
     *     gives zeros. Queries beyond the length are computed like any other; read
     * @param out [b, t, w]; written
     * @param logSumExp [b, heads, t], log-sum-exp of the scaled scores, -infinity where no key is admitted; written
     * @throws ShapeException if types or sizes do not fit, or a length is out of range
     */
    public final void attention(
            Tensor qkv, int heads, boolean causal, @Nullable Tensor lengths, Tensor out, Tensor logSumExp) {
        check("attention", qkv, heads, lengths, out, logSumExp);
        if (out.size() > 0) {
            attentionUnchecked(qkv.dim(0), qkv.dim(1), qkv.dim(2) / 3, qkv, heads, causal, lengths, out, logSumExp);
        }
    }

    /**
     * Computes {@link #attention} on arguments that were checked; there is at least one element.
     *
     * @param batch number of samples b
     * @param tokens number of tokens t of each sample
     * @param width width w of all heads together
     * @param qkv [b, t, 3 w]: q, then k, then v of all heads, head h at columns [h w / heads, (h + 1) w / heads) of
     *     each; read
     * @param heads number of heads, a divisor of w
     * @param causal admits key j to query i only if j &lt;= i
     * @param lengths [b] I32 in [0, t]: key j is admitted only if j &lt; lengths[b]; null admits all. A length of 0
     *     gives zeros. Queries beyond the length are computed like any other; read
     * @param out [b, t, w]; written
     * @param logSumExp [b, heads, t], log-sum-exp of the scaled scores, -infinity where no key is admitted; written
     */
    protected abstract void attentionUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
            Tensor out,
            Tensor logSumExp);

    /**
     * Computes the gradient of {@link #attention} with respect to qkv. With probabilities P = exp(S - logSumExp),
     * which are recomputed: dv = P^T dOut, dS = P (dOut v^T - rowsum(dOut out)), dq = dS k / sqrt(head width), dk =
     * dS^T q / sqrt(head width).
     *
     * <p>Cost: 10 b t t w flops, or 16 on a backend that recomputes the scores for each of dq, dk and dv; half of
     * that if causal; 8 b t w e bytes if each element is moved once.
     *
     * <p>Source: Dao et al., FlashAttention, 2022, algorithm 4.
     *
     * @param qkv [b, t, 3 w], input of the forward pass; read
     * @param heads number of heads
     * @param causal as in the forward pass
     * @param lengths as in the forward pass; read
     * @param out result of the forward pass; read
     * @param logSumExp result of the forward pass; read
     * @param dOut like out; read
     * @param dQkv like qkv; written
     * @throws ShapeException if types or sizes do not fit
     */
    public final void attentionBackward(
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
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

    /**
     * Computes {@link #attentionBackward} on arguments that were checked; there is at least one element.
     *
     * @param batch number of samples b
     * @param tokens number of tokens t of each sample
     * @param width width w of all heads together
     * @param qkv [b, t, 3 w], input of the forward pass; read
     * @param heads number of heads
     * @param causal as in the forward pass
     * @param lengths as in the forward pass; read
     * @param out result of the forward pass; read
     * @param logSumExp result of the forward pass; read
     * @param dOut like out; read
     * @param dQkv like qkv; written
     */
    protected abstract void attentionBackwardUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
            Tensor out,
            Tensor logSumExp,
            Tensor dOut,
            Tensor dQkv);

    private void check(String op, Tensor qkv, int heads, @Nullable Tensor lengths, Tensor out, Tensor logSumExp) {
        Checks.rank(op, "qkv", qkv, dtype, 3);
        int width = qkv.dim(2) / 3;
        Checks.that(
                qkv.dim(2) % 3 == 0 && heads > 0 && width % heads == 0,
                op,
                "qkv is " + qkv + " with " + heads + " heads, expected a last size of 3 x heads x head width");
        Checks.shape(op, "out", out, dtype, qkv.dim(0), qkv.dim(1), width);
        Checks.shape(op, "logSumExp", logSumExp, Ops.parameterDtype(dtype), qkv.dim(0), heads, qkv.dim(1));
        if (lengths != null) {
            Checks.shape(op, "lengths", lengths, DType.I32, qkv.dim(0));
        }
    }
}
