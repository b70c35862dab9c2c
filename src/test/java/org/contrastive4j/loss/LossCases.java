package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Pairing.SameId;
import org.contrastive4j.support.LossReference;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** Every loss with every kind of label it takes, and what it comes to by definition. */
final class LossCases {
    /** Added to the limit of a guide, see {@link PairPolicy}. */
    private static final double LIMIT_ROUNDING = 1e-6;

    private LossCases() {}

    /** What a batch is labelled with. */
    enum Labels {
        NOTHING,
        TARGETS,
        IDS,
        GUIDE,
        TARGETS_AND_GUIDE,
        IDS_AND_GUIDE
    }

    /** The value by definition, from logits and classes of pairs. */
    @FunctionalInterface
    interface Definition {
        double value(double[][] s, int[][] classes, Problem p);
    }

    record Case(
            String name,
            Function<Ops, ContrastiveLoss> make,
            Labels labels,
            PairPolicy policy,
            boolean rows,
            boolean columns,
            Definition definition) {
        @Override
        public String toString() {
            return name + " " + labels + (policy.sameId() == SameId.POSITIVE ? " positive" : "")
                    + (policy.relative() ? " relative" : "");
        }
    }

    static List<Case> all() {
        List<Case> cases = new ArrayList<>();
        PairPolicy relative = new PairPolicy(SameId.IGNORED, 0.1, true);
        PairPolicy absolute = new PairPolicy(SameId.POSITIVE, 0.05, false);
        for (InfoNce.Direction direction : InfoNce.Direction.values()) {
            for (double smoothing : new double[] {0, 0.1}) {
                for (PairPolicy policy : List.of(PairPolicy.DEFAULT, relative, absolute)) {
                    for (Labels labels : Labels.values()) {
                        cases.add(softmax(direction, smoothing, policy, labels));
                    }
                }
            }
        }
        for (Labels labels : Labels.values()) {
            for (PairPolicy policy : List.of(PairPolicy.DEFAULT, relative)) {
                for (double smoothing : new double[] {0, 0.1}) {
                    cases.add(fourWay(smoothing, policy, labels));
                }
            }
            for (PairPolicy policy : List.of(PairPolicy.DEFAULT, absolute)) {
                for (BinaryLoss.Weighting weighting : BinaryLoss.Weighting.values()) {
                    cases.add(new Case(
                            "binary " + weighting,
                            ops -> new BinaryLoss(
                                    ops, weighting, weighting == BinaryLoss.Weighting.SUM ? 0.3 : 1, null, policy, -2),
                            labels,
                            policy,
                            true,
                            true,
                            (s, classes, p) -> switch (weighting) {
                                case SUM -> LossReference.binary(s, classes, 0.3) / p.n;
                                case BALANCED -> LossReference.binary(s, classes, 1.0 / Math.max(1, p.m - 1)) / p.n;
                                case MEAN -> LossReference.binary(s, classes, 1) / LossReference.pairs(classes);
                            }));
                }
                for (int iterations : new int[] {1, 4}) {
                    cases.add(new Case(
                            "sinkhorn " + iterations,
                            ops -> new SinkhornLoss(ops, iterations, policy, true),
                            labels,
                            policy,
                            true,
                            true,
                            (s, classes, p) -> LossReference.sinkhorn(s, classes, iterations)));
                    cases.add(new Case(
                            "sinkhorn, symmetric, " + iterations,
                            ops -> SinkhornLoss.symmetric(ops, iterations, policy),
                            labels,
                            policy,
                            true,
                            true,
                            (s, classes, p) -> (LossReference.sinkhorn(s, classes, iterations)
                                            + LossReference.sinkhorn(
                                                    LossReference.transposed(s),
                                                    LossReference.transposed(classes),
                                                    iterations))
                                    / 2));
                }
            }
            for (TripletLoss.Negatives negatives : TripletLoss.Negatives.values()) {
                for (double reward : new double[] {0, 0.7}) {
                    cases.add(triplet(negatives, reward, labels));
                }
            }
        }
        return cases;
    }

