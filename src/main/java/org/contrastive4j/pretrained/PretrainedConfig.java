package org.contrastive4j.pretrained;

import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;

/**
 * What the configuration file of a checkpoint says.
 *
 * <p>Tested by {@code PretrainedModelTest}.
 *
 * @param family decides the loss and the defaults
 * @param encoder sizes and variants of both towers
 * @param endOfText which token of a caption is pooled
 * @param endOfTextId id that ends a caption
 * @param paddingId id that fills a caption up
 * @param initialLogitScale natural logarithm of the factor of cosines where the checkpoint has none
 * @param initialLogitBias added to scaled cosines where the checkpoint has none; 0 in CLIP
 */
public record PretrainedConfig(
        Family family,
        DualEncoder.Config encoder,
        EndOfText endOfText,
        int endOfTextId,
        int paddingId,
        double initialLogitScale,
        double initialLogitBias) {
    /** Families of models. */
    public enum Family {
        /** Softmax over the batch, InfoNCE. */
        CLIP,
        /** Sigmoid of each pair. */
        SIGLIP
    }

    /** Rules for the token that is pooled. */
    public enum EndOfText {
        /** The first position with the largest id. */
        ARGMAX,
        /** The first position with the end-of-text id, or the first position where there is none. */
        FIRST_END,
        /** The last position, padding included. */
        LAST
    }

    /**
     * Returns the side of a picture in pixels.
     *
     * @return in pixels
     */
    public int imageSize() {
        return encoder.image().imageSize();
    }

    /**
     * Returns the number of token ids of a caption.
     *
     * @return at least 1
     */
    public int contextLength() {
        return encoder.text().maxTokens();
    }

    /**
     * Returns the configuration for pictures of another size.
     *
     * @param size side in pixels, a multiple of the patch
     * @return a copy
     */
    PretrainedConfig withImageSize(int size) {
        VisionTransformer.Config image = encoder.image();
        if (size < 1 || size % image.kernel() != 0) {
            throw new PretrainedException(
                    "picture size is " + size + ", expected a multiple of the patch of " + image.kernel());
        }
        VisionTransformer.Config other = new VisionTransformer.Config(
                size,
                image.kernel(),
                image.stride(),
                image.padding(),
                image.transformer(),
                image.pooling(),
                image.embedding(),
                image.variant());
        return new PretrainedConfig(
                family,
                new DualEncoder.Config(other, encoder.text()),
                endOfText,
                endOfTextId,
                paddingId,
                initialLogitScale,
                initialLogitBias);
    }

    /**
     * Returns the number of tokens of each caption up to and including the one that is pooled.
     *
     * @param ids [rows, tokens] in row-major order
     * @param tokens of each row
     * @return one number for each row, at least 1
     */
    public int[] lengths(int[] ids, int tokens) {
        int[] lengths = new int[ids.length / tokens];
        for (int row = 0; row < lengths.length; row++) {
            lengths[row] = 1 + position(ids, row * tokens, tokens);
        }
        return lengths;
    }

    private int position(int[] ids, int start, int tokens) {
        int best = 0;
        for (int t = 0; t < tokens; t++) {
            switch (endOfText) {
                case ARGMAX -> best = ids[start + t] > ids[start + best] ? t : best;
                case LAST -> best = t;
                case FIRST_END -> {
                    if (ids[start + t] == endOfTextId) {
                        return t;
                    }
                }
            }
        }
        return best;
    }
}
