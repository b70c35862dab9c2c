package org.contrastive4j.data;

/** Turns captions into token ids: a {@link Tokenizer}, or that of a pretrained model. Any thread may use it. */
public interface CaptionEncoder {
    /**
     * Returns the ids of a caption.
     *
     * @param caption any text
     * @param maxTokens largest number of ids
     * @return 1 to maxTokens ids
     */
    int[] encode(String caption, int maxTokens);

    /**
     * Returns the share of tokens that stand for characters the encoder does not know.
     *
     * @param captions texts
     * @param maxTokens that captions are cut at
     * @return 0 to 1; 0 for an encoder that knows every byte
     */
    default double unknownShare(Iterable<String> captions, int maxTokens) {
        return 0;
    }
}
