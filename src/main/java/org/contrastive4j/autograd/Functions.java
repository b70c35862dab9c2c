package org.contrastive4j.autograd;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Every differentiable operation of this library, applied to variables of a tape; like {@code torch.nn.functional}.
 *
 * <p>Activations and their gradients have the activation type of the backend, statistics and representations that of
 * parameters. A tensor of ids or lengths stays the caller's and must be open until backward is done.
 */
public final class Functions {
    private Functions() {}

    /**
     * A low-rank adapter on a range of the output columns of a linear layer.
     *
     * @param firstColumn first output column it adds to
     * @param columns number of output columns
     * @param rank of A and B
     */
    public record AdapterRange(int firstColumn, int columns, int rank) {}

    /**
     * Dropout of the input of low-rank adapters.
     *
     * @param p probability, in (0, 1)
     * @param sampleIds [samples] I32
     * @param key of the layer
     */
    public record AdapterDropout(double p, Tensor sampleIds, RandomKey key) {}

    /**
     * y = a + b.
     *
     * @param tape that records it
     * @param a any shape
     * @param b like a
     * @return y
     */
    public static Variable add(Tape tape, Variable a, Variable b) {
        return tape.apply(new Add(), a, b);
    }

    /**
     * y[s, t] = x[s, t] + positions[t].
     *
     * @param tape that records it
     * @param x [samples, tokens, w]
     * @param positions [at least tokens, w]
     * @return y, like x
     */
    public static Variable addPositions(Tape tape, Variable x, Variable positions) {
        return tape.apply(new AddPositions(), x, positions);
    }

    /**
     * Appends the same token to every sample.
     *
     * @param tape that records it
     * @param x [samples, tokens, w]
     * @param token [w]
     * @param lengths [samples] I32, tokens + 1 everywhere
     * @return [samples, tokens + 1, w]
     */
    public static Variable appendToken(Tape tape, Variable x, Variable token, Tensor lengths) {
        return tape.apply(new AppendToken(lengths), x, token);
    }

    /**
     * y = x w + bias + scale dropout(x) A^T B^T: a linear layer with low-rank adapters. Source: Hu et al., LoRA, 2022.
     *
     * @param tape that records it
     * @param x [..., in]
     * @param w [in, out]; may be of 16 bits
     * @param bias [out], or null for none
     * @param factors A [rank, in] and B [columns, rank] of each adapter
     * @param adapters one for each pair of factors
     * @param scale of every adapter
     * @param dropout of the adapters' input, or null for none
     * @param representations whether y is of the type of parameters
     * @return y, [..., out]
     */
    public static Variable adaptedLinear(
            Tape tape,
            Variable x,
            Variable w,
            @Nullable Variable bias,
            List<? extends Variable> factors,
            List<AdapterRange> adapters,
            double scale,
            @Nullable AdapterDropout dropout,
            boolean representations) {
        List<Variable> inputs = inputs(x, w, bias);
        inputs.addAll(factors);
        return tape.apply(
                new AdaptedLinear(bias != null, representations, adapters, scale, dropout),
                inputs.toArray(new Variable[0]));
    }

    private static List<Variable> inputs(Variable x, Variable w, @Nullable Variable bias) {
        List<Variable> inputs = new ArrayList<>(List.of(x, w));
        if (bias != null) {
            inputs.add(bias);
        }
        return inputs;
    }

    /**
     * out = softmax(q k^T / sqrt(head width)) v, head by head.
     *
     * @param tape that records it
     * @param qkv [samples, tokens, 3 w]
     * @param heads that divide w
     * @param causal whether a token attends to none after it
     * @param lengths [samples] I32 valid keys of each sample, or null for all
     * @return [samples, tokens, w]
     */
    public static Variable attention(Tape tape, Variable qkv, int heads, boolean causal, @Nullable Tensor lengths) {
        return tape.apply(new Attention(heads, causal, lengths), qkv);
    }

    /**
     * Sets elements to 0 with probability p and divides the others by 1 - p.
     *
     * @param tape that records it
     * @param x [samples, ...]
     * @param p probability, in [0, 1)
     * @param sampleIds [samples] I32: a mask depends on the sample, not on its place in the batch
     * @param key of seed, layer and step
     * @return like x
     */
    public static Variable dropout(Tape tape, Variable x, double p, Tensor sampleIds, RandomKey key) {
        return tape.apply(new Dropout(p, sampleIds, key), x);
    }

    /**
     * y[i] = table[ids[i]].
     *
     * @param tape that records it
     * @param table [vocabulary, w]
     * @param ids I32 of any shape
     * @return [ids..., w]
     */
    public static Variable embedding(Tape tape, Variable table, Tensor ids) {
        return tape.apply(new Embedding(ids), table);
    }

    /**
     * Joins the last two dimensions.
     *
     * @param tape that records it
     * @param x [samples, tokens, w]
     * @return [samples, tokens w]
     */
    public static Variable flatten(Tape tape, Variable x) {
        return tape.apply(new Flatten(), x);
    }

