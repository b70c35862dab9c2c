package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.jspecify.annotations.Nullable;

/**
 * The triplet loss on cosines, in both directions: (1 / n) sum_i [ h(row i) + h(column t_i) ], where t_i is the target
 * of row i. With P the logit of the positive and S those of the negatives, the hinge h is
 * <ul>
 *   <li>ALL: the sum over negatives of max(0, margin + S - P);
 *   <li>HARDEST: max(0, margin + max S - P);
 *   <li>SEMI_HARD: the same with the largest S below P or, where there is none, with the least S.
 * </ul>
 * Negatives that tie share the gradient equally, so the order of a batch changes nothing. The gradient at the kink is
 * 0. A row or column whose negatives are all ignored has h = 0.
 *
 * <p>A learnable margin needs a reward, without which it would shrink to 0. Reward times margin is subtracted from the
 * loss, whose derivative by the margin is then the mean number of active hinges per row less the reward. The margin
 * grows while fewer hinges are active than the reward, and shrinks while more are. It is kept in [0.001, 2].
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

    private static final Scalars NONE = Scalars.of(0);
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
     * Creates a loss with a learnable margin, the second of {@link #parameters()}.
     *
     * @param margin at first, above 0, at most 2
     * @param reward above 0: the mean number of active hinges per row, of both directions together, at which the
     *     margin stays constant; with one negative per direction at most 2 hinges are active
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

    /** Returns the current margin; waits for a device if it is learnable. */
    public double margin() {
        return reward == 0 ? fixed : parameters().get(1).value().toDoubles()[0];
    }

    @Override
    public void afterStep(PairwiseOps.Result result) {
        super.afterStep(result);
        if (reward > 0) {
            ops.pointwise().clamp(LEAST_MARGIN, MOST_MARGIN, parameters().get(1).value());
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

    @Override
    public boolean isCapturable() {
        return true;
    }

    /** Logits of positives and weights of rows or columns; 0 for a column that is no target. */
    private record Side(Axis axis, Scalars positive, Scalars weight) {
        Term term(PairFunction function, Of of, @Nullable Scalars shift, Scalars weights) {
            boolean rows = axis == Axis.ROWS;
            Shift along = shift == null ? Shift.NONE : along(shift);
            return new Term(function, of, along, rows ? weights : null, rows ? null : weights);
        }

        Shift along(Scalars shift) {
            return axis == Axis.ROWS ? Shift.rows(shift) : Shift.columns(shift);
        }
    }

    @Override
    protected Evaluation evaluate(PairField field, boolean withTerms) {
        List<Reduced> ofColumns = field.reduce(List.of(
                Reduction.sum(PairFunction.ONE, Axis.COLUMNS, POSITIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.IDENTITY, Axis.COLUMNS, POSITIVES, Shift.NONE, null)));
        PairStatistics statistics = field.statistics();
        Scalars ofEach = Scalars.of(1.0 / field.pairing().n());
        Side rows = new Side(Axis.ROWS, statistics.positiveSum, ofEach);
        Side columns = new Side(
                Axis.COLUMNS,
                ofColumns.get(1).scalars(),
                ofColumns.get(0).scalars().choose(ofEach, NONE));
        Scalars margin = reward == 0 ? Scalars.of(fixed) : field.second();
        Hinges hinges = new Hinges(margin);
        switch (negatives) {
            case ALL -> hinges.all(field, List.of(rows, columns));
            case HARDEST -> {
                hinges.one(rows, statistics.rowNegative.scalars(), statistics.rowNegative.requireTies());
                hinges.one(columns, statistics.columnNegative.scalars(), statistics.columnNegative.requireTies());
            }
            case SEMI_HARD -> hinges.semiHard(field, List.of(rows, columns));
        }
        return reward == 0
                ? new Evaluation(hinges.loss, hinges.terms)
                : new Evaluation(
                        hinges.loss.minus(margin.times(reward)), hinges.terms, hinges.active.minus(Scalars.of(reward)));
    }

    /** The hinges of one batch as they are added up. */
    private static final class Hinges {
        final Scalars margin;
        final List<Term> terms = new ArrayList<>();
        Scalars loss = NONE;
        Scalars active = NONE; // weights of hinges above 0: the derivative by the margin

        Hinges(Scalars margin) {
            this.margin = margin;
        }

        private void add(Side side, Scalars hinges, Scalars weightOfActive) {
            loss = loss.plus(side.weight.times(hinges).sum());
            active = active.plus(weightOfActive.sum());
        }

        void all(PairField field, List<Side> sides) {
            List<Reduction> reductions = new ArrayList<>();
            List<Scalars> shifts = new ArrayList<>();
            for (Side side : sides) {
                Scalars shift = side.weight.choose(margin.minus(side.positive), Scalars.of(Double.NEGATIVE_INFINITY));
                shifts.add(shift);
                reductions.add(Reduction.sum(PairFunction.HINGE, side.axis, NEGATIVES, side.along(shift), null));
                reductions.add(Reduction.sum(PairFunction.STEP, side.axis, NEGATIVES, side.along(shift), null));
            }
            List<Reduced> reduced = field.reduce(reductions);
            for (int k = 0; k < sides.size(); k++) {
                Side side = sides.get(k);
                Scalars pulls = side.weight.times(reduced.get(2 * k + 1).scalars());
                add(side, reduced.get(2 * k).scalars(), pulls);
                terms.add(side.term(PairFunction.STEP, NEGATIVES, shifts.get(k), side.weight));
                terms.add(side.term(PairFunction.ONE, POSITIVES, null, pulls.times(-1)));
            }
        }

        /** One negative for each row or column, of logit {@code chosen}, which {@code ties} negatives have. */
        void one(Side side, Scalars chosen, Scalars ties) {
            Scalars hinges =
                    ties.choose(margin.plus(chosen).minus(side.positive).max(NONE), NONE);
            Scalars pulls = hinges.choose(side.weight, NONE);
            terms.add(side.term(
                    PairFunction.EQUAL,
                    NEGATIVES,
                    ties.choose(chosen.times(-1), NONE),
                    pulls.choose(pulls.over(ties), NONE)));
            terms.add(side.term(PairFunction.ONE, POSITIVES, null, pulls.times(-1)));
            add(side, hinges, pulls);
        }

        void semiHard(PairField field, List<Side> sides) {
            List<Reduction> reductions = new ArrayList<>();
            for (Side side : sides) {
                reductions.add(Reduction.maxBelow(side.axis, NEGATIVES, side.along(side.positive.times(-1))));
                reductions.add(Reduction.max(side.axis, NEGATIVES, Shift.NEGATIVE));
            }
            List<Reduced> reduced = field.reduce(reductions);
            for (int k = 0; k < sides.size(); k++) {
                Reduced below = reduced.get(2 * k);
                Reduced least = reduced.get(2 * k + 1);
                Scalars ties = below.requireTies();
                one(
                        sides.get(k),
                        ties.choose(below.scalars(), least.scalars().times(-1)),
                        ties.choose(ties, least.requireTies()));
            }
        }
    }
}
