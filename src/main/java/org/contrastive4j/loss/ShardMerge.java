package org.contrastive4j.loss;

import java.util.Arrays;
import org.contrastive4j.ops.PairTileOps.Kind;
import org.contrastive4j.ops.Scalars.Reduced;

/** Merges the reductions of shards into that of the whole batch, in the order in which they are added. */
final class ShardMerge {
    private final Kind kind;
    private final double[] values;
    private final int[] counts;
    private final int[] at;

    ShardMerge(Kind kind, int size) {
        this.kind = kind;
        values = new double[size];
        boolean max = kind == Kind.MAX || kind == Kind.MAX_BELOW;
        counts = new int[max ? size : 0];
        at = new int[max ? size : 0];
        if (kind != Kind.SUM) {
            Arrays.fill(values, Double.NEGATIVE_INFINITY);
        }
        Arrays.fill(at, -1);
    }

    /**
     * Merges the reduction of a shard.
     *
     * @param part reduction of the shard
     * @param from index of its first scalar in the whole batch
     * @param otherFrom index in the whole batch of its first row or column along the reduced axis
     */
    void add(Reduced part, int from, int otherFrom) {
        double[] of = part.values();
        int[] ofCounts = part.counts();
        int[] ofFirst = part.at();
        for (int k = 0; k < of.length; k++) {
            int i = from + k;
            double value = of[k];
            switch (kind) {
                case SUM -> values[i] += value;
                case LOG_SUM_EXP -> {
                    double larger = Math.max(values[i], value);
                    double smaller = Math.min(values[i], value);
                    values[i] = smaller == Double.NEGATIVE_INFINITY
                            ? larger
                            : larger + Math.log1p(Math.exp(smaller - larger));
                }
                default -> addLargest(i, value, ofCounts[k], ofFirst[k] + otherFrom);
            }
        }
    }

    private void addLargest(int i, double value, int count, int place) {
        if (count == 0 || value < values[i]) {
            return;
        }
        if (value > values[i]) {
            values[i] = value;
            counts[i] = count;
            at[i] = place;
        } else {
            counts[i] += count;
            at[i] = Math.min(at[i], place);
        }
    }

    Reduced reduced() {
        return new Reduced(values, counts, at);
    }
}
