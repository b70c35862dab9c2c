package org.contrastive4j.pretrained;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.TransformerConfig.Projection;

/**
 * The tensors of a checkpoint of a given configuration, by the names of the program that wrote it.
 *
 * <p>Tested by {@code PretrainedModelTest}.
 */
final class TensorNames {
    static final String LOGIT_SCALE = "logit_scale";
    static final String LOGIT_BIAS = "logit_bias";

    /** Who names the tensors. */
    enum Layout {
        /** Hugging Face transformers. */
        HUGGING_FACE,
        /** open_clip, the text tower at the top level. */
        OPEN_CLIP,
        /** open_clip, the text tower under {@code text.}. */
        OPEN_CLIP_TEXT;

        /** The layout that these names are of. */
        static Layout of(Set<String> names) {
            if (names.stream().anyMatch(name -> name.startsWith("text_model.") || name.startsWith("vision_model."))) {
                return HUGGING_FACE;
            }
            return names.contains("text.token_embedding.weight") ? OPEN_CLIP_TEXT : OPEN_CLIP;
        }
    }

    private final PretrainedConfig config;
    private final Map<String, Slot> slots = new LinkedHashMap<>();

    private TensorNames(PretrainedConfig config) {
        this.config = config;
    }

    /** Returns where each tensor belongs, by its name. */
    static Map<String, Slot> of(PretrainedConfig config, Layout layout) {
        TensorNames names = new TensorNames(config);
        if (layout == Layout.HUGGING_FACE) {
            names.huggingFaceText();
            names.huggingFaceVision();
        } else {
            names.openClipText(layout == Layout.OPEN_CLIP_TEXT ? "text." : "");
            if (config.encoder().image().pooling() == Pooling.ATTENTION) {
                names.timmVision();
            } else {
                names.openClipVision();
            }
        }
        names.add(Slot.range(LOGIT_SCALE, LOGIT_SCALE, 0));
        if (config.family() == PretrainedConfig.Family.SIGLIP) {
            names.add(Slot.range(LOGIT_BIAS, LOGIT_BIAS, 0));
        }
        return names.slots;
    }

    /** Buffers that programs store beside the parameters; they hold nothing that the configuration does not say. */
    static boolean isBuffer(String tensor) {
        return tensor.endsWith("position_ids") || tensor.endsWith("attn_mask");
    }

    private void add(Slot slot) {
        slots.put(slot.tensor(), slot);
    }

    private void norm(String tensor, String parameter, int width) {
        add(Slot.range(tensor + ".weight", parameter + ".gamma", 0, width));
        add(Slot.range(tensor + ".bias", parameter + ".beta", 0, width));
    }

    private void linear(String tensor, String parameter, int out, int in) {
        add(Slot.transposed(tensor + ".weight", parameter + ".weight", 0, out, out, in));
        add(Slot.range(tensor + ".bias", parameter + ".bias", 0, out));
    }

    /** A part of a product of {@code columns} columns; weight and bias by these names. */
    private void part(String weight, String bias, String parameter, int column, int out, int in, int columns) {
        add(Slot.transposed(weight, parameter + ".weight", column, columns, out, in));
        add(Slot.range(bias, parameter + ".bias", column, out));
    }

    private void separateQkv(String tensor, String parameter, int width) {
        List<String> names = List.of("q_proj", "k_proj", "v_proj");
        for (int k = 0; k < names.size(); k++) {
            String name = tensor + "." + names.get(k);
            part(name + ".weight", name + ".bias", parameter, k * width, width, width, 3 * width);
        }
    }

    private void huggingFaceBlocks(String tensor, String parameter, TransformerConfig blocks) {
        int width = blocks.width();
        for (int k = 0; k < blocks.layers(); k++) {
            String from = tensor + ".encoder.layers." + k;
            String to = parameter + ".block" + k;
            norm(from + ".layer_norm1", to + ".norm1", width);
            separateQkv(from + ".self_attn", to + ".attention.qkv", width);
            linear(from + ".self_attn.out_proj", to + ".attention.out", width, width);
            norm(from + ".layer_norm2", to + ".norm2", width);
            linear(from + ".mlp.fc1", to + ".mlp.up", blocks.mlpWidth(), width);
            linear(from + ".mlp.fc2", to + ".mlp.down", width, blocks.mlpWidth());
        }
    }

