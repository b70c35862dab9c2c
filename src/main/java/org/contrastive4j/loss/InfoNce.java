package org.contrastive4j.loss;

import java.util.Arrays;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * InfoNCE, with several positives, ignored negatives and label smoothing where they are asked for: the cross-entropy of
 * a row with positives P and pairs A that are not ignored is lse_{j in A} S_ij - sum_j q_ij S_ij, q = (1 - epsilon) [j
 * in P] / |P| + epsilon [j in A] / |A|. The loss is rowWeight times the mean over rows that have a positive plus
 * columnWeight times the same of columns.
 *
 * <p>n and m may differ: row i belongs to column i, or to a given target. Where positives come from targets alone, a
 * column counts once for each row whose target it is. A row whose negatives are all ignored has a cross-entropy of 0
 * with one positive. A bias cancels in the loss; it is added to the logits for systems that have one.
 *
 * <p>Labels with one positive for each row, nothing ignored and no smoothing run on {@link PairwiseOps#infoNce}: one
 * forward and one backward pass on the device, no host synchronisation. All others run on {@link
 * org.contrastive4j.ops.PairTileOps}. Cost of either: 8 n m d flops with gradients, never n x m memory.
 *
 * <p>Sources: van den Oord et al., Representation learning with contrastive predictive coding, 2018; Radford et al.,
 * Learning transferable visual models from natural language supervision, 2021, section 2.3; Khosla et al., Supervised
 * contrastive learning, 2020, equation 2 (several positives); Szegedy et al., Rethinking the Inception architecture,
 * 2016, section 7 (smoothing).
 */
public final class InfoNce extends ContrastiveLoss {
    /** ln(1 / 0.07), the initial log-scale of CLIP. */
    public static final double INITIAL_LOG_SCALE = Math.log(1 / 0.07);

    /** Which cross-entropies are averaged. */
    public enum Direction {
        /** Rows over columns and columns over rows, half each. */
        SYMMETRIC(0.5, 0.5),
        /** Each row over all columns: queries with hard negatives. */
        ROWS(1, 0),
        /** Each target column over all rows. */
        COLUMNS(0, 1);

        private final double rowWeight;
        private final double columnWeight;

        Direction(double rowWeight, double columnWeight) {
            this.rowWeight = rowWeight;
            this.columnWeight = columnWeight;
        }

        double rowWeight() {
            return rowWeight;
        }

        double columnWeight() {
            return columnWeight;
        }
    }

    private final Direction direction;
    private final double smoothing;

    InfoNce(
            Ops ops,
            Direction direction,
            double smoothing,
            PairPolicy policy,
            double initialLogScale,
            @Nullable Double initialBias,
            boolean learnable) {
        super(
                ops,
                LossOptionException.checked(
                        policy,
                        smoothing >= 0 && smoothing < 1,
                        "expected a label smoothing in [0, 1), got " + smoothing),
                initialLogScale,
                initialBias,
                learnable);
        this.direction = direction;
        this.smoothing = smoothing;
    }

    /**
     * Creates the symmetric loss with CLIP's initial scale.
     *
     * @param ops backend
     * @return the loss; the caller closes it
     */
    public static InfoNce symmetric(Ops ops) {
        return of(ops, Direction.SYMMETRIC, INITIAL_LOG_SCALE, null);
    }

    /**
     * Creates a loss with a given initial scale and optionally a bias.
     *
     * @param ops backend
     * @param direction which cross-entropies are averaged
     * @param initialLogScale in [0, ln 100]
     * @param initialBias null for a loss without bias
     * @return the loss; the caller closes it
     * @throws LossOptionException when the log-scale is out of range
     */
    public static InfoNce of(Ops ops, Direction direction, double initialLogScale, @Nullable Double initialBias) {
        return new InfoNce(ops, direction, 0, PairPolicy.DEFAULT, initialLogScale, initialBias, true);
    }

    /**
     * Creates a loss with label smoothing, several positives or ignored negatives, from CLIP's initial scale.
     *
     * @param ops backend
     * @param direction which cross-entropies are averaged
     * @param labelSmoothing epsilon, in [0, 1)
     * @param policy of ids and guides
     * @return the loss; the caller closes it
     * @throws LossOptionException when the smoothing is out of range
     */
    public static InfoNce withPolicy(Ops ops, Direction direction, double labelSmoothing, PairPolicy policy) {
        return new InfoNce(ops, direction, labelSmoothing, policy, INITIAL_LOG_SCALE, null, true);
    }

    /**
     * Computes {@link #valueAndGradient(Tensor, Tensor, PairLabels, Tensor, Tensor, double)} and the hardest negative
     * of each row.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param labels which pairs are positive
     * @param du [n, d], or null; written, may be u
     * @param dv [m, d], or null; written, may be v
     * @param gradientScale multiplied into every gradient
     * @param hardestNegative [n] I32; the negative column with the largest logit, the first such, -1 for none; written
     * @return value and statistics
     */
    public Deferred<PairwiseOps.Result> valueGradientAndHardestNegatives(
            Tensor u,
            Tensor v,
            PairLabels labels,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale,
            Tensor hardestNegative) {
        return valueAndGradient(u, v, labels, du, dv, gradientScale, hardestNegative);
    }

    @Override
    public boolean isCapturable() {
        return true;
    }

    /** Whether {@link PairwiseOps#infoNce} computes the loss for these labels. */
    private boolean isPlain(PairLabels labels, int m) {
        return smoothing == 0
                && labels.rowIds() == null
                && labels.guideRows() == null
                && (labels.targets() == null || areColumns(labels.targets(), m));
    }

    /** Whether every row has a target; looks at the values only where they are not known on the host. */
    private static boolean areColumns(Tensor targets, int m) {
        return targets.dtype() == DType.I32
                && (targets.hasValuesWithin(0, m)
                        || Arrays.stream(targets.toInts()).allMatch(target -> target >= 0 && target < m));
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
    Deferred<PairwiseOps.Result> run(Tensor x, Tensor y, PairLabels labels, Outputs outputs) {
        return isPlain(labels, y.dim(0)) ? onDevice(x, y, labels.targets(), outputs) : super.run(x, y, labels, outputs);
    }

    @Override
    Deferred<PairwiseOps.Result> run(Tensor x, Tensor y, Pairing pairing, Outputs outputs) {
        if (smoothing > 0 || !pairing.isPlain()) {
            return super.run(x, y, pairing, outputs);
        }
        if (pairing.isFixed()) {
            return onDevice(x, y, null, outputs);
        }
        try (Tensor targets = ops.ints(Shape.of(pairing.n()), pairing.targets())) {
            return onDevice(x, y, targets, outputs);
        }
    }

    private Deferred<PairwiseOps.Result> onDevice(Tensor x, Tensor y, @Nullable Tensor targets, Outputs outputs) {
        return ops.pairwise()
                .infoNce(
                        new PairwiseOps.InfoNce(
                                x,
                                y,
                                targets,
                                logScale().value(),
                                bias() == null ? null : bias().value(),
                                direction.rowWeight(),
                                direction.columnWeight()),
                        outputs.gradients(),
                        outputs.scale(),
                        outputs.hardestNegative());
    }

    @Override
    public long workspaceBytes(int n, int m, int d, PairLabels labels) {
        boolean plain = smoothing == 0 && labels.rowIds() == null && labels.guideRows() == null;
        if (!plain) {
            return super.workspaceBytes(n, m, d, labels);
        }
        long onDevice = rowBytes(n, m, d) + ops.pairwise().workspaceBytes(n, m, d, true);
        return labels.targets() == null // else a row may have none, which the pair engine evaluates
                ? onDevice
                : Math.max(onDevice, super.workspaceBytes(n, m, d, labels));
    }

    @Override
    protected Evaluation evaluate(PairField field, boolean withTerms) {
        return new CrossEntropy(direction.rowWeight(), direction.columnWeight(), smoothing).evaluate(field);
    }
}
