package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.contrastive4j.data.Preprocessing;
import org.contrastive4j.data.Preprocessing.CropRounding;
import org.contrastive4j.data.Preprocessing.Filter;
import org.contrastive4j.data.Preprocessing.Fit;

/**
 * Reads how pictures are prepared: {@code preprocessor_config.json}, or {@code preprocess_cfg} of open_clip.
 *
 * <p>Tested by {@code CheckpointInputTest}.
 */
final class PreprocessingFile {
    private static final int BILINEAR = 2; // Pillow's numbers of filters
    private static final int BICUBIC = 3;
    private static final double[] HALF = {0.5, 0.5, 0.5};

    private PreprocessingFile() {}

    /** The preprocessing of a folder; without a file that says it, that of the family. */
    static Preprocessing read(Path folder, PretrainedConfig config) {
        Preprocessing usual = config.family() == PretrainedConfig.Family.SIGLIP
                ? Preprocessing.sigLip(config.imageSize())
                : Preprocessing.clip(config.imageSize());
        Path huggingFace = folder.resolve("preprocessor_config.json");
        if (Files.exists(huggingFace)) {
            return huggingFace(Json.read(huggingFace), usual);
        }
        Path openClip = folder.resolve("open_clip_config.json");
        if (Files.exists(openClip) && Json.read(openClip).has("preprocess_cfg")) {
            return openClip(Json.read(openClip).at("preprocess_cfg"), usual);
        }
        return usual;
    }

    private static Preprocessing huggingFace(Json json, Preprocessing usual) {
        JsonNode size = json.node().path("size");
        boolean crops = json.flag("do_center_crop", size.isInt() || size.has("shortest_edge"));
        Fit fit = crops ? Fit.CROP : Fit.SQUASH;
        JsonNode target = crops && json.has("crop_size") ? json.node().path("crop_size") : size;
        requireSize(json, crops ? "crop_size" : "size", target, usual.size());
        if (crops && !size.isMissingNode()) {
            requireSize(json, "size", size, usual.size());
        }
        int resample = json.integer("resample", BICUBIC);
        if (resample != BICUBIC && resample != BILINEAR) {
            throw json.wrong("resample", resample, "2 (bilinear) or 3 (bicubic)");
        }
        double factor = json.number("rescale_factor", 1 / 255.0);
        if (Math.abs(factor * 255 - 1) > 1e-6) {
            throw json.wrong("rescale_factor", factor, "1 / 255");
        }
        boolean normalizes = json.flag("do_normalize", true);
        return new Preprocessing(
                usual.size(),
                fit,
                resample == BICUBIC ? Filter.BICUBIC : Filter.BILINEAR,
                normalizes ? triple(json, "image_mean", usual.mean()) : new double[3],
                normalizes ? triple(json, "image_std", usual.deviation()) : new double[] {1, 1, 1},
                CropRounding.DOWN);
    }

    private static Preprocessing openClip(Json json, Preprocessing usual) {
        JsonNode size = json.node().path("size");
        if (!size.isMissingNode() && !size.isNull()) {
            requireSize(json, "size", size, usual.size());
        }
        String mode = json.text("resize_mode", usual.fit() == Fit.SQUASH ? "squash" : "shortest");
        if (!mode.equals("shortest") && !mode.equals("squash")) {
            throw json.wrong("resize_mode", mode, "shortest or squash");
        }
        String interpolation = json.text("interpolation", "bicubic");
        if (!interpolation.equals("bicubic") && !interpolation.equals("bilinear")) {
            throw json.wrong("interpolation", interpolation, "bicubic or bilinear");
        }
        return new Preprocessing(
                usual.size(),
                mode.equals("squash") ? Fit.SQUASH : Fit.CROP,
                interpolation.equals("bicubic") ? Filter.BICUBIC : Filter.BILINEAR,
                triple(json, "mean", usual.mean()),
                triple(json, "std", usual.deviation()),
                CropRounding.HALF_EVEN);
    }

    private static void requireSize(Json json, String name, JsonNode size, int expected) {
        for (JsonNode side : size.isContainerNode() ? size : List.of(size)) {
            if (side.isNumber() && side.intValue() != expected) {
                throw json.wrong(name, size, "the picture size of the model, " + expected);
            }
        }
    }

    private static double[] triple(Json json, String name, double[] usual) {
        JsonNode values = json.node().path(name);
        if (values.isMissingNode() || values.isNull()) {
            return usual;
        }
        if (!values.isArray() || values.size() != HALF.length) {
            throw json.wrong(name, values, "three numbers");
        }
        return new double[] {
            values.get(0).doubleValue(),
            values.get(1).doubleValue(),
            values.get(2).doubleValue()
        };
    }
}
