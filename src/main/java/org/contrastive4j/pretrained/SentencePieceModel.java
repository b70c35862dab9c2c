package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.function.IntConsumer;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;

/**
 * Reads {@code spiece.model}, the protocol buffer of a SentencePiece unigram model, and describes it as a {@code
 * tokenizer.json}.
 *
 * <p>Source: sentencepiece_model.proto of github.com/google/sentencepiece.
 *
 * <p>Tested by {@code SigLipTokenizerTest}.
 */
final class SentencePieceModel {
    private static final int PIECES = 1;
    private static final int TRAINER = 2;
    private static final int NORMALIZER = 3;
    private static final int PIECE_TEXT = 1;
    private static final int PIECE_SCORE = 2;
    private static final int PIECE_TYPE = 3;
    private static final int TRAINER_MODEL_TYPE = 3;
    private static final int NORMALIZER_CHARACTER_MAP = 2;
    private static final int UNIGRAM = 1;
    private static final int UNKNOWN = 2;
    private static final int VARINT = 0;
    private static final int EIGHT_BYTES = 1;
    private static final int BYTES = 2;
    private static final int FOUR_BYTES = 5;
    private static final String SPACE = "\u2581";

    private final ArrayNode vocabulary = Json.MAPPER.createArrayNode();
    private int unknown;
    private int type = UNIGRAM;
    private byte[] characterMap = {};

    private SentencePieceModel() {}

    /**
     * Returns the tokenizer.json of a model.
     *
     * @throws PretrainedException when the file is damaged, or is no unigram model
     */
    static ObjectNode tokenizerJson(Path file) {
        SentencePieceModel model = new SentencePieceModel();
        try {
            ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
            fields(bytes, field -> model.field(field, bytes));
        } catch (IOException e) {
            throw new PretrainedException("cannot read " + file + ": " + FileErrors.reason(e), e);
        } catch (BufferUnderflowException | IllegalArgumentException e) {
            throw new PretrainedException(file + " is damaged or no SentencePiece model; fetch the file again", e);
        }
        if (model.type != UNIGRAM || model.vocabulary.isEmpty()) {
            throw new PretrainedException(file + " is no unigram model, expected the tokenizer of a SigLIP model");
        }
        return model.json();
    }

    /** Calls a consumer, which must consume the value, for each field of a message. */
    private static void fields(ByteBuffer bytes, IntConsumer consumer) {
        while (bytes.hasRemaining()) {
            consumer.accept((int) varint(bytes));
        }
    }

    private static long varint(ByteBuffer bytes) {
        long value = 0;
        for (int shift = 0; shift < Long.SIZE; shift += 7) {
            byte next = bytes.get();
            value |= (next & 0x7FL) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw new IllegalArgumentException("an integer of more than ten bytes");
    }

    private static ByteBuffer message(ByteBuffer bytes) {
        long size = varint(bytes);
        if (size < 0 || size > bytes.remaining()) {
            throw new BufferUnderflowException();
        }
        ByteBuffer part = bytes.slice(bytes.position(), (int) size).order(ByteOrder.LITTLE_ENDIAN);
        bytes.position(bytes.position() + (int) size);
        return part;
    }

    private static void skip(int field, ByteBuffer bytes) {
        switch (field & 7) {
            case VARINT -> varint(bytes);
            case EIGHT_BYTES -> bytes.getLong();
            case BYTES -> message(bytes);
            case FOUR_BYTES -> bytes.getInt();
            default -> throw new IllegalArgumentException("wire type " + (field & 7));
        }
    }

    private static int tag(int number, int wireType) {
        return number << 3 | wireType;
    }

    private void field(int field, ByteBuffer bytes) {
        if (field == tag(PIECES, BYTES)) {
            piece(message(bytes));
        } else if (field == tag(TRAINER, BYTES)) {
            ByteBuffer trainer = message(bytes);
            fields(trainer, own -> {
                if (own == tag(TRAINER_MODEL_TYPE, VARINT)) {
                    type = (int) varint(trainer);
                } else {
                    skip(own, trainer);
                }
            });
        } else if (field == tag(NORMALIZER, BYTES)) {
            ByteBuffer normalizer = message(bytes);
            fields(normalizer, own -> {
                if (own == tag(NORMALIZER_CHARACTER_MAP, BYTES)) {
                    ByteBuffer map = message(normalizer);
                    characterMap = new byte[map.remaining()];
                    map.get(characterMap);
                } else {
                    skip(own, normalizer);
                }
            });
        } else {
            skip(field, bytes);
        }
    }

    private void piece(ByteBuffer piece) {
        ArrayNode entry = Json.MAPPER.createArrayNode().add("").add(0.0);
        fields(piece, own -> {
            if (own == tag(PIECE_TEXT, BYTES)) {
                entry.set(0, StandardCharsets.UTF_8.decode(message(piece)).toString());
            } else if (own == tag(PIECE_SCORE, FOUR_BYTES)) {
                entry.set(1, (double) piece.getFloat());
            } else if (own == tag(PIECE_TYPE, VARINT)) {
                if (varint(piece) == UNKNOWN) {
                    unknown = vocabulary.size();
                }
            } else {
                skip(own, piece);
            }
        });
        vocabulary.add(entry);
    }

    private ObjectNode json() {
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.put("version", "1.0");
        ObjectNode normalizer = json.putObject("normalizer");
        normalizer.put("type", "Sequence");
        ArrayNode steps = normalizer.putArray("normalizers");
        if (characterMap.length > 0) {
            steps.addObject()
                    .put("type", "Precompiled")
                    .put("precompiled_charsmap", Base64.getEncoder().encodeToString(characterMap));
        }
        steps.addObject()
                .put("type", "Replace")
                .put("content", " ")
                .putObject("pattern")
                .put("Regex", " {2,}");
        steps.addObject().put("type", "Strip").put("strip_left", true).put("strip_right", true);
        json.putObject("pre_tokenizer")
                .put("type", "Metaspace")
                .put("replacement", SPACE)
                .put("prepend_scheme", "always")
                .put("split", true);
        ObjectNode model = json.putObject("model");
        model.put("type", "Unigram");
        model.put("unk_id", unknown);
        model.set("vocab", vocabulary);
        model.put("byte_fallback", false);
        return json;
    }
}
