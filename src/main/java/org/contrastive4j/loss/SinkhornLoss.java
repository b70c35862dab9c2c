package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.BOTH;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses.NotConvergedException;
import org.contrastive4j.loss.SinkhornSide.Solution;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Scalars;
import org.jspecify.annotations.Nullable;

/**
 * Sinkhorn loss: the cross-entropy of the positives under an entropic optimal transport plan between rows and columns.
 *
 * <p>The plan is P_ij = e^(S_ij + f_i + g_j) with the potentials f and g of k Sinkhorn iterations. The loss is the mean
 * of -ln P_ij over the positives of a row, averaged over the rows that have a positive.
 *
 * <p>Forward pass, in the log domain, starting at g = 0. Each iteration computes f_i = -lse_j (S_ij + g_j), then g_j =
 * ln(n / m) - lse_i (S_ij + f_i). Afterwards every column of P sums to n / m exactly, and every row sums to 1 in the
 * limit of many iterations. The first f alone, with g = 0, gives InfoNCE over rows. The entropic regularisation
 * strength is 1 / e^t. Ignored pairs are left out of the plan. A row and a column whose only pair is their common one
 * have probability 1 and contribute no loss.
 *
 * <p>Backward pass, through all iterations. Let fbar and gbar be the derivatives of the loss with respect to the
 * potentials of one iteration. The column update contributes G_ij -= gbar_j pi_ij and fbar_i -= sum_j gbar_j pi_ij with
 * pi_ij = e^(S_ij + f_i + g_j) m / n. The row update contributes G_ij -= fbar_i rho_ij and gbar_j -= sum_i fbar_i
 * rho_ij with rho_ij = e^(S_ij + f_i + g_j). Each update uses the potentials of its own iteration.
 *
 * <p>{@link #converged} iterates until every row sums to 1 within a tolerance and uses the implicit gradient of the
 * fixed point: G_ij = -share - P_ij (lambda_i + mu_j), where share is the weight of a positive. Conjugate gradients
 * solve the linear system for lambda and mu.
 *
 * <p>{@link #symmetric} returns (L(S) + L(S^T)) / 2: the mean of normalising rows first and of normalising columns
 * first.
 *
 * <p>Memory: 2 k (n + m) potentials; {@link #converged} stores only those of the last iteration. S is computed again in
 * every pass.
 *
 * <p>Cost: 2 k passes for the value, 2 k - 1 passes and a final gradient pass for the gradient, about (8 k + 4) n m d
 * flops in total. {@link #converged} takes two passes per iteration, and two per step of conjugate gradients.
 *
 * <p>Sources: Cuturi, Sinkhorn distances, 2013; Shi et al., Understanding and generalizing contrastive learning from
 * the inverse optimal transport perspective, 2023 (InfoNCE as its first half step); Luise et al., Differential
 * properties of Sinkhorn approximation, 2018 (the gradient of the fixed point).
 */
final class SinkhornLoss extends ContrastiveLoss {
    private static final int MAX_ITERATIONS = 100_000;

    private final int iterations;
    private final double tolerance; // 0 selects a fixed number of iterations
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
                tolerance >= 0 && tolerance < 1, "expected a Sinkhorn tolerance above 0 and below 1, got " + tolerance);
        int most = tolerance == 0 ? 1000 : MAX_ITERATIONS;
        return LossOptionException.checked(
                policy,
                iterations >= 1 && iterations <= most,
                "expected 1 to " + most + " Sinkhorn iterations, got " + iterations);
    }

    /** Creates the symmetric loss: the mean of both normalisation orders, each with {@code iterations} iterations. */
    public static ContrastiveLoss symmetric(Ops ops, int iterations, PairPolicy policy) {
        return new SinkhornLoss(ops, iterations, 0, true, policy, true);
    }

    /**
     * Creates a loss that iterates until no row sum differs from 1 by more than {@code tolerance}, with the implicit
     * gradient of the fixed point.
     *
     * <p>A fixed point exists only if some plan on the pairs that are not ignored has the required row and column sums.
     * The number of iterations grows with the log-scale.
     *
     * @param tolerance above 0 and below 1; f32 reaches 1e-5
     * @param most maximum number of iterations, and of conjugate-gradient steps, before {@link NotConvergedException}
     *     is thrown
     */
    public static ContrastiveLoss converged(Ops ops, double tolerance, int most, PairPolicy policy) {
        return converged(ops, tolerance, most, false, policy);
    }

    static ContrastiveLoss converged(Ops ops, double tolerance, int most, boolean symmetric, PairPolicy policy) {
        LossOptionException.require(
                tolerance > 0, "expected a Sinkhorn tolerance above 0 and below 1, got " + tolerance);
        return new SinkhornLoss(ops, most, tolerance, symmetric, policy, true);
    }

    /**
     * Returns whether the number of iterations is fixed. To a tolerance it depends on the data: on the simulator four
     * batches of 64 pairs took 38, 428, 394 and 150 passes at a tolerance of 1e-3. A graph would have to run the most
     * passes that a batch may need, twice the maximum number of iterations, for every batch.
     */
    @Override
    public boolean isCapturable() {
        return tolerance == 0;
    }

    @Override
    protected Evaluation evaluate(PairField field, boolean withTerms) {
        Scalars logSums = field.reduce(List.of(Reduction.logSumExp(ROWS, BOTH, Shift.NONE)))
                .get(0)
                .scalars();
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
        return new Evaluation(rows.loss().plus(columns.loss()).times(0.5), terms);
    }

    @Override
    int reductions() {
        return (symmetric ? 2 : 1) * (12 + 4 * iterations);
    }

    @Override
    int scalars() {
        return (symmetric ? 2 : 1) * (40 + 14 * iterations);
    }

    private Solution solve(SinkhornSide side, boolean withTerms) {
        return tolerance == 0 ? side.unrolled(iterations, withTerms) : side.converged(tolerance, iterations, withTerms);
    }

    /**
     * Halves a term by its row weights or, when there are none, its column weights; every term here has one of them.
     */
    private static Term halved(Term term) {
        return new Term(
                term.function(),
                term.of(),
                term.shift(),
                halved(term.rowWeight()),
                term.rowWeight() != null ? term.columnWeight() : halved(term.columnWeight()));
    }

    private static @Nullable Scalars halved(@Nullable Scalars weights) {
        return weights == null ? null : weights.times(0.5);
    }
}
