package org.contrastive4j.data;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Pair ids to train on, and held-out test splits by name: each of the first two holds out one thing, the third both.
 *
 * <p>{@code new-design}: the held-out group's pictures of concepts trained on. {@code new-concept}: pictures of
 * concepts never trained on, by the first group that is trained on. {@code new-both}: the held-out group's pictures of
 * concepts never trained on. Which concepts are unseen depends only on the seed and the concepts' names.
 */
public record Splits(List<Integer> train, Map<String, List<Integer>> tests) {
    /**
     * @param heldOutGroup test on this group and train on the others; empty for none
     * @param unseenShare share of concepts kept out of training, in [0, 1)
     * @throws DataException when there is no such group, or nothing is left to train on
     */
    public static Splits of(PairDataset data, String heldOutGroup, double unseenShare, long seed) {
        if (!(unseenShare >= 0 && unseenShare < 1)) {
            throw new IllegalArgumentException(
                    "share of unseen concepts is " + unseenShare + ", wanted 0 <= share < 1");
        }
        if (!heldOutGroup.isEmpty() && !data.groups().contains(heldOutGroup)) {
            throw new DataException("no group " + heldOutGroup + " in " + data.path() + "; there are " + data.groups());
        }
        Set<String> unseen = unseen(data, unseenShare, seed);
        String known = data.groups().stream()
                .filter(group -> !group.equals(heldOutGroup))
                .findFirst()
                .orElse("");
        List<Integer> train = new ArrayList<>();
        List<Integer> newDesign = new ArrayList<>();
        List<Integer> newConcept = new ArrayList<>();
        List<Integer> newBoth = new ArrayList<>();
        for (Pair sample : data.pairs()) {
            boolean heldOut = !heldOutGroup.isEmpty() && sample.group().equals(heldOutGroup);
            boolean isNew = unseen.contains(sample.concept());
            if (heldOut) {
                (isNew ? newBoth : newDesign).add(sample.id());
            } else if (!isNew) {
                train.add(sample.id());
            } else if (sample.group().equals(known)) {
                newConcept.add(sample.id());
            }
        }
        long concepts =
                train.stream().map(id -> data.pair(id).concept()).distinct().count();
        if (concepts < 2) {
            throw new DataException("holding out group \"" + heldOutGroup + "\" and " + unseenShare
                    + " of the concepts leaves " + concepts + " concepts to train on, wanted at least 2");
        }
        Map<String, List<Integer>> tests = new LinkedHashMap<>();
        if (!newDesign.isEmpty()) {
            tests.put("new-design", List.copyOf(newDesign));
        }
        if (!newConcept.isEmpty()) {
            tests.put("new-concept", List.copyOf(newConcept));
        }
        if (!newBoth.isEmpty()) {
            tests.put("new-both", List.copyOf(newBoth));
        }
        return new Splits(List.copyOf(train), tests);
    }

    /**
     * The concepts whose hashes with the seed are smallest: a choice that does not depend on the order of the samples.
     */
    private static Set<String> unseen(PairDataset data, double share, long seed) {
        List<String> concepts = data.pairs().stream()
                .map(Pair::concept)
                .distinct()
                .sorted(Comparator.comparingLong((String concept) -> hash(concept, seed))
                        .thenComparing(concept -> concept))
                .toList();
        return new HashSet<>(concepts.subList(0, (int) Math.round(share * concepts.size())));
    }

    /** FNV-1a over the characters, mixed with the seed by the finaliser of SplitMix64. */
    private static long hash(String text, long seed) {
        long hash = 0xCBF29CE484222325L;
        for (int i = 0; i < text.length(); i++) {
            hash = (hash ^ text.charAt(i)) * 0x100000001B3L;
        }
        hash += seed * 0x9E3779B97F4A7C15L;
        hash = (hash ^ hash >>> 30) * 0xBF58476D1CE4E5B9L;
        hash = (hash ^ hash >>> 27) * 0x94D049BB133111EBL;
        return hash ^ hash >>> 31;
    }
}
