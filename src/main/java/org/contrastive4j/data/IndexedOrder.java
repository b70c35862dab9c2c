package org.contrastive4j.data;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.contrastive4j.data.BatchOrder.Identities;
import org.jspecify.annotations.Nullable;

/**
 * Batches of pairs that can be read by index.
 *
 * <p>An epoch shows every concept once (every picture once, where pairs have no concept) through one of its pairs: pair
 * (start + epoch) mod count of the concept, where start is random, so that all of them are shown equally often. A pair
 * that shares a picture, concept or token sequence with one of its batch waits for the next batch. The concepts that do
 * not fill a last batch are left to another epoch, whose order is different.
 *
 * <p>Tested by {@code IdentitiesTest}.
 */
final class IndexedOrder implements BatchOrder {
    private static final int SPARES = 8;

    private final PairDataset data;
    private final Identities identities;
    private final DataRandom random;
    private final int[] samples; // of all units, one unit after the other
    private final int[] ends; // of each unit in samples
    private final int batch;

    IndexedOrder(PairDataset data, List<Integer> train, Identities identities, int batch, long seed) {
        this.data = data;
        this.identities = identities;
        this.batch = batch;
        this.random = new DataRandom(seed);
        int[] units = units(data, train, batch);
        ends = new int[Arrays.stream(units).max().orElse(-1) + 1];
        Arrays.stream(units).forEach(unit -> ends[unit]++);
        Arrays.parallelPrefix(ends, Integer::sum);
        samples = new int[units.length];
        int[] next = new int[ends.length];
        for (int k = 0; k < units.length; k++) {
            int unit = units[k];
            samples[first(unit) + next[unit]++] = train.get(k);
        }
    }

    /** Returns the unit of each pair, numbered in order of appearance. */
    static int[] units(PairDataset data, List<Integer> train, int batch) {
        Map<Long, Integer> unitOf = new HashMap<>();
        int[] units = new int[train.size()];
        for (int k = 0; k < units.length; k++) {
            units[k] = unitOf.computeIfAbsent(Texts.hash(data.pair(train.get(k)).splitKey(), 0), key -> unitOf.size());
        }
        if (batch > unitOf.size()) {
            throw new DataException("batch of " + batch + " pairs: the training data has " + unitOf.size()
                    + " concepts and a batch never holds one twice; choose 2 to " + unitOf.size()
                    + " pairs, in a command with --batch");
        }
        return units;
    }

    private int first(int unit) {
        return unit == 0 ? 0 : ends[unit - 1];
    }

    private Pair pair(int unit, int epoch) {
        int start = random.word(DataRandom.START, unit, 0, 0) >>> 1;
        int count = ends[unit] - first(unit);
        return data.pair(samples[first(unit) + (int) (((long) start + epoch) % count)]);
    }

    private int batchesPerEpoch() {
        return ends.length / batch;
    }

    @Override
    public BatchOrder.Batches from(int step, @Nullable Position position) {
        if (step < 0) {
            throw new IllegalArgumentException("step is " + step + ", expected 0 or more");
        }
        Batches batches = new Batches(step / batchesPerEpoch());
        for (int k = 0; k < step % batchesPerEpoch(); k++) {
            batches.next();
        }
        return batches;
    }

    private final class Batches implements BatchOrder.Batches {
        private final Deque<Integer> deferred = new ArrayDeque<>();
        private int epoch;
        private int index;
        private int[] order;
        private int next;

        Batches(int epoch) {
            this.epoch = epoch;
            this.order = random.permutation(ends.length, epoch);
        }

        /** An epoch has a fixed number of batches, so the number of a batch says where it begins. */
        @Override
        public @Nullable Position position() {
            return null;
        }

        @Override
        public Planned next() {
            if (index == batchesPerEpoch()) {
                epoch++;
                index = 0;
                next = 0;
                deferred.clear();
                order = random.permutation(ends.length, epoch);
            }
            index++;
            Identities.Group group = identities.new Group();
            int[] chosen = new int[batch];
            int count = 0;
            for (Iterator<Integer> waiting = deferred.iterator(); waiting.hasNext() && count < batch; ) {
                Pair pair = pair(waiting.next(), epoch);
                if (group.add(pair)) {
                    waiting.remove();
                    chosen[count++] = pair.id();
                }
            }
            while (count < batch && next < order.length) {
                int unit = order[next++];
                Pair pair = pair(unit, epoch);
                if (group.add(pair)) {
                    chosen[count++] = pair.id();
                } else {
                    deferred.add(unit);
                }
            }
            int[] more = others(group, batch - count, 1);
            System.arraycopy(more, 0, chosen, count, more.length);
            if (count + more.length < batch) {
                throw new DataException("batch of " + batch + " pairs: only " + (count + more.length)
                        + " pairs of the training data have different pictures, concepts and captions (after "
                        + "tokenising);"
                        + " choose a smaller batch");
            }
            return new Planned(epoch, chosen, others(group, SPARES, 0));
        }

        /** Pairs of other units that fit, from the beginning of the epoch's order or from the rest of it. */
        private int[] others(Identities.Group group, int most, int laterEpoch) {
            int[] found = new int[most];
            int count = 0;
            int limit = laterEpoch > 0 ? order.length : Math.min(order.length, 8 * most);
            for (int k = 0; k < limit && count < most; k++) {
                int at = laterEpoch > 0 ? k : (next + k) % order.length;
                Pair pair = pair(order[at], epoch + laterEpoch);
                if (group.add(pair)) {
                    found[count++] = pair.id();
                }
            }
            return Arrays.copyOf(found, count);
        }
    }
}
