package org.contrastive4j.data;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.DoubleConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.data.BatchMaker.CaptionEncoder;

/**
 * Byte-pair encoding over the words of a caption: frequent words are one token, unseen ones are split into known
 * pieces.
 *
 * <p>Words are runs of letters or digits, lower-cased, in Unicode's composed form (NFC); punctuation separates them.
 * Ids: {@link #PADDING}, {@link #UNKNOWN} (a character never seen in training), then pieces, the single characters
 * first. A piece that ends a word carries a final {@code _}. Source: Sennrich et al., Neural machine translation of
 * rare words with subword units, ACL 2016.
 *
 * <p>Tested by {@code BatchesTest}.
 */
public final class Tokenizer implements CaptionEncoder {
    /** Id that fills up short captions. */
    public static final int PADDING = 0;

    /** Id of a character never seen in training, and of a caption without words. */
    public static final int UNKNOWN = 1;

    static final String END = "_";
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{M}\\p{N}]+");
    private static final int CACHED_WORDS = 1 << 17;

    /**
     * What a checkpoint keeps of a tokenizer.
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
    private final Map<String, int[]> encoded = new ConcurrentHashMap<>();

    /**
     * Creates a tokenizer from what a checkpoint kept.
     *
     * @param vocabulary pieces and merges
     */
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
     *
     * @param captions to learn from
     * @param size largest number of ids
     * @param minimum smallest count of a pair that is merged
     * @return the tokenizer
     */
    public static Tokenizer train(Iterable<String> captions, int size, int minimum) {
        return train(captions, size, minimum, progress -> {});
    }

    /**
     * Learns pieces as {@link #train(Iterable, int, int)} does, and reports progress.
     *
     * @param captions to learn from
     * @param size largest number of ids
     * @param minimum smallest count of a pair that is merged
     * @param progress receives the share of the ids that exist, in [0, 1], now and then
     * @return the tokenizer
     */
    public static Tokenizer train(Iterable<String> captions, int size, int minimum, DoubleConsumer progress) {
        return new Tokenizer(new VocabularyTraining(captions).run(size, minimum, progress));
    }

    static List<String> characters(String word) {
        List<String> characters = new ArrayList<>();
        word.codePoints().forEach(c -> characters.add(Character.toString(c)));
        characters.set(characters.size() - 1, characters.get(characters.size() - 1) + END);
        return characters;
    }

    /**
     * Returns the words of a caption, lower-cased and composed.
     *
     * @param caption any text
     * @return in order, empty for a text without letters and digits
     */
    public static List<String> words(String caption) {
        List<String> words = new ArrayList<>();
        Matcher matcher =
                WORD.matcher(Normalizer.normalize(caption, Normalizer.Form.NFC).toLowerCase(Locale.ROOT));
        while (matcher.find()) {
            words.add(matcher.group());
        }
        return words;
    }

    /**
     * Returns the token ids of a caption, cut at {@code maxTokens}; at least one, {@link #UNKNOWN} for a caption
     * without words.
     *
     * <p>Where every training word is one token, an unseen word is left out if the caption has other words: its pieces
     * were never trained on their own. When the caption has no other word, its pieces are used.
     *
     * @param caption any text
     * @param maxTokens largest number of ids
     * @return 1 to maxTokens ids
     */
    @Override
    public int[] encode(String caption, int maxTokens) {
        List<int[]> words = new ArrayList<>();
        boolean anyWhole = false;
        for (String word : words(caption)) {
            int[] tokens = tokens(word);
            anyWhole |= tokens.length == 1;
            words.add(tokens);
        }
        boolean skipUnseen = vocabulary.wholeWords() && anyWhole;
        int[] all = words.stream()
                .filter(word -> !skipUnseen || word.length == 1)
                .flatMapToInt(Arrays::stream)
                .limit(maxTokens)
                .toArray();
        return all.length == 0 ? new int[] {UNKNOWN} : all;
    }

    /**
     * Returns whether a word was learnt: it is one token of a vocabulary of whole words, or it is made of known pieces
     * of which one is longer than a character.
     *
     * @param word one of {@link #words}
     * @return false for a word that says nothing to a model trained with this vocabulary
     */
    public boolean knows(String word) {
        int[] tokens = tokens(word);
        if (tokens.length == 1 || vocabulary.wholeWords()) {
            return tokens.length == 1 && tokens[0] != UNKNOWN;
        }
        return Arrays.stream(tokens).noneMatch(token -> token == UNKNOWN)
                && tokens.length < word.codePointCount(0, word.length());
    }

    private int[] tokens(String word) {
        int[] tokens = encoded.get(word);
        if (tokens == null) {
            tokens = pieces(word).stream()
                    .mapToInt(piece -> ids.getOrDefault(piece, UNKNOWN))
                    .toArray();
            if (encoded.size() < CACHED_WORDS) {
                encoded.put(word, tokens);
            }
        }
        return tokens;
    }

    private List<String> pieces(String word) {
        List<String> pieces = characters(word);
        while (pieces.size() > 1) {
            int best = -1;
            int bestRank = Integer.MAX_VALUE;
            for (int i = 0; i + 1 < pieces.size(); i++) {
                int rank = ranks.getOrDefault(new Bigram(pieces.get(i), pieces.get(i + 1)), Integer.MAX_VALUE);
                if (rank < bestRank) {
                    best = i;
                    bestRank = rank;
                }
            }
            if (best < 0) {
                break;
            }
            pieces = merged(pieces, pieces.get(best), pieces.get(best + 1));
        }
        return pieces;
    }

    private static List<String> merged(List<String> word, String left, String right) {
        List<String> merged = new ArrayList<>(word.size());
        for (int i = 0; i < word.size(); i++) {
            if (i + 1 < word.size()
                    && word.get(i).equals(left)
                    && word.get(i + 1).equals(right)) {
                merged.add(left + right);
                i++;
            } else {
                merged.add(word.get(i));
            }
        }
        return merged;
    }

    /**
     * Returns the share of unknown tokens: characters never seen in training, and captions without words.
     *
     * @param captions to tokenise
     * @param maxTokens that captions are cut at
     * @return in [0, 1], 0 for no captions
     */
    @Override
    public double unknownShare(Iterable<String> captions, int maxTokens) {
        long unknown = 0;
        long all = 0;
        for (String caption : captions) {
            for (int token : encode(caption, maxTokens)) {
                unknown += token == UNKNOWN ? 1 : 0;
                all++;
            }
        }
        return all == 0 ? 0 : (double) unknown / all;
    }

    /**
     * Returns the words of tokens, separated by blanks.
     *
     * @param tokens ids; padding is left out
     * @return lower-cased words
     */
    public String decode(int[] tokens) {
        StringBuilder text = new StringBuilder();
        for (int token : tokens) {
            if (token != PADDING) {
                text.append(token == UNKNOWN ? "?" : vocabulary.pieces().get(token - 2));
            }
        }
        return text.toString().replace(END, " ").strip();
    }

    /**
     * Returns the number of ids.
     *
     * @return including padding and unknown
     */
    public int size() {
        return vocabulary.pieces().size() + 2;
    }

    /**
     * Returns what a checkpoint keeps.
     *
     * @return pieces and merges
     */
    public Vocabulary vocabulary() {
        return vocabulary;
    }
}
