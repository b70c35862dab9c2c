package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * InfoNCE against soft targets, of raw representations: with S_ij = e^t &lt;x_i, y_j&gt;, the mean over rows of lse_j
 * S_ij - sum_j q_ij S_ij. When columns have targets over rows too, the loss is the mean of both directions.
 *
 * <p>Targets are constants. With all weight on the diagonal the loss is {@link InfoNce}. Gradients are exact for u, v
 * and t. Steps with this loss are not captured as CUDA graphs: each batch brings its targets as host objects.
 *
 * <p>Memory: linear in n + m; a table of targets never exists. Cost: 8 n m d flops and the products of the targets.
 *
 * <p>Numerics: for n = m, loss and gradient keep their relative accuracy when the pairs are nearly solved, see {@link
 * SoftTargets#applyDifference}.
 *
 * <p>Sources: Hinton et al., Distilling the knowledge in a neural network, 2015; Li et al., Align before fuse, 2021,
 * equation 6.
 *
 * <p>Tested by {@code SoftTargetsTest}.
 */
public final class SoftTargetContrast implements AutoCloseable {
    private final Ops ops;
    private final InfoNce hard; // the same loss for hard labels; owns the log-scale

    /**
     * Creates a loss with a learnable temperature of 0.07 at first.
     *
     * @param ops backend
     */
    public SoftTargetContrast(Ops ops) {
        this(ops, InfoNce.INITIAL_LOG_SCALE, true);
    }

    /**
     * Creates a loss.
     *
     * @param ops backend
     * @param initialLogScale in [0, ln 100]
     * @param learnable whether the log-scale gets a gradient
     */
    public SoftTargetContrast(Ops ops, double initialLogScale, boolean learnable) {
        this.ops = ops;
        hard = new InfoNce(ops, InfoNce.Direction.SYMMETRIC, 0, PairPolicy.DEFAULT, initialLogScale, null, learnable);
    }

    /**
     * Returns the parameters of the loss.
     *
     * @return the log-scale
     */
    public List<Parameter> parameters() {
        return hard.parameters();
    }

    /**
     * Returns the logarithm of the logit scale.
     *
     * @return t, one element
     */
    public Parameter logScale() {
        return hard.logScale();
    }

    /**
     * Clamps the log-scale to [0, ln 100]; to be called after each optimiser step.
     *
     * @param result of the step
     */
    public void afterStep(PairwiseOps.Result result) {
        hard.afterStep(result);
    }

    /**
     * Computes value and statistics alone.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param ofRows n distributions over m columns
     * @param ofColumns m distributions over n rows, or null for rows alone
     * @return as {@link #valueAndGradient}
     * @throws ShapeException when sizes do not fit
     */
    public Deferred<PairwiseOps.Result> value(Tensor u, Tensor v, SoftTargets ofRows, @Nullable SoftTargets ofColumns) {
        return compute(u, v, ofRows, ofColumns, null, 1);
    }

    /**
     * Computes value, statistics, and gradients times {@code gradientScale}.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param ofRows n distributions over m columns
     * @param ofColumns m distributions over n rows, or null for rows alone
     * @param du [n, d], or null; written
     * @param dv [m, d], or null; written
     * @param gradientScale multiplied into every gradient; that of the log-scale is accumulated
     * @return accuracies and mean positive are those of row i belonging to column i; 0 for m &lt; n
     * @throws ShapeException when sizes do not fit
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            SoftTargets ofRows,
            @Nullable SoftTargets ofColumns,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1))) {
            Deferred<PairwiseOps.Result> result =
                    compute(u, v, ofRows, ofColumns, new PairwiseOps.Gradients(du, dv, dLogScale, null), gradientScale);
            hard.accumulate(dLogScale, null);
            return result;
        }
    }

    private Deferred<PairwiseOps.Result> compute(
            Tensor u,
            Tensor v,
            SoftTargets ofRows,
            @Nullable SoftTargets ofColumns,
            PairwiseOps.@Nullable Gradients gradients,
            double gradientScale) {
        ContrastiveLoss.requireMatrices(u, v);
        int n = u.dim(0);
        int m = v.dim(0);
        try (UnitRows x = new UnitRows(ops, "u", u);
                UnitRows y = new UnitRows(ops, "v", v)) {
            x.requireFinite();
            y.requireFinite();
            Pairing pairing = m >= n ? Pairing.diagonal(n, m) : Pairing.of(m, SimilarityTargets.withoutTargets(n));
            Pairs pairs = new Pairs(x.unit(), y.unit(), hard.scale(), pairing);
            List<SoftCrossEntropy> ways = new ArrayList<>();
            ways.add(new SoftCrossEntropy(ops, pairs, Axis.ROWS, ofRows));
            if (ofColumns != null) {
                ways.add(new SoftCrossEntropy(ops, pairs, Axis.COLUMNS, ofColumns));
            }
            List<Reduction> reductions =
                    ways.stream().flatMap(way -> way.reductions().stream()).toList();
            Scalars zero = Scalars.of(0);
            PairField field = new WholeField(ops.pairTiles().hostScope(), pairs, zero, zero);
            List<Reduced> reduced = field.reduce(reductions);
            double weight = gradientScale / ways.size();
            if (gradients != null) {
                List<Term> terms = new ArrayList<>();
                for (int k = 0; k < ways.size(); k++) {
                    terms.addAll(ways.get(k).terms(reduced.subList(2 * k, 2 * k + 2), weight));
                }
                ops.pairTiles().gradient(pairs, terms, gradients, 1);
            }
            double loss = 0;
            for (int k = 0; k < ways.size(); k++) {
                loss += ways.get(k).finish(reduced.subList(2 * k, 2 * k + 2), gradients, weight) / ways.size();
            }
            hard.requireFinite(loss);
            if (gradients != null) {
                x.backward(gradients.dx());
                y.backward(gradients.dy());
            }
            return field.statistics().result(Scalars.of(loss), zero);
        }
    }

    /**
     * Measures the pairs of a batch, as {@link ContrastiveLoss#metrics} does.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param labels which pairs are positive
     * @return the measurements
     */
    public PairMetrics metrics(Tensor u, Tensor v, PairLabels labels) {
        return hard.metrics(u, v, labels);
    }

    /**
     * Returns the bytes of tensors that {@link #valueAndGradient} allocates while it runs, without those of the
     * targets.
     *
     * @param n rows of u
     * @param m rows of v
     * @param d width of both
     * @return bytes
     */
    public long workspaceBytes(int n, int m, int d) {
        return hard.rowBytes(n, m, d)
                + ops.pairTiles().workspaceBytes(n, m, d)
                + 2L * Math.max(n, m) * d * ops.parameterDtype().bytes();
    }

    @Override
    public void close() {
        hard.close();
    }

    /**
     * A distribution q_i over m columns for each of n rows, q_ij &gt;= 0 and sum_j q_ij = 1, never as a table: a
     * cross-entropy needs only products of the matrix with representations.
     */
    public sealed interface SoftTargets permits SparseTargets, LowRankTargets, SimilarityTargets, MixedTargets {
        /** The largest difference of the sum of a row from 1. */
        double TOLERANCE = 1e-5;

        /**
         * Returns the number of rows.
         *
         * @return n
         */
        int n();

        /**
         * Returns the number of columns.
         *
         * @return m
         */
        int m();

        /**
         * Computes out = q y.
         *
         * @param ops backend of the tensors
         * @param y [m, d]; read
         * @param out [n, d]; overwritten
         */
        void apply(Ops ops, Tensor y, Tensor out);

        /**
         * Computes out = q^T x.
         *
         * @param ops backend of the tensors
         * @param x [n, d]; read
         * @param out [m, d]; overwritten
         */
        void applyTransposed(Ops ops, Tensor x, Tensor out);

        /**
         * Computes out = q y - y for n = m: the difference from hard targets on the diagonal.
         *
         * <p>Numerics: sparse and similarity targets, and mixtures of them, have full relative accuracy however small
         * the difference is; others have that of q y.
         *
         * @param ops backend of the tensors
         * @param y [n, d]; read
         * @param out [n, d]; written
         */
        default void applyDifference(Ops ops, Tensor y, Tensor out) {
            apply(ops, y, out);
            ops.pointwise().axpy(-1, y, out);
        }

        /**
         * Computes out = q^T x - x for n = m, as {@link #applyDifference}.
         *
         * @param ops backend of the tensors
         * @param x [n, d]; read
         * @param out [n, d]; written
         */
        default void applyDifferenceTransposed(Ops ops, Tensor x, Tensor out) {
            applyTransposed(ops, x, out);
            ops.pointwise().axpy(-1, x, out);
        }

        /**
         * Returns targets given by few weights a row.
         *
         * @param m columns
         * @param offsets n + 1 numbers: the weights of row i are those from offsets[i] up to offsets[i + 1]
         * @param columns of the weights
         * @param weights above 0; those of a row sum to 1
         * @return the targets
         * @throws LossOptionException when a row is no distribution
         * @throws ShapeException when sizes do not fit
         */
        static SoftTargets sparse(int m, int[] offsets, int[] columns, double[] weights) {
            return new SparseTargets(m, offsets, columns, weights);
        }

        /**
         * Returns hard targets: all weight of row i on column i.
         *
         * @param n rows
         * @param m columns, at least n
         * @return the targets
         */
        static SoftTargets diagonal(int n, int m) {
            return SparseTargets.diagonal(n, m);
        }

        /**
         * Returns targets q = a b^T of two narrow matrices.
         *
         * @param a [n, r]; read, stays the caller's
         * @param b [m, r]; read, stays the caller's
         * @return the targets
         * @throws LossOptionException when a row of the product is no distribution
         */
        static SoftTargets lowRank(Tensor a, Tensor b) {
            return new LowRankTargets(a, b);
        }

        /**
         * Returns the softmax over columns of a teacher's similarities, q_i = softmax_j scale &lt;a_i, b_j&gt;.
         *
         * @param ops backend
         * @param a [n, e] unit rows; read, stays the caller's
         * @param b [m, e] unit rows; read, stays the caller's
         * @param scale of the similarities
         * @return the targets
         */
        static SoftTargets similarity(Ops ops, Tensor a, Tensor b, double scale) {
            return new SimilarityTargets(ops, a, b, scale);
        }

        /**
         * Returns share soft + (1 - share) hard.
         *
         * @param share in [0, 1]
         * @param soft targets
         * @param hard targets of the same sizes
         * @return the mixture
         */
        static SoftTargets mixed(double share, SoftTargets soft, SoftTargets hard) {
            return new MixedTargets(share, soft, hard);
        }

        /**
         * Checks that the weights of a row are a distribution.
         *
         * @param row number of the row, for the message
         * @param least smallest weight of the row
         * @param sum of the weights of the row
         * @throws LossOptionException when a weight is negative or NaN, or the sum differs from 1 by more than
         *     {@link #TOLERANCE}
         */
        static void requireDistribution(int row, double least, double sum) {
            LossOptionException.require(
                    least >= 0 && Math.abs(sum - 1) <= TOLERANCE,
                    "soft targets of row " + row
                            + " sum to " + sum + ", the least of them is " + least
                            + "; expected a distribution: none below 0, sum 1; divide each row by its sum");
        }

        /**
         * Checks the shapes of representations.
         *
         * @param ofColumns [m, d]
         * @param ofRows [n, d]
         * @throws ShapeException when they do not fit
         */
        default void requireShapes(Tensor ofColumns, Tensor ofRows) {
            if (ofColumns.dim(0) != m() || ofRows.dim(0) != n() || ofColumns.dim(1) != ofRows.dim(1)) {
                throw new ShapeException("soft targets of " + n() + " rows and " + m() + " columns, given " + ofRows
                        + " for rows and " + ofColumns + " for columns");
            }
        }
    }
}
