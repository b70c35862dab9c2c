package org.contrastive4j.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.data.PairDataset.LeftOut;
import org.contrastive4j.internal.files.FileErrors;
import org.jspecify.annotations.Nullable;

/**
 * Finds the pairs of one shard by the rules of WebDataset: the key of a member is its name up to the first dot of its
 * last part, and members that share a key are one pair. What is no complete pair is reported by name.
 *
 * <p>Source: webdataset documentation, "WebDataset format"; img2dataset documentation, "Output format".
 *
 * <p>Tested by {@code ShardsTest}.
 */
final class ShardReader implements TarMembers.Visitor {
    private static final Set<String> PICTURES =
            Set.of("png", "jpg", "jpeg", "jpe", "gif", "bmp", "webp", "tif", "tiff", "avif");
    private static final Set<String> TEXTS = Set.of("txt", "text", "caption");
    private static final ObjectMapper JSON = new ObjectMapper();

    private static final class Members {
        @Nullable
        Extents picture;

        @Nullable
        Extents text;

        @Nullable
        Extents json;

        String pictureField = "";

        @Nullable
        String reason;

        String cause = "";

        void refuse(String why, String details) {
            reason = reason == null ? why : reason;
            cause = cause.isEmpty() ? details : cause;
        }
    }

    private final String shard;
    private final LeftOut leftOut;
    private final Map<String, Members> found = new LinkedHashMap<>();

    private ShardReader(String shard, LeftOut leftOut) {
        this.shard = shard;
        this.leftOut = leftOut;
    }

    /**
     * Reads headers and captions of a shard.
     *
     * @param shard name for messages
     * @param leftOut receives members and pairs that cannot be used
     */
    static ShardIndex index(FileChannel channel, String shard, LeftOut leftOut) throws IOException {
        ShardReader reader = new ShardReader(shard, leftOut);
        try {
            TarMembers.visit(channel, reader);
        } catch (TarMembers.DamagedArchiveException e) {
            leftOut.add(shard, "rest of a damaged shard", FileErrors.reason(e));
        }
        ShardIndex index = new ShardIndex();
        for (Map.Entry<String, Members> pair : reader.found.entrySet()) {
            reader.complete(channel, pair.getKey(), pair.getValue(), index);
        }
        return index;
    }

    @Override
    public void notRead(String name, String reason, String cause) {
        leftOut.add(shard + "!" + name, reason, cause);
    }

    @Override
    public void file(String name, Extents data) {
        int slash = name.lastIndexOf('/');
        int dot = name.indexOf('.', slash + 1);
        if (name.startsWith("._", slash + 1) || name.startsWith("__MACOSX/")) {
            notRead(name, "resource fork of macOS", "");
            return;
        }
        if (dot <= slash + 1) {
            notRead(name, "member without a key and an extension", "");
            return;
        }
        String field = name.substring(dot + 1).toLowerCase(Locale.ROOT);
        String kind = field.substring(field.lastIndexOf('.') + 1);
        Members pair = found.computeIfAbsent(name.substring(0, dot), key -> new Members());
        if (PICTURES.contains(kind)) {
            if (pair.picture != null) {
                boolean same = pair.pictureField.equals(field);
                pair.refuse(
                        same ? "duplicate member" : "several pictures with one key",
                        same ? name : "." + pair.pictureField + " and ." + field + "; a key ends at the first dot");
            }
            pair.picture = data;
            pair.pictureField = field;
        } else if (TEXTS.contains(kind)) {
            pair.text = unique(pair, pair.text, data, name);
        } else if (kind.equals("json")) {
            pair.json = unique(pair, pair.json, data, name);
        }
    }

    private static Extents unique(Members pair, @Nullable Extents before, Extents data, String name) {
        if (before != null) {
            pair.refuse("duplicate member", name);
        }
        return data;
    }

    private void complete(FileChannel channel, String key, Members members, ShardIndex index) throws IOException {
        String where = shard + "!" + key;
        if (members.picture == null) {
            members.refuse("no picture", "");
        } else if (members.text == null && members.json == null) {
            members.refuse("no caption", "");
        }
        if (members.reason == null && members.picture != null) {
            ShardIndex.Entry entry = new ShardIndex.Entry(key, members.picture, members.text, members.json);
            try {
                pair(channel, 0, shard, entry);
                index.add(entry);
                return;
            } catch (UnusablePairException e) {
                members.refuse(e.reason, String.valueOf(e.getMessage()));
            }
        }
        leftOut.add(where, String.valueOf(members.reason), members.cause);
    }

    /** A pair whose text cannot be used. */
    private static final class UnusablePairException extends IOException {
        private final String reason;

        UnusablePairException(String reason, String cause) {
            super(cause);
            this.reason = reason;
        }
    }

    /** Reads the caption and the other texts of a pair. */
    static Pair pair(FileChannel channel, int id, String shard, ShardIndex.Entry entry) throws IOException {
        String key = shard + "!" + entry.key();
        JsonNode json = JSON.missingNode();
        String caption = null;
        if (entry.json() != null) {
            try {
                json = JSON.readTree(entry.json().read(channel));
            } catch (JsonProcessingException e) {
                throw new UnusablePairException("damaged JSON", e.getOriginalMessage());
            }
        }
        if (entry.text() != null) {
            try {
                caption = Texts.utf8(entry.text().read(channel)).strip();
            } catch (CharacterCodingException e) {
                throw new UnusablePairException("caption that is not UTF-8", "");
            }
        } else if (json.hasNonNull("caption")) {
            caption = json.get("caption").asText().strip();
        }
        if (caption == null || caption.isBlank()) {
            throw new UnusablePairException("empty caption", "");
        }
        return new Pair(
                id,
                json.hasNonNull("sha256") ? "sha256:" + json.get("sha256").asText() : key,
                caption,
                text(json, "concept"),
                orEmpty(text(json, "group")),
                orEmpty(text(json, "split")),
                key);
    }

    private static @Nullable String text(JsonNode json, String field) {
        String text = json.hasNonNull(field) ? json.get(field).asText().strip() : "";
        return text.isEmpty() ? null : text;
    }

    private static String orEmpty(@Nullable String text) {
        return text == null ? "" : text;
    }
}
