package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
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
}
