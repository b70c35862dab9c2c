package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.ops.PairTileOps.Kind;
import org.contrastive4j.ops.Scalars.Reduced;

/** A reduction of many rows or columns that grows by merging parts; the order of merging is the caller's to fix. */
final class PairAccumulator {
    private final Kind kind;
    private final double[] largest;
    private final double[] sum;
    private final int[] count;
    private final int[] at;

    PairAccumulator(Kind kind, int size) {
        this.kind = kind;
        boolean max = kind == Kind.MAX || kind == Kind.MAX_BELOW;
        largest = new double[kind == Kind.SUM ? 0 : size];
        sum = new double[max ? 0 : size];
        count = new int[max ? size : 0];
        at = new int[max ? size : 0];
        Arrays.fill(largest, Double.NEGATIVE_INFINITY);
        Arrays.fill(at, -1);
    }

    void addSum(int i, double value) {
        sum[i] += value;
    }

    /** Adds {@code part} e^{@code of}; nothing when part is 0 or of is minus infinity. */
    void addExponentials(int i, double of, double part) {
        if (part == 0 || of == Double.NEGATIVE_INFINITY) {
            return;
        }
        if (of > largest[i]) {
            sum[i] = sum[i] * Math.exp(largest[i] - of) + part;
            largest[i] = of;
        } else {
            sum[i] += part * Math.exp(of - largest[i]);
        }
    }

    /** {@code times} pairs have this value, the first of them at {@code first}. */
    void addLargest(int i, double value, int times, int first) {
        if (times == 0 || value < largest[i]) {
            return;
        }
        if (value > largest[i]) {
            largest[i] = value;
            count[i] = times;
            at[i] = first;
        } else {
            count[i] += times;
            at[i] = Math.min(at[i], first);
        }
    }

    /** Adds element {@code from} of another of the same kind to element i. */
    void merge(int i, PairAccumulator other, int from) {
        switch (kind) {
            case SUM -> addSum(i, other.sum[from]);
            case LOG_SUM_EXP -> addExponentials(i, other.largest[from], other.sum[from]);
            default -> addLargest(i, other.largest[from], other.count[from], other.at[from]);
        }
    }

    Reduced reduced() {
        return switch (kind) {
            case SUM -> new Reduced(sum);
            case LOG_SUM_EXP -> {
                double[] values = new double[sum.length];
                Arrays.setAll(values, i -> sum[i] == 0 ? Double.NEGATIVE_INFINITY : largest[i] + Math.log(sum[i]));
                yield new Reduced(values);
            }
            default -> new Reduced(largest, count, at);
        };
    }
}
