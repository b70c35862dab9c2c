package org.contrastive4j.train;

import java.util.Arrays;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/**
 * Recall at 1, 5 and 10: the share of queries whose own partner is among the k candidates of largest cosine. A
 * candidate as similar as the partner counts against it, so that collapsed representations do not look perfect.
 *
 * @param queries number of queries
 * @param candidates number of candidates
 */
public record Retrieval(double recall1, double recall5, double recall10, int queries, int candidates) {
    private static final int ROWS = 256;

    /** Recall at 1 of guessing. */
    public double chance() {
        return 1.0 / candidates;
    }

    /**
     * Query i belongs to candidate i.
     *
     * @param queries [n, d] unit rows; read
     * @param candidates [n, d] unit rows; read
     */
    public static Retrieval of(Ops ops, Tensor queries, Tensor candidates) {
        int n = queries.dim(0);
        int[] hits = new int[3];
        for (int from = 0; from < n; from += ROWS) {
            int to = Math.min(n, from + ROWS);
            try (Tensor similarity = ops.allocateParameter(to - from, candidates.dim(0))) {
                ops.matrix().gemm(false, true, 1, queries.rows(from, to), candidates, 0, similarity);
                double[] values = similarity.toDoubles();
                for (int i = from; i < to; i++) {
                    count(rank(values, (i - from) * candidates.dim(0), candidates.dim(0), i), hits);
                }
            }
        }
        return new Retrieval((double) hits[0] / n, (double) hits[1] / n, (double) hits[2] / n, n, candidates.dim(0));
    }

    /** Number of candidates that come before the partner. */
    private static int rank(double[] values, int row, int candidates, int partner) {
        int rank = 0;
        for (int j = 0; j < candidates; j++) {
            if (j != partner && !(values[row + j] < values[row + partner])) {
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

    /** Indices of the k largest values, largest first, ties by index. */
    static int[] top(double[] values, int k) {
        Integer[] order = new Integer[values.length];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (a, b) -> values[a] == values[b] ? a - b : Double.compare(values[b], values[a]));
        return Arrays.stream(order).limit(k).mapToInt(Integer::intValue).toArray();
    }
}
