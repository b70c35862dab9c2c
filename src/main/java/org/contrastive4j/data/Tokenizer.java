package org.contrastive4j.data;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Byte-pair encoding over the words of a caption: frequent words are one token, unseen ones fall into known pieces.
 *
 * <p>Words are runs of letters or digits, lower-cased; punctuation separates. Ids: {@link #PADDING}, {@link #UNKNOWN}
 * (a character never seen in training), then pieces, the single characters first. A piece that ends a word carries a
 * final {@code _}. Source: Sennrich et al., Neural machine translation of rare words with subword units, ACL 2016.
 */
public final class Tokenizer {
    public static final int PADDING = 0;
    public static final int UNKNOWN = 1;

    private static final String END = "_";
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{M}\\p{N}]+");

    /**
     * What travels in a checkpoint.
     *
     * @param pieces in order of id
     * @param merges in order of priority
     * @param wholeWords whether every training word became one token: then pieces have only ever been seen
     *     inside other words
     */
    public record Vocabulary(List<String> pieces, List<List<String>> merges, boolean wholeWords) {}

    private record Bigram(String left, String right) {}

    private final Vocabulary vocabulary;
    private final Map<String, Integer> ids = new HashMap<>();
    private final Map<Bigram, Integer> ranks = new HashMap<>();

    public Tokenizer(Vocabulary vocabulary) {
        this.vocabulary = vocabulary;
        for (String piece : vocabulary.pieces()) {
            ids.put(piece, ids.size() + 2);
        }
        for (List<String> merge : vocabulary.merges()) {
            ranks.put(new Bigram(merge.get(0), merge.get(1)), ranks.size());
        }
    }

    /**
     * Learns pieces from captions, most frequent pair first, ties by text, until there are {@code size} ids or every
     * pair left is rarer than {@code minimum}.
     */
    public static Tokenizer train(Iterable<String> captions, int size, int minimum) {
        Map<String, Integer> counts = new TreeMap<>();
        for (String caption : captions) {
            words(caption).forEach(word -> counts.merge(word, 1, Integer::sum));
        }
        List<List<String>> words = new ArrayList<>();
        List<Integer> weights = new ArrayList<>();
        Map<String, Integer> pieces = new LinkedHashMap<>();
        counts.forEach((word, count) -> {
            words.add(characters(word));
            weights.add(count);
        });
        counts.keySet().stream()
                .flatMapToInt(String::codePoints)
                .sorted()
                .distinct()
                .mapToObj(Character::toString)
                .flatMap(c -> Stream.of(c, c + END))
                .forEach(piece -> pieces.put(piece, pieces.size()));
        List<List<String>> merges = new ArrayList<>();
        Map<Bigram, Integer> pairs = new HashMap<>();
        for (int w = 0; w < words.size(); w++) {
            count(words.get(w), weights.get(w), pairs);
        }
        while (pieces.size() + 2 < size) {
            Bigram best = mostFrequent(pairs, minimum);
            if (best == null) {
                break;
            }
            merges.add(List.of(best.left(), best.right()));
            pieces.putIfAbsent(best.left() + best.right(), pieces.size());
            for (int w = 0; w < words.size(); w++) {
                List<String> merged = merge(words.get(w), best);
                if (merged.size() < words.get(w).size()) {
                    count(words.get(w), -weights.get(w), pairs);
                    count(merged, weights.get(w), pairs);
                    words.set(w, merged);
                }
            }
        }
        boolean wholeWords = words.stream().allMatch(word -> word.size() == 1);
        return new Tokenizer(new Vocabulary(List.copyOf(pieces.keySet()), List.copyOf(merges), wholeWords));
    }

    /** Adds a word's pairs to the counts; a negative weight takes them out again. */
    private static void count(List<String> word, int weight, Map<Bigram, Integer> pairs) {
        for (int i = 0; i + 1 < word.size(); i++) {
            pairs.merge(new Bigram(word.get(i), word.get(i + 1)), weight, (a, b) -> a + b == 0 ? null : a + b);
        }
    }

    private static Bigram mostFrequent(Map<Bigram, Integer> pairs, int minimum) {
        return pairs.entrySet().stream()
                .filter(entry -> entry.getValue() >= minimum)
                .max(Map.Entry.<Bigram, Integer>comparingByValue()
                        .thenComparing(Map.Entry.comparingByKey(Comparator.comparing(Bigram::left)
                                .thenComparing(Bigram::right)
                                .reversed())))
                .map(Map.Entry::getKey)
                .orElse(null);
    }

    private static List<String> merge(List<String> word, Bigram pair) {
        if (word.size() < 2) {
            return word;
        }
        List<String> merged = new ArrayList<>(word.size());
        for (int i = 0; i < word.size(); i++) {
            if (i + 1 < word.size()
                    && word.get(i).equals(pair.left())
                    && word.get(i + 1).equals(pair.right())) {
                merged.add(pair.left() + pair.right());
                i++;
            } else {
                merged.add(word.get(i));
            }
        }
        return merged;
    }

    private static List<String> characters(String word) {
        List<String> characters = new ArrayList<>();
        word.codePoints().forEach(c -> characters.add(Character.toString(c)));
        characters.set(characters.size() - 1, characters.get(characters.size() - 1) + END);
        return characters;
    }

    /** The words of a caption, lower-cased. */
    public static List<String> words(String caption) {
        List<String> words = new ArrayList<>();
        Matcher matcher = WORD.matcher(caption.toLowerCase(Locale.ROOT));
        while (matcher.find()) {
            words.add(matcher.group());
        }
        return words;
    }

    /**
     * Token ids of a caption, cut at {@code maxTokens}; at least one, {@link #UNKNOWN} for a caption without words.
     *
     * <p>Where every training word is one token, an unseen word is left out if the caption has other words: its pieces
     * were never trained on their own, and only disturb. Alone it is better than nothing.
     */
    public int[] encode(String caption, int maxTokens) {
        List<List<String>> words = words(caption).stream().map(this::pieces).toList();
        boolean skipUnseen = vocabulary.wholeWords() && words.stream().anyMatch(word -> word.size() == 1);
        int[] tokens = words.stream()
                .filter(word -> !skipUnseen || word.size() == 1)
                .flatMap(List::stream)
                .limit(maxTokens)
                .mapToInt(piece -> ids.getOrDefault(piece, UNKNOWN))
                .toArray();
        return tokens.length == 0 ? new int[] {UNKNOWN} : tokens;
    }

    private List<String> pieces(String word) {
        List<String> pieces = characters(word);
        while (pieces.size() > 1) {
            Bigram best = null;
            for (int i = 0; i + 1 < pieces.size(); i++) {
                Bigram pair = new Bigram(pieces.get(i), pieces.get(i + 1));
                if (ranks.containsKey(pair) && (best == null || ranks.get(pair) < ranks.get(best))) {
                    best = pair;
                }
            }
            if (best == null) {
                break;
            }
            pieces = merge(pieces, best);
        }
        return pieces;
    }

    /** Words again, separated by blanks. */
    public String decode(int[] tokens) {
        StringBuilder text = new StringBuilder();
        for (int token : tokens) {
            if (token != PADDING) {
                text.append(token == UNKNOWN ? "?" : vocabulary.pieces().get(token - 2));
            }
        }
        return text.toString().replace(END, " ").strip();
    }

    /** Number of ids. */
    public int size() {
        return vocabulary.pieces().size() + 2;
    }

    public Vocabulary vocabulary() {
        return vocabulary;
    }
}
