package org.contrastive4j.gradcache;

import java.util.function.BiConsumer;
import org.contrastive4j.tensor.Tensor;

/**
 * Encodes any run of samples of a batch: all that gradient caching asks of an encoder, ours or not.
 *
 * <p>The contract: the representation of a sample depends only on the sample, the parameters and randomness keyed by
 * the sample - not on the other samples of its chunk, nor on which pass it is. {@link EquivalenceCheck} tests it.
 *
 * @param <B> a batch; every encoder of a step reads its own part of it
 */
public interface ChunkEncoder<B> {
    /** For plans and errors. */
    String name();

    /** Number of samples this encoder has in the batch. */
    int samples(B batch);

    /** Width d of a representation. */
    int width();

    /** False when frozen: the encoder then is run once and gets no gradient. */
    default boolean isTrainable() {
        return true;
    }

    /**
     * Writes the representations of samples [from, to) without remembering anything.
     *
     * @param into [to - from, d]; written
     */
    void encode(B batch, int from, int to, Tensor into);

    /**
     * The same, bit for bit, but remembering what backward needs.
     *
     * @return the remembered pass; the caller closes it
     */
    Pass encodeForBackward(B batch, int from, int to, Tensor into);

    /**
     * Calls {@code observer} with name and value of every layer's output from now on; null stops. Does nothing by
     * default.
     */
    default void observe(BiConsumer<String, Tensor> observer) {}

    /** A remembered forward pass of one chunk. */
    interface Pass extends AutoCloseable {
        /**
         * Accumulates the parameters' gradients for this gradient of the representations; once, frees what was
         * remembered.
         */
        void backward(Tensor gradient);

        /** Frees what is still remembered; idempotent. */
        @Override
        void close();
    }
}
