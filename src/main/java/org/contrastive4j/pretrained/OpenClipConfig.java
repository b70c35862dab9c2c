package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.TransformerConfig.Projection;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.pretrained.PretrainedConfig.EndOfText;
import org.contrastive4j.pretrained.PretrainedConfig.Family;

/**
 * Reads {@code open_clip_config.json}. A vision tower that open_clip takes from timm is named there without its sizes;
 * width and depth are then those of the tensors.
 *
 * <p>Tested by {@code PretrainedModelTest}.
 */
final class OpenClipConfig {
    private static final Set<String> VISION_FIELDS = Set.of(
            "image_size",
            "layers",
            "width",
            "head_width",
            "mlp_ratio",
            "patch_size",
            "norm_kwargs",
            "act_kwargs",
            "patch_dropout",
            "timm_model_name",
            "timm_model_pretrained",
            "timm_pool",
            "timm_proj",
            "timm_drop",
            "timm_drop_path",
            "output_tokens",
            "pool_type",
            "final_ln_after_pool",
            "no_ln_pre",
            "attentional_pool",
            "pos_embed_type",
            "ls_init_value",
            "input_patchnorm");
    private static final Set<String> TEXT_FIELDS = Set.of(
            "context_length",
            "vocab_size",
            "width",
            "heads",
            "layers",
            "mlp_ratio",
            "norm_kwargs",
            "act_kwargs",
            "no_causal_mask",
            "pool_type",
            "proj_bias",
            "proj_type",
            "pad_id",
            "eos_id",
            "hf_tokenizer_name",
            "tokenizer_kwargs",
            "tokenizer_type",
            "embed_cls",
            "output_tokens",
            "final_ln_after_pool",
            "ls_init_value");
    /** Towers of timm whose activation is the tanh GELU; its other SigLIP towers use the exact one. */
    private static final Pattern TANH_TOWERS = Pattern.compile("patch32_siglip|so400m_patch16_siglip|giantopt");

    private static final Pattern TIMM_SIZE = Pattern.compile("vit_(\\w+?)_patch(\\d+)_siglip(?:_gap)?_(\\d+)");
    /** The default of open_clip for the pooling at an id. */
    private static final int DEFAULT_EOS_ID = 2;

    private static final int SO400M_HEADS = 16;
    private static final int USUAL_HEAD_WIDTH = 64;
    private static final int SO400M_WIDTH = 1152;

    private OpenClipConfig() {}

    /** @param tensors of the checkpoint, by name */
    static PretrainedConfig read(Json json, Map<String, Entry> tensors) {
        if (!json.has("model_cfg")) {
            throw json.wrong("model_cfg", "absent", "the sizes of the model");
        }
        Json model = json.at("model_cfg");
        Json vision = model.at("vision_cfg");
        Json text = model.at("text_cfg");
        if (text.has("hf_model_name")) {
            throw text.wrong(
                    "hf_model_name",
                    text.text("hf_model_name", ""),
                    "no such field: only CLIP's own text tower is read");
        }
        if (model.has("multimodal_cfg")) {
            throw model.wrong("multimodal_cfg", "present", "absent: CoCa, which generates captions, is not read");
        }
        requireKnown(vision, VISION_FIELDS);
        requireKnown(text, TEXT_FIELDS);
        int embedding = model.positive("embed_dim", 512);
        boolean quick = model.flag("quick_gelu", false);
        boolean timm = vision.has("timm_model_name");
        boolean bias = model.has("init_logit_bias") || tensors.containsKey("logit_bias");
        String pool = text.text("pool_type", "argmax");
        EndOfText end =
                switch (pool) {
                    case "argmax" -> EndOfText.ARGMAX;
                    case "eos" -> EndOfText.FIRST_END;
                    case "last" -> EndOfText.LAST;
                    default -> throw text.wrong("pool_type", pool, "argmax, eos or last");
                };
        return new PretrainedConfig(
                bias ? Family.SIGLIP : Family.CLIP,
                new DualEncoder.Config(
                        timm ? timm(vision, embedding, tensors) : vision(vision, embedding, quick),
                        text(text, embedding, quick)),
                end,
                text.integer(
                        "eos_id", end == EndOfText.FIRST_END ? DEFAULT_EOS_ID : bias ? 1 : HuggingFaceConfig.CLIP_END),
                text.integer("pad_id", bias ? 1 : 0),
                model.number("init_logit_scale", bias ? HuggingFaceConfig.SIGLIP_LOGIT_SCALE : Math.log(1 / 0.07)),
                model.number("init_logit_bias", bias ? HuggingFaceConfig.SIGLIP_LOGIT_BIAS : 0));
    }

