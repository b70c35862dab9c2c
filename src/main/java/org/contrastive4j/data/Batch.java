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
    public int pairs() {
        return sampleIds.length;
    }

    /** The same with captions padded to {@code tokens}, no fewer than now. */
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

    /** Grey pictures with captions of {@code tokens} tokens each: as large as such batches get. */
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
