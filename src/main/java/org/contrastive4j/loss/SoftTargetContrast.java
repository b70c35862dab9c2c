package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * InfoNCE against soft targets, of raw representations: with S_ij = e^t &lt;x_i, y_j&gt;, the mean over rows of lse_j
 * S_ij - sum_j q_ij S_ij; both ways, half each, when columns have targets p over rows too.
 *
 * <p>Targets are constants. With all weight on the diagonal it is {@link InfoNce}. Exact for u, v and t; memory
 * linear in n + m, as a table of targets never exists; cost 8 n m d flops and the targets' products.
 *
 * <p>Sources: Hinton et al., Distilling the knowledge in a neural network, 2015; Li et al., Align before fuse, 2021,
 * equation 6.
 *
 * <p>Tested by {@code SoftTargetsTest}.
 */
public final class SoftTargetContrast implements AutoCloseable {
    private final Ops ops;
    private final InfoNce own;

    /** From a temperature of 0.07, learnable. */
    public SoftTargetContrast(Ops ops) {
        this(ops, InfoNce.INITIAL_LOG_SCALE, true);
    }

    public SoftTargetContrast(Ops ops, double initialLogScale, boolean learnable) {
        this.ops = ops;
        own = new InfoNce(ops, InfoNce.Direction.SYMMETRIC, 0, PairPolicy.DEFAULT, initialLogScale, null, learnable);
    }

    /** The log-scale. */
    public List<Parameter> parameters() {
        return own.parameters();
    }

    public Parameter logScale() {
        return own.logScale();
    }

    /** After each optimiser step: puts the log-scale back into [0, ln 100]. */
    public void afterStep(PairwiseOps.Result result) {
        own.afterStep(result);
    }

    /** Value and statistics alone. */
    public Deferred<PairwiseOps.Result> value(Tensor u, Tensor v, SoftTargets ofRows, @Nullable SoftTargets ofColumns) {
        return compute(u, v, ofRows, ofColumns, null, 1);
    }

    /**
     * Value, statistics, and gradients times {@code gradientScale}.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param ofRows n distributions over m columns
     * @param ofColumns m distributions over n rows, or null for rows alone
     * @param du [n, d], or null; written
     * @param dv [m, d], or null; written
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
            own.accumulate(dLogScale, null);
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
            Pairs pairs = new Pairs(x.unit(), y.unit(), own.scale(), pairing);
            List<SoftCrossEntropy> ways = new ArrayList<>();
            ways.add(new SoftCrossEntropy(ops, pairs, Axis.ROWS, ofRows));
            if (ofColumns != null) {
                ways.add(new SoftCrossEntropy(ops, pairs, Axis.COLUMNS, ofColumns));
            }
            List<Reduction> reductions =
                    ways.stream().map(SoftCrossEntropy::reduction).toList();
            PairField field = new WholeField(ops.pairTiles(), pairs, 0);
            List<Reduced> reduced = field.reduce(reductions);
            double weight = gradientScale / ways.size();
            if (gradients != null) {
                List<Term> terms = new ArrayList<>();
                for (int k = 0; k < ways.size(); k++) {
                    terms.add(ways.get(k).term(reduced.get(k).values(), weight));
                }
                ops.pairTiles().gradient(pairs, terms, gradients, 1);
            }
            double loss = 0;
            for (int k = 0; k < ways.size(); k++) {
                loss += ways.get(k).finish(reduced.get(k).values(), gradients, weight) / ways.size();
            }
            own.requireFinite(loss);
            if (gradients != null) {
                x.backward(gradients.dx());
                y.backward(gradients.dy());
            }
            return Deferred.of(field.statistics().result(loss, 0));
        }
    }

    /** How the pairs of a batch lie, positives being those of hard labels; see {@link ContrastiveLoss#metrics}. */
    public PairMetrics metrics(Tensor u, Tensor v, PairLabels labels) {
        return own.metrics(u, v, labels);
    }

    /** Bytes of tensors allocated by {@link #valueAndGradient} while it runs, less those of the targets. */
    public long workspaceBytes(int n, int m, int d) {
        return own.rowBytes(n, m, d)
                + ops.pairTiles().workspaceBytes(n, m, d)
                + 2L * Math.max(n, m) * d * ops.parameterDtype().bytes();
    }

    @Override
    public void close() {
        own.close();
    }
}