    private static void requireKnown(Json json, Set<String> known) {
        TreeSet<String> unknown = new TreeSet<>();
        json.node().fieldNames().forEachRemaining(name -> {
            if (!known.contains(name) && json.has(name)) {
                unknown.add(name);
            }
        });
        if (!unknown.isEmpty()) {
            throw json.wrong(
                    unknown.first(),
                    json.node().path(unknown.first()),
                    "one of the fields " + new TreeSet<>(known) + ": models with others are not read");
        }
        for (String flag : List.of("attentional_pool", "input_patchnorm", "embed_cls", "no_ln_pre")) {
            if (json.has(flag)
                    && !json.node()
                            .path(flag)
                            .equals(Json.MAPPER.getNodeFactory().booleanNode(false))) {
                throw json.wrong(flag, json.node().path(flag), "false: models with it are not read");
            }
        }
        if (json.has("ls_init_value")) {
            throw json.wrong("ls_init_value", json.node().path("ls_init_value"), "null: layer scale is not read");
        }
    }

    private static VisionTransformer.Config vision(Json json, int embedding, boolean quick) {
        if (json.node().path("layers").isArray()) {
            throw json.wrong("layers", json.node().path("layers"), "a number: ResNet towers are not read");
        }
        if (!json.text("pool_type", "tok").equals("tok")
                || !json.text("pos_embed_type", "learnable").equals("learnable")) {
            throw json.wrong("pool_type", json.text("pool_type", "tok"), "tok, with pos_embed_type learnable");
        }
        int width = json.positive("width", 768);
        int headWidth = json.positive("head_width", 64);
        if (width % headWidth != 0) {
            throw json.wrong("head_width", headWidth, "a divisor of the width of " + width);
        }
        JsonNode sizes = json.node().path("image_size");
        if (sizes.isArray() && (sizes.size() != 2 || !sizes.get(0).equals(sizes.get(1)))) {
            throw json.wrong("image_size", sizes, "a square");
        }
        int size = sizes.isArray() ? sizes.get(0).intValue() : json.positive("image_size", 224);
        int patch = json.positive("patch_size", 16);
        HuggingFaceConfig.requireMultiple(json, "image_size", size, patch);
        return new VisionTransformer.Config(
                size,
                patch,
                patch,
                0,
                blocks(json, width, json.positive("layers", 12), width / headWidth, quick, 1e-5),
                Pooling.CLASS,
                embedding,
                VisionTransformer.Variant.CLIP);
    }

    private static VisionTransformer.Config timm(Json json, int embedding, Map<String, Entry> tensors) {
        String name = json.text("timm_model_name", "");
        Matcher sizes = TIMM_SIZE.matcher(name);
        if (!name.contains("siglip")
                || !json.text("timm_pool", "map").equals("map")
                || !json.text("timm_proj", "none").equals("none")) {
            throw json.wrong("timm_model_name", name, "a SigLIP tower of timm with timm_pool map and timm_proj none");
        }
        Entry patches = tensors.get("visual.trunk.patch_embed.proj.weight");
        Entry hidden = tensors.get("visual.trunk.blocks.0.mlp.fc1.weight");
        if (patches == null || hidden == null || patches.shape().length != 4 || hidden.shape().length != 2) {
            throw json.wrong("timm_model_name", name, "tensors visual.trunk.* in the checkpoint, which tell the sizes");
        }
        int layers = 0;
        while (tensors.containsKey("visual.trunk.blocks." + layers + ".norm1.weight")) {
            layers++;
        }
        int width = patches.shape()[0];
        int heads = width == SO400M_WIDTH ? SO400M_HEADS : Math.max(1, width / USUAL_HEAD_WIDTH);
        int size = json.positive("image_size", sizes.find() ? Integer.parseInt(sizes.group(3)) : 224);
        return new VisionTransformer.Config(
                size,
                patches.shape()[2],
                patches.shape()[2],
                0,
                new TransformerConfig(
                        width,
                        layers,
                        heads,
                        hidden.shape()[0],
                        TANH_TOWERS.matcher(name).find() ? Gelu.TANH : Gelu.EXACT,
                        0,
                        1e-6),
                Pooling.ATTENTION,
                embedding,
                VisionTransformer.Variant.SIGLIP);
    }

    private static TextTransformer.Config text(Json json, int embedding, boolean quick) {
        int width = json.positive("width", 512);
        String projection = json.text("proj_type", "linear");
        if (!projection.equals("linear") && !projection.equals("none")) {
            throw json.wrong("proj_type", projection, "linear or none");
        }
        return new TextTransformer.Config(
                json.positive("vocab_size", 49408),
                json.positive("context_length", 77),
                blocks(json, width, json.positive("layers", 12), json.positive("heads", 8), quick, 1e-5),
                !json.flag("no_causal_mask", false),
                Pooling.LAST,
                embedding,
                projection.equals("none")
                        ? Projection.NONE
                        : json.flag("proj_bias", false) ? Projection.BIASED : Projection.PLAIN);
    }

    private static TransformerConfig blocks(
            Json json, int width, int layers, int heads, boolean quick, double epsilon) {
        boolean tanh = json.at("act_kwargs").text("approximate", "none").equals("tanh");
        return new TransformerConfig(
                width,
                layers,
                heads,
                (int) (width * json.number("mlp_ratio", 4)),
                quick ? Gelu.QUICK : tanh ? Gelu.TANH : Gelu.EXACT,
                0,
                json.at("norm_kwargs").number("eps", epsilon));
    }
}