    /**
     * The Gaussian error linear unit.
     *
     * @param tape that records it
     * @param x any shape
     * @param kind exact or approximate
     * @return like x
     */
    public static Variable gelu(Tape tape, Variable x, PointwiseOps.Gelu kind) {
        return tape.apply(new Gelu(kind), x);
    }

    /**
     * Divides every row by its norm; a row of zeros stays.
     *
     * @param tape that records it
     * @param x [rows, w]
     * @return like x
     */
    public static Variable l2Normalize(Tape tape, Variable x) {
        return tape.apply(new L2Normalize(), x);
    }

    /**
     * y = gamma (x - mean) / sqrt(variance + epsilon) + beta over the last dimension.
     *
     * @param tape that records it
     * @param x [..., w]
     * @param gamma [w]
     * @param beta [w]
     * @param epsilon above 0
     * @return like x
     */
    public static Variable layerNorm(Tape tape, Variable x, Variable gamma, Variable beta, double epsilon) {
        return tape.apply(new LayerNorm(epsilon), x, gamma, beta);
    }

    /**
     * y = x w + bias.
     *
     * @param tape that records it
     * @param x [..., in]
     * @param w [in, out]
     * @param bias [out], or null for none
     * @return y, [..., out]
     */
    public static Variable linear(Tape tape, Variable x, Variable w, @Nullable Variable bias) {
        return tape.apply(new Linear(bias != null, false), inputs(x, w, bias).toArray(new Variable[0]));
    }

    /**
     * {@link #linear} of the type of parameters: representations, which a loss takes.
     *
     * @param tape that records it
     * @param x [..., in]
     * @param w [in, out]
     * @param bias [out], or null for none
     * @return y, [..., out]
     */
    public static Variable linearRepresentations(Tape tape, Variable x, Variable w, @Nullable Variable bias) {
        return tape.apply(new Linear(bias != null, true), inputs(x, w, bias).toArray(new Variable[0]));
    }

    /**
     * y = gelu(x w + bias) in one operation.
     *
     * @param tape that records it
     * @param x [..., in]
     * @param w [in, out]
     * @param bias [out]
     * @param kind exact or approximate
     * @return y, [..., out]
     */
    public static Variable linearGelu(Tape tape, Variable x, Variable w, Variable bias, PointwiseOps.Gelu kind) {
        return tape.apply(new LinearGelu(kind), x, w, bias);
    }

    /**
     * c = alpha op(a) op(b) for two matrices, or two batches of matrices.
     *
     * @param tape that records it
     * @param a [m, k] or [batch, m, k], transposed where told
     * @param b [k, n] or [batch, k, n], transposed where told
     * @param transA whether a is transposed
     * @param transB whether b is transposed
     * @param alpha factor
     * @return [m, n] or [batch, m, n]
     */
    public static Variable matmul(Tape tape, Variable a, Variable b, boolean transA, boolean transB, double alpha) {
        return tape.apply(new MatMul(transA, transB, alpha), a, b);
    }

    /**
     * The mean of each sample's tokens.
     *
     * @param tape that records it
     * @param x [samples, tokens, w]
     * @param lengths [samples] I32 tokens that count, or null for all
     * @return [samples, w]
     */
    public static Variable meanPool(Tape tape, Variable x, @Nullable Tensor lengths) {
        return tape.apply(new MeanPool(lengths), x);
    }

    /**
     * Cuts pictures into patches, row by row.
     *
     * @param tape that records it
     * @param x [samples, height, width, channels]
     * @param kernel side of a patch
     * @param stride from patch to patch
     * @param padding of zeros on each side
     * @return [samples, patches, kernel kernel channels]
     */
    public static Variable patchify(Tape tape, Variable x, int kernel, int stride, int padding) {
        return tape.apply(new Patchify(kernel, stride, padding), x);
    }

    /**
     * Puts the same token before every sample's tokens.
     *
     * @param tape that records it
     * @param x [samples, tokens, w]
     * @param token [w]
     * @return [samples, tokens + 1, w]
     */
    public static Variable prependToken(Tape tape, Variable x, Variable token) {
        return tape.apply(new PrependToken(), x, token);
    }

    /**
     * y = alpha x.
     *
     * @param tape that records it
     * @param x any shape
     * @param alpha constant
     * @return like x
     */
    public static Variable scale(Tape tape, Variable x, double alpha) {
        return tape.apply(new Scale(alpha), x);
    }

    /**
     * Selects one token of each sample.
     *
     * @param tape that records it
     * @param x [samples, tokens, w]
     * @param lengths [samples] I32, at least 1: the last of so many tokens; null for the first token
     * @return [samples, w]
     */
    public static Variable selectToken(Tape tape, Variable x, @Nullable Tensor lengths) {
        return tape.apply(new SelectToken(lengths), x);
    }
}
