package org.contrastive4j.ops;

import org.contrastive4j.tensor.Tensor;

/**
 * Names one stream of random numbers: the same key, sample and element give the same number on every backend, whatever
 * the chunk a sample is encoded in.
 *
 * @param seed of the run
 * @param step of the optimiser
 * @param layer a number of its own for each random layer of a model
 * @param clock [1] I32 with the step in it, or null: recorded operations look there, whatever {@code step} was when
 *     they were recorded
 */
public record RandomKey(long seed, int step, int layer, Tensor clock) {
    /** Without a clock. */
    public RandomKey(long seed, int step, int layer) {
        this(seed, step, layer, null);
    }
}
