package org.contrastive4j.internal.f64;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The tiled pairwise engine as loops over i and j, one pair at a time.
 *
 * <p>Tested by {@code LossDifferencesTest}.
 */
final class F64PairTileOps extends PairTileOps {
    F64PairTileOps() {
        super(DType.F64);
    }

    /** Work on one pair that is positive or negative; called row by row. */
    @FunctionalInterface
    private interface Visitor {
        void pair(int i, int j, boolean positive, double cosine);
    }

    /** Visits every pair that is not ignored once; returns the number of ignored pairs. */
    private static long visit(Pairs pairs, Visitor visitor) {
        Pairing pairing = pairs.pairing();
        Pairing.Guide guide = pairing.guide();
        int d = pairs.x().dim(1);
        double[] x = Doubles.load(pairs.x());
        double[] y = Doubles.load(pairs.y());
        int e = guide == null ? 0 : guide.rows().dim(1);
        double[] guideRows = guide == null ? new double[0] : Doubles.load(guide.rows());
        double[] guideColumns = guide == null ? new double[0] : Doubles.load(guide.columns());
        long ignored = 0;
        for (int i = 0; i < pairing.n(); i++) {
            for (int j = 0; j < pairing.m(); j++) {
                double guided = guide == null ? 0 : Doubles.dot(guideRows, i * e, guideColumns, j * e, e);
                if (pairing.isIgnored(i, j, guided)) {
                    ignored++;
                } else {
                    visitor.pair(i, j, pairing.isPositive(i, j), Doubles.dot(x, i * d, y, j * d, d));
                }
            }
        }
        return ignored;
    }

    private static boolean takes(Of of, boolean positive) {
        return positive ? of.positives() : of.negatives();
    }

    /** A reduction that is extended pair by pair. */
    private static final class Running {
        final Reduction reduction;
        final double[] largest;
        final double[] sum;
        final int[] count;
        final int[] at;

        Running(Reduction reduction, int size) {
            this.reduction = reduction;
            largest = new double[size];
            sum = new double[size];
            count = new int[size];
            at = new int[size];
            Arrays.fill(largest, Double.NEGATIVE_INFINITY);
            Arrays.fill(at, -1);
        }

        void add(int i, int j, double logit) {
            boolean rows = reduction.axis() == Axis.ROWS;
            int to = rows ? i : j;
            int from = rows ? j : i;
            double z = reduction.shift().of(logit, i, j);
            switch (reduction.kind()) {
                case SUM ->
                    sum[to] +=
                            (reduction.weight() == null ? 1 : reduction.weight().at(from))
                                    * reduction.function().of(z);
                case LOG_SUM_EXP -> addExponential(to, z);
                case MAX -> addLargest(to, from, z);
                case MAX_BELOW -> {
                    if (z < 0) {
                        addLargest(to, from, reduction.shift().sign() * logit);
                    }
                }
            }
        }

        private void addExponential(int to, double z) {
            if (z > largest[to]) {
                sum[to] = sum[to] * Math.exp(largest[to] - z) + 1;
                largest[to] = z;
            } else if (z > Double.NEGATIVE_INFINITY) {
                sum[to] += Math.exp(z - largest[to]);
            }
        }

        private void addLargest(int to, int from, double z) {
            if (z > largest[to]) {
                largest[to] = z;
                count[to] = 0;
                at[to] = from;
            }
            count[to] += z == largest[to] ? 1 : 0;
        }

        Reduced reduced() {
            return switch (reduction.kind()) {
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

    @Override
    protected Deferred<List<Reduced>> reduceUnchecked(Pairs pairs, List<Reduction> reductions) {
        List<Running> running = new ArrayList<>();
        for (Reduction reduction : reductions) {
            running.add(new Running(
                    reduction,
                    reduction.axis() == Axis.ROWS
                            ? pairs.pairing().n()
                            : pairs.pairing().m()));
        }
        visit(pairs, (i, j, positive, cosine) -> {
            for (Running one : running) {
                if (takes(one.reduction.of(), positive)) {
                    one.add(i, j, pairs.scale().at(0) * cosine);
                }
            }
        });
        return Deferred.of(running.stream().map(Running::reduced).toList());
    }

    @Override
    protected void gradientUnchecked(
            Pairs pairs, List<Term> terms, Factors factors, PairwiseOps.Gradients gradients, double gradientScale) {
        int d = factors.width();
        double scale = pairs.scale().at(0);
        double[] x = factors.rows() == null ? null : Doubles.load(factors.rows());
        double[] y = factors.columns() == null ? null : Doubles.load(factors.columns());
        double[] dx = new double[pairs.pairing().n() * d];
        double[] dy = new double[pairs.pairing().m() * d];
        double[] sums = new double[2];
        visit(pairs, (i, j, positive, cosine) -> {
            double g = 0;
            for (Term term : terms) {
                if (takes(term.of(), positive)) {
                    g += weight(term.rowWeight(), i)
                            * weight(term.columnWeight(), j)
                            * term.function().of(term.shift().of(scale * cosine, i, j));
                }
            }
            g *= gradientScale;
            sums[0] += g * scale * cosine;
            sums[1] += g;
            if (y != null) {
                Doubles.axpy(g * scale, y, j * d, dx, i * d, d);
            }
            if (x != null) {
                Doubles.axpy(g * scale, x, i * d, dy, j * d, d);
            }
        });
        store(dx, gradients.dx());
        store(dy, gradients.dy());
        accumulate(sums[0], gradients.dLogScale());
        accumulate(sums[1], gradients.dBias());
    }

    private static double weight(@Nullable Scalars weights, int i) {
        return weights == null ? 1 : weights.at(i);
    }

    private static void store(double[] values, @Nullable Tensor target) {
        if (target != null) {
            Doubles.store(values, target);
        }
    }

    private static void accumulate(double value, @Nullable Tensor target) {
        if (target != null) {
            Doubles.store(new double[] {Doubles.load(target)[0] + value}, target);
        }
    }

    @Override
    protected Deferred<Histogram> histogramUnchecked(Pairs pairs, int bins) {
        long[] positives = new long[bins];
        long[] negatives = new long[bins];
        long ignored =
                visit(pairs, (i, j, positive, cosine) -> (positive ? positives : negatives)[bin(cosine, bins)]++);
        return Deferred.of(new Histogram(positives, negatives, ignored));
    }

    /** Returns the bytes of copies of x and y on the heap; no tensors. */
    @Override
    public long workspaceBytes(int n, int m, int d) {
        return 0;
    }
}
