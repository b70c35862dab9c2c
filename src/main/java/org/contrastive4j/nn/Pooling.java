package org.contrastive4j.nn;

/** How tokens become one vector. */
public enum Pooling {
    /** Mean of the valid tokens. */
    MEAN,
    /** The class token in front (pictures), the first token (text). */
    CLASS,
    /** The last valid token: end of text under a causal mask. */
    LAST,
    /** All patches side by side (pictures): what is where is not averaged away. */
    FLATTEN,
    /** One attention block whose only query is learnt (pictures), then a residual perceptron. */
    ATTENTION
}
