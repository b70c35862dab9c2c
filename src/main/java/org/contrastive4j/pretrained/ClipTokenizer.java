package org.contrastive4j.pretrained;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;

/**
 * The byte-pair encoding of CLIP: cleaned, lower-case text in pieces of letters, single digits and other signs, each
 * merged from bytes by rank.
 *
 * <p>Names of special tokens within a caption are text like any other. Any thread may use it.
 *
 * <p>Source: Radford et al., Learning transferable visual models from natural language supervision, 2021.
 *
 * <p>Tested by {@code CheckpointInputTest}.
 */
final class ClipTokenizer implements TextTokenizer {
    private static final Pattern PIECE = Pattern.compile(
            "'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|[^\\s\\p{L}\\p{N}]+",
            Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CHARACTER_CLASS);
    private static final String END_OF_WORD = "</w>";
    private static final List<String> STARTS = List.of("<|startoftext|>", "<start_of_text>");
    private static final List<String> ENDS = List.of("<|endoftext|>", "<end_of_text>");
    /** The published merges file holds more than CLIP's vocabulary of 49,408 ids has. */
    private static final int PUBLISHED_MERGES = 49152 - 256 - 2;

    private static final int PRINTABLE = 94 + 12 + 82;
    private static final String[] BYTE_NAMES = byteNames();
    private static final int CACHED_WORDS = 100_000;

    private final Map<String, Integer> ids;
    private final Map<String, Integer> ranks;
    private final int start;
    private final int end;
    private final Map<String, int[]> words = new ConcurrentHashMap<>();

    private ClipTokenizer(Map<String, Integer> ids, List<String> merges, Path file) {
        this.ids = ids;
        ranks = new HashMap<>();
        for (int rank = 0; rank < merges.size(); rank++) {
            String merged = merges.get(rank).replace(" ", "");
            if (!ids.containsKey(merged)) {
                throw new PretrainedException(
                        file + ": the merge '" + merges.get(rank) + "' makes no token of the vocabulary");
            }
            ranks.putIfAbsent(merges.get(rank), rank);
        }
        start = special(STARTS, file);
        end = special(ENDS, file);
        for (String name : BYTE_NAMES) {
            if (!ids.containsKey(name) || !ids.containsKey(name + END_OF_WORD)) {
                throw new PretrainedException(file + " lacks a token for the byte " + name + ", alone or with "
                        + END_OF_WORD + ": expected the vocabulary of a CLIP tokenizer");
            }
        }
    }

    private int special(List<String> names, Path file) {
        return names.stream()
                .map(ids::get)
                .filter(id -> id != null)
                .findFirst()
                .orElseThrow(() -> new PretrainedException(
                        file + " has none of the tokens " + names + ": expected the vocabulary of a CLIP tokenizer"));
    }

    /**
     * Opens the tokenizer of a folder: {@code tokenizer.json}, or {@code vocab.json} with {@code merges.txt}, or a
     * merges file {@code bpe_simple_vocab_16e6.txt}, also gzipped.
     *
     * @param path the folder, or one of these files
     * @throws PretrainedException when there is none, or one of another kind
     */
    public static ClipTokenizer open(Path path) {
        try {
            if (!Files.isDirectory(path)) {
                return ofFile(path);
            }
            if (Files.exists(path.resolve("vocab.json")) && Files.exists(path.resolve("merges.txt"))) {
                return ofVocabulary(path.resolve("vocab.json"), path.resolve("merges.txt"));
            }
            for (String name : List.of("tokenizer.json", "bpe_simple_vocab_16e6.txt", "bpe_simple_vocab_16e6.txt.gz")) {
                if (Files.exists(path.resolve(name))) {
                    return ofFile(path.resolve(name));
                }
            }
            throw new PretrainedException(path + " has no tokenizer: expected vocab.json with merges.txt,"
                    + " tokenizer.json, or bpe_simple_vocab_16e6.txt");
        } catch (IOException e) {
            throw new PretrainedException("cannot read the tokenizer in " + path + ": " + FileErrors.reason(e), e);
        }
    }

    private static ClipTokenizer ofFile(Path file) throws IOException {
        String name = file.getFileName().toString();
        if (name.equals("vocab.json")) {
            return ofVocabulary(file, file.resolveSibling("merges.txt"));
        }
        return name.endsWith(".json") ? ofTokenizerJson(file) : ofMerges(file);
    }

    private static ClipTokenizer ofVocabulary(Path vocabulary, Path merges) throws IOException {
        Map<String, Integer> ids = new HashMap<>();
        Json.read(vocabulary)
                .node()
                .properties()
                .forEach(field -> ids.put(field.getKey(), field.getValue().intValue()));
        return new ClipTokenizer(ids, merges(merges, Integer.MAX_VALUE), vocabulary);
    }

