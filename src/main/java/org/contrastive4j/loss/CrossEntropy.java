package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Of.BOTH;
import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;

/**
 * The cross-entropies of a field of pairs as {@link InfoNce} defines them, rows and columns each with a weight.
 *
 * <p>Tested by {@code ContrastiveLossTest}.
 *
 * @param smoothing of labels, in [0, 1)
 */
record CrossEntropy(double rowWeight, double columnWeight, double smoothing) {
    private static List<Reduction> reductions(Axis axis) {
        return List.of(
                Reduction.logSumExp(axis, NEGATIVES, Shift.NONE),
                Reduction.logSumExp(axis, POSITIVES, Shift.NONE),
                Reduction.sum(PairFunction.ONE, axis, POSITIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.IDENTITY, axis, POSITIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.ONE, axis, NEGATIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.IDENTITY, axis, NEGATIVES, Shift.NONE, null));
    }

    /** Value and terms of the directions that have a weight. */
    ContrastiveLoss.Evaluation evaluate(PairField field) {
        List<Reduction> own = new ArrayList<>();
        int each = smoothing > 0 ? 6 : 4; // sums over the negatives are for smoothing alone
        for (Axis axis : Axis.values()) {
            if (weight(axis) > 0) {
                own.addAll(reductions(axis).subList(0, each));
            }
        }
        List<Reduced> reduced = field.reduce(own);
        List<Term> terms = new ArrayList<>();
        double loss = 0;
        int at = 0;
        for (Axis axis : Axis.values()) {
            if (weight(axis) > 0) {
                boolean once = field.pairing().sameIsPositive() || axis == Axis.ROWS;
                loss += direction(axis, reduced.subList(at, at + each), once, terms);
                at += each;
            }
        }
        return new ContrastiveLoss.Evaluation(loss, terms);
    }

    private double weight(Axis axis) {
        return axis == Axis.ROWS ? rowWeight : columnWeight;
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
        terms.add(new Term(
                PairFunction.EXP,
                BOTH,
                rows ? Shift.rows(shift) : Shift.columns(shift),
                rows ? weights : null,
                rows ? null : weights));
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
