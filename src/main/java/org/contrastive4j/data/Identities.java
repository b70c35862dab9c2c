package org.contrastive4j.data;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.data.BatchMaker.CaptionEncoder;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which pairs are never each other's negatives: those with the same picture, the same concept, or captions with the
 * same tokens.
 *
 * <p>Numerics: keys are 64-bit hashes; two of a million different ones are equal with probability 3e-8.
 */
public final class Identities {
    private static final Logger LOG = LoggerFactory.getLogger(Identities.class);

    private static final int REPORTED_CAPTIONS = 10_000;
    private static final double MOST_UNKNOWN = 0.05;

    private final PairDataset data;
    private final CaptionEncoder tokenizer;
    private final int maxTokens;
    private @Nullable Map<Integer, Integer> labels;

    /**
     * Creates the identities of a data set for a tokenizer.
     *
     * @param data pairs
     * @param tokenizer of the text encoder
     * @param maxTokens that captions are cut at
     */
    public Identities(PairDataset data, CaptionEncoder tokenizer, int maxTokens) {
        this.data = data;
        this.tokenizer = tokenizer;
        this.maxTokens = maxTokens;
    }

    /** Warns when many tokens are unknown: a caption without known words cannot be learned. */
    void reportUnknown(Splits splits) {
        double share = tokenizer.unknownShare(splits.trainingCaptions(REPORTED_CAPTIONS), maxTokens);
        if (share > MOST_UNKNOWN) {
            LOG.warn(
                    "{} % of the tokens of the training captions are unknown to the tokenizer: characters that it has"
                            + " never seen, or captions without letters and digits",
                    Math.round(100 * share));
        }
    }

    private long picture(Pair pair) {
        return Texts.hash(pair.picture(), 1);
    }

    private long tokens(Pair pair) {
        return Texts.hash(tokenizer.encode(pair.caption(), maxTokens));
    }

    /** Pairs without a conflict between any two of them. */
    final class Group {
        private final Set<Long> pictures = new HashSet<>();
        private final Set<String> concepts = new HashSet<>();
        private final Set<Long> tokens = new HashSet<>();

        /** Adds a pair unless it conflicts with one that is there. */
        boolean add(Pair pair) {
            long picture = picture(pair);
            long text = tokens(pair);
            String concept = pair.concept();
            if (pictures.contains(picture) || tokens.contains(text) || concept != null && concepts.contains(concept)) {
                return false;
            }
            pictures.add(picture);
            tokens.add(text);
            if (concept != null) {
                concepts.add(concept);
            }
            return true;
        }
    }

    /**
     * Returns a number that pairs share when they are not each other's negatives, for keys that stay in a queue. Pairs
     * may share it without that, when each conflicts with a third one; for shards it covers concept and picture only.
     *
     * @param id of a pair
     * @return 0 or more
     */
    public int label(int id) {
        if (data.isStream()) {
            return (int) (Texts.hash(data.pair(id).splitKey(), 2) >>> 33);
        }
        return labels().getOrDefault(id, id);
    }

    private synchronized Map<Integer, Integer> labels() {
        if (labels == null) {
            labels = unite();
        }
        return labels;
    }

    private Map<Integer, Integer> unite() {
        Map<String, Integer> firstOf = new HashMap<>();
        Map<Integer, Integer> parents = new HashMap<>();
        int[] ids = data.ids();
        for (int id : ids) {
            Pair pair = data.pair(id);
            parents.put(id, id);
            unite(parents, firstOf.putIfAbsent("p" + picture(pair), id), id);
            unite(parents, firstOf.putIfAbsent("t" + tokens(pair), id), id);
            if (pair.concept() != null) {
                unite(parents, firstOf.putIfAbsent("c" + pair.concept(), id), id);
            }
        }
        Map<Integer, Integer> sizes = new HashMap<>();
        int largest = 0;
        for (int id : ids) {
            int root = root(parents, id);
            parents.put(id, root);
            largest = Math.max(largest, sizes.merge(root, 1, Integer::sum));
        }
        if (largest > Math.max(100, ids.length / 20)) {
            LOG.warn(
                    "{} of {} pairs are linked by equal pictures, concepts or captions: in the queue they are "
                            + "never each"
                            + " other's negatives",
                    largest,
                    ids.length);
        }
        return parents;
    }

    private static void unite(Map<Integer, Integer> parents, @Nullable Integer first, int id) {
        if (first != null) {
            int a = root(parents, first);
            int b = root(parents, id);
            parents.put(Math.max(a, b), Math.min(a, b));
        }
    }

    private static int root(Map<Integer, Integer> parents, int id) {
        int root = id;
        for (int next = parents.getOrDefault(root, root); next != root; next = parents.getOrDefault(root, root)) {
            parents.put(root, parents.getOrDefault(next, next)); // halves the path
            root = next;
        }
        return root;
    }
}
