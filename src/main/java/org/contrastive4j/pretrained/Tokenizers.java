package org.contrastive4j.pretrained;

import java.nio.file.Path;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;

/** Opens the tokenizer that belongs to a model. */
final class Tokenizers {
    /** Share of the embedded ids that a tokenizer must have: some models embed a few more than they use. */
    private static final double LEAST_USED = 0.9;

    private Tokenizers() {}

    /** @param openClip whether the weights are in the layout of open_clip */
    static TextTokenizer open(Path folder, PretrainedConfig config, boolean openClip) {
        boolean sigLip = config.family() == PretrainedConfig.Family.SIGLIP;
        TextTokenizer tokenizer = sigLip ? HuggingFaceTextTokenizer.open(folder, openClip) : clip(folder, config);
        int vocabulary = config.encoder().text().vocabulary();
        int size = tokenizer.size();
        if (size > vocabulary || (sigLip && size < LEAST_USED * vocabulary)) {
            tokenizer.close();
            throw new PretrainedException("the tokenizer in " + folder + " has " + size
                    + " ids, the text tower of the model " + vocabulary + ": it is the tokenizer of another model");
        }
        return tokenizer;
    }

    private static TextTokenizer clip(Path folder, PretrainedConfig config) {
        ClipTokenizer tokenizer = ClipTokenizer.open(folder);
        boolean largest = config.endOfText() == PretrainedConfig.EndOfText.ARGMAX;
        int expected = largest ? tokenizer.size() - 1 : config.endOfTextId();
        if (config.endOfText() != PretrainedConfig.EndOfText.LAST && tokenizer.endOfText() != expected) {
            throw new PretrainedException("the tokenizer in " + folder + " ends captions with id "
                    + tokenizer.endOfText() + ", the model pools at id " + expected
                    + ": it is the tokenizer of another model");
        }
        return tokenizer;
    }
}