    private void huggingFaceText() {
        TransformerConfig blocks = config.encoder().text().transformer();
        int width = blocks.width();
        String from = "text_model.embeddings.";
        add(Slot.range(
                from + "token_embedding.weight",
                "text.embed",
                0,
                config.encoder().text().vocabulary(),
                width));
        add(Slot.range(from + "position_embedding.weight", "text.positions", 0, config.contextLength(), width));
        huggingFaceBlocks("text_model", "text", blocks);
        norm("text_model.final_layer_norm", "text.norm", width);
        int embedding = config.encoder().text().embedding();
        if (config.family() == PretrainedConfig.Family.SIGLIP) {
            linear("text_model.head", "text.project", embedding, width);
        } else {
            add(Slot.transposed("text_projection.weight", "text.project.weight", 0, embedding, embedding, width));
        }
    }

    private void huggingFaceVision() {
        TransformerConfig blocks = config.encoder().image().transformer();
        int width = blocks.width();
        int patch = config.encoder().image().kernel();
        String from = "vision_model.embeddings.";
        boolean clip = config.family() == PretrainedConfig.Family.CLIP;
        if (clip) {
            add(Slot.range(from + "class_embedding", "image.class_token", 0, width));
        }
        add(Slot.patches(from + "patch_embedding.weight", "image.embed.weight", width, patch));
        if (!clip) {
            add(Slot.range(from + "patch_embedding.bias", "image.embed.bias", 0, width));
        }
        add(Slot.range(from + "position_embedding.weight", "image.positions", 0, positions(), width));
        if (clip) {
            norm("vision_model.pre_layrnorm", "image.pre_norm", width);
        }
        huggingFaceBlocks("vision_model", "image", blocks);
        norm("vision_model.post_layernorm", "image.norm", width);
        int embedding = config.encoder().image().embedding();
        if (clip) {
            add(Slot.transposed("visual_projection.weight", "image.project.weight", 0, embedding, embedding, width));
            return;
        }
        String head = "vision_model.head";
        add(Slot.range(head + ".probe", "image.head.probe", 0, 1, 1, width));
        part(
                head + ".attention.in_proj_weight",
                head + ".attention.in_proj_bias",
                "image.head.attention.qkv",
                0,
                3 * width,
                width,
                3 * width);
        linear(head + ".attention.out_proj", "image.head.attention.out", width, width);
        norm(head + ".layernorm", "image.head.norm", width);
        linear(head + ".mlp.fc1", "image.head.mlp.up", blocks.mlpWidth(), width);
        linear(head + ".mlp.fc2", "image.head.mlp.down", width, blocks.mlpWidth());
    }

    private void openClipBlocks(String tensor, String parameter, TransformerConfig blocks) {
        int width = blocks.width();
        for (int k = 0; k < blocks.layers(); k++) {
            String from = tensor + "transformer.resblocks." + k;
            String to = parameter + ".block" + k;
            norm(from + ".ln_1", to + ".norm1", width);
            part(
                    from + ".attn.in_proj_weight",
                    from + ".attn.in_proj_bias",
                    to + ".attention.qkv",
                    0,
                    3 * width,
                    width,
                    3 * width);
            linear(from + ".attn.out_proj", to + ".attention.out", width, width);
            norm(from + ".ln_2", to + ".norm2", width);
            linear(from + ".mlp.c_fc", to + ".mlp.up", blocks.mlpWidth(), width);
            linear(from + ".mlp.c_proj", to + ".mlp.down", width, blocks.mlpWidth());
        }
    }

    private void openClipText(String prefix) {
        TransformerConfig blocks = config.encoder().text().transformer();
        int width = blocks.width();
        int embedding = config.encoder().text().embedding();
        add(Slot.range(prefix + "positional_embedding", "text.positions", 0, config.contextLength(), width));
        add(Slot.range(
                prefix + "token_embedding.weight",
                "text.embed",
                0,
                config.encoder().text().vocabulary(),
                width));
        openClipBlocks(prefix, "text", blocks);
        norm(prefix + "ln_final", "text.norm", width);
        if (config.encoder().text().projection() == Projection.BIASED) {
            linear(prefix + "text_projection", "text.project", embedding, width);
        } else if (config.encoder().text().projection() == Projection.PLAIN) {
            add(Slot.range(prefix + "text_projection", "text.project.weight", 0, width, embedding));
        }
    }

