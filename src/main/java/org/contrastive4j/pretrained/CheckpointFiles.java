package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.internal.safetensors.SafetensorsException;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.jspecify.annotations.Nullable;

/**
 * The files of a checkpoint folder: weights, in one file or in shards with an index, and the configuration.
 *
 * <p>Tested by {@code PretrainedModelTest}.
 */
final class CheckpointFiles implements AutoCloseable {
    private static final String HUGGING_FACE_CONFIG = "config.json";
    private static final String OPEN_CLIP_CONFIG = "open_clip_config.json";
    private static final String INDEX = ".index.json";
    private static final int ENDS = 1 << 16; // bytes of the first and the last tensor in a fingerprint
    private static final List<String> HUGGING_FACE_WEIGHTS = List.of("model.safetensors", "model.safetensors" + INDEX);
    private static final List<String> OPEN_CLIP_WEIGHTS = List.of(
            "open_clip_model.safetensors",
            "open_clip_model.safetensors" + INDEX,
            "open_clip_pytorch_model.safetensors");

    private final Path folder;
    private final @Nullable Path index; // null where one file has all
    private final List<SafetensorsFile> shards;
    private final Map<String, SafetensorsFile> shardOf = new LinkedHashMap<>();
    private final Map<String, Entry> entries = new LinkedHashMap<>();

    private CheckpointFiles(Path folder, @Nullable Path index, List<SafetensorsFile> shards) {
        this.folder = folder;
        this.index = index;
        this.shards = shards;
    }

    /**
     * Opens the weights of a folder.
     *
     * @param path a folder, or the weights or index of weights within one
     */
    static CheckpointFiles open(Path path) {
        if (!Files.exists(path)) {
            throw new PretrainedException("there is no checkpoint at " + path + ": it does not exist");
        }
        Path weights = Files.isDirectory(path) ? weights(path) : path;
        Path folder = folder(path);
        List<SafetensorsFile> shards = new ArrayList<>();
        boolean sharded = weights.getFileName().toString().endsWith(INDEX);
        try {
            CheckpointFiles files = new CheckpointFiles(folder, sharded ? weights : null, shards);
            if (sharded) {
                files.openShards(weights);
            } else {
                files.add(SafetensorsFile.open(weights));
            }
            return files;
        } catch (SafetensorsException e) {
            shards.forEach(SafetensorsFile::close);
            throw new PretrainedException(e.getMessage() + "; fetch the file again", e);
        } catch (RuntimeException e) {
            shards.forEach(SafetensorsFile::close);
            throw e;
        }
    }

    /** Returns the folder of a model that was named by its folder or by a file within. */
    static Path folder(Path path) {
        return Files.isDirectory(path)
                ? path
                : Objects.requireNonNull(path.toAbsolutePath().getParent());
    }

    private static Path weights(Path folder) {
        return Stream.concat(HUGGING_FACE_WEIGHTS.stream(), OPEN_CLIP_WEIGHTS.stream())
                .map(folder::resolve)
                .filter(Files::exists)
                .findFirst()
                .orElseThrow(() -> missing(folder));
    }

    private static PretrainedException missing(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            List<String> pickles = files.map(file -> file.getFileName().toString())
                    .filter(name -> name.matches(".*\\.(bin|pt|pth|ckpt)"))
                    .sorted()
                    .toList();
            if (!pickles.isEmpty()) {
                return new PretrainedException(folder + " has its weights in " + pickles
                        + ", a Python pickle: reading one runs the code in it, so only safetensors files are read;"
                        + " save the model in that format (save_pretrained does)");
            }
        } catch (IOException e) {
            return new PretrainedException("cannot list " + folder + ": " + FileErrors.reason(e), e);
        }
        return new PretrainedException(folder + " has no weights: expected one of "
                + Stream.concat(HUGGING_FACE_WEIGHTS.stream(), OPEN_CLIP_WEIGHTS.stream())
                        .toList());
    }

    private void openShards(Path indexFile) {
        JsonNode map = Json.read(indexFile).node().path("weight_map");
        if (!map.isObject()) {
            throw new PretrainedException(indexFile + ": weight_map is absent, expected the shard of each tensor");
        }
        TreeSet<String> names = new TreeSet<>();
        map.forEach(name -> names.add(name.asText()));
        for (String name : names) {
            Path shard = indexFile.resolveSibling(name);
            if (name.contains("/") || name.contains("\\") || !Files.exists(shard)) {
                throw new PretrainedException(
                        indexFile + " names the shard " + name + ", which is not in " + folder + "; fetch it");
            }
            add(SafetensorsFile.open(shard));
        }
        for (Map.Entry<String, JsonNode> tensor : map.properties()) {
            SafetensorsFile found = shardOf.get(tensor.getKey());
            String expected = tensor.getValue().asText();
            if (found == null || !found.path().getFileName().toString().equals(expected)) {
                throw new PretrainedException(indexFile + " says that tensor " + tensor.getKey() + " is in " + expected
                        + ", but it is "
                        + (found == null ? "in no shard" : "in " + found.path().getFileName()));
            }
        }
    }

    private void add(SafetensorsFile shard) {
        shards.add(shard);
        shard.entries().forEach((name, entry) -> {
            if (shardOf.put(name, shard) != null) {
                throw new PretrainedException(
                        "tensor " + name + " is in more than one shard of " + folder + "; fetch the folder again");
            }
            entries.put(name, entry);
        });
    }

    /** Whether the names of the files are those of open_clip. */
    boolean isOpenClip() {
        return shards.get(0).path().getFileName().toString().startsWith("open_clip");
    }

    /** The configuration that belongs to the weights, else the other one. */
    PretrainedConfig config() {
        List<String> names = isOpenClip()
                ? List.of(OPEN_CLIP_CONFIG, HUGGING_FACE_CONFIG)
                : List.of(HUGGING_FACE_CONFIG, OPEN_CLIP_CONFIG);
        for (String name : names) {
            Path file = folder.resolve(name);
            if (Files.exists(file)) {
                Json json = Json.read(file);
                return name.equals(OPEN_CLIP_CONFIG)
                        ? OpenClipConfig.read(json, entries)
                        : HuggingFaceConfig.read(json);
            }
        }
        throw new PretrainedException(folder + " has neither " + names.get(0) + " nor " + names.get(1)
                + ": the sizes of the model are unknown");
    }

    /** A checksum of the configuration, and of names, types, shapes and both ends of the weights. */
    String fingerprint() {
        CRC32 crc = new CRC32();
        crc.update(config().toString().getBytes(StandardCharsets.UTF_8));
        for (SafetensorsFile shard : shards) {
            crc.update(shard.header());
            List<Entry> tensors = new ArrayList<>(shard.entries().values());
            for (Entry entry : List.of(tensors.get(0), tensors.get(tensors.size() - 1))) {
                ByteBuffer bytes = Elements.buffer((int) Math.min(ENDS, entry.end() - entry.begin()));
                shard.read(entry, 0, bytes);
                crc.update(bytes.flip());
            }
        }
        return String.format(Locale.ROOT, "%08x", crc.getValue());
    }

    Path folder() {
        return folder;
    }

    /** Null where one file has all weights. */
    @Nullable
    Path index() {
        return index;
    }

    List<SafetensorsFile> shards() {
        return shards;
    }

    Map<String, Entry> entries() {
        return entries;
    }

    SafetensorsFile shardOf(String tensor) {
        return Objects.requireNonNull(shardOf.get(tensor), tensor);
    }

    @Override
    public void close() {
        shards.forEach(SafetensorsFile::close);
    }
}
