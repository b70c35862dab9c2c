package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;

/**
 * Hinges over cosines, both ways, mean over the n rows: (1 / n) sum_i [ h(row i) + h(column t_i) ], t_i the target of
 * row i, where with the positive's logit P and negatives' logits S
 * <ul>
 *   <li>ALL: h = sum over negatives of max(0, margin + S - P);
 *   <li>HARDEST: h = max(0, margin + max S - P);
 *   <li>SEMI_HARD: the same with the largest S below P or, where there is none, with the least S.
 * </ul>
 * Negatives that tie share the gradient equally, so the order of a batch changes nothing. The gradient at the kink is
 * 0. A row or column all of whose negatives are ignored has h = 0.
 *
 * <p>A learnable margin needs a reward, without which it would shrink to 0: reward times margin is subtracted from the
 * loss, whose derivative by the margin is the mean number of active hinges per row less the reward. So the margin grows
 * while fewer hinges are active than that, and shrinks while more are. It is kept in [0.001, 2].
 *
 * <p>The log-scale is 0 and frozen: S is the cosine. No two rows may have the same target; equal ids can only be
 * ignored. One pass for HARDEST, two for the others, one more with the gradient. Sources: Faghri et al., VSE++, 2018,
 * equations 4 and 6 (there a sum, not a mean); Schroff et al., FaceNet, 2015, section 3.2; Wu et al.,
 * Sampling matters in deep embedding learning, 2017, section 4 (a learned boundary with a reward).
 *
 * <p>Tested by {@code LossSettingsTest}.
 */
final class TripletLoss extends ContrastiveLoss {
    /** The margin of VSE++. */
    public static final double DEFAULT_MARGIN = 0.2;

    /** Which negatives have a hinge. */
    public enum Negatives {
        ALL,
        HARDEST,
        SEMI_HARD
    }

    private static final double LEAST_MARGIN = 0.001;
    private static final double MOST_MARGIN = 2;

    private final Negatives negatives;
    private final double fixed;
    private final double reward; // 0 for a fixed margin

    TripletLoss(Ops ops, Negatives negatives, double margin, PairPolicy policy) {
        this(ops, negatives, margin, 0, policy);
    }

    private TripletLoss(Ops ops, Negatives negatives, double margin, double reward, PairPolicy policy) {
        super(ops, checked(margin, policy), 0, reward == 0 ? null : "margin", margin, false);
        this.negatives = negatives;
        this.fixed = margin;
        this.reward = reward;
    }

    /**
     * With a learnable margin, the second of {@link #parameters()}.
     *
     * @param margin at first, above 0, at most 2
     * @param reward above 0: the mean number of active hinges per row, of both ways together, at which the margin
     *     rests; at most 2 have a meaning for one negative each way
     */
    public static ContrastiveLoss learnableMargin(
            Ops ops, Negatives negatives, double margin, double reward, PairPolicy policy) {
        LossOptionException.require(
                reward > 0 && Double.isFinite(reward),
                "expected a reward above 0, without which a learnable margin shrinks to nothing, got " + reward);
        return new TripletLoss(ops, negatives, margin, reward, policy);
    }

    @Override
    public void startAt(double temperature, boolean learnable) {
        throw new LossOptionException("a triplet loss compares cosines and has no temperature, given " + temperature);
    }

    /** The margin at present. */
    public double margin() {
        return reward == 0 ? fixed : parameters().get(1).value().toDoubles()[0];
    }

    @Override
    public void afterStep(PairwiseOps.Result result) {
        super.afterStep(result);
        double margin = margin();
        if (reward > 0 && !Double.isNaN(margin)) {
            parameters().get(1).value().set(Math.min(MOST_MARGIN, Math.max(LEAST_MARGIN, margin)));
        }
    }

    private static PairPolicy checked(double margin, PairPolicy policy) {
        LossOptionException.require(
                margin > 0 && margin <= MOST_MARGIN, "expected a margin above 0, at most 2, got " + margin);
        LossOptionException.require(
                policy.sameId() == Pairing.SameId.IGNORED, "a triplet has one positive: equal ids can only be ignored");
        return policy;
    }

    @Override
    Pairing admit(Pairing pairing) {
        boolean[] taken = new boolean[pairing.m()];
        for (int i = 0; i < pairing.n(); i++) {
            int t = pairing.target(i);
            LossOptionException.require(
                    t != Pairing.NONE && !taken[t],
                    "row " + i + (t == Pairing.NONE ? " has no target" : " has target " + t + " like a row before it")
                            + "; in a triplet loss each row has a target of its own");
            taken[t] = true;
        }
        return pairing;
    }

    /** Positives' logits and weights along one axis. */
    private record Side(Axis axis, double[] positive, double[] weight) {
        Term term(PairFunction function, Of of, Shift shift, double[] weights) {
            boolean rows = axis == Axis.ROWS;
            return new Term(function, of, shift, rows ? weights : null, rows ? null : weights);
        }

        Shift along(double[] shift) {
            return axis == Axis.ROWS ? Shift.rows(shift) : Shift.columns(shift);
        }

