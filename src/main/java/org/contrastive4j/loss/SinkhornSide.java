package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.COLUMNS;
import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.BOTH;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.loss.Losses.NotConvergedException;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.jspecify.annotations.Nullable;

/**
 * Runs the Sinkhorn iterations of {@link SinkhornLoss}, normalising rows first.
 *
 * <p>A transposed side works on S^T: its rows are the columns of the field and its columns are the rows of the field.
 * All names in this class refer to the rows and columns of S or S^T after this choice.
 *
 * <p>Tested by {@code SinkhornLossTest}.
 */
final class SinkhornSide {
    /**
     * Row statistics of the first pass.
     *
     * @param positives number of positives of each row
     * @param positiveSum sum of the logits of these positives
     * @param logSums log-sum-exp of each row
     */
    record Start(Scalars positives, Scalars positiveSum, Scalars logSums) {}

    /** Loss and gradient terms, in the orientation of the field. */
    record Solution(Scalars loss, List<Term> terms) {}

    private static final Scalars NONE = Scalars.of(0);
    private static final Scalars ONE = Scalars.of(1);
    private static final double LOWEST = -1e300; // below every log-sum-exp of a row with a pair

    private final PairField field;
    private final boolean transposed;
    private final double columnSum; // logarithm
    private final Start start;
    private final Scalars share;
    private final Scalars rowShare;
    private @Nullable Scalars columnShare; // weight of the positives of each column; null before the first pass

    SinkhornSide(PairField field, Start start) {
        this(field, false, start);
    }

    private SinkhornSide(PairField field, boolean transposed, Start start) {
        this.field = field;
        this.transposed = transposed;
        int n = transposed ? field.pairing().m() : field.pairing().n();
        int m = transposed ? field.pairing().n() : field.pairing().m();
        columnSum = Math.log((double) n / m);
        this.start = start;
        Scalars rows = start.positives.min(ONE).sum();
        share = start.positives.choose(ONE.over(rows.times(start.positives)), NONE);
        rowShare = share.times(start.positives);
    }

    /** Returns the side that works on S^T. Cost: one pass. */
    static SinkhornSide transposed(PairField field) {
        List<Reduced> first = field.reduce(List.of(
                Reduction.sum(PairFunction.ONE, COLUMNS, POSITIVES, Shift.NONE, null),
                Reduction.sum(PairFunction.IDENTITY, COLUMNS, POSITIVES, Shift.NONE, null),
                Reduction.logSumExp(COLUMNS, BOTH, Shift.NONE)));
        return new SinkhornSide(
                field,
                true,
                new Start(
                        first.get(0).scalars(),
                        first.get(1).scalars(),
                        first.get(2).scalars()));
    }

    private Scalars reduce(Reduction reduction) {
        return reduce(List.of(reduction)).get(0).scalars();
    }

    private List<Reduced> reduce(List<Reduction> reductions) {
        return field.reduce(
                !transposed
                        ? reductions
                        : reductions.stream()
                                .map(of -> new Reduction(
                                        of.kind(),
                                        of.function(),
                                        of.axis() == ROWS ? COLUMNS : ROWS,
                                        of.of(),
                                        flipped(of.shift()),
                                        of.weight()))
                                .toList());
    }

    private static Shift flipped(Shift shift) {
        return new Shift(shift.sign(), shift.columns(), shift.rows());
    }

    private List<Term> oriented(List<Term> terms) {
        return !transposed
                ? terms
                : terms.stream()
                        .map(of -> new Term(
                                of.function(), of.of(), flipped(of.shift()), of.columnWeight(), of.rowWeight()))
                        .toList();
    }

    /** Returns f for given column potentials g; null means g = 0. */
    private Scalars rowPotentials(@Nullable Scalars g) {
        return potentials(0, g == null ? start.logSums : reduce(Reduction.logSumExp(ROWS, BOTH, Shift.columns(g))));
    }

    /** Returns g for given row potentials f; the first call also computes {@link #columnShare} in the same pass. */
    private Scalars columnPotentials(Scalars f) {
        List<Reduction> reductions = new ArrayList<>(List.of(Reduction.logSumExp(COLUMNS, BOTH, Shift.rows(f))));
        if (columnShare == null) {
            reductions.add(Reduction.sum(PairFunction.ONE, COLUMNS, POSITIVES, Shift.NONE, share));
        }
        List<Reduced> reduced = reduce(reductions);
        columnShare = columnShare == null ? reduced.get(1).scalars() : columnShare;
        return potentials(columnSum, reduced.get(0).scalars());
    }

    /** Returns constant - logSum; 0 for a row or column whose pairs are all ignored, which is not part of the plan. */
    private static Scalars potentials(double constant, Scalars logSums) {
        Scalars isEmpty = Scalars.of(LOWEST).minus(logSums); // infinite then, otherwise far below 0
        return isEmpty.choose(NONE, Scalars.of(constant).minus(logSums));
    }

    private Scalars columnShare() {
        return Objects.requireNonNull(columnShare, "the first pass computes it");
    }

    private Scalars loss(Scalars f, Scalars g) {
        Scalars ofRows = share.times(start.positiveSum.plus(start.positives.times(f)));
        return ofRows.sum().plus(columnShare().times(g).sum()).times(-1);
    }

    /** Returns the derivative of the loss with respect to the logits of positives at constant potentials. */
    private Term direct() {
        return new Term(PairFunction.ONE, POSITIVES, Shift.NONE, share.times(-1), null);
    }

