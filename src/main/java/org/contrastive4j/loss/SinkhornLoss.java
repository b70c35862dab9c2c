package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.COLUMNS;
import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.BOTH;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.loss.PairStatistics.Outcome;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;

/**
 * Cross-entropy of the positives under the plan P_ij = e^(S_ij + f_i + g_j) of k Sinkhorn iterations: the mean over
 * rows that have a positive of -mean_{j positive} ln P_ij.
 *
 * <p>In the log domain, from g = 0, k times: f_i = -lse_j (S_ij + g_j), then g_j = ln(n / m) - lse_i (S_ij + f_i).
 * Columns then sum to n / m exactly and rows to 1 in the limit; the first f alone would be InfoNCE over rows. The
 * entropic strength is 1 / e^t. Ignored pairs are not part of the plan.
 *
 * <p>The gradient goes through all iterations: with fbar, gbar the derivatives of the loss by a step's potentials, a
 * column step has G_ij -= gbar_j pi_ij and fbar_i -= sum_j gbar_j pi_ij, pi_ij = e^(S_ij + f_i + g_j) m / n; a row step
 * has G_ij -= fbar_i rho_ij and gbar_j -= sum_i fbar_i rho_ij, rho_ij = e^(S_ij + f_i + g_j), each with the potentials
 * of its step. Only potentials are kept, 2 k (n + m) numbers, and S is computed again in every pass: 2 k passes for the
 * value, 2 k - 1 more and a final one for the gradient; about 8 k + 4 times n m d flops in all.
 *
 * <p>Sources: Cuturi, Sinkhorn distances, 2013; Shi et al., Understanding and generalizing contrastive learning from
 * the inverse optimal transport perspective, 2023 (InfoNCE as its first half step).
 */
public final class SinkhornLoss extends ContrastiveLoss {
    private final int iterations;

    SinkhornLoss(Ops ops, int iterations, PairPolicy policy, boolean learnable) {
        super(ops, LossOptionException.checked(policy, iterations >= 1 && iterations <= 1000,
                iterations + " iterations, wanted 1 to 1000"), InfoNce.INITIAL_LOG_SCALE, null, learnable);
        this.iterations = iterations;
    }

    /** Potentials after each step; g_0 = 0. */
    private record Potentials(List<double[]> f, List<double[]> g) {}

    @Override
    Outcome evaluate(PairField field, double bias, boolean wantTerms) {
        int n = field.pairing().n();
        int m = field.pairing().m();
        double columnSum = Math.log((double) n / m);
        Potentials potentials = new Potentials(new ArrayList<>(), new ArrayList<>());
        PairStatistics statistics = PairStatistics.of(field, List.of(
                Reduction.logSumExp(ROWS, BOTH, Shift.NONE)));
        double[] logSums = statistics.own.get(0).values();
        potentials.g.add(new double[m]);
        double[] share = shares(statistics);
        List<Reduced> columns = List.of();
        for (int k = 1; k <= iterations; k++) {
            if (k > 1) {
                logSums = field.reduce(List.of(Reduction.logSumExp(ROWS, BOTH, Shift.columns(last(potentials.g)))))
                        .get(0).values();
            }
            potentials.f.add(potential(0, logSums));
            columns = field.reduce(List.of(Reduction.logSumExp(COLUMNS, BOTH, Shift.rows(last(potentials.f))),
                    Reduction.sum(PairFunction.ONE, COLUMNS, POSITIVES, Shift.NONE, share)));
            potentials.g.add(potential(columnSum, columns.get(0).values()));
        }
        double[] columnShare = columns.get(1).values();
        double loss = 0;
        for (int i = 0; i < n; i++) {
            loss -= share[i] * (statistics.positiveSum[i] + statistics.positives[i] * last(potentials.f)[i]);
        }
        for (int j = 0; j < m; j++) {
            loss -= columnShare[j] * last(potentials.g)[j];
        }
        double[] rowShare = new double[n];
        Arrays.setAll(rowShare, i -> share[i] * statistics.positives[i]);
        return new Outcome(loss, wantTerms ? terms(field, potentials, share, rowShare, columnShare) : List.of(),
                statistics);
    }

    private static double[] last(List<double[]> steps) {
        return steps.get(steps.size() - 1);
    }

    /** constant - logSum; 0 for a row or column all of whose pairs are ignored: it takes no part. */
    private static double[] potential(double constant, double[] logSums) {
        double[] values = new double[logSums.length];
        Arrays.setAll(values, i -> logSums[i] == Double.NEGATIVE_INFINITY ? 0 : constant - logSums[i]);
        return values;
    }

    /** What each positive of a row weighs in the loss. */
    private static double[] shares(PairStatistics statistics) {
        double rows = statistics.rowsWithPositive();
        double[] share = new double[statistics.positives.length];
        Arrays.setAll(share, i -> statistics.positives[i] == 0 ? 0 : 1 / (rows * statistics.positives[i]));
        return share;
    }

    /** Shares are what a positive of each row, and all positives of each row and column, weigh in the loss. */
    private List<Term> terms(
            PairField field, Potentials potentials, double[] share, double[] rowShare, double[] columnShare) {
        List<Term> terms = new ArrayList<>();
        terms.add(new Term(PairFunction.ONE, POSITIVES, Shift.NONE, times(-1, share), null));
        double columnSum = Math.log((double) rowShare.length / columnShare.length);
        double[] fBar = times(-1, rowShare);
        double[] gBar = times(-1, columnShare);
        for (int k = iterations; k >= 1; k--) {
            double[] f = potentials.f.get(k - 1);
            double[] normalised = potentials.g.get(k).clone();
            for (int j = 0; j < normalised.length; j++) {
                normalised[j] -= columnSum;
            }
            Shift pi = new Shift(1, f, normalised);
            double[] back = field.reduce(List.of(Reduction.sum(PairFunction.EXP, ROWS, BOTH, pi, gBar)))
                    .get(0).values();
            terms.add(new Term(PairFunction.EXP, BOTH, pi, null, times(-1, gBar)));
            for (int i = 0; i < fBar.length; i++) {
                fBar[i] -= back[i];
            }
            Shift rho = new Shift(1, f, potentials.g.get(k - 1));
            terms.add(new Term(PairFunction.EXP, BOTH, rho, times(-1, fBar), null));
            if (k > 1) {
                gBar = times(-1, field.reduce(List.of(Reduction.sum(PairFunction.EXP, COLUMNS, BOTH, rho, fBar)))
                        .get(0).values());
                fBar = new double[share.length];
            }
        }
        return terms;
    }

    private static double[] times(double factor, double[] values) {
        double[] result = new double[values.length];
        Arrays.setAll(result, i -> factor * values[i]);
        return result;
    }
}
