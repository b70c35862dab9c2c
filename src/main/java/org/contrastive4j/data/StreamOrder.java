package org.contrastive4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.data.BatchOrder.Identities;
import org.jspecify.annotations.Nullable;

/**
 * Batches of pairs that are read shard by shard.
 *
 * <p>An epoch goes through the shards in an order of its own and through the pairs of a shard in their order. Pairs
 * pass through a shuffle buffer: each place of a batch takes a random pair of the buffer, and the next pair of the
 * stream takes its place there. A pair that shares a picture, concept or token sequence with one of its batch stays in
 * the buffer. The pairs that do not fill a last batch are left to another epoch.
 *
 * <p>Cost: to continue at a {@link BatchOrder.Position}, only shards of the buffered pairs and the current shard are
 * indexed. To continue at a step without one, ids and captions of all steps before it are read again.
 */
final class StreamOrder implements BatchOrder {
    private static final int BUFFERED_BATCHES = 8;
    private static final int SMALLEST_BUFFER = 4096;
    private static final int SPARES = 8;

    private final PairDataset data;
    private final Splits splits;
    private final Identities identities;
    private final DataRandom random;
    private final int batch;
    private final int buffer;

    StreamOrder(PairDataset data, Splits splits, Identities identities, int batch, long seed) {
        this.data = data;
        this.splits = splits;
        this.identities = identities;
        this.batch = batch;
        this.buffer = Math.max(BUFFERED_BATCHES * batch, SMALLEST_BUFFER);
        this.random = new DataRandom(seed);
    }

    @Override
    public BatchOrder.Batches from(int step, @Nullable Position position) {
        if (step < 0) {
            throw new IllegalArgumentException("step is " + step + ", expected 0 or more");
        }
        if (position != null) {
            return new Batches(position);
        }
        Batches batches = new Batches();
        for (int k = 0; k < step; k++) {
            batches.next();
        }
        return batches;
    }

    /** The pairs of one epoch that are trained on, one shard after the other. */
    private final class Stream {
        private final int[] shards;
        private int shard;
        private int[] ids = new int[0];
        private int next;

        Stream(int epoch) {
            shards = random.permutation(data.store().parts(), epoch);
        }

        Stream(Position position) {
            this(position.epoch());
            shard = position.shards();
            if (shard > 0) {
                ids = data.store().idsOf(shards[shard - 1]);
                next = position.pairs();
            }
        }

        /** Returns the next pair, or -1 at the end of the epoch. */
        int next() {
            while (true) {
                while (next < ids.length) {
                    int id = ids[next++];
                    if (splits.isTrained(data.pair(id))) {
                        return id;
                    }
                }
                if (shard == shards.length) {
                    return -1;
                }
                ids = data.store().idsOf(shards[shard++]);
                next = 0;
            }
        }
    }

    private final class Batches implements BatchOrder.Batches {
        private int epoch = -1;
        private Stream stream = new Stream(0);
        private final int[] held = new int[buffer];
        private int count;
        private int draws;

        Batches() {}

        Batches(Position position) {
            epoch = position.epoch();
            stream = new Stream(position);
            count = Math.min(buffer, position.held().length);
            System.arraycopy(position.held(), 0, held, 0, count);
            draws = position.draws();
        }

        @Override
        public @Nullable Position position() {
            return epoch < 0 ? null : new Position(epoch, draws, stream.shard, stream.next, Arrays.copyOf(held, count));
        }

        private void fill(int most) {
            while (count < most) {
                int id = stream.next();
                if (id < 0) {
                    return;
                }
                held[count++] = id;
            }
        }

        private void begin() {
            epoch++;
            stream = new Stream(epoch);
            count = 0;
            draws = 0;
            fill(buffer);
        }

        @Override
        public Planned next() {
            boolean began = epoch < 0;
            if (began) {
                begin();
            }
            while (true) {
                Planned planned = tryNext();
                if (planned.samples().length == batch) {
                    return planned;
                }
                if (began) {
                    throw new DataException("batch of " + batch + " pairs: only " + planned.samples().length
                            + " pairs of the training data have different pictures, concepts and captions (after"
                            + " tokenising); choose a smaller batch");
                }
                begin();
                began = true;
            }
        }

        /** A batch from the buffer, with fewer pairs when the epoch ends. */
        private Planned tryNext() {
            Identities.Group group = identities.new Group();
            int[] chosen = new int[batch];
            List<Integer> postponed = new ArrayList<>();
            int found = 0;
            while (found < batch && count > 0) {
                int at = (int) ((random.word(DataRandom.BUFFER, draws++, epoch, 0) & 0xFFFFFFFFL) * count >>> 32);
                int id = held[at];
                held[at] = held[--count];
                if (group.add(data.pair(id))) {
                    chosen[found++] = id;
                    fill(buffer - postponed.size());
                } else if (postponed.size() < buffer / 2) {
                    postponed.add(id); // more of them are left to another epoch
                }
            }
            int[] spares = spares(group);
            for (int id : postponed) {
                held[count++] = id;
            }
            return new Planned(epoch, Arrays.copyOf(chosen, found), spares);
        }

        private int[] spares(Identities.Group group) {
            int[] found = new int[SPARES];
            int spares = 0;
            for (int k = 0; k < Math.min(count, 8 * SPARES) && spares < SPARES; k++) {
                if (group.add(data.pair(held[k]))) {
                    found[spares++] = held[k];
                }
            }
            return Arrays.copyOf(found, spares);
        }
    }
}
