package org.contrastive4j.data;

import java.util.Iterator;
import org.jspecify.annotations.Nullable;

/**
 * Which pairs form each batch: a function of the data, the seed and the number of the batch alone. No two pairs of a
 * batch share a picture, a concept or a token sequence.
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
}
