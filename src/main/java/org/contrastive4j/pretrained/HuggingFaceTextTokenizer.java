package org.contrastive4j.pretrained;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.pretrained.CaptionCleaner.Cleaning;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;
import org.jspecify.annotations.Nullable;

/**
 * The tokenizer of SigLIP (SentencePiece unigram) and SigLIP 2 (byte-pair encoding of Gemma), computed by the Hugging
 * Face tokenizers that DJL contains. Needs that optional dependency. Any thread may use it.
 *
 * <p>Captions are cleaned as the program that wrote the checkpoint does: transformers removes ASCII punctuation for
 * SigLIP and makes captions lower-case for both; open_clip follows {@code tokenizer_kwargs}. One end-of-text id follows
 * the ids of the caption.
 *
 * <p>Tested by {@code SigLipTokenizerTest}.
 */
final class HuggingFaceTextTokenizer implements TextTokenizer {
    private static final List<String> ENDS = List.of("</s>", "<eos>");
    private static final String EXTRA = "extra_id_"; // pieces of T5 vocabularies that SigLIP does not embed

    private final HuggingFaceTokenizer tokenizer;
    private final Cleaning cleaning;
    private final int size;
    private final int end;
    private final @Nullable Integer padding;

    private HuggingFaceTextTokenizer(
            HuggingFaceTokenizer tokenizer, Cleaning cleaning, int size, int end, @Nullable Integer padding) {
        this.tokenizer = tokenizer;
        this.cleaning = cleaning;
        this.size = size;
        this.end = end;
        this.padding = padding;
    }

    /**
     * Opens the tokenizer of a folder.
     *
     * @param folder with tokenizer.json or spiece.model
     * @param openClip whether the weights are in the layout of open_clip
     */
    static TextTokenizer open(Path folder, boolean openClip) {
        Path file = folder.resolve("tokenizer.json");
        boolean converted = !Files.exists(file);
        Path source = converted ? folder.resolve("spiece.model") : file;
        if (!Files.exists(source)) {
            throw new PretrainedException(folder + " has no tokenizer: expected tokenizer.json or spiece.model");
        }
        try {
            JsonNode json = converted
                    ? SentencePieceModel.tokenizerJson(source)
                    : Json.read(file).node();
            Vocabulary vocabulary = new Vocabulary(json);
            JsonNode settings = settings(folder);
            int end = vocabulary.end(source, settings);
            Integer padding = vocabulary.padding(settings);
            Map<String, String> options = Map.of("padding", "false", "truncation", "false");
            HuggingFaceTokenizer tokenizer = converted
                    ? HuggingFaceTokenizer.newInstance(
                            new ByteArrayInputStream(Json.MAPPER.writeValueAsBytes(json)), options)
                    : HuggingFaceTokenizer.newInstance(file, options);
            return new HuggingFaceTextTokenizer(
                    tokenizer,
                    openClip ? openClip(folder) : huggingFace(vocabulary, settings),
                    vocabulary.size(),
                    end,
                    padding);
        } catch (PretrainedException refused) {
            throw refused;
        } catch (IOException | RuntimeException e) {
            throw new PretrainedException("cannot read the tokenizer " + source + ": " + FileErrors.reason(e), e);
        } catch (NoClassDefFoundError absent) {
            throw new PretrainedException(
                    "the tokenizer of SigLIP needs ai.djl.huggingface:tokenizers on the class path; add it", absent);
        }
    }

    /** The content of tokenizer_config.json; empty without that file. */
    private static JsonNode settings(Path folder) {
        Path file = folder.resolve("tokenizer_config.json");
        return Files.exists(file) ? Json.read(file).node() : Json.MAPPER.createObjectNode();
    }

    /** SiglipTokenizer of transformers for unigram models, Siglip2Tokenizer for others. */
    private static Cleaning huggingFace(Vocabulary vocabulary, JsonNode settings) {
        if (!vocabulary.isUnigram()) {
            return Cleaning.LOWER_CASE;
        }
        return settings.path("do_lower_case").asBoolean(true)
                ? Cleaning.LOWER_CASE_WITHOUT_PUNCTUATION
                : Cleaning.WITHOUT_PUNCTUATION;
    }

    /** The rule that open_clip names; its SigLIP models have canonicalize. */
    private static Cleaning openClip(Path folder) {
        Path file = folder.resolve("open_clip_config.json");
        if (!Files.exists(file)) {
            return Cleaning.CANONICALIZE;
        }
        Json text = Json.read(file).at("model_cfg").at("text_cfg").at("tokenizer_kwargs");
        String name = text.text("clean", "canonicalize");
        return switch (name) {
            case "canonicalize" -> Cleaning.CANONICALIZE;
            case "lower" -> Cleaning.CLIP;
            case "whitespace" -> Cleaning.WHITE_SPACE;
            default -> throw text.wrong("clean", name, "canonicalize, lower or whitespace");
        };
    }

    /** The pieces of a tokenizer.json and their ids. */
    private static final class Vocabulary {
        private final JsonNode json;
        private final JsonNode pieces;

        Vocabulary(JsonNode json) {
            this.json = json;
            pieces = json.path("model").path("vocab");
        }

        boolean isUnigram() {
            return pieces.isArray();
        }

        /** Number of pieces without those that SigLIP does not embed. */
        int size() {
            int extra = 0;
            if (isUnigram()) {
                for (JsonNode piece : pieces) {
                    extra += piece.path(0).asText().contains(EXTRA) ? 1 : 0;
                }
            }
            return pieces.size() - extra;
        }

        @Nullable
        Integer id(String token) {
            for (JsonNode added : json.path("added_tokens")) {
                if (added.path("content").asText().equals(token)) {
                    return added.path("id").intValue();
                }
            }
            if (!isUnigram()) {
                return pieces.has(token) ? pieces.path(token).intValue() : null;
            }
            for (int id = 0; id < pieces.size(); id++) {
                if (pieces.path(id).path(0).asText().equals(token)) {
                    return id;
                }
            }
            return null;
        }

        int end(Path file, JsonNode settings) {
            List<String> names = new ArrayList<>(ENDS);
            String named = token(settings, "eos_token");
            if (named != null) {
                names.add(0, named);
            }
            return names.stream()
                    .map(this::id)
                    .filter(Objects::nonNull)
                    .findFirst()
                    .orElseThrow(() -> new PretrainedException(
                            file + " has none of the tokens " + names + ": expected the tokenizer of a SigLIP model"));
        }

        /** Null where the files name no padding; that of the model's configuration is used then. */
        @Nullable
        Integer padding(JsonNode settings) {
            String named = token(settings, "pad_token");
            if (named != null && id(named) != null) {
                return id(named);
            }
            JsonNode own = json.path("padding").path("pad_id");
            if (own.isInt()) {
                return own.intValue();
            }
            return isUnigram() ? null : id("<pad>");
        }

        private static @Nullable String token(JsonNode settings, String name) {
            JsonNode token =
                    settings.path(name).isObject() ? settings.path(name).path("content") : settings.path(name);
            return token.isTextual() ? token.textValue() : null;
        }
    }

    @Override
    public int[] encode(String text, int contextLength) {
        long[] ids = tokenizer.encode(cleaning.apply(text), false, false).getIds();
        int[] encoded = new int[Math.min(ids.length + 1, contextLength)];
        for (int k = 0; k + 1 < encoded.length; k++) {
            encoded[k] = Math.toIntExact(ids[k]);
        }
        encoded[encoded.length - 1] = end;
        return encoded;
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public OptionalInt paddingId() {
        return padding == null ? OptionalInt.empty() : OptionalInt.of(padding);
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
