package org.contrastive4j.data;

import java.util.Arrays;

/**
 * Pairs ready for the encoders.
 *
 * @param sampleIds of the pairs
 * @param imageSize side of a picture
 * @param pictures [pairs, imageSize, imageSize, 3], normalised by the preprocessing
 * @param maxTokens of the longest caption of the batch, or more where captions are padded further
 * @param tokens [pairs, maxTokens], padded with 0
 * @param lengths [pairs], tokens of each caption, at least 1
 */
public record Batch(int[] sampleIds, int imageSize, float[] pictures, int maxTokens, int[] tokens, int[] lengths) {
    /**
     * Returns the number of pairs.
     *
     * @return pairs, the length of {@link #sampleIds}
     */
    public int pairs() {
        return sampleIds.length;
    }

    /**
     * Returns the batch with all captions padded to the same, larger number of tokens.
     *
     * @param tokens number of tokens, at least {@link #maxTokens}
     * @return this batch when it has this number already; otherwise a copy that shares pictures and lengths
     */
    public Batch padded(int tokens) {
        if (tokens == maxTokens) {
            return this;
        }
        int[] all = new int[pairs() * tokens];
        for (int k = 0; k < pairs(); k++) {
            System.arraycopy(this.tokens, k * maxTokens, all, k * tokens, maxTokens);
        }
        return new Batch(sampleIds, imageSize, pictures, tokens, all, lengths);
    }

    /**
     * Returns a batch as large as batches of this shape get: black pictures, and captions of the largest length.
     *
     * @param pairs number of pairs
     * @param imageSize side of a picture in pixels
     * @param tokens number of tokens of every caption
     * @return the batch, whose values are all 0
     */
    public static Batch largest(int pairs, int imageSize, int tokens) {
        int[] lengths = new int[pairs];
        Arrays.fill(lengths, tokens);
        return new Batch(
                new int[pairs],
                imageSize,
                new float[pairs * imageSize * imageSize * 3],
                tokens,
                new int[pairs * tokens],
                lengths);
    }
}
