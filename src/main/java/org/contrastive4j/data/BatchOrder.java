package org.contrastive4j.data;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.data.BatchMaker.CaptionEncoder;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which pairs form each batch: a function of the data, the seed and the number of the batch alone. No two pairs of a
 * batch share a picture, a concept or a token sequence.
 *
 * <p>Tested by {@code BatchesTest}.
 */
public interface BatchOrder {
    /**
     * The pairs of one batch.
     *
     * @param epoch how often the data had been gone through, with the seed and each id it chooses the augmentation
     * @param samples ids of the pairs
     * @param spares ids that take the place of pairs whose pictures cannot be read, in this order
     */
    record Planned(int epoch, int[] samples, int[] spares) {}

    /**
     * Where a run stopped in data that are read shard by shard; a checkpoint keeps it.
     *
     * @param epoch how often the data had been gone through
     * @param draws random numbers of the shuffle buffer that the epoch has used
     * @param shards shards of the epoch that were begun
     * @param pairs pairs of the last of them that have passed
     * @param held ids in the shuffle buffer
     */
    record Position(int epoch, int draws, int shards, int pairs, int[] held) {}

    /** Batches without end, for one thread. */
    interface Batches extends Iterator<Planned> {
        @Override
        default boolean hasNext() {
            return true;
        }

        /**
         * Returns where the next batch begins.
         *
         * @return null where the number of the batch says it
         */
        @Nullable
        Position position();
    }

    /**
     * Returns the order for a data set: by index for a caption file, with a shuffle buffer for shards.
     *
     * @param data pairs
     * @param splits which pairs are trained on
     * @param identities which pairs may not be in one batch
     * @param batch pairs in a batch
     * @param seed of the order
     * @return the order
     * @throws DataException when no such batch can be formed
     */
    static BatchOrder of(PairDataset data, Splits splits, Identities identities, int batch, long seed) {
        checkSize(batch);
        identities.reportUnknown(splits);
        BatchOrder order = data.isStream()
                ? new StreamOrder(data, splits, identities, batch, seed)
                : new IndexedOrder(data, splits.train(), identities, batch, seed);
        order.from(0).next();
        return order;
    }

    private static void checkSize(int batch) {
        if (batch < 2) {
            throw new DataException("batch of " + batch + " pairs: expected at least 2");
        }
    }

    /**
     * Checks before anything is trained that batches of some size can be formed.
     *
     * @param data pairs
     * @param splits which pairs are trained on
     * @param batch pairs in a batch
     * @throws DataException when the training data has too few concepts
     */
    static void check(PairDataset data, Splits splits, int batch) {
        checkSize(batch);
        if (!data.isStream()) {
            IndexedOrder.units(data, splits.train(), batch);
        }
    }

    /**
     * Returns the batches from a step on, without end.
     *
     * @param step number of the first batch, counted over all epochs
     * @return for one thread
     */
    default Batches from(int step) {
        return from(step, null);
    }

    /**
     * Returns the batches from a step on, without end, and continues at a position if there is one: then neither ids
     * nor captions of earlier batches are read again.
     *
     * @param step number of the first batch, counted over all epochs
     * @param position of this step, from {@link Batches#position}; null to find it from the number of the step
     * @return for one thread
     */
    Batches from(int step, @Nullable Position position);

    /**
     * Which pairs are never each other's negatives: those with the same picture, the same concept, or captions with the
     * same tokens.
     *
     * <p>Numerics: keys are 64-bit hashes; two of a million different ones are equal with probability 3e-8.
     */
    final class Identities {
        private static final Logger LOG = LoggerFactory.getLogger(Identities.class);

        private static final int REPORTED_CAPTIONS = 10_000;
        private static final double MOST_UNKNOWN = 0.05;

        private final PairDataset data;
        private final CaptionEncoder tokenizer;
        private final int maxTokens;
        private @Nullable Map<Integer, Integer> labels;
        private Map<Integer, Keys> window = Map.of();

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
                        "{} % of the tokens of the training captions are unknown to the tokenizer: characters that it "
                                + "has never seen, or captions without letters and digits",
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
                if (pictures.contains(picture)
                        || tokens.contains(text)
                        || concept != null && concepts.contains(concept)) {
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
         * Returns a number that pairs share when they are not each other's negatives, for keys that stay in a queue.
         * Pairs may share it without that, when each conflicts with a third one. Reads all pairs once; for shards see
         * {@link #labels(int[])}.
         *
         * @param id of a pair
         * @return 0 or more
         */
        public int label(int id) {
            return labels().getOrDefault(id, id);
        }

        /** What two pairs must not share. */
        private record Keys(long picture, long tokens, long concept) {}

        private Keys keys(int id) {
            Pair pair = data.pair(id);
            String concept = pair.concept();
            return new Keys(
                    picture(pair),
                    tokens(pair),
                    concept == null ? Texts.hash(pair.picture(), 3) : Texts.hash(concept, 2));
        }

        /**
         * Returns numbers like {@link #label}, among given pairs alone: those of a batch and of a queue. Only these
         * pairs are read, and a pair that was among those of the last call is not read again.
         *
         * <p>Memory: 100 bytes for each of the given pairs.
         *
         * @param ids of pairs; negative ones stand for unknown pairs and share their number with no other
         * @return a number for each, equal within the given pairs
         */
        public synchronized int[] labels(int[] ids) {
            Map<Integer, Keys> before = window;
            window = new HashMap<>(2 * ids.length);
            Map<Long, Integer> pictures = new HashMap<>(2 * ids.length);
            Map<Long, Integer> tokens = new HashMap<>(2 * ids.length);
            Map<Long, Integer> concepts = new HashMap<>(2 * ids.length);
            Map<Integer, Integer> parents = new HashMap<>(2 * ids.length);
            for (int id : ids) {
                if (id < 0 || parents.containsKey(id)) {
                    continue;
                }
                Keys known = before.get(id);
                Keys keys = known != null ? known : keys(id);
                window.put(id, keys);
                parents.put(id, id);
                unite(parents, pictures.putIfAbsent(keys.picture, id), id);
                unite(parents, tokens.putIfAbsent(keys.tokens, id), id);
                unite(parents, concepts.putIfAbsent(keys.concept, id), id);
            }
            return Arrays.stream(ids).map(id -> id < 0 ? id : root(parents, id)).toArray();
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
}
