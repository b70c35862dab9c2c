package org.contrastive4j.nn;

import org.contrastive4j.ops.RandomKey;
import org.contrastive4j.tensor.Tensor;

/**
 * What dropout needs to know of a forward pass; null stands for evaluation, which drops nothing.
 *
 * @param seed of the run
 * @param step of the optimiser
 * @param sampleIds [samples] I32, one per row of the chunk
 */
public record Randomness(long seed, int step, Tensor sampleIds) {
    RandomKey key(int layer) {
        return new RandomKey(seed, step, layer);
    }
}