        double[] each(IntToDoubleFunction f) {
            double[] values = new double[positive.length];
            Arrays.setAll(values, f);
            return values;
        }
    }

    @Override
    protected Evaluation evaluate(PairField field, boolean withTerms) {
        Pairing pairing = field.pairing();
        int n = pairing.n();
        PairStatistics statistics = field.statistics();
        double[] ofColumns = new double[pairing.m()];
        double[] columnWeights = new double[pairing.m()];
        double[] rowWeights = new double[n];
        Arrays.fill(rowWeights, 1.0 / n);
        for (int i = 0; i < n; i++) {
            ofColumns[pairing.target(i)] = statistics.positiveSum[i];
            columnWeights[pairing.target(i)] = 1.0 / n;
        }
        Side rows = new Side(Axis.ROWS, statistics.positiveSum, rowWeights);
        Side columns = new Side(Axis.COLUMNS, ofColumns, columnWeights);
        List<Term> terms = new ArrayList<>();
        Hinges hinges = new Hinges(margin(), terms);
        switch (negatives) {
            case ALL -> hinges.all(field, List.of(rows, columns));
            case HARDEST -> {
                hinges.one(rows, statistics.rowNegative.values(), statistics.rowNegative.counts());
                hinges.one(columns, statistics.columnNegative.values(), statistics.columnNegative.counts());
            }
            case SEMI_HARD -> hinges.semiHard(field, List.of(rows, columns));
        }
        return new Evaluation(hinges.loss - reward * hinges.margin, terms, hinges.active - reward);
    }

    /** The hinges of one batch as they are added up. */
    private static final class Hinges {
        final double margin;
        final List<Term> terms;
        double loss;
        double active; // weights of hinges above 0: the slope by the margin

        Hinges(double margin, List<Term> terms) {
            this.margin = margin;
            this.terms = terms;
        }

        void all(PairField field, List<Side> sides) {
            List<Reduction> reductions = new ArrayList<>();
            List<double[]> shifts = new ArrayList<>();
            for (Side side : sides) {
                double[] shift =
                        side.each(i -> side.weight[i] == 0 ? Double.NEGATIVE_INFINITY : margin - side.positive[i]);
                shifts.add(shift);
                reductions.add(Reduction.sum(PairFunction.HINGE, side.axis, NEGATIVES, side.along(shift), null));
                reductions.add(Reduction.sum(PairFunction.STEP, side.axis, NEGATIVES, side.along(shift), null));
            }
            List<Reduced> reduced = field.reduce(reductions);
            for (int k = 0; k < sides.size(); k++) {
                Side side = sides.get(k);
                double[] hinges = reduced.get(2 * k).values();
                double[] steps = reduced.get(2 * k + 1).values();
                for (int i = 0; i < hinges.length; i++) {
                    loss += side.weight[i] * hinges[i];
                    active += side.weight[i] * steps[i];
                }
                terms.add(side.term(PairFunction.STEP, NEGATIVES, side.along(shifts.get(k)), side.weight));
                terms.add(
                        side.term(PairFunction.ONE, POSITIVES, Shift.NONE, side.each(i -> -side.weight[i] * steps[i])));
            }
        }

        /** One negative for each row or column, of logit {@code chosen}, which {@code ties} negatives have. */
        void one(Side side, double[] chosen, int[] ties) {
            double[] hinges = side.each(i -> ties[i] == 0 ? 0 : Math.max(0, margin + chosen[i] - side.positive[i]));
            double[] pulls = side.each(i -> hinges[i] > 0 ? side.weight[i] : 0);
            terms.add(side.term(
                    PairFunction.EQUAL,
                    NEGATIVES,
                    side.along(side.each(i -> ties[i] == 0 ? 0 : -chosen[i])),
                    side.each(i -> pulls[i] == 0 ? 0 : pulls[i] / ties[i])));
            terms.add(side.term(PairFunction.ONE, POSITIVES, Shift.NONE, side.each(i -> -pulls[i])));
            for (int i = 0; i < hinges.length; i++) {
                loss += side.weight[i] * hinges[i];
                active += pulls[i];
            }
        }

        void semiHard(PairField field, List<Side> sides) {
            List<Reduction> reductions = new ArrayList<>();
            for (Side side : sides) {
                reductions.add(Reduction.maxBelow(side.axis, NEGATIVES, side.along(side.each(i -> -side.positive[i]))));
                reductions.add(Reduction.max(side.axis, NEGATIVES, new Shift(-1, null, null)));
            }
            List<Reduced> reduced = field.reduce(reductions);
            for (int k = 0; k < sides.size(); k++) {
                Reduced below = reduced.get(2 * k);
                Reduced least = reduced.get(2 * k + 1);
                int[] ties = new int[below.counts().length];
                Arrays.setAll(ties, i -> below.counts()[i] > 0 ? below.counts()[i] : least.counts()[i]);
                double[] chosen =
                        sides.get(k).each(i -> below.counts()[i] > 0 ? below.values()[i] : -least.values()[i]);
                one(sides.get(k), chosen, ties);
            }
        }
    }
}
