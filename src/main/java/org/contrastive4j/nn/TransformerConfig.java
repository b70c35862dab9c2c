package org.contrastive4j.nn;

import org.contrastive4j.ops.PointwiseOps;

/**
 * The sizes of a stack of transformer blocks.
 *
 * @param width of a token
 * @param layers number of blocks
 * @param heads number of heads, a divisor of width
 * @param mlpWidth width of the hidden layer of each block
 * @param gelu activation of the hidden layer
 * @param dropout probability on both branches of each block, in [0, 1)
 * @param epsilon of every layer norm; 0 stands for {@link #EPSILON}
 */
public record TransformerConfig(
        int width, int layers, int heads, int mlpWidth, PointwiseOps.Gelu gelu, double dropout, double epsilon) {
    /** The epsilon of layer norms if none is given. */
    public static final double EPSILON = 1e-5;

    /**
     * Checks the sizes.
     *
     * @param width of a token
     * @param layers number of blocks
     * @param heads number of attention heads
     * @param mlpWidth of the hidden layer
     * @param gelu activation
     * @param dropout probability
     * @param epsilon of layer norms
     */
    public TransformerConfig {
        if (width < 1 || layers < 0 || heads < 1 || width % heads != 0 || mlpWidth < 1) {
            throw new IllegalArgumentException("transformer of width " + width + ", " + layers + " layers, " + heads
                    + " heads, hidden width " + mlpWidth + ": expected positive sizes and heads that divide the width");
        }
        if (!(dropout >= 0 && dropout < 1)) {
            throw new IllegalArgumentException("dropout is " + dropout + ", expected 0 <= p < 1");
        }
        if (!(epsilon >= 0 && epsilon < 1)) {
            throw new IllegalArgumentException("epsilon is " + epsilon + ", expected 0 <= epsilon < 1");
        }
        epsilon = epsilon == 0 ? EPSILON : epsilon;
    }

    /**
     * Creates a configuration with layer norms of {@link #EPSILON}.
     *
     * @param width of a token
     * @param layers number of blocks
     * @param heads number of heads, a divisor of width
     * @param mlpWidth width of the hidden layer of each block
     * @param gelu activation of the hidden layer
     * @param dropout probability on both branches of each block, in [0, 1)
     */
    public TransformerConfig(int width, int layers, int heads, int mlpWidth, PointwiseOps.Gelu gelu, double dropout) {
        this(width, layers, heads, mlpWidth, gelu, dropout, EPSILON);
    }

    /** The ways to reduce the tokens of a sequence to one vector. */
    public enum Pooling {
        /** The mean of the valid tokens. */
        MEAN,
        /** The first token: the class token of a picture, the first token of a text. */
        CLASS,
        /** The last valid token: end of text under a causal mask. */
        LAST,
        /** All patches of a picture concatenated, which keeps their positions. */
        FLATTEN,
        /** One attention block of a picture whose only query is learnt, followed by a residual perceptron. */
        ATTENTION
    }

    /** How a pooled token becomes a representation. */
    public enum Projection {
        /** The pooled token is the representation. */
        NONE,
        /** A matrix product. */
        PLAIN,
        /** A matrix product and a bias. */
        BIASED
    }
}
