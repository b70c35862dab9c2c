package org.contrastive4j.data;

import org.jspecify.annotations.Nullable;

/**
 * One picture with one caption, as the data set states it.
 *
 * <p>Pairs with the same picture, the same concept or the same token sequence are never each other's negatives. These
 * are three different identities: a picture may have several captions, and a concept may have several pictures.
 *
 * @param id index in the data set, stable from run to run
 * @param picture key of the picture; equal keys are the same picture
 * @param caption not blank
 * @param concept what the picture shows, or null when the data set does not say
 * @param group who made the picture, empty when the data set does not say
 * @param split name of the split the data set assigns, empty when it assigns none
 * @param source file and line, or shard and key, for messages
 */
public record Pair(
        int id, String picture, String caption, @Nullable String concept, String group, String split, String source) {
    /**
     * Returns the key that decides the side of a split that the pair is on.
     *
     * @return the concept, or the picture if there is none
     */
    public String splitKey() {
        return concept != null ? concept : picture;
    }
}
