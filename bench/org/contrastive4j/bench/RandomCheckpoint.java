package org.contrastive4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;

/** Writes CLIP checkpoints with random f32 weights in the layout of Hugging Face transformers. */
final class RandomCheckpoint {
    /**
     * Sizes of a CLIP model with QuickGELU.
     *
     * @param image side of pictures in pixels
     * @param width of the image encoder
     * @param layers of the image encoder
     * @param textWidth width of the text encoder
     * @param textLayers layers of the text encoder
     * @param embedding width of representations
     */
    record Sizes(int image, int patch, int width, int layers, int textWidth, int textLayers, int embedding) {
        /** 151,277,313 parameters. */
        static final Sizes VIT_B_32 = new Sizes(224, 32, 768, 12, 512, 12, 512);
        /** 427,944,193 parameters. */
        static final Sizes VIT_L_14_336 = new Sizes(336, 14, 1024, 24, 768, 12, 768);

        static Sizes named(String name) {
            return switch (name) {
                case "b32" -> VIT_B_32;
                case "l14-336" -> VIT_L_14_336;
                default -> throw new IllegalArgumentException(name + ", expected b32 or l14-336");
            };
        }
    }

    private static final int HEAD = 64;
    private static final int VOCABULARY = 49408;
    private static final int CONTEXT = 77;
    private static final ObjectMapper JSON = new ObjectMapper();

    private RandomCheckpoint() {}

    static Map<String, int[]> shapes(Sizes sizes) {
        Map<String, int[]> shapes = new LinkedHashMap<>();
        shapes.put("logit_scale", new int[0]);
        int text = sizes.textWidth();
        shapes.put("text_model.embeddings.position_embedding.weight", new int[] {CONTEXT, text});
        shapes.put("text_model.embeddings.token_embedding.weight", new int[] {VOCABULARY, text});
        blocks("text_model", sizes.textLayers(), text, shapes);
        vector("text_model.final_layer_norm", text, shapes);
        shapes.put("text_projection.weight", new int[] {sizes.embedding(), text});
        int width = sizes.width();
        int grid = sizes.image() / sizes.patch();
        shapes.put("vision_model.embeddings.class_embedding", new int[] {width});
        shapes.put(
                "vision_model.embeddings.patch_embedding.weight", new int[] {width, 3, sizes.patch(), sizes.patch()});
        shapes.put("vision_model.embeddings.position_embedding.weight", new int[] {grid * grid + 1, width});
        vector("vision_model.pre_layrnorm", width, shapes);
        blocks("vision_model", sizes.layers(), width, shapes);
        vector("vision_model.post_layernorm", width, shapes);
        shapes.put("visual_projection.weight", new int[] {sizes.embedding(), width});
        return shapes;
    }

    private static void blocks(String encoder, int layers, int width, Map<String, int[]> shapes) {
        for (int k = 0; k < layers; k++) {
            String block = encoder + ".encoder.layers." + k + ".";
            vector(block + "layer_norm1", width, shapes);
            vector(block + "layer_norm2", width, shapes);
            for (String part : new String[] {"q_proj", "k_proj", "v_proj", "out_proj"}) {
                matrix(block + "self_attn." + part, width, width, shapes);
            }
            matrix(block + "mlp.fc1", 4 * width, width, shapes);
            matrix(block + "mlp.fc2", width, 4 * width, shapes);
        }
    }

    private static void vector(String name, int width, Map<String, int[]> shapes) {
        shapes.put(name + ".weight", new int[] {width});
        shapes.put(name + ".bias", new int[] {width});
    }

    private static void matrix(String name, int out, int in, Map<String, int[]> shapes) {
        shapes.put(name + ".weight", new int[] {out, in});
        shapes.put(name + ".bias", new int[] {out});
    }

    private static long size(int[] shape) {
        return Arrays.stream(shape).asLongStream().reduce(1, (a, b) -> a * b);
    }

    /** Writes configuration, tokenizer and weights; the vocabulary of the tokenizer holds single bytes. */
    static void write(Path folder, Sizes sizes) throws IOException {
        Files.createDirectories(folder);
        config(folder, sizes);
        vocabulary(folder);
        Map<String, int[]> shapes = shapes(sizes);
        ObjectNode header = JSON.createObjectNode();
        long at = 0;
        for (Map.Entry<String, int[]> tensor : shapes.entrySet()) {
            long end = at + Float.BYTES * size(tensor.getValue());
            ObjectNode node = header.putObject(tensor.getKey()).put("dtype", "F32");
            node.set("shape", JSON.valueToTree(tensor.getValue()));
            node.set("data_offsets", JSON.valueToTree(new long[] {at, end}));
            at = end;
        }
        byte[] text = JSON.writeValueAsBytes(header);
        byte[] padded = Arrays.copyOf(text, (text.length + Long.BYTES - 1) / Long.BYTES * Long.BYTES);
        Arrays.fill(padded, text.length, padded.length, (byte) ' ');
        SplittableRandom random = new SplittableRandom(1);
        try (OutputStream out =
                new BufferedOutputStream(Files.newOutputStream(folder.resolve("model.safetensors")), 1 << 20)) {
            out.write(ByteBuffer.allocate(Long.BYTES)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(padded.length)
                    .array());
            out.write(padded);
            for (Map.Entry<String, int[]> tensor : shapes.entrySet()) {
                write(out, tensor.getKey(), tensor.getValue(), random);
            }
        }
    }

    private static void write(OutputStream out, String name, int[] shape, SplittableRandom random) throws IOException {
        long size = size(shape);
        boolean norm = name.contains("norm") && name.endsWith("weight");
        double offset = name.equals("logit_scale") ? Math.log(1 / 0.07) : norm ? 1 : 0;
        double scale = shape.length == 0 ? 0 : shape.length == 1 ? 0.02 : 1 / Math.sqrt((double) size / shape[0]);
        ByteBuffer block = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
        for (long k = 0; k < size; k++) {
            block.putFloat((float) (offset + scale * (2 * random.nextDouble() - 1)));
            if (!block.hasRemaining() || k + 1 == size) {
                out.write(block.array(), 0, block.position());
                block.clear();
            }
        }
    }

    private static void config(Path folder, Sizes sizes) throws IOException {
        ObjectNode config = JSON.createObjectNode().put("model_type", "clip").put("projection_dim", sizes.embedding());
        encoder(config.putObject("text_config"), sizes.textWidth(), sizes.textLayers())
                .put("vocab_size", VOCABULARY)
                .put("max_position_embeddings", CONTEXT)
                .put("eos_token_id", 2);
        encoder(config.putObject("vision_config"), sizes.width(), sizes.layers())
                .put("image_size", sizes.image())
                .put("patch_size", sizes.patch());
        Files.write(folder.resolve("config.json"), JSON.writeValueAsBytes(config));
    }

    private static ObjectNode encoder(ObjectNode node, int width, int layers) {
        return node.put("hidden_size", width)
                .put("intermediate_size", 4 * width)
                .put("num_hidden_layers", layers)
                .put("num_attention_heads", width / HEAD)
                .put("hidden_act", "quick_gelu");
    }

    /** A merges file without merges: the tokens of a caption are its bytes. */
    private static void vocabulary(Path folder) throws IOException {
        Files.write(folder.resolve("bpe_simple_vocab_16e6.txt"), "version\n".getBytes(StandardCharsets.UTF_8));
    }
}
