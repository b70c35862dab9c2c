package org.contrastive4j.nn;

/**
 * Settings of low-rank adapters: y = W x + scale B A x with A [rank, in] random and B [out, rank] zero at first.
 *
 * <p>Source: Hu et al., LoRA: low-rank adaptation of large language models, ICLR 2022.
 *
 * @param rank of A and B
 * @param alpha numerator of the scale
 * @param dropout probability on the input of A, in [0, 1)
 * @param rankStabilized whether the scale is alpha / sqrt(rank) instead of alpha / rank
 */
public record LowRankConfig(int rank, double alpha, double dropout, boolean rankStabilized) {
    /**
     * Checks the settings.
     *
     * @param rank of A and B
     * @param alpha numerator of the scale
     * @param dropout probability
     * @param rankStabilized whether the scale is alpha / sqrt(rank)
     */
    public LowRankConfig {
        if (rank < 1) {
            throw new IllegalArgumentException("LoRA rank is " + rank + ", expected 1 or more");
        }
        if (!(alpha > 0 && Double.isFinite(alpha))) {
            throw new IllegalArgumentException("LoRA alpha is " + alpha + ", expected a positive number");
        }
        if (!(dropout >= 0 && dropout < 1)) {
            throw new IllegalArgumentException("LoRA dropout is " + dropout + ", expected 0 <= p < 1");
        }
    }

    /**
     * Returns the factor of B A x.
     *
     * @return the factor
     */
    public double scale() {
        return alpha / (rankStabilized ? Math.sqrt(rank) : rank);
    }
}