    private void openClipVision() {
        TransformerConfig blocks = config.encoder().image().transformer();
        int width = blocks.width();
        add(Slot.range("visual.class_embedding", "image.class_token", 0, width));
        add(Slot.range("visual.positional_embedding", "image.positions", 0, positions(), width));
        add(Slot.range(
                "visual.proj",
                "image.project.weight",
                0,
                width,
                config.encoder().image().embedding()));
        add(Slot.patches(
                "visual.conv1.weight",
                "image.embed.weight",
                width,
                config.encoder().image().kernel()));
        norm("visual.ln_pre", "image.pre_norm", width);
        openClipBlocks("visual.", "image", blocks);
        norm("visual.ln_post", "image.norm", width);
    }

    private void timmVision() {
        TransformerConfig blocks = config.encoder().image().transformer();
        int width = blocks.width();
        String trunk = "visual.trunk.";
        add(Slot.range(trunk + "pos_embed", "image.positions", 0, 1, positions(), width));
        add(Slot.patches(
                trunk + "patch_embed.proj.weight",
                "image.embed.weight",
                width,
                config.encoder().image().kernel()));
        add(Slot.range(trunk + "patch_embed.proj.bias", "image.embed.bias", 0, width));
        for (int k = 0; k < blocks.layers(); k++) {
            String from = trunk + "blocks." + k;
            String to = "image.block" + k;
            norm(from + ".norm1", to + ".norm1", width);
            linear(from + ".attn.qkv", to + ".attention.qkv", 3 * width, width);
            linear(from + ".attn.proj", to + ".attention.out", width, width);
            norm(from + ".norm2", to + ".norm2", width);
            linear(from + ".mlp.fc1", to + ".mlp.up", blocks.mlpWidth(), width);
            linear(from + ".mlp.fc2", to + ".mlp.down", width, blocks.mlpWidth());
        }
        norm(trunk + "norm", "image.norm", width);
        String pool = trunk + "attn_pool.";
        String qkv = "image.head.attention.qkv";
        add(Slot.range(pool + "latent", "image.head.probe", 0, 1, 1, width));
        part(pool + "q.weight", pool + "q.bias", qkv, 0, width, width, 3 * width);
        part(pool + "kv.weight", pool + "kv.bias", qkv, width, 2 * width, width, 3 * width);
        linear(pool + "proj", "image.head.attention.out", width, width);
        norm(pool + "norm", "image.head.norm", width);
        linear(pool + "mlp.fc1", "image.head.mlp.up", blocks.mlpWidth(), width);
        linear(pool + "mlp.fc2", "image.head.mlp.down", width, blocks.mlpWidth());
    }

    private int positions() {
        int side = config.imageSize() / config.encoder().image().kernel();
        return side * side + (config.encoder().image().pooling() == Pooling.CLASS ? 1 : 0);
    }

    /** The module of Hugging Face transformers that computes an adaptable layer, e.g. for adapters' names. */
    static Map<String, String> huggingFaceModules(List<String> adaptable) {
        Map<String, String> modules = new LinkedHashMap<>();
        Map<String, String> suffixes = Map.of(
                "attention.q", "self_attn.q_proj",
                "attention.k", "self_attn.k_proj",
                "attention.v", "self_attn.v_proj",
                "attention.out", "self_attn.out_proj",
                "mlp.up", "mlp.fc1",
                "mlp.down", "mlp.fc2");
        for (String name : adaptable) {
            List<String> parts = new ArrayList<>(List.of(name.split("\\.")));
            String tower = parts.get(0).equals("image") ? "vision_model" : "text_model";
            String block = parts.get(1).startsWith("block")
                    ? "encoder.layers." + parts.get(1).substring("block".length())
                    : "head";
            modules.put(name, tower + "." + block + "." + suffixes.get(String.join(".", parts.subList(2, 4))));
        }
        return modules;
    }
}
