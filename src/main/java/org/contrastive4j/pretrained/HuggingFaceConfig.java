package org.contrastive4j.pretrained;

import java.util.Map;
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
 * Reads {@code config.json} of Hugging Face transformers. Fields that published files leave out have the defaults of
 * {@code CLIPConfig} and {@code SiglipConfig}.
 *
 * <p>Tested by {@code PretrainedModelTest}.
 */
final class HuggingFaceConfig {
    /** {@code ln(1 / 0.07)} as transformers rounds it. */
    static final double CLIP_LOGIT_SCALE = 2.6592;
    /** {@code ln 10}: the sigmoid loss of Zhai et al. starts there. */
    static final double SIGLIP_LOGIT_SCALE = Math.log(10);

    static final double SIGLIP_LOGIT_BIAS = -10;
    static final int CLIP_END = 49407;
    /** What files of before transformers 4.31 name as end of text; the pooled position is then the largest id. */
    private static final int OLD_END = 2;

    private static final Map<String, Gelu> ACTIVATIONS =
            Map.of("gelu", Gelu.EXACT, "quick_gelu", Gelu.QUICK, "gelu_pytorch_tanh", Gelu.TANH, "gelu_new", Gelu.TANH);

    private HuggingFaceConfig() {}

    static PretrainedConfig read(Json json) {
        String type = json.text("model_type", "");
        Json text = merged(json, "text_config");
        Json vision = merged(json, "vision_config");
        return switch (type) {
            case "clip" -> clip(json, text, vision);
            case "siglip" -> siglip(text, vision);
            case "siglip2" ->
                throw json.wrong(
                        "model_type",
                        "siglip2, the variant of pictures with any aspect ratio",
                        "clip or siglip; SigLIP 2 checkpoints of a fixed picture size have the type siglip");
            default ->
                throw json.wrong(
                        "model_type",
                        type.isEmpty() ? "absent" : type,
                        "clip or siglip: this is the configuration of another family of models");
        };
    }

    /** Old files carry the values that differ from the defaults a second time, in {@code text_config_dict}. */
    private static Json merged(Json json, String name) {
        return json.at(name).with(json.at(name + "_dict"));
    }

    private static PretrainedConfig clip(Json json, Json text, Json vision) {
        int width = json.positive("projection_dim", 512);
        TransformerConfig visionBlocks = blocks(vision, 768, 12, 12, 3072, "quick_gelu", 1e-5);
        TransformerConfig textBlocks = blocks(text, 512, 12, 8, 2048, "quick_gelu", 1e-5);
        int size = vision.positive("image_size", 224);
        int patch = vision.positive("patch_size", 32);
        requireMultiple(vision, "image_size", size, patch);
        requireChannels(vision);
        int end = text.integer("eos_token_id", CLIP_END);
        return new PretrainedConfig(
                Family.CLIP,
                new DualEncoder.Config(
                        new VisionTransformer.Config(
                                size,
                                patch,
                                patch,
                                0,
                                visionBlocks,
                                Pooling.CLASS,
                                width,
                                VisionTransformer.Variant.CLIP),
                        new TextTransformer.Config(
                                text.positive("vocab_size", 49408),
                                text.positive("max_position_embeddings", 77),
                                textBlocks,
                                true,
                                Pooling.LAST,
                                width,
                                Projection.PLAIN)),
                end == OLD_END ? EndOfText.ARGMAX : EndOfText.FIRST_END,
                end == OLD_END ? CLIP_END : end,
                end == OLD_END ? CLIP_END : text.integer("pad_token_id", CLIP_END),
                json.number("logit_scale_init_value", CLIP_LOGIT_SCALE),
                0);
    }

    private static PretrainedConfig siglip(Json text, Json vision) {
        TransformerConfig visionBlocks = blocks(vision, 768, 12, 12, 3072, "gelu_pytorch_tanh", 1e-6);
        TransformerConfig textBlocks = blocks(text, 768, 12, 12, 3072, "gelu_pytorch_tanh", 1e-6);
        requireChannels(vision);
        if (!vision.flag("vision_use_head", true)) {
            throw vision.wrong("vision_use_head", false, "true: a SigLIP vision tower pools by attention");
        }
        int size = vision.positive("image_size", 224);
        int patch = vision.positive("patch_size", 16);
        if (size < patch) {
            throw vision.wrong("image_size", size, "at least the patch_size of " + patch);
        }
        int projection = text.positive("projection_size", textBlocks.width());
        if (projection != visionBlocks.width()) {
            throw text.wrong(
                    "projection_size", projection, "the hidden_size of the vision tower, " + visionBlocks.width());
        }
        return new PretrainedConfig(
                Family.SIGLIP,
                new DualEncoder.Config(
                        new VisionTransformer.Config(
                                size,
                                patch,
                                patch,
                                0,
                                visionBlocks,
                                Pooling.ATTENTION,
                                visionBlocks.width(),
                                VisionTransformer.Variant.SIGLIP),
                        new TextTransformer.Config(
                                text.positive("vocab_size", 32000),
                                text.positive("max_position_embeddings", 64),
                                textBlocks,
                                false,
                                Pooling.LAST,
                                projection,
                                Projection.BIASED)),
                EndOfText.LAST,
                text.integer("eos_token_id", 1),
                text.integer("pad_token_id", 1),
                SIGLIP_LOGIT_SCALE,
                SIGLIP_LOGIT_BIAS);
    }

    private static TransformerConfig blocks(
            Json json, int width, int layers, int heads, int hidden, String activation, double epsilon) {
        String name = json.text("hidden_act", activation);
        if (!ACTIVATIONS.containsKey(name)) {
            throw json.wrong(
                    "hidden_act",
                    name,
                    "one of " + ACTIVATIONS.keySet().stream().sorted().toList());
        }
        int actualWidth = json.positive("hidden_size", width);
        int actualHeads = json.positive("num_attention_heads", heads);
        if (actualWidth % actualHeads != 0) {
            throw json.wrong("num_attention_heads", actualHeads, "a divisor of the hidden_size of " + actualWidth);
        }
        return new TransformerConfig(
                actualWidth,
                json.positive("num_hidden_layers", layers),
                actualHeads,
                json.positive("intermediate_size", hidden),
                ACTIVATIONS.get(name),
                0,
                json.number("layer_norm_eps", epsilon));
    }

    private static void requireChannels(Json vision) {
        if (vision.integer("num_channels", 3) != 3) {
            throw vision.wrong("num_channels", vision.integer("num_channels", 3), "3: pictures are RGB");
        }
    }

    static void requireMultiple(Json vision, String name, int size, int patch) {
        if (size % patch != 0) {
            throw vision.wrong(name, size, "a multiple of the patch_size of " + patch);
        }
    }
}
