package org.contrastive4j.ops;

import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Identifies a stream of random numbers. The same key, sample and element give the same number on every backend,
 * independent of the chunk that a sample is encoded in.
 *
 * @param seed of the run
 * @param step of the optimiser
 * @param layer number of the random layer, unique within a model
 * @param clock [1] I32 holding the step, or null. A captured operation reads the tensor and ignores {@code step}
 */
public record RandomKey(
        long seed, int step, int layer, @Nullable Tensor clock) {
    /**
     * Creates a key whose step is passed by value.
     *
     * @param seed of the run
     * @param step of the optimiser
     * @param layer number of the random layer, unique within a model
     */
    public RandomKey(long seed, int step, int layer) {
        this(seed, step, layer, null);
    }
}
