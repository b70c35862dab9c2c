package org.contrastive4j.pretrained;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.contrastive4j.Backend;
import org.contrastive4j.data.Preprocessing;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What cannot be used is refused with a sentence that says why; pictures and captions become what they must. */
class CheckpointInputTest {
    @TempDir
    Path folder;

    private void copy(String model) throws IOException {
        try (Stream<Path> files = Files.list(GoldenModel.FOLDER.resolve(model))) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, folder.resolve(file.getFileName()));
            }
        }
    }

    private void edit(String file, String from, String to) throws IOException {
        byte[] bytes = Files.readAllBytes(folder.resolve(file));
        String text = new String(bytes, StandardCharsets.ISO_8859_1);
        assertTrue(text.contains(from), file + " contains " + from);
        Files.write(folder.resolve(file), text.replaceFirst(from, to).getBytes(StandardCharsets.ISO_8859_1));
    }

    private String refusal() {
        try (Ops ops = Backend.open("cpu")) {
            return assertThrows(PretrainedException.class, () -> PretrainedModel.open(ops, folder))
                    .getMessage();
        }
    }

    private void requireRefusal(String... parts) {
        String message = refusal();
        for (String part : parts) {
            assertTrue(message.contains(part), () -> "'" + message + "' contains '" + part + "'");
        }
    }

    @Test
    void open_truncatedShard_isNamedAsCutOff() throws IOException {
        copy("clip-quick-f16");
        Path shard = folder.resolve("model-00002-of-00003.safetensors");
        Files.write(shard, Arrays.copyOf(Files.readAllBytes(shard), (int) Files.size(shard) - 100));
        requireRefusal("model-00002-of-00003.safetensors is damaged or cut off");
    }

    @Test
    void open_missingShard_isNamed() throws IOException {
        copy("clip-quick-f16");
        Files.delete(folder.resolve("model-00003-of-00003.safetensors"));
        requireRefusal("names the shard model-00003-of-00003.safetensors, which is not in");
    }

    @Test
    void open_configOfAnotherFamily_isRefused() throws IOException {
        copy("clip-exact");
        edit("config.json", "\"clip\"", "\"bert\"");
        requireRefusal("model_type is bert, expected clip or siglip");
    }

    /** Adds a field to a part of open_clip's configuration, or replaces it. */
    private void set(String part, String field, String value) throws IOException {
        Path file = folder.resolve("open_clip_config.json");
        ObjectNode json = (ObjectNode) Json.MAPPER.readTree(file.toFile());
        ObjectNode model = (ObjectNode) json.path("model_cfg");
        ObjectNode changed = part.isEmpty() ? model : (ObjectNode) model.path(part);
        changed.set(field, Json.MAPPER.readTree(value));
        Files.write(file, Json.MAPPER.writeValueAsBytes(json));
    }

    @ParameterizedTest(name = "{1} of {0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "text_cfg   | embed_cls        | true                   | embed_cls is true, expected false",
                "text_cfg   | hf_model_name    | \"roberta-base\"       | only CLIP's own text tower is read",
                "text_cfg   | pool_type        | \"first\"              | expected argmax, eos or last",
                "''         | multimodal_cfg   | {\"width\": 8}         | CoCa, which generates captions, is not read",
                "vision_cfg | layers           | [3, 4, 6, 3]           | ResNet towers are not read",
                "vision_cfg | timm_model_name  | \"eva02_base_patch16_clip\" | expected a SigLIP tower of timm",
                "vision_cfg | timm_model_name  | \"convnext_base\"      | expected a SigLIP tower of timm",
                "vision_cfg | attentional_pool | true                   | attentional_pool is true, expected false",
                "vision_cfg | no_ln_pre        | true                   | no_ln_pre is true, expected false",
                "vision_cfg | pool_type        | \"avg\"                | pool_type is avg, expected tok",
                "vision_cfg | ls_init_value    | 0.1                    | layer scale is not read",
                "vision_cfg | new_field        | 3                      | models with others are not read",
                "vision_cfg | head_width       | 7                      | expected a divisor of the width of 16",
                "vision_cfg | image_size       | [12, 16]               | expected a square",
                "vision_cfg | image_size       | 13                     | expected a multiple of the patch_size of 4",
            })
    void open_openClipConfigOfAnotherArchitecture_isRefusedByName(
            String part, String field, String value, String sentence) throws IOException {
        copy("clip-exact");
        Files.delete(folder.resolve("model.safetensors"));
        set(part, field, value);
        requireRefusal("open_clip_config.json: model_cfg.", sentence);
    }

    @Test
    void open_visionTowerWithoutHead_isRefused() throws IOException {
        copy("siglip-bf16");
        edit("config.json", "\"hidden_size\": 16,", "\"hidden_size\": 16, \"vision_use_head\": false,");
        requireRefusal("vision_use_head is false", "a SigLIP vision tower pools by attention");
        edit("config.json", "\"siglip\"", "\"siglip2\"");
        requireRefusal("the variant of pictures with any aspect ratio");
    }

    @Test
    void open_pictureSizeThatIsNoMultipleOfThePatch_isRefused() throws IOException {
        copy("clip-exact");
        edit("config.json", "\"image_size\": 12", "\"image_size\": 13");
        requireRefusal("image_size is 13, expected a multiple of the patch_size of 4");
    }

    @Test
    void open_otherTensors_namesEachMissingSuperfluousAndMisshapenOne() throws IOException {
        copy("clip-exact");
        edit("config.json", "\"projection_dim\": 10", "\"projection_dim\": 11");
        edit("model.safetensors", "text_model.final_layer_norm.bias", "text_model.final_layer_xxxx.bias");
        requireRefusal(
                "4 tensors differ",
                "text_projection.weight is F32[10, 12], expected shape [11, 12]",
                "visual_projection.weight is F32[10, 16], expected shape [11, 16]",
                "text_model.final_layer_norm.bias [12] is missing",
                "text_model.final_layer_xxxx.bias [12] is superfluous");
    }

    @Test
    void open_weightsWithNaN_namesTensorAndElement() throws IOException {
        copy("clip-exact");
        Path file = folder.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        long begin;
        try (SafetensorsFile opened = SafetensorsFile.open(file)) {
            begin = 8L
                    + opened.header().length
                    + opened.entries().get("vision_model.post_layernorm.weight").begin();
        }
        System.arraycopy(new byte[] {0, 0, (byte) 0xC0, 0x7F}, 0, bytes, (int) begin + 8, 4);
        Files.write(file, bytes);
        requireRefusal("vision_model.post_layernorm.weight", "has NaN at element 2");
    }

    @Test
    void open_pickle_isRefusedWithTheReason() throws IOException {
        Files.writeString(folder.resolve("pytorch_model.bin"), "x");
        requireRefusal("[pytorch_model.bin], a Python pickle: reading one runs the code in it");
    }

    @Test
    void tokenizer_ofAnotherVocabulary_isRefused() throws IOException {
        copy("clip-exact");
        writeMerges("i n", "t h", "th e</w>");
        try (Ops ops = Backend.open("cpu");
                PretrainedModel model = PretrainedModel.open(ops, folder)) {
            String message =
                    assertThrows(PretrainedException.class, model::tokenizer).getMessage();
            assertTrue(message.contains("it is the tokenizer of another model"), message);
        }
    }

    private void writeMerges(String... merges) throws IOException {
        Files.writeString(folder.resolve("bpe_simple_vocab_16e6.txt"), "version\n" + String.join("\n", merges) + "\n");
    }

    @Test
    void encode_caption_mergesByRankAndKeepsStartAndEnd() throws IOException {
        writeMerges("i n", "t h", "th e</w>", "in g</w>", "' s</w>");
        ClipTokenizer tokenizer = ClipTokenizer.open(folder);
        int the = 512 + 2;
        int ing = 512 + 3;
        int start = 512 + 5;
        assertEquals(start + 2, tokenizer.size());
        assertArrayEquals(new int[] {start, the, start + 1}, tokenizer.encode("  The\n", 77));
        assertArrayEquals(
                new int[] {start, 's' - '!', ing, 512 + 4, '7' - '!' + 256, '7' - '!' + 256, start + 1},
                tokenizer.encode("sing&#39;s 77", 77));
        assertArrayEquals(new int[] {start, the, the, start + 1}, tokenizer.encode("the the the the", 4));
        assertEquals("caf\u00e9 <b> it's", CaptionCleaner.clean("Cafe\u0301  &amp;lt;B&gt;\tIt\u2019s"));
    }

    @Test
    void tokenizer_ofEachFile_givesTheSameIds() throws IOException {
        String[] merges = {"i n", "t h", "th e</w>"};
        writeMerges(merges);
        ClipTokenizer published = ClipTokenizer.open(folder);
        StringBuilder vocabulary = new StringBuilder("{");
        for (int id = 0; id < 256; id++) {
            String name = Json.MAPPER.writeValueAsString(byteName(id));
            String end = Json.MAPPER.writeValueAsString(byteName(id) + "</w>");
            vocabulary.append(name + ":" + id + "," + end + ":" + (256 + id) + ",");
        }
        vocabulary.append("\"in\":512,\"th\":513,\"the</w>\":514,\"<|startoftext|>\":515,\"<|endoftext|>\":516}");
        Path pair = Files.createDirectory(folder.resolve("pair"));
        Files.writeString(pair.resolve("vocab.json"), vocabulary);
        Files.writeString(pair.resolve("merges.txt"), "#version: 0.2\n" + String.join("\n", merges) + "\n");
        Path single = Files.createDirectory(folder.resolve("single"));
        Files.writeString(
                single.resolve("tokenizer.json"),
                "{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":" + vocabulary
                        + ",\"merges\":[[\"i\",\"n\"],\"t h\",\"th e</w>\"]}}");
        for (String text : List.of("In the thin inn", "\u00e9t\u00e9 \ud83d\ude00 a-b", "")) {
            int[] expected = published.encode(text, 77);
            assertArrayEquals(expected, ClipTokenizer.open(pair).encode(text, 77));
            assertArrayEquals(expected, ClipTokenizer.open(single).encode(text, 77));
        }
    }

    /** The character for the byte with this id. */
    private static String byteName(int id) {
        int printable = 94 + 12 + 82;
        int value = id < 94
                ? '!' + id
                : id < 106 ? 0xA1 + id - 94 : id < printable ? 0xAE + id - 106 : 0x100 + id - printable;
        return String.valueOf((char) value);
    }

    @ParameterizedTest
    @CsvSource({"wide", "tall", "small", "grey", "alpha", "palette"})
    void preprocessing_picture_isWithinOneOf255OfPillow(String name) throws IOException {
        Path pictures = GoldenModel.FOLDER.resolve("pictures");
        try (SafetensorsFile expected = SafetensorsFile.open(pictures.resolve("expected.safetensors"))) {
            for (int size : new int[] {16, 24}) {
                Preprocessing clip = Preprocessing.clip(size);
                Preprocessing squash = new Preprocessing(
                        size,
                        Preprocessing.Fit.SQUASH,
                        Preprocessing.Filter.BILINEAR,
                        new double[] {0.5, 0.5, 0.5},
                        new double[] {0.5, 0.5, 0.5},
                        Preprocessing.CropRounding.HALF_EVEN);
                requirePixels(clip, pictures.resolve(name + ".png"), expected, name + "." + size);
                requirePixels(squash, pictures.resolve(name + ".png"), expected, name + "." + size + ".squash");
            }
        }
    }

    private static void requirePixels(Preprocessing preprocessing, Path picture, SafetensorsFile file, String key)
            throws IOException {
        double[] golden = GoldenModel.values(file, key);
        float[] found = preprocessing.apply(ImageIO.read(picture.toFile()));
        for (int i = 0; i < golden.length; i++) {
            double bound = 1 / 255.0 / preprocessing.deviation()[i % 3] + 1e-6;
            assertEquals(golden[i], found[i], bound, key + " at " + i);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 7})
    void positions_ofAnotherGrid_areThoseOfOpenClip(int side) {
        try (SafetensorsFile file = SafetensorsFile.open(GoldenModel.FOLDER.resolve("positions.safetensors"))) {
            double[] grid = GoldenModel.values(file, "grid");
            float[] values = new float[grid.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) grid[i];
            }
            double[] golden = GoldenModel.values(file, String.valueOf(side));
            float[] found = Preprocessing.Filter.BICUBIC.resize(values, 4, 5, side);
            for (int i = 0; i < golden.length; i++) {
                assertEquals(golden[i], found[i], 1e-5);
            }
        }
    }

    @Test
    void open_anotherPictureSize_interpolatesPositionsAndKeepsThatOfTheClassToken() {
        Path source = GoldenModel.FOLDER.resolve("clip-exact");
        try (Ops ops = Backend.open("cpu");
                PretrainedModel own = PretrainedModel.open(ops, source);
                PretrainedModel wide =
                        PretrainedModel.open(ops, source, new PretrainedModel.Options(ops.parameterDtype(), 20))) {
            float[] before = positions(own);
            float[] after = positions(wide);
            int width = 16;
            assertEquals((5 * 5 + 1) * width, after.length);
            assertArrayEquals(Arrays.copyOf(before, width), Arrays.copyOf(after, width));
            float[] grid = Arrays.copyOfRange(before, width, before.length);
            assertArrayEquals(
                    Preprocessing.Filter.BICUBIC.resize(grid, 3, width, 5),
                    Arrays.copyOfRange(after, width, after.length));
            wide.save(folder.resolve("wide"));
            try (PretrainedModel again = PretrainedModel.open(ops, folder.resolve("wide"))) {
                assertEquals(wide.config(), again.config());
                assertArrayEquals(after, positions(again));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "clip-exact, open_clip_model.safetensors, 16",
        "siglip-bf16, open_clip_model.safetensors, 20",
        "siglip-bf16, model.safetensors, 8"
    })
    void save_withAnotherPictureSize_isOpenedWithThatSize(String model, String weights, int size) {
        try (Ops ops = Backend.open("cpu");
                PretrainedModel changed = PretrainedModel.open(
                        ops,
                        GoldenModel.FOLDER.resolve(model).resolve(weights),
                        new PretrainedModel.Options(ops.parameterDtype(), size))) {
            changed.save(folder.resolve("changed"));
            try (PretrainedModel again = PretrainedModel.open(ops, folder.resolve("changed"))) {
                assertEquals(size, again.config().imageSize());
                assertEquals(changed.config(), again.config());
                float tolerance = model.contains("bf16") ? 1e-2f : 0; // the file has bf16
                assertArrayEquals(positions(changed), positions(again), tolerance);
            }
        }
    }

    private static float[] positions(PretrainedModel model) {
        return model.encoder().image().parameters().stream()
                .filter(parameter -> parameter.name().equals("image.positions"))
                .findFirst()
                .orElseThrow()
                .value()
                .toFloats();
    }

    @Test
    void preprocessor_config_isRead() throws IOException {
        copy("clip-exact");
        Files.writeString(
                folder.resolve("preprocessor_config.json"),
                "{\"do_center_crop\": true, \"crop_size\": {\"height\": 12, \"width\": 12},"
                        + " \"size\": {\"shortest_edge\": 12}, \"resample\": 2, \"image_mean\": [0.1, 0.2, 0.3]}");
        try (Ops ops = Backend.open("cpu");
                PretrainedModel model = PretrainedModel.open(ops, folder)) {
            Preprocessing read = model.preprocessing();
            assertEquals(Preprocessing.Filter.BILINEAR, read.filter());
            assertEquals(Preprocessing.CropRounding.DOWN, read.cropRounding());
            assertEquals(0.2, read.mean()[1]);
            edit("preprocessor_config.json", "\"height\": 12", "\"height\": 16");
            assertTrue(assertThrows(PretrainedException.class, model::preprocessing)
                    .getMessage()
                    .contains("expected the picture size of the model, 12"));
        }
    }
}
