package org.contrastive4j.data;

import java.util.Iterator;

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
    Iterator<Planned> from(int step);
}
