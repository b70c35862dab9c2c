package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;

/**
 * JSON files of a checkpoint, with errors that name file and field.
 *
 * <p>Tested by {@code CheckpointInputTest}.
 */
final class Json {
    static final ObjectMapper MAPPER = new ObjectMapper();

    private final Path file;
    private final String path;
    private final JsonNode node;

    private Json(Path file, String path, JsonNode node) {
        this.file = file;
        this.path = path;
        this.node = node;
    }

    /** Reads a file that holds one JSON object. */
    static Json read(Path file) {
        try {
            JsonNode node = MAPPER.readTree(file.toFile());
            if (node == null || !node.isObject()) {
                throw new PretrainedException(file + " is no JSON object");
            }
            return new Json(file, "", node);
        } catch (IOException e) {
            throw new PretrainedException("cannot read " + file + ": " + FileErrors.reason(e), e);
        }
    }

    JsonNode node() {
        return node;
    }

    boolean has(String name) {
        return node.hasNonNull(name);
    }

    /** The object of that name, empty when absent. */
    Json at(String name) {
        JsonNode child = node.path(name);
        if (!child.isMissingNode() && !child.isNull() && !child.isObject()) {
            throw wrong(name, child, "an object");
        }
        return new Json(file, path + name + ".", child.isObject() ? child : MAPPER.createObjectNode());
    }

    /** This object with the fields of another one over it. */
    Json with(Json other) {
        ObjectNode merged = MAPPER.createObjectNode();
        node.properties().forEach(field -> merged.set(field.getKey(), field.getValue()));
        other.node.properties().forEach(field -> merged.set(field.getKey(), field.getValue()));
        return new Json(file, path, merged);
    }

    int positive(String name, int otherwise) {
        int value = integer(name, otherwise);
        if (value < 1) {
            throw wrong(name, node.path(name), "a positive integer");
        }
        return value;
    }

    int integer(String name, int otherwise) {
        if (!has(name)) {
            return otherwise;
        }
        JsonNode value = node.path(name);
        if (!value.canConvertToInt() || !value.isIntegralNumber()) {
            throw wrong(name, value, "an integer");
        }
        return value.intValue();
    }

    double number(String name, double otherwise) {
        if (!has(name)) {
            return otherwise;
        }
        if (!node.path(name).isNumber()) {
            throw wrong(name, node.path(name), "a number");
        }
        return node.path(name).doubleValue();
    }

    boolean flag(String name, boolean otherwise) {
        if (!has(name)) {
            return otherwise;
        }
        if (!node.path(name).isBoolean()) {
            throw wrong(name, node.path(name), "true or false");
        }
        return node.path(name).booleanValue();
    }

    String text(String name, String otherwise) {
        return has(name) ? node.path(name).asText() : otherwise;
    }

    PretrainedException wrong(String name, Object found, String expected) {
        return new PretrainedException(file + ": " + path + name + " is " + found + ", expected " + expected);
    }
}
