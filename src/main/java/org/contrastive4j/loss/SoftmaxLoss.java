package org.contrastive4j.loss;

import org.contrastive4j.loss.PairStatistics.Outcome;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * InfoNCE with several positives, ignored negatives and label smoothing: the cross-entropy of a row with positives P
 * and pairs A that are not ignored is lse_{j in A} S_ij - sum_j q_ij S_ij, q = (1 - epsilon) [j in P] / |P| + epsilon
 * [j in A] / |A|; the loss is rowWeight times the mean over rows that have a positive plus columnWeight times the same
 * of columns.
 *
 * <p>Where positives come from targets alone, a column counts once for each row whose target it is, as in {@link
 * PairwiseOps#infoNce}. A row whose negatives are all ignored has a cross-entropy of 0 with one positive. With one
 * positive each, nothing ignored and no smoothing, the specialised {@link PairwiseOps#infoNce} runs. Cost: 8 n m d
 * flops. No bias: it would cancel.
 *
 * <p>Sources: van den Oord et al., Representation learning with contrastive predictive coding, 2018; Radford et al.
 * 2021; Khosla et al., Supervised contrastive learning, 2020, equation 2 (several positives); Szegedy et al.,
 * Rethinking the Inception architecture, 2016, section 7 (smoothing).
 */
public final class SoftmaxLoss extends ContrastiveLoss {
    private final InfoNce.Direction direction;
    private final double smoothing;

    SoftmaxLoss(
            Ops ops,
            InfoNce.Direction direction,
            double smoothing,
            PairPolicy policy,
            double initialLogScale,
            boolean learnable) {
        super(
                ops,
                LossOptionException.checked(
                        policy, smoothing >= 0 && smoothing < 1, "label smoothing is " + smoothing + ", wanted [0, 1)"),
                initialLogScale,
                null,
                learnable);
        this.direction = direction;
        this.smoothing = smoothing;
    }

    @Override
    boolean hasRows() {
        return direction.rowWeight() > 0;
    }

    @Override
    boolean hasColumns() {
        return direction.columnWeight() > 0;
    }

    @Override
    PairwiseOps.Result run(Tensor x, Tensor y, Pairing pairing, PairwiseOps.Gradients gradients, double gradientScale) {
        if (smoothing > 0 || !pairing.isPlain()) {
            return super.run(x, y, pairing, gradients, gradientScale);
        }
        try (Tensor targets = ops.ints(Shape.of(pairing.n()), pairing.targets())) {
            PairwiseOps.Result result = ops.pairwise()
                    .infoNce(
                            new PairwiseOps.InfoNce(
                                    x,
                                    y,
                                    targets,
                                    logScale().value(),
                                    null,
                                    direction.rowWeight(),
                                    direction.columnWeight()),
                            gradients,
                            gradientScale,
                            null)
                    .get();
            requireFinite(result.loss());
            return result;
        }
    }

    @Override
    public boolean canBeLater() {
        return smoothing == 0;
    }

    @Override
    Deferred<PairwiseOps.Result> runLater(Tensor x, Tensor y, PairwiseOps.Gradients gradients, double gradientScale) {
        return smoothing > 0
                ? super.runLater(x, y, gradients, gradientScale)
                : ops.pairwise()
                        .infoNce(
                                new PairwiseOps.InfoNce(
                                        x,
                                        y,
                                        null,
                                        logScale().value(),
                                        null,
                                        direction.rowWeight(),
                                        direction.columnWeight()),
                                gradients,
                                gradientScale,
                                null);
    }

    /** The larger of the paths that can be taken. */
    @Override
    public long workspaceBytes(int n, int m, int d) {
        if (smoothing > 0) {
            return super.workspaceBytes(n, m, d);
        }
        long plain = ops.pairwise().workspaceBytes(n, m, d, true) + (long) n * Integer.BYTES;
        long general = ops.pairTiles().workspaceBytes(n, m, d);
        return super.workspaceBytes(n, m, d) - general + Math.max(plain, general);
    }

    @Override
    Outcome evaluate(PairField field, double bias, boolean wantTerms) {
        return new CrossEntropy(direction.rowWeight(), direction.columnWeight(), smoothing).evaluate(field);
    }
}
