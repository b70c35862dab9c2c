package org.contrastive4j.train;

import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.data.DataException;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/**
 * Recall at 1, 5 and 10 by the protocol of CLIP: the candidates are distinct pictures or all captions, and a query is
 * answered when one of its own candidates is among the k candidates of largest cosine. The own candidates of a picture
 * are all of its captions; the own candidate of a caption is its picture.
 *
 * <p>Numerics: a tie between a foreign candidate and the best own candidate counts against the query, so that equal
 * representations are never better than chance.
 *
 * @param recall1 share of queries answered within 1 candidate
 * @param recall5 within 5
 * @param recall10 within 10
 * @param queries number of queries
 * @param candidates number of candidates
 * @param chance expected recall at 1 of a random ranking
 */
public record Retrieval(double recall1, double recall5, double recall10, int queries, int candidates, double chance) {
    /** Name of the protocol, for reports. */
    public static final String PROTOCOL =
            "CLIP: candidates are distinct pictures or all captions; any caption of a picture answers it";

    private static final int ROWS = 256;

    /**
     * Measures queries where query i belongs to candidate i alone.
     *
     * @param ops backend
     * @param queries [n, d] unit rows; read
     * @param candidates [n, d] unit rows; read
     * @return the recalls
     */
    public static Retrieval of(Ops ops, Tensor queries, Tensor candidates) {
        int[] own = new int[queries.dim(0)];
        Arrays.setAll(own, i -> i);
        return of(ops, queries, candidates, own, own);
    }

    /**
     * Measures queries that belong to the candidates with the same label.
     *
     * @param ops backend
     * @param queries [n, d] unit rows; read
     * @param candidates [m, d] unit rows; read
     * @param queryLabels n labels; each must be the label of a candidate
     * @param candidateLabels m labels
     * @return the recalls
     */
    public static Retrieval of(Ops ops, Tensor queries, Tensor candidates, int[] queryLabels, int[] candidateLabels) {
        int n = queries.dim(0);
        int m = candidates.dim(0);
        int[] hits = new int[3];
        long own = 0;
        Map<Integer, Integer> frequencies = new HashMap<>();
        Arrays.stream(candidateLabels).forEach(label -> frequencies.merge(label, 1, Integer::sum));
        for (int from = 0; from < n; from += ROWS) {
            int to = Math.min(n, from + ROWS);
            try (Tensor similarity = ops.allocateParameter(to - from, m)) {
                ops.matrix().gemm(false, true, 1, queries.rows(from, to), candidates, 0, similarity);
                double[] values = similarity.toDoubles();
                for (int i = from; i < to; i++) {
                    double[] row = Arrays.copyOfRange(values, (i - from) * m, (i - from + 1) * m);
                    count(rank(row, queryLabels[i], candidateLabels), hits);
                    own += frequencies.getOrDefault(queryLabels[i], 0);
                }
            }
        }
        return new Retrieval(
                (double) hits[0] / n, (double) hits[1] / n, (double) hits[2] / n, n, m, own / ((double) n * m));
    }

    /**
     * Returns the number of foreign candidates that rank before the best own one; all if that is not finite.
     */
    static int rank(double[] row, int label, int[] labels) {
        double best = Double.NEGATIVE_INFINITY;
        for (int j = 0; j < row.length; j++) {
            if (labels[j] == label && row[j] > best) {
                best = row[j];
            }
        }
        int rank = 0;
        for (int j = 0; j < row.length; j++) {
            if (labels[j] != label && !(row[j] < best)) {
                rank++;
            }
        }
        return rank;
    }

    private static void count(int rank, int[] hits) {
        int[] limits = {1, 5, 10};
        for (int k = 0; k < limits.length; k++) {
            hits[k] += rank < limits[k] ? 1 : 0;
        }
    }

    /**
     * Measures both directions: distinct pictures against all captions. Pairs with unreadable pictures are left out.
     *
     * @param ops backend
     * @param embedder of the model
     * @param samples ids of pairs
     * @return the recalls
     */
    public static Trainer.Recall both(Ops ops, Embedder embedder, List<Integer> samples) {
        PairDataset data = embedder.data();
        List<Integer> usable =
                samples.stream().filter(id -> !data.isUnreadable(id)).toList();
        Map<String, Integer> labels = new LinkedHashMap<>();
        List<Integer> first = usable.stream()
                .filter(id -> labels.putIfAbsent(data.pair(id).picture(), labels.size()) == null)
                .toList();
        int[] captionLabels = usable.stream()
                .mapToInt(id -> labels.getOrDefault(data.pair(id).picture(), -1))
                .toArray();
        int[] pictureLabels = new int[first.size()];
        Arrays.setAll(pictureLabels, i -> i);
        if (usable.isEmpty()) {
            throw new DataException("no picture of " + samples.size() + " pairs can be read: nothing to measure");
        }
        try (Tensor pictures = embedder.pictures(first)) {
            if (first.stream().anyMatch(data::isUnreadable)) {
                return both(ops, embedder, usable);
            }
            try (Tensor captions = embedder.captions(usable)) {
                return new Trainer.Recall(
                        of(ops, pictures, captions, pictureLabels, captionLabels),
                        of(ops, captions, pictures, captionLabels, pictureLabels));
            }
        }
    }

    /** Returns the indices of the k largest values, largest first, ties by index. */
    static int[] top(double[] values, int k) {
        Integer[] order = new Integer[values.length];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (a, b) -> values[a] == values[b] ? a - b : Double.compare(values[b], values[a]));
        return Arrays.stream(order).limit(k).mapToInt(Integer::intValue).toArray();
    }
}
