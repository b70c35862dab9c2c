package org.contrastive4j.nn;

import org.contrastive4j.ops.RandomKey;
import org.contrastive4j.tensor.Tensor;

/**
 * What dropout needs to know of a forward pass; null stands for evaluation, which drops nothing.
 *
 * @param seed of the run
 * @param step of the optimiser
 * @param sampleIds [samples] I32, one per row of the chunk
 * @param clock [1] I32 with the step in it, or null; see {@link RandomKey}
 */
public record Randomness(long seed, int step, Tensor sampleIds, Tensor clock) {
    /** Without a clock. */
    public Randomness(long seed, int step, Tensor sampleIds) {
        this(seed, step, sampleIds, null);
    }

    RandomKey key(int layer) {
        return new RandomKey(seed, step, layer, clock);
    }
}
