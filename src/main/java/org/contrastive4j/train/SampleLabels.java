package org.contrastive4j.train;

import org.contrastive4j.data.BatchOrder.Identities;
import org.contrastive4j.data.PairDataset;
import org.jspecify.annotations.Nullable;

/** Labels of samples; samples with one label are never negatives of each other. */
@FunctionalInterface
interface SampleLabels {
    /** Returns the label of a sample, the same at any time. */
    int label(int sample);

    /**
     * Returns labels that hold among the given samples alone.
     *
     * @param samples ids; negative ones are unknown samples
     * @return null where {@link #label} gives the labels
     */
    default int @Nullable [] labels(int[] samples) {
        return null;
    }

    /** Returns labels of pairs: of shards among given samples, so that no list of all pairs is needed. */
    static SampleLabels of(PairDataset data, Identities identities) {
        if (!data.isStream()) {
            return identities::label;
        }
        return new SampleLabels() {
            @Override
            public int label(int sample) {
                return sample;
            }

            @Override
            public int[] labels(int[] samples) {
                return identities.labels(samples);
            }
        };
    }
}