    private static Case softmax(InfoNce.Direction direction, double smoothing, PairPolicy policy, Labels labels) {
        return new Case(
                "softmax " + direction + " " + smoothing,
                ops -> new InfoNce(ops, direction, smoothing, policy, Math.log(6), null, true),
                labels,
                policy,
                direction.rowWeight() > 0,
                direction.columnWeight() > 0,
                (s, classes, p) -> {
                    boolean once = p.rowIds != null && policy.sameId() == SameId.POSITIVE;
                    return direction.rowWeight() * LossReference.crossEntropy(s, classes, smoothing, true)
                            + direction.columnWeight()
                                    * LossReference.crossEntropy(
                                            LossReference.transposed(s),
                                            LossReference.transposed(classes),
                                            smoothing,
                                            once);
                });
    }

    private static Case triplet(TripletLoss.Negatives negatives, double reward, Labels labels) {
        return new Case(
                "triplet " + negatives + (reward > 0 ? " learnable" : ""),
                ops -> reward == 0
                        ? new TripletLoss(ops, negatives, 0.2, PairPolicy.DEFAULT)
                        : TripletLoss.learnableMargin(ops, negatives, 0.2, reward, PairPolicy.DEFAULT),
                labels,
                PairPolicy.DEFAULT,
                true,
                true,
                (s, classes, p) -> (LossReference.triplets(s, classes, 0.2, negatives.name())
                                        + LossReference.triplets(
                                                LossReference.transposed(s),
                                                LossReference.transposed(classes),
                                                0.2,
                                                negatives.name()))
                                / p.n
                        - reward * 0.2);
    }

    private static Case fourWay(double smoothing, PairPolicy policy, Labels labels) {
        return new Case(
                "unique targets, four ways " + smoothing,
                ops -> new FourWayLoss(ops, smoothing, policy, Math.log(6), true),
                labels,
                policy,
                true,
                true,
                (s, classes, p) -> {
                    int all = p.n + p.m;
                    double[] z = DoubleStream.concat(Arrays.stream(p.u), Arrays.stream(p.v))
                            .toArray();
                    return LossReference.crossEntropy(
                            LossReference.logits(z, z, all, all, p.d, 6, 0), p.joinedClasses(policy), smoothing, true);
                });
    }

    /** A random batch. */
    static final class Problem {
        final int n;
        final int m;
        final int d;
        final double[] u;
        final double[] v;
        int[] targets;
        int[] rowIds;
        int[] columnIds;
        double[] guideRows;
        double[] guideColumns;

        Problem(Case c, int n, int m, int d, long seed) {
            this.n = n;
            this.m = m;
            this.d = d;
            Random random = new Random(seed);
            u = random.doubles((long) n * d, -1, 1).map(x -> (float) x).toArray();
            v = random.doubles((long) m * d, -1, 1).map(x -> (float) x).toArray();
            if (c.labels == Labels.TARGETS || c.labels == Labels.TARGETS_AND_GUIDE) {
                boolean unique = c.name.startsWith("triplet") || c.name.startsWith("unique");
                int step = gcd(7, m) == 1 ? 7 : 1;
                targets = IntStream.range(0, n)
                        .map(i -> unique ? (i * step + 1) % m : random.nextInt(m))
                        .toArray();
            }
            if (c.labels == Labels.IDS || c.labels == Labels.IDS_AND_GUIDE) {
                rowIds = random.ints(n, 0, 2 + n / 3).toArray();
                columnIds = IntStream.range(0, m)
                        .map(j -> j < n ? rowIds[j] : random.nextInt(2 + n / 3))
                        .toArray();
            }
            if (c.labels.name().endsWith("GUIDE")) {
                guideRows = unit(n, random);
                guideColumns = unit(m, random);
            }
        }

        private static int gcd(int a, int b) {
            return b == 0 ? a : gcd(b, a % b);
        }

        private static double[] unit(int rows, Random random) {
            double[] values = new double[2 * rows];
            for (int i = 0; i < rows; i++) {
                double angle = random.nextDouble() * Math.PI / 2;
                values[2 * i] = (float) Math.cos(angle);
                values[2 * i + 1] = (float) Math.sin(angle);
            }
            return values;
        }

        int target(int i) {
            return targets == null ? i : targets[i];
        }

