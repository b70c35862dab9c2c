package org.contrastive4j.pretrained;

import java.nio.file.Files;
import java.nio.file.Path;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;

/** Opens the tokenizer that belongs to a model. */
final class Tokenizers {
    private Tokenizers() {}

    static TextTokenizer open(Path folder, PretrainedConfig config) {
        TextTokenizer tokenizer =
                config.family() == PretrainedConfig.Family.SIGLIP ? sigLip(folder) : clip(folder, config);
        int vocabulary = config.encoder().text().vocabulary();
        if (tokenizer.size() > vocabulary) {
            int size = tokenizer.size();
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

    private static TextTokenizer sigLip(Path folder) {
        Path file = folder.resolve("tokenizer.json");
        if (Files.exists(file)) {
            return HuggingFaceTextTokenizer.open(file);
        }
        if (Files.exists(folder.resolve("spiece.model"))) {
            throw new PretrainedException(folder + " has its tokenizer in spiece.model alone, expected tokenizer.json;"
                    + " convert it (AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) writes it)");
        }
        throw new PretrainedException(folder + " has no tokenizer: expected tokenizer.json");
    }
}
