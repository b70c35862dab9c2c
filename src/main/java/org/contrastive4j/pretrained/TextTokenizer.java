package org.contrastive4j.pretrained;

import java.util.OptionalInt;
import org.contrastive4j.data.CaptionEncoder;

/** Turns a caption into token ids as a model's text tower expects them. */
public interface TextTokenizer extends CaptionEncoder, AutoCloseable {
    /**
     * Returns the ids of a caption with its start and end tokens, without padding.
     *
     * @param text any caption
     * @param contextLength largest number of ids; longer captions are cut and keep their end token
     * @return the ids
     */
    @Override
    int[] encode(String text, int contextLength);

    /**
     * Returns the number of ids that the tokenizer knows.
     *
     * @return at least 1
     */
    int size();

    /**
     * Returns the id that fills captions up to the context, for models that read the padding.
     *
     * @return empty for the id in the configuration of the model
     */
    default OptionalInt paddingId() {
        return OptionalInt.empty();
    }

    /** Frees native memory where there is some. */
    @Override
    default void close() {}
}
