package org.contrastive4j.nn;

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
