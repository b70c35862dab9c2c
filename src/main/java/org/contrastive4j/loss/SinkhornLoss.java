package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.BOTH;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.loss.SinkhornSide.Solution;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;

/**
 * Cross-entropy of the positives under the plan P_ij = e^(S_ij + f_i + g_j) of k Sinkhorn iterations: the mean over
 * rows that have a positive of -mean_{j positive} ln P_ij.
 *
 * <p>In the log domain, from g = 0, k times: f_i = -lse_j (S_ij + g_j), then g_j = ln(n / m) - lse_i (S_ij + f_i).
 * Columns then sum to n / m exactly and rows to 1 in the limit; the first f alone would be InfoNCE over rows. The
 * entropic strength is 1 / e^t. Ignored pairs are not part of the plan: a row and a column with nothing but each other
 * match surely and cost nothing.
 *
 * <p>The gradient goes through all iterations: with fbar, gbar the derivatives of the loss by a step's potentials, a
 * column step has G_ij -= gbar_j pi_ij and fbar_i -= sum_j gbar_j pi_ij, pi_ij = e^(S_ij + f_i + g_j) m / n; a row step
 * has G_ij -= fbar_i rho_ij and gbar_j -= sum_i fbar_i rho_ij, rho_ij = e^(S_ij + f_i + g_j), each with the potentials
 * of its step. Only potentials are kept, 2 k (n + m) numbers, and S is computed again in every pass: 2 k passes for the
 * value, 2 k - 1 more and a final one for the gradient; about 8 k + 4 times n m d flops in all.
 *
 * <p>{@link #converged} iterates until rows sum to 1 within a tolerance and takes the gradient of the fixed point
 * instead: G_ij = -share - P_ij (lambda_i + mu_j), share the weight of a positive, lambda and mu from a linear system
 * that conjugate gradients solve in two passes each. No step's potentials are kept. {@link #symmetric} is the mean of
 * the loss of S and that of its transpose, (L(S) + L(S^T)) / 2: of the two orders in which rows and columns can be
 * normalised.
 *
 * <p>Sources: Cuturi, Sinkhorn distances, 2013; Shi et al., Understanding and generalizing contrastive learning from
 * the inverse optimal transport perspective, 2023 (InfoNCE as its first half step); Luise et al., Differential
 * properties of Sinkhorn approximation, 2018 (the gradient of the fixed point).
 */
final class SinkhornLoss extends ContrastiveLoss {
    private static final int MOST = 100_000;

    private final int iterations;
    private final double tolerance; // 0: exactly that many iterations
    private final boolean symmetric;

    SinkhornLoss(Ops ops, int iterations, PairPolicy policy, boolean learnable) {
        this(ops, iterations, 0, false, policy, learnable);
    }

    SinkhornLoss(Ops ops, int iterations, double tolerance, boolean symmetric, PairPolicy policy, boolean learnable) {
        super(ops, checked(iterations, tolerance, policy), InfoNce.INITIAL_LOG_SCALE, null, learnable);
        this.iterations = iterations;
        this.tolerance = tolerance;
        this.symmetric = symmetric;
    }

    private static PairPolicy checked(int iterations, double tolerance, PairPolicy policy) {
        LossOptionException.require(
                tolerance >= 0 && tolerance < 1, "expected a tolerance above 0, below 1, got " + tolerance);
        int most = tolerance == 0 ? 1000 : MOST;
        return LossOptionException.checked(
                policy, iterations >= 1 && iterations <= most, iterations + " iterations, expected 1 to " + most);
    }

    /** The mean of both orders, each of {@code iterations} iterations. */
    public static ContrastiveLoss symmetric(Ops ops, int iterations, PairPolicy policy) {
        return new SinkhornLoss(ops, iterations, 0, true, policy, true);
    }

    /**
     * The fixed point, reached when no row's sum is off 1 by more than {@code tolerance}, and its implicit gradient.
     *
     * <p>There has to be one: a plan with these sums on the pairs that are not ignored. The number of iterations grows
     * with the log-scale.
     *
     * @param tolerance above 0, below 1; 1e-5 is what f32 can reach
     * @param most iterations, and steps of the linear system, before {@link NotConvergedException} is thrown
     */
    public static ContrastiveLoss converged(Ops ops, double tolerance, int most, PairPolicy policy) {
        return converged(ops, tolerance, most, false, policy);
    }

    static ContrastiveLoss converged(Ops ops, double tolerance, int most, boolean symmetric, PairPolicy policy) {
        LossOptionException.require(tolerance > 0, "expected a tolerance above 0, below 1, got " + tolerance);
        return new SinkhornLoss(ops, most, tolerance, symmetric, policy, true);
    }

    @Override
    protected Evaluation evaluate(PairField field, boolean withTerms) {
        double[] logSums = field.reduce(List.of(Reduction.logSumExp(ROWS, BOTH, Shift.NONE)))
                .get(0)
                .values();
        PairStatistics statistics = field.statistics();
        Solution rows = solve(
                new SinkhornSide(field, new SinkhornSide.Start(statistics.positives, statistics.positiveSum, logSums)),
                withTerms);
        if (!symmetric) {
            return new Evaluation(rows.loss(), rows.terms());
        }
        Solution columns = solve(SinkhornSide.transposed(field), withTerms);
        List<Term> terms = new ArrayList<>();
        List.of(rows, columns).forEach(side -> side.terms().forEach(term -> terms.add(halved(term))));
        return new Evaluation((rows.loss() + columns.loss()) / 2, terms);
    }

    private Solution solve(SinkhornSide side, boolean withTerms) {
        return tolerance == 0 ? side.unrolled(iterations, withTerms) : side.converged(tolerance, iterations, withTerms);
    }

    /** Every term has a weight of rows or of columns. */
    private static Term halved(Term term) {
        return new Term(
                term.function(),
                term.of(),
                term.shift(),
                halved(term.rowWeight()),
                term.rowWeight() != null ? term.columnWeight() : halved(term.columnWeight()));
    }

    private static double[] halved(double[] weights) {
        if (weights == null) {
            return null;
        }
        double[] half = weights.clone();
        for (int i = 0; i < half.length; i++) {
            half[i] /= 2;
        }
        return half;
    }
}