    private static ClipTokenizer ofTokenizerJson(Path file) {
        Json json = Json.read(file);
        JsonNode model = json.node().path("model");
        if (!model.path("type").asText("BPE").equals("BPE")
                || !model.path("end_of_word_suffix").asText("").equals(END_OF_WORD)) {
            throw new PretrainedException(
                    file + ": the model is " + model.path("type").asText("absent")
                            + " with end_of_word_suffix " + model.path("end_of_word_suffix") + ", expected BPE with "
                            + END_OF_WORD + ": this is the tokenizer of another family of models");
        }
        Map<String, Integer> ids = new HashMap<>();
        model.path("vocab")
                .properties()
                .forEach(field -> ids.put(field.getKey(), field.getValue().intValue()));
        json.node()
                .path("added_tokens")
                .forEach(token ->
                        ids.put(token.path("content").asText(), token.path("id").intValue()));
        List<String> merges = new ArrayList<>();
        model.path("merges")
                .forEach(merge -> merges.add(
                        merge.isArray()
                                ? merge.path(0).asText() + " " + merge.path(1).asText()
                                : merge.asText()));
        return new ClipTokenizer(ids, merges, file);
    }

    private static ClipTokenizer ofMerges(Path file) throws IOException {
        List<String> merges = merges(file, PUBLISHED_MERGES);
        Map<String, Integer> ids = new HashMap<>();
        for (String name : BYTE_NAMES) {
            ids.put(name, ids.size());
        }
        for (String name : BYTE_NAMES) {
            ids.put(name + END_OF_WORD, ids.size());
        }
        merges.forEach(merge -> ids.put(merge.replace(" ", ""), ids.size()));
        ids.put(STARTS.get(0), ids.size());
        ids.put(ENDS.get(0), ids.size());
        return new ClipTokenizer(ids, merges, file);
    }

    private static List<String> merges(Path file, int most) throws IOException {
        boolean zipped = file.toString().endsWith(".gz");
        try (InputStream raw = Files.newInputStream(file);
                InputStream plain = zipped ? new GZIPInputStream(raw) : raw;
                BufferedReader lines = new BufferedReader(new InputStreamReader(plain, StandardCharsets.UTF_8))) {
            return lines.lines()
                    .skip(1) // a version
                    .filter(line -> line.split(" ").length == 2)
                    .limit(most)
                    .toList();
        }
    }

    /**
     * A printable character for each byte, in the order of CLIP's ids: printable bytes stand for themselves, the others
     * for characters from U+0100 on.
     */
    private static String[] byteNames() {
        String[] names = new String[256];
        int next = 0;
        for (int[] range : new int[][] {{'!', '~'}, {0xA1, 0xAC}, {0xAE, 0xFF}}) {
            for (int b = range[0]; b <= range[1]; b++) {
                names[next++] = String.valueOf((char) b);
            }
        }
        while (next < names.length) {
            names[next] = String.valueOf((char) (0x100 + next - PRINTABLE));
            next++;
        }
        return names;
    }

    private static String byteName(int value) {
        if ((value >= '!' && value <= '~') || (value >= 0xA1 && value <= 0xAC) || value >= 0xAE) {
            return String.valueOf((char) value);
        }
        int before = value < '!' ? value : value <= 0xA0 ? '!' + value - 0x7F : '!' + 0xA1 - 0x7F;
        return String.valueOf((char) (0x100 + before));
    }

    @Override
    public int[] encode(String text, int contextLength) {
        List<int[]> pieces = new ArrayList<>();
        int count = 2;
        Matcher matcher = PIECE.matcher(CaptionCleaner.clean(text));
        while (matcher.find() && count < contextLength) {
            int[] piece = word(matcher.group());
            pieces.add(piece);
            count += piece.length;
        }
        int[] encoded = new int[Math.min(count, contextLength)];
        encoded[0] = start;
        int at = 1;
        for (int[] piece : pieces) {
            int part = Math.min(piece.length, encoded.length - at);
            System.arraycopy(piece, 0, encoded, at, part);
            at += part;
        }
        encoded[encoded.length - 1] = end;
        return encoded;
    }

    private int[] word(String piece) {
        int[] known = words.get(piece);
        if (known == null) {
            known = merge(piece);
            if (words.size() < CACHED_WORDS) {
                words.put(piece, known);
            }
        }
        return known;
    }

    private int[] merge(String piece) {
        List<String> parts = new ArrayList<>();
        for (byte b : piece.getBytes(StandardCharsets.UTF_8)) {
            parts.add(byteName(b & 255));
        }
        parts.set(parts.size() - 1, parts.get(parts.size() - 1) + END_OF_WORD);
        while (parts.size() > 1) {
            int best = Integer.MAX_VALUE;
            String pair = "";
            for (int k = 0; k + 1 < parts.size(); k++) {
                String candidate = parts.get(k) + " " + parts.get(k + 1);
                int rank = ranks.getOrDefault(candidate, Integer.MAX_VALUE);
                if (rank < best) {
                    best = rank;
                    pair = candidate;
                }
            }
            if (best == Integer.MAX_VALUE) {
                break;
            }
            parts = merged(parts, pair);
        }
        return parts.stream().mapToInt(ids::get).toArray();
    }

    private static List<String> merged(List<String> parts, String pair) {
        List<String> result = new ArrayList<>();
        for (int k = 0; k < parts.size(); k++) {
            if (k + 1 < parts.size() && pair.equals(parts.get(k) + " " + parts.get(k + 1))) {
                result.add(parts.get(k) + parts.get(k + 1));
                k++;
            } else {
                result.add(parts.get(k));
            }
        }
        return result;
    }

    @Override
    public int size() {
        return ids.size();
    }

    /** Returns the id of the token that starts a caption. */
    public int startOfText() {
        return start;
    }

    /** Returns the id of the token that ends a caption. */
    public int endOfText() {
        return end;
    }
}
