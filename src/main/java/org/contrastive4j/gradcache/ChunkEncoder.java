package org.contrastive4j.gradcache;

import java.util.function.BiConsumer;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Encodes contiguous samples of a batch. Gradient caching works with any encoder that implements this interface.
 *
 * <p>Contract: the representation of a sample depends only on the sample, the parameters, and randomness keyed by the
 * sample. It must not depend on the other samples of the chunk, nor differ between the first and the second pass.
 * {@link EquivalenceCheck} tests this.
 *
 * @param <B> the batch; each encoder of a step reads its own part of it
 */
public interface ChunkEncoder<B> {
    /**
     * Returns the name of this encoder, for plans and errors.
     *
     * @return the name
     */
    String name();

    /**
     * Returns the number of samples that this encoder has in a batch.
     *
     * @param batch to encode
     * @return number of samples
     */
    int samples(B batch);

    /**
     * Returns the width of a representation.
     *
     * @return d
     */
    int width();

    /**
     * Whether this encoder has parameters to train. A frozen encoder runs only once per step and gets no gradient.
     *
     * @return true unless all parameters are frozen
     */
    default boolean isTrainable() {
        return true;
    }

    /**
     * Computes the representations of samples [from, to) and saves nothing for backward.
     *
     * @param batch that holds the samples
     * @param from first sample
     * @param to one past the last sample
     * @param into [to - from, d]; written
     */
    void encode(B batch, int from, int to, Tensor into);

    /**
     * Computes the same representations, equal to the last bit, and saves what backward needs.
     *
     * @param batch that holds the samples
     * @param from first sample
     * @param to one past the last sample
     * @param into [to - from, d]; written
     * @return the recorded pass; the caller closes it
     */
    Pass encodeForBackward(B batch, int from, int to, Tensor into);

    /**
     * Registers an observer of the outputs of all layers. The default implementation ignores it.
     *
     * @param observer called with name and value of each output; null to remove the observer
     */
    default void observe(@Nullable BiConsumer<String, Tensor> observer) {}

    /** A recorded forward pass of one chunk. */
    interface Pass extends AutoCloseable {
        /**
         * Accumulates the gradients of the parameters and frees the recorded pass. May be called once.
         *
         * @param gradient of the representations, [to - from, d]; read
         */
        void backward(Tensor gradient);

        /** Frees the recorded pass; idempotent. */
        @Override
        void close();
    }
}
