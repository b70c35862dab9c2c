package org.contrastive4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which samples form batch k of epoch e: a function of (seed, epoch, batch) alone.
 *
 * <p>An epoch shows every concept once, through one of its samples: sample (start + epoch) mod count of the concept,
 * where start is random, so that all of a concept's samples are shown equally often. A batch never holds a concept
 * twice. The concepts that do not fill a last batch are left to another epoch, whose order is different.
 */
public final class BatchPlan {
    private final DataRandom random;
    private final List<int[]> samplesOfConcept;
    private final int batch;

    /**
     * @param train sample ids
     * @param batch pairs in a batch
     * @throws DataException when there are fewer concepts than pairs in a batch
     */
    public BatchPlan(PairDataset data, List<Integer> train, int batch, long seed) {
        Map<String, List<Integer>> byConcept = new LinkedHashMap<>();
        for (int id : train) {
            byConcept
                    .computeIfAbsent(data.pair(id).concept(), concept -> new ArrayList<>())
                    .add(id);
        }
        if (batch < 2 || batch > byConcept.size()) {
            throw new DataException("batch of " + batch + " pairs: the training data has " + byConcept.size()
                    + " concepts and a batch never holds one twice; choose 2 to " + byConcept.size());
        }
        this.samplesOfConcept = byConcept.values().stream()
                .map(ids -> ids.stream().mapToInt(Integer::intValue).toArray())
                .toList();
        this.batch = batch;
        this.random = new DataRandom(seed);
    }

    public int batch() {
        return batch;
    }

    public int batchesPerEpoch() {
        return samplesOfConcept.size() / batch;
    }

    public int concepts() {
        return samplesOfConcept.size();
    }

    /** Pair ids of batch {@code index} of an epoch. */
    public int[] batch(int epoch, int index) {
        if (epoch < 0 || index < 0 || index >= batchesPerEpoch()) {
            throw new IllegalArgumentException(
                    "batch " + index + " of epoch " + epoch + ", wanted 0 to " + (batchesPerEpoch() - 1));
        }
        int[] order = random.permutation(samplesOfConcept.size(), epoch);
        int[] ids = new int[batch];
        for (int k = 0; k < batch; k++) {
            int concept = order[index * batch + k];
            int[] samples = samplesOfConcept.get(concept);
            int start = random.word(DataRandom.START, concept, 0, 0) >>> 1;
            ids[k] = samples[(int) (((long) start + epoch) % samples.length)];
        }
        return ids;
    }
}
