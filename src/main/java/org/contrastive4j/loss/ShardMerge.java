package org.contrastive4j.loss;

import java.util.Arrays;
import org.contrastive4j.ops.PairTileOps.Kind;
import org.contrastive4j.ops.PairTileOps.Reduced;

/** A reduction put together from those of parts, in the order in which they come. */
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
     * Takes in a part.
     *
     * @param from place of its first number in the whole
     * @param otherFrom place in the whole of its first row or column along the reduced axis
     */
    void add(Reduced part, int from, int otherFrom) {
        for (int k = 0; k < part.values().length; k++) {
            int i = from + k;
            double value = part.values()[k];
            switch (kind) {
                case SUM -> values[i] += value;
                case LOG_SUM_EXP -> {
                    double larger = Math.max(values[i], value);
                    double smaller = Math.min(values[i], value);
                    values[i] = smaller == Double.NEGATIVE_INFINITY
                            ? larger
                            : larger + Math.log1p(Math.exp(smaller - larger));
                }
                default -> addLargest(i, value, part.counts()[k], part.at()[k] + otherFrom);
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
