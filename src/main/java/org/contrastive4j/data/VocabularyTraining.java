package org.contrastive4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.DoubleConsumer;
import java.util.stream.Stream;

/**
 * Learns the merges of a byte-pair encoding.
 *
 * <p>Cost: counts of pairs are kept from merge to merge. A merge changes only the words that hold its pair, and only
 * the counts of the pairs in those words; the most frequent pair is the head of a queue, where outdated entries are
 * skipped.
 *
 * <p>Tested by {@code BatchesTest}.
 */
final class VocabularyTraining {
    /** A pair of pieces with its count when the entry was made. */
    private record Candidate(long pair, int count, String left, String right) implements Comparable<Candidate> {
        @Override
        public int compareTo(Candidate other) {
            if (count != other.count) {
                return Integer.compare(other.count, count);
            }
            int order = left.compareTo(other.left);
            return order != 0 ? order : right.compareTo(other.right);
        }
    }

    private final Map<String, Integer> pieceIds = new HashMap<>();
    private final List<String> pieces = new ArrayList<>();
    private final List<int[]> words = new ArrayList<>();
    private final List<Integer> weights = new ArrayList<>();
    private final Map<Long, Integer> counts = new HashMap<>();
    private final Map<Long, Set<Integer>> holders = new HashMap<>(); // words that hold a pair, or held it
    private final PriorityQueue<Candidate> queue = new PriorityQueue<>();
    private final Set<Long> changed = new HashSet<>();

    VocabularyTraining(Iterable<String> captions) {
        Map<String, Integer> frequencies = new TreeMap<>();
        for (String caption : captions) {
            Tokenizer.words(caption).forEach(word -> frequencies.merge(word, 1, Integer::sum));
        }
        frequencies.keySet().stream()
                .flatMapToInt(String::codePoints)
                .sorted()
                .distinct()
                .mapToObj(Character::toString)
                .flatMap(c -> Stream.of(c, c + Tokenizer.END))
                .forEach(this::id);
        frequencies.forEach((word, count) -> {
            words.add(Tokenizer.characters(word).stream().mapToInt(this::id).toArray());
            weights.add(count);
        });
    }

    private int id(String piece) {
        return pieceIds.computeIfAbsent(piece, added -> {
            pieces.add(added);
            return pieces.size() - 1;
        });
    }

    Tokenizer.Vocabulary run(int size, int minimum, DoubleConsumer progress) {
        for (int w = 0; w < words.size(); w++) {
            count(w, weights.get(w));
        }
        enqueueChanged(minimum);
        List<List<String>> merges = new ArrayList<>();
        while (pieces.size() + 2 < size) {
            Candidate best = queue.poll();
            if (best == null) {
                break;
            }
            if (counts.getOrDefault(best.pair, 0) != best.count) {
                continue; // a newer entry of the pair is in the queue
            }
            merges.add(List.of(best.left, best.right));
            merge(best.pair, id(best.left + best.right));
            enqueueChanged(minimum);
            if (merges.size() % 256 == 0) {
                progress.accept((double) (pieces.size() + 2) / size);
            }
        }
        progress.accept(1);
        boolean wholeWords = words.stream().allMatch(word -> word.length == 1);
        return new Tokenizer.Vocabulary(List.copyOf(pieces), List.copyOf(merges), wholeWords);
    }

    private static long pair(int left, int right) {
        return (long) left << 32 | right;
    }

    /** Adds a word's pairs to the counts; a negative weight takes them out again. */
    private void count(int w, int weight) {
        int[] word = words.get(w);
        for (int i = 0; i + 1 < word.length; i++) {
            long pair = pair(word[i], word[i + 1]);
            counts.merge(pair, weight, (a, b) -> a + b == 0 ? null : a + b);
            changed.add(pair);
            if (weight > 0) {
                holders.computeIfAbsent(pair, added -> new HashSet<>()).add(w);
            }
        }
    }

    private void merge(long pair, int merged) {
        Set<Integer> held = holders.remove(pair);
        if (held == null) {
            return;
        }
        for (int w : held) {
            int[] before = words.get(w);
            int[] after = merged(before, pair, merged);
            if (after.length < before.length) {
                count(w, -weights.get(w));
                words.set(w, after);
                count(w, weights.get(w));
            }
        }
    }

    private static int[] merged(int[] word, long pair, int merged) {
        int[] after = new int[word.length];
        int length = 0;
        for (int i = 0; i < word.length; i++) {
            if (i + 1 < word.length && pair(word[i], word[i + 1]) == pair) {
                after[length++] = merged;
                i++;
            } else {
                after[length++] = word[i];
            }
        }
        return Arrays.copyOf(after, length);
    }

    private void enqueueChanged(int minimum) {
        for (long pair : changed) {
            int count = counts.getOrDefault(pair, 0);
            if (count >= Math.max(1, minimum)) {
                queue.add(new Candidate(pair, count, pieces.get((int) (pair >>> 32)), pieces.get((int) pair)));
            } else if (count == 0) {
                holders.remove(pair);
            }
        }
        changed.clear();
    }
}
