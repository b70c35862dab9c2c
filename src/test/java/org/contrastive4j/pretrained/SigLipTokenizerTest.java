package org.contrastive4j.pretrained;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalInt;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.CaptionCleaner.Cleaning;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tokenizers of SigLIP and SigLIP 2 against the ids that {@code test-data/pretrained/tokens.py} computed. */
class SigLipTokenizerTest {
    private static final Path FOLDER = GoldenModel.FOLDER.resolve("tokenizers");
    private static final int CONTEXT = 64;

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        for (String name : new String[] {"tokenizer.json", "tokenizer_config.json", "spiece.model"}) {
            if (Files.exists(from.resolve(name))) {
                Files.copy(from.resolve(name), to.resolve(name));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"siglip, siglip, 1", "spiece, siglip, 1", "siglip2, siglip2, 0"})
    void encode_captions_givesTheIdsOfIndependentPrograms(String folder, String column, int padding)
            throws IOException {
        try (TextTokenizer tokenizer = HuggingFaceTextTokenizer.open(FOLDER.resolve(folder), false)) {
            assertEquals(OptionalInt.of(padding), tokenizer.paddingId());
            for (JsonNode line :
                    Json.MAPPER.readTree(FOLDER.resolve("tokens.json").toFile())) {
                int[] expected = Json.MAPPER.convertValue(line.path(column), int[].class);
                int[] ids = tokenizer.encode(line.path("text").asText(), CONTEXT);
                int[] padded = Arrays.copyOf(ids, CONTEXT);
                Arrays.fill(padded, ids.length, CONTEXT, padding);
                assertArrayEquals(expected, padded, line.path("text").asText());
            }
        }
    }

    @Test
    void captions_ofASigLipModel_areFilledWithThePaddingOfTheTokenizer(@TempDir Path folder) throws IOException {
        for (String name : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(GoldenModel.FOLDER.resolve("siglip-bf16").resolve(name), folder.resolve(name));
        }
        copy(FOLDER.resolve("siglip2"), folder);
        try (Ops ops = Backend.open("cpu");
                PretrainedModel model = PretrainedModel.open(ops, folder)) {
            assertTrue(assertThrows(PretrainedException.class, model::tokenizer)
                    .getMessage()
                    .contains("ids, the text tower of the model 40: it is the tokenizer of another model"));
            try (TextTokenizer tokenizer = HuggingFaceTextTokenizer.open(folder, false)) {
                int[] ids = model.captions(tokenizer).encode("cat", 8);
                assertEquals(8, ids.length);
                assertEquals(0, ids[7]);
            }
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "CANONICALIZE | a_b, it's &amp;Caf\u00e9! | a b its caf\u00e9",
                "LOWER_CASE_WITHOUT_PUNCTUATION | a_b, it's &amp;Caf\u00e9! | ab its ampcaf\u00e9",
                "WITHOUT_PUNCTUATION | a_b,  Caf\u00e9! | ab Caf\u00e9",
                "LOWER_CASE | a_b,  Caf\u00e9! | a_b,  caf\u00e9!",
                "WHITE_SPACE | a_b,  Caf\u00e9! | a_b, Caf\u00e9!",
                "CLIP | a_b,  Caf\u00e9! | a_b, caf\u00e9!"
            })
    void cleaning_ofEachProgram_followsItsRule(Cleaning cleaning, String text, String expected) {
        assertEquals(expected, cleaning.apply(text));
    }

    @Test
    void open_openClipConfig_choosesTheCleaning(@TempDir Path folder) throws IOException {
        copy(FOLDER.resolve("siglip2"), folder);
        int[] lower;
        int[] canonical;
        try (TextTokenizer tokenizer = HuggingFaceTextTokenizer.open(folder, false)) {
            lower = tokenizer.encode("a cat!", CONTEXT);
            canonical = tokenizer.encode("a cat", CONTEXT);
        }
        assertTrue(lower.length > canonical.length);
        Path config = folder.resolve("open_clip_config.json");
        String[][] rules = {{"canonicalize"}, {"lower"}};
        for (String[] rule : rules) {
            Files.writeString(
                    config,
                    "{\"model_cfg\": {\"text_cfg\": {\"tokenizer_kwargs\": {\"clean\": \"" + rule[0] + "\"}}}}");
            try (TextTokenizer tokenizer = HuggingFaceTextTokenizer.open(folder, true)) {
                assertArrayEquals(rule[0].equals("lower") ? lower : canonical, tokenizer.encode("A cat!", CONTEXT));
            }
        }
        Files.writeString(config, Files.readString(config).replace("lower", "other"));
        assertTrue(assertThrows(PretrainedException.class, () -> HuggingFaceTextTokenizer.open(folder, true))
                .getMessage()
                .contains("clean is other, expected canonicalize, lower or whitespace"));
    }

    @Test
    void open_filesThatAreNoTokenizer_areRefusedWithTheReason(@TempDir Path folder) throws IOException {
        requireRefusal(folder, "has no tokenizer: expected tokenizer.json or spiece.model");
        byte[] model = Files.readAllBytes(FOLDER.resolve("spiece/spiece.model"));
        Path file = folder.resolve("spiece.model");
        Files.write(file, Arrays.copyOf(model, model.length - 5));
        requireRefusal(folder, "is damaged or no SentencePiece model");
        Files.write(file, new byte[0]);
        requireRefusal(folder, "is no unigram model");
        Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}}}");
        requireRefusal(folder, "has none of the tokens [</s>, <eos>]");
        Files.writeString(
                folder.resolve("tokenizer.json"), "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"<eos>\": 0}}}");
        requireRefusal(folder, "cannot read the tokenizer");
    }

    private static void requireRefusal(Path folder, String part) {
        String message = assertThrows(PretrainedException.class, () -> HuggingFaceTextTokenizer.open(folder, false))
                .getMessage();
        assertTrue(message.contains(part), message);
    }
}
