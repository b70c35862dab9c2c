package org.contrastive4j.nn;

import org.contrastive4j.ops.RandomKey;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The identity of the random numbers of a forward pass, for dropout. Evaluation passes null and drops nothing.
 *
 * @param seed of the run
 * @param step of the optimiser
 * @param sampleIds [samples] I32, one for each row of the chunk
 * @param clock [1] I32 holding the step, or null; see {@link RandomKey}
 */
public record Randomness(
        long seed, int step, Tensor sampleIds, @Nullable Tensor clock) {
    /**
     * Creates an identity whose step is passed by value.
     *
     * @param seed of the run
     * @param step of the optimiser
     * @param sampleIds [samples] I32, one for each row of the chunk
     */
    public Randomness(long seed, int step, Tensor sampleIds) {
        this(seed, step, sampleIds, null);
    }

    RandomKey key(int layer) {
        return new RandomKey(seed, step, layer, clock);
    }
}