    /** Runs a fixed number of iterations and differentiates through all of them. */
    Solution unrolled(int iterations, boolean withTerms) {
        List<Scalars> f = new ArrayList<>();
        List<Scalars> g = new ArrayList<>(List.of(NONE));
        for (int k = 1; k <= iterations; k++) {
            f.add(rowPotentials(k == 1 ? null : g.get(k - 1)));
            g.add(columnPotentials(f.get(k - 1)));
        }
        Scalars loss = loss(f.get(iterations - 1), g.get(iterations));
        return new Solution(loss, withTerms ? oriented(backward(f, g)) : List.of());
    }

    private List<Term> backward(List<Scalars> fs, List<Scalars> gs) {
        List<Term> terms = new ArrayList<>(List.of(direct()));
        Scalars fBar = rowShare.times(-1);
        Scalars gBar = columnShare().times(-1);
        for (int k = fs.size(); k >= 1; k--) {
            Scalars f = fs.get(k - 1);
            Shift pi = new Shift(1, f, gs.get(k).minus(Scalars.of(columnSum)));
            terms.add(new Term(PairFunction.EXP, BOTH, pi, null, gBar.times(-1)));
            fBar = fBar.minus(product(ROWS, pi, gBar));
            Shift rho = new Shift(1, f, gs.get(k - 1));
            terms.add(new Term(PairFunction.EXP, BOTH, rho, fBar.times(-1), null));
            if (k > 1) {
                gBar = product(COLUMNS, rho, fBar).times(-1);
                fBar = NONE;
            }
        }
        return terms;
    }

    /**
     * Iterates until no row sum differs from 1 by more than about {@code tolerance}, and computes the implicit gradient
     * of the fixed point.
     *
     * @throws NotConvergedException when {@code most} iterations do not reach the tolerance
     */
    Solution converged(double tolerance, int most, boolean withTerms) {
        Scalars f = rowPotentials(null);
        double error = Double.POSITIVE_INFINITY;
        for (int k = 1; k <= most; k++) {
            Scalars g = columnPotentials(f);
            Scalars next = rowPotentials(g);
            error = largest(f.minus(next));
            if (error <= tolerance) {
                return new Solution(
                        loss(f, g), withTerms ? oriented(implicit(new Shift(1, f, g), tolerance, most)) : List.of());
            }
            f = next;
        }
        throw new NotConvergedException("Sinkhorn did not converge in " + most + " iterations: expected row sums"
                + " within " + tolerance + " of 1, got a difference of " + error
                + "; allow more iterations or a larger tolerance, lower the log-scale, or use a fixed number of"
                + " iterations");
    }

    /** Returns the largest absolute value, NaN if there is one; waits for a device. */
    private static double largest(Scalars of) {
        return Arrays.stream(of.values().get()).map(Math::abs).reduce(0, Math::max);
    }

    /** Returns a single scalar; waits for a device. */
    private static double value(Scalars of) {
        return of.values().get()[0];
    }

    /**
     * Returns the terms of the implicit gradient G_ij = direct - P_ij (lambda_i + mu_j).
     *
     * <p>lambda and mu solve lambda + P mu = fbar and P^T lambda + c mu = gbar, where c is the column sum. Conjugate
     * gradients solve (c - P^T P) mu = gbar - P^T fbar. Cost: two passes per step.
     */
    private List<Term> implicit(Shift plan, double tolerance, int most) {
        double c = Math.exp(columnSum);
        Scalars fBar = rowShare.times(-1);
        Scalars residual = centred(columnShare().times(-1).minus(product(COLUMNS, plan, fBar)));
        Scalars mu = NONE;
        Scalars direction = residual;
        double squares = value(dot(residual, residual));
        double threshold = tolerance * tolerance * value(dot(columnShare(), columnShare()));
        for (int k = 0; squares > threshold; k++) {
            if (k == most) {
                throw new NotConvergedException("the implicit gradient of Sinkhorn did not converge in " + most
                        + " conjugate-gradient steps: expected a residual of at most " + Math.sqrt(threshold) + ", got "
                        + Math.sqrt(squares)
                        + "; allow more iterations or a larger tolerance, or use a fixed number of iterations");
            }
            Scalars applied = centred(direction.times(c).minus(product(COLUMNS, plan, product(ROWS, plan, direction))));
            double step = squares / value(dot(direction, applied));
            mu = mu.plus(direction.times(step));
            residual = residual.minus(applied.times(step));
            double next = value(dot(residual, residual));
            direction = residual.plus(direction.times(next / squares));
            squares = next;
        }
        Scalars lambda = fBar.minus(product(ROWS, plan, mu));
        return List.of(
                direct(),
                new Term(PairFunction.EXP, BOTH, plan, lambda.times(-1), null),
                new Term(PairFunction.EXP, BOTH, plan, null, mu.times(-1)));
    }

    /** Returns the weighted sums of e^z along an axis: a product of the plan or its transpose with a vector. */
    private Scalars product(Axis axis, Shift shift, Scalars weight) {
        return reduce(Reduction.sum(PairFunction.EXP, axis, BOTH, shift, weight));
    }

    /** Subtracts the mean: the potentials are defined up to a constant, so this component is rounding error. */
    private static Scalars centred(Scalars values) {
        return values.minus(values.sum().times(1.0 / values.size()));
    }

    private static Scalars dot(Scalars a, Scalars b) {
        return a.times(b).sum();
    }
}
