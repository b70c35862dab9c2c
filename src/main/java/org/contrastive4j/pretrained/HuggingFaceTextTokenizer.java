package org.contrastive4j.pretrained;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;

/** A {@code tokenizer.json} run by the Hugging Face tokenizers that DJL packs; needs that optional dependency. */
final class HuggingFaceTextTokenizer implements TextTokenizer {
    private final HuggingFaceTokenizer tokenizer;
    private final int size;

    private HuggingFaceTextTokenizer(HuggingFaceTokenizer tokenizer, int size) {
        this.tokenizer = tokenizer;
        this.size = size;
    }

    static TextTokenizer open(Path file) {
        try {
            int size = Json.read(file).node().path("model").path("vocab").size();
            return new HuggingFaceTextTokenizer(
                    HuggingFaceTokenizer.newInstance(file, Map.of("padding", "false", "truncation", "false")), size);
        } catch (IOException | RuntimeException e) {
            throw new PretrainedException("cannot read the tokenizer " + file + ": " + FileErrors.reason(e), e);
        } catch (NoClassDefFoundError absent) {
            throw new PretrainedException(
                    "a tokenizer.json of SigLIP needs ai.djl.huggingface:tokenizers on the class path; add it", absent);
        }
    }

    @Override
    public int[] encode(String text, int contextLength) {
        long[] ids = tokenizer.encode(text, true, false).getIds();
        int[] encoded = Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
        if (encoded.length <= contextLength) {
            return encoded;
        }
        int[] cut = Arrays.copyOf(encoded, contextLength);
        cut[contextLength - 1] = encoded[encoded.length - 1];
        return cut;
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
