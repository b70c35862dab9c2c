package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Changes the picture size in the configuration files of a checkpoint. */
final class PictureSize {
    private PictureSize() {}

    /** Returns the new content of a file; null if the file does not contain the picture size. */
    static byte @Nullable [] change(Path file, int size) throws IOException {
        JsonNode json;
        switch (file.getFileName().toString()) {
            case "config.json" -> {
                json = Json.read(file).node();
                set(json.path("vision_config"), "image_size", size);
                set(json.path("vision_config_dict"), "image_size", size);
            }
            case "open_clip_config.json" -> {
                json = Json.read(file).node();
                set(json.path("model_cfg").path("vision_cfg"), "image_size", size);
                set(json.path("preprocess_cfg"), "size", size);
            }
            case "preprocessor_config.json" -> {
                json = Json.read(file).node();
                set(json, "size", size);
                set(json, "crop_size", size);
            }
            default -> {
                return null;
            }
        }
        return Json.MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(json);
    }

    /** Replaces a number, or each number in an array or object. */
    private static void set(JsonNode parent, String name, int size) {
        if (!(parent instanceof ObjectNode object)) {
            return;
        }
        JsonNode value = object.path(name);
        if (value.isArray()) {
            object.set(name, Json.MAPPER.valueToTree(List.of(size, size)));
        } else if (value instanceof ObjectNode sides) {
            sides.properties().forEach(side -> side.setValue(IntNode.valueOf(size)));
        } else if (!value.isMissingNode() || !name.equals("crop_size")) {
            object.put(name, size);
        }
    }
}
