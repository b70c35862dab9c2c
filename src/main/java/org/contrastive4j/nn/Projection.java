package org.contrastive4j.nn;

/** How a pooled token becomes a representation. */
public enum Projection {
    /** The pooled token is the representation. */
    NONE,
    /** A matrix product. */
    PLAIN,
    /** A matrix product and a bias. */
    BIASED
}
