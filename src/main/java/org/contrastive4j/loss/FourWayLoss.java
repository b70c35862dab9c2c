package org.contrastive4j.loss;

import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.Pairing.SameId;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.tensor.Tensor;

/**
 * InfoNCE in all four directions, x-y, y-x, x-x and y-y. With z = [x; y], it is the mean over the members k that have a
 * partner of lse_{l != k} e^t &lt;z_k, z_l&gt; - e^t &lt;z_k, z_partner&gt;. The negatives of a row are thus the other
 * columns and the other rows.
 *
 * <p>Label smoothing, equal ids and a guide (whose rows and columns are then compared with each other too) work as for
 * {@link InfoNce}. A member without negatives has loss 0. {@link #metrics} measures pairs of rows with columns alone. A
 * column may be the target of at most one row. Equal ids can only be ignored, because a row has its own id. The loss
 * cannot be sharded: a shard has no pairs of rows with rows.
 *
 * <p>Memory: 4 (n + m) d elements more than {@link InfoNce}. Cost: 8 (n + m)^2 d flops, 4 times that of {@link InfoNce}
 * for n = m.
 *
 * <p>Sources: Chen et al., A simple framework for contrastive learning of visual representations, 2020, equation 1
 * (NT-Xent); Solatorio, GISTEmbed, 2024 (with ignored negatives).
 *
 * <p>Tested by {@code ContrastiveLossTest}.
 */
final class FourWayLoss extends ContrastiveLoss {
    private final double smoothing;

    FourWayLoss(Ops ops, double smoothing, PairPolicy policy, double initialLogScale, boolean learnable) {
        super(ops, checked(smoothing, policy), initialLogScale, null, learnable);
        this.smoothing = smoothing;
    }

    private static PairPolicy checked(double smoothing, PairPolicy policy) {
        LossOptionException.require(
                policy.sameId() == SameId.IGNORED,
                "equal ids are positives, expected ignored: in four directions a row has its own id");
        return LossOptionException.checked(
                policy, smoothing >= 0 && smoothing < 1, "expected a label smoothing in [0, 1), got " + smoothing);
    }

    @Override
    Pairing admit(Pairing pairing) {
        boolean[] taken = new boolean[pairing.m()];
        for (int i = 0; i < pairing.n(); i++) {
            int t = pairing.target(i);
            LossOptionException.require(
                    t == Pairing.NONE || !taken[t],
                    "row " + i + " has target " + t
                            + " like a row before it; in four directions each row has a target of its own");
            if (t != Pairing.NONE) {
                taken[t] = true;
            }
        }
        return pairing;
    }

    @Override
    public boolean isCapturable() {
        return true;
    }

    @Override
    protected Evaluation evaluate(PairField field, boolean withTerms) {
        throw new LossOptionException(
                "four directions cannot be sharded: pairs of rows with rows lie in no shard; use a one-worker loss");
    }

    @Override
    Deferred<PairwiseOps.Result> run(Tensor x, Tensor y, Pairing pairing, Outputs outputs) {
        Pairing.Guide guide = pairing.guide();
        try (Scalars.Scope scope = ops.pairTiles().scope();
                Tensor z = stacked(x, y);
                Tensor ofGuide = guide == null ? null : stacked(guide.rows(), guide.columns())) {
            Pairs pairs = new Pairs(
                    z,
                    z,
                    scale(scope),
                    pairing.joined(guide == null || ofGuide == null ? null : joined(guide, ofGuide)));
            PairField field = new WholeField(scope, pairs, Scalars.of(0), Scalars.of(0));
            Evaluation evaluation = new CrossEntropy(1, 0, smoothing).evaluate(field);
            Deferred<PairwiseOps.Result> result =
                    finite(field.statistics().joinedResult(evaluation.loss(), pairing.n()));
            if (outputs.gradients() != null) {
                gradient(pairing.n(), pairs, evaluation, outputs.gradients(), outputs.scale());
            }
            return result;
        }
    }

    /** Computes gradients. z_k is a row and a column of the pairs, so its gradient is the sum of both. */
    private void gradient(
            int n, Pairs pairs, Evaluation evaluation, PairwiseOps.Gradients gradients, double gradientScale) {
        try (Tensor asRows = ops.allocateParameter(pairs.x().shape());
                Tensor asColumns = ops.allocateParameter(pairs.x().shape())) {
            ops.pairTiles()
                    .gradient(
                            pairs,
                            evaluation.terms(),
                            new PairwiseOps.Gradients(asRows, asColumns, gradients.dLogScale(), null),
                            gradientScale);
            ops.pointwise().axpy(1, asColumns, asRows);
            if (gradients.dx() != null) {
                ops.pointwise().copy(asRows.rows(0, n), gradients.dx());
            }
            if (gradients.dy() != null) {
                ops.pointwise().copy(asRows.rows(n, asRows.dim(0)), gradients.dy());
            }
        }
    }

    private Tensor stacked(Tensor above, Tensor below) {
        int n = above.dim(0);
        Tensor both = ops.allocateParameter(n + below.dim(0), above.dim(1));
        ops.pointwise().copy(above, both.rows(0, n));
        ops.pointwise().copy(below, both.rows(n, both.dim(0)));
        return both;
    }

    /** Only the limit of the member whose negative it is counts: both of a pair are rows here. */
    private static Pairing.Guide joined(Pairing.Guide guide, Tensor both) {
        int n = guide.rowLimits().length;
        double[] limits = new double[both.dim(0)];
        double[] none = new double[limits.length];
        for (int k = 0; k < limits.length; k++) {
            limits[k] = k < n ? guide.rowLimits()[k] : guide.columnLimits()[k - n];
            none[k] = Double.POSITIVE_INFINITY;
        }
        return new Pairing.Guide(both, both, limits, none);
    }

    @Override
    public long workspaceBytes(int n, int m, int d, PairLabels labels) {
        return rowBytes(n, m, d)
                + 3L * (n + m) * d * ops.parameterDtype().bytes()
                + ops.pairTiles().workspaceBytes(n + m, n + m, d)
                + scopeBytes(n + m, n + m);
    }
}