        /** Classes of all pairs, by definition. */
        int[][] classes(Case c) {
            int[][] classes = new int[n][m];
            for (int i = 0; i < n; i++) {
                for (int j = 0; j < m; j++) {
                    if (j == target(i)) {
                        classes[i][j] = LossReference.POSITIVE;
                    } else if (rowIds != null && rowIds[i] == columnIds[j]) {
                        classes[i][j] =
                                c.policy.sameId() == SameId.POSITIVE ? LossReference.POSITIVE : LossReference.IGNORED;
                    } else if (guideRows != null && isTooSimilar(c, i, j)) {
                        classes[i][j] = LossReference.IGNORED;
                    }
                }
            }
            return classes;
        }

        /** Classes of the pairs of rows and columns in one set. */
        int[][] joinedClasses(PairPolicy policy) {
            int all = n + m;
            int[] partner = new int[all];
            Arrays.fill(partner, -1);
            for (int i = 0; i < n; i++) {
                partner[i] = n + target(i);
                partner[n + target(i)] = i;
            }
            int[][] classes = new int[all][all];
            for (int k = 0; k < all; k++) {
                for (int l = 0; l < all; l++) {
                    double limit = Double.POSITIVE_INFINITY;
                    if (guideRows != null && partner[k] >= 0) {
                        double own = joinedGuide(k, partner[k]);
                        limit = LIMIT_ROUNDING
                                + (policy.relative() ? own * (1 - policy.guideMargin()) : own - policy.guideMargin());
                    }
                    boolean same = k == l || rowIds != null && id(k) == id(l);
                    classes[k][l] = partner[k] == l
                            ? LossReference.POSITIVE
                            : same || guideRows != null && joinedGuide(k, l) > limit
                                    ? LossReference.IGNORED
                                    : LossReference.NEGATIVE;
                }
            }
            return classes;
        }

        private int id(int k) {
            return k < n ? rowIds[k] : columnIds[k - n];
        }

        private double joinedGuide(int k, int l) {
            double[] both = DoubleStream.concat(Arrays.stream(guideRows), Arrays.stream(guideColumns))
                    .toArray();
            return both[2 * k] * both[2 * l] + both[2 * k + 1] * both[2 * l + 1];
        }

        private boolean isTooSimilar(Case c, int i, int j) {
            boolean found = c.rows && guided(i, j) > limit(c, i);
            for (int k = 0; k < n; k++) {
                found |= c.columns && target(k) == j && guided(i, j) > limit(c, k);
            }
            return found;
        }

        private double limit(Case c, int i) {
            double own = guided(i, target(i));
            return LIMIT_ROUNDING
                    + (c.policy.relative() ? own * (1 - c.policy.guideMargin()) : own - c.policy.guideMargin());
        }

        private double guided(int i, int j) {
            return guideRows[2 * i] * guideColumns[2 * j] + guideRows[2 * i + 1] * guideColumns[2 * j + 1];
        }
    }

    /** The tensors of a problem on a backend. */
    static final class Tensors implements AutoCloseable {
        final Tensor u;
        final Tensor v;
        final PairLabels labels;
        private final List<Tensor> owned = new ArrayList<>();

        Tensors(Ops ops, Problem p) {
            u = own(ops.tensor(Shape.of(p.n, p.d), p.u));
            v = own(ops.tensor(Shape.of(p.m, p.d), p.v));
            labels = new PairLabels(
                    p.targets == null ? null : own(ops.ints(Shape.of(p.n), p.targets)),
                    p.rowIds == null ? null : own(ops.ints(Shape.of(p.n), p.rowIds)),
                    p.columnIds == null ? null : own(ops.ints(Shape.of(p.m), p.columnIds)),
                    p.guideRows == null ? null : own(ops.tensor(Shape.of(p.n, 2), p.guideRows)),
                    p.guideColumns == null ? null : own(ops.tensor(Shape.of(p.m, 2), p.guideColumns)));
        }

        private Tensor own(Tensor tensor) {
            owned.add(tensor);
            return tensor;
        }

        @Override
        public void close() {
            owned.forEach(Tensor::close);
        }
    }
}
