package org.contrastive4j.data;

import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PrimitiveIterator;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which pairs are trained on, and held-out test splits by name.
 *
 * <p>A data set may assign splits itself: {@code train} and {@code restval} are trained on, any other is a test split
 * of that name. For pairs without one: {@code new-design} is the held-out group's pictures of concepts trained on,
 * {@code new-concept} pictures of concepts never trained on, by the first group that is trained on, {@code new-both}
 * the held-out group's pictures of concepts never trained on. A concept is held out when its own hash with the seed is
 * in the held-out share of all hashes: pairs that are added or taken away change no other pair's side. Pairs without a
 * concept take the hash of their picture, so that all captions of a picture are on one side.
 *
 * <p>Tested by {@code CaptionFileTest}.
 */
public final class Splits {
    private static final Set<String> TRAIN = Set.of("train", "training", "restval");
    private static final String DROPPED = "";
    private static final int STREAMED_CAPTIONS = 50_000; // more of them would delay the first step

    private final PairDataset data;
    private final String heldOutGroup;
    private final double unseenShare;
    private final long seed;
    private final String knownGroup;
    private @Nullable List<Integer> train;
    private @Nullable Map<String, List<Integer>> tests;

    private Splits(PairDataset data, String heldOutGroup, double unseenShare, long seed) {
        this.data = data;
        this.heldOutGroup = heldOutGroup;
        this.unseenShare = unseenShare;
        this.seed = seed;
        this.knownGroup = knownGroup();
    }

    /**
     * Splits a data set.
     *
     * @param data pairs
     * @param heldOutGroup test on this group and train on the others; empty for none
     * @param unseenShare share of concepts kept out of training, in [0, 1)
     * @param seed decides which concepts are held out
     * @return the splits; pairs of shards are assigned when they are needed
     * @throws DataException when there is no such group, or nothing is left to train on
     */
    public static Splits of(PairDataset data, String heldOutGroup, double unseenShare, long seed) {
        if (!(unseenShare >= 0 && unseenShare < 1)) {
            throw new IllegalArgumentException(
                    "share of unseen concepts is " + unseenShare + ", expected 0 <= share < 1");
        }
        if (!heldOutGroup.isEmpty() && !data.groups().contains(heldOutGroup)) {
            throw new DataException("no group " + heldOutGroup + " in " + data.path() + "; there are " + data.groups());
        }
        Splits splits = new Splits(data, heldOutGroup, unseenShare, seed);
        splits.checkTwoConcepts();
        return splits;
    }

    private String knownGroup() {
        PrimitiveIterator.OfInt all = data.store().ids();
        while (all.hasNext()) {
            String group = data.pair(all.nextInt()).group();
            if (!group.equals(heldOutGroup)) {
                return group;
            }
        }
        return "";
    }

    private void checkTwoConcepts() {
        PrimitiveIterator.OfInt all = data.store().ids();
        String first = null;
        while (all.hasNext()) {
            Pair pair = data.pair(all.nextInt());
            if (isTrained(pair)) {
                first = first == null ? pair.splitKey() : first;
                if (!first.equals(pair.splitKey())) {
                    return;
                }
            }
        }
        throw new DataException("holding out group \"" + heldOutGroup + "\" and " + unseenShare
                + " of the concepts leaves " + (first == null ? 0 : 1) + " concepts to train on, expected at least 2");
    }

    /**
     * Returns whether a pair is trained on.
     *
     * @param pair of the data set
     * @return false when it is tested on or in no split
     */
    public boolean isTrained(Pair pair) {
        return "train".equals(side(pair));
    }

    /** Returns "train", the name of a test split, or {@link #DROPPED}. */
    private String side(Pair pair) {
        boolean heldOut = !heldOutGroup.isEmpty() && pair.group().equals(heldOutGroup);
        if (!pair.split().isEmpty()) {
            boolean trains = TRAIN.contains(pair.split());
            return !trains ? pair.split() : heldOut ? "new-design" : "train";
        }
        boolean unseen = isUnseen(pair);
        if (heldOut) {
            return unseen ? "new-both" : "new-design";
        }
        return !unseen ? "train" : pair.group().equals(knownGroup) ? "new-concept" : DROPPED;
    }

    private boolean isUnseen(Pair pair) {
        long hash = Texts.hash(pair.splitKey(), seed) ^ Long.MIN_VALUE;
        return (hash >>> 11) * 0x1p-53 < unseenShare;
    }

    private synchronized void assign() {
        if (train != null) {
            return;
        }
        int[] trained = new int[16];
        int count = 0;
        Map<String, List<Integer>> byName = new LinkedHashMap<>();
        List.of("new-design", "new-concept", "new-both").forEach(name -> byName.put(name, new ArrayList<>()));
        for (int id : data.ids()) {
            String side = side(data.pair(id));
            if (side.equals("train")) {
                trained = count == trained.length ? Arrays.copyOf(trained, 2 * count) : trained;
                trained[count++] = id;
            } else if (!side.equals(DROPPED)) {
                byName.computeIfAbsent(side, name -> new ArrayList<>()).add(id);
            }
        }
        byName.values().removeIf(List::isEmpty);
        byName.replaceAll((name, ids) -> List.copyOf(ids));
        tests = byName;
        train = view(Arrays.copyOf(trained, count));
    }

    private static List<Integer> view(int[] ids) {
        return new AbstractList<>() {
            @Override
            public Integer get(int index) {
                return ids[index];
            }

            @Override
            public int size() {
                return ids.length;
            }
        };
    }

    /**
     * Returns the pairs to train on. Shards are indexed for it.
     *
     * @return ids in the order of the data
     */
    public List<Integer> train() {
        assign();
        List<Integer> ids = train;
        return ids == null ? List.of() : ids;
    }

    /**
     * Returns the test splits. Shards are indexed for it.
     *
     * @return ids in the order of the data, by name of the split
     */
    public Map<String, List<Integer>> tests() {
        assign();
        Map<String, List<Integer>> all = tests;
        return all == null ? Map.of() : all;
    }

    /**
     * Returns whether {@link #train} and {@link #tests} are known. For shards they are not until one of the two methods
     * was called, which indexes all shards.
     *
     * @return true for data that are not read shard by shard
     */
    public synchronized boolean isKnown() {
        return train != null || !data.isStream();
    }

    /**
     * Returns captions to train a tokenizer on, in the order of the data; of shards at most 50,000, so that large data
     * start as fast as small ones.
     *
     * @param most number of captions; shards beyond those are not read
     * @return captions of pairs that are trained on
     */
    public List<String> trainingCaptions(int most) {
        List<String> captions = new ArrayList<>();
        int number = data.isStream() ? Math.min(most, STREAMED_CAPTIONS) : most;
        PrimitiveIterator.OfInt all = data.store().ids();
        while (all.hasNext() && captions.size() < number) {
            Pair pair = data.pair(all.nextInt());
            if (isTrained(pair)) {
                captions.add(pair.caption());
            }
        }
        return captions;
    }
}
