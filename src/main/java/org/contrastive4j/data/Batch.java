package org.contrastive4j.data;

/**
 * Pairs ready for the encoders.
 *
 * @param sampleIds of the pairs
 * @param imageSize side of a picture
 * @param pictures [pairs, imageSize, imageSize, 3], normalised to (value - 0.5) / 0.5
 * @param maxTokens longest caption of the batch
 * @param tokens [pairs, maxTokens], padded with 0
 * @param lengths [pairs], tokens of each caption, at least 1
 */
public record Batch(int[] sampleIds, int imageSize, float[] pictures, int maxTokens, int[] tokens, int[] lengths) {
    public int pairs() {
        return sampleIds.length;
    }
}
