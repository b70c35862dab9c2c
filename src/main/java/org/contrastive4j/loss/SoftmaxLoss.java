package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Of.BOTH;
import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.loss.PairStatistics.Outcome;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairFunction;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
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

    SoftmaxLoss(Ops ops, InfoNce.Direction direction, double smoothing, PairPolicy policy, double initialLogScale,
            boolean learnable) {
        super(ops, LossOptionException.checked(policy, smoothing >= 0 && smoothing < 1,
                "label smoothing is " + smoothing + ", wanted [0, 1)"), initialLogScale, null, learnable);
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
    PairwiseOps.Result run(
            Tensor x, Tensor y, Pairing pairing, PairwiseOps.Gradients gradients, double gradientScale) {
        if (smoothing > 0 || !pairing.isPlain()) {
            return super.run(x, y, pairing, gradients, gradientScale);
        }
        try (Tensor targets = ops.ints(Shape.of(pairing.n()), pairing.targets())) {
            PairwiseOps.Result result = ops.pairwise().infoNce(new PairwiseOps.InfoNce(x, y, targets,
                    logScale().value(), null, direction.rowWeight(), direction.columnWeight()), gradients, gradientScale, null);
            requireFinite(result.loss());
            return result;
        }
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

    private static List<Reduction> wanted(Axis axis) {
        return List.of(Reduction.logSumExp(axis, NEGATIVES, Shift.NONE),
                Reduction.logSumExp(axis, POSITIVES, Shift.NONE),
                Reduction.sum(PairFunction.ONE, axis, POSITIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.IDENTITY, axis, POSITIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.ONE, axis, NEGATIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.IDENTITY, axis, NEGATIVES, Shift.NONE, null));
    }

    @Override
    Outcome evaluate(PairField field, double bias, boolean wantTerms) {
        List<Reduction> own = new ArrayList<>();
        int each = smoothing > 0 ? 6 : 4; // sums over the negatives are for smoothing alone
        for (Axis axis : Axis.values()) {
            if (weight(axis) > 0) {
                own.addAll(wanted(axis).subList(0, each));
            }
        }
        PairStatistics statistics = PairStatistics.of(field, own);
        List<Term> terms = new ArrayList<>();
        double loss = 0;
        int at = 0;
        for (Axis axis : Axis.values()) {
            if (weight(axis) > 0) {
                boolean once = field.pairing().sameIsPositive() || axis == Axis.ROWS;
                loss += direction(axis, statistics.own.subList(at, at + each), once, terms);
                at += each;
            }
        }
        return new Outcome(loss, terms, statistics);
    }

    private double weight(Axis axis) {
        return axis == Axis.ROWS ? direction.rowWeight() : direction.columnWeight();
    }

    /** Loss of one direction; adds its terms. A row or column counts once, or once for each positive. */
    private double direction(Axis axis, List<Reduced> reduced, boolean once, List<Term> terms) {
        double[] negative = reduced.get(0).values();
        double[] positive = reduced.get(1).values();
        double[] count = reduced.get(2).values();
        double[] sum = reduced.get(3).values();
        double total = 0;
        for (double of : count) {
            total += once ? Math.min(of, 1) : of;
        }
        int size = count.length;
        double[] shift = new double[size];
        double[] weights = new double[size];
        double[] ofPositives = new double[size];
        double[] ofAll = new double[size];
        double loss = 0;
        for (int i = 0; i < size; i++) {
            shift[i] = Double.NEGATIVE_INFINITY;
            if (count[i] == 0) {
                continue;
            }
            double w = weight(axis) * (once ? 1 : count[i]) / total;
            double gap = PairFunction.SOFTPLUS.of(negative[i] - positive[i]); // keeps a small loss exact
            double mean = sum[i] / count[i];
            double value = gap + (positive[i] - mean);
            if (smoothing > 0) {
                double all = count[i] + reduced.get(4).values()[i];
                value += smoothing * (mean - (sum[i] + reduced.get(5).values()[i]) / all);
                ofAll[i] = -w * smoothing / all;
            }
            loss += w * value;
            shift[i] = -positive[i] - gap;
            weights[i] = w;
            ofPositives[i] = -w * (1 - smoothing) / count[i];
        }
        boolean rows = axis == Axis.ROWS;
        terms.add(new Term(PairFunction.EXP, BOTH, rows ? Shift.rows(shift) : Shift.columns(shift),
                rows ? weights : null, rows ? null : weights));
        terms.add(constant(POSITIVES, rows, ofPositives));
        if (smoothing > 0) {
            terms.add(constant(BOTH, rows, ofAll));
        }
        return loss;
    }

    private static Term constant(Of of, boolean rows, double[] weights) {
        return new Term(PairFunction.ONE, of, Shift.NONE, rows ? weights : null, rows ? null : weights);
    }
}
