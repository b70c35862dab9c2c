package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.COLUMNS;
import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.BOTH;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.loss.Losses.NotConvergedException;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
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
    record Start(double[] positives, double[] positiveSum, double[] logSums) {}

    /** Loss and gradient terms, in the orientation of the field. */
    record Solution(double loss, List<Term> terms) {}

    private final PairField field;
    private final boolean transposed;
    private final int n;
    private final int m;
    private final double columnSum;
    private final Start start;
    private final double[] share;
    private final double[] rowShare;
    private double[] columnShare = {}; // weight of the positives of each column; empty before the first pass

    SinkhornSide(PairField field, Start start) {
        this(field, false, start);
    }

    private SinkhornSide(PairField field, boolean transposed, Start start) {
        this.field = field;
        this.transposed = transposed;
        n = transposed ? field.pairing().m() : field.pairing().n();
        m = transposed ? field.pairing().n() : field.pairing().m();
        columnSum = Math.log((double) n / m);
        this.start = start;
        double rows = Arrays.stream(start.positives).filter(of -> of > 0).count();
        share = new double[n];
        Arrays.setAll(share, i -> start.positives[i] == 0 ? 0 : 1 / (rows * start.positives[i]));
        rowShare = new double[n];
        Arrays.setAll(rowShare, i -> share[i] * start.positives[i]);
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
                        first.get(0).values(),
                        first.get(1).values(),
                        first.get(2).values()));
    }

    private double[] reduce(Reduction reduction) {
        return reduce(List.of(reduction)).get(0).values();
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
    private double[] rowPotentials(double @Nullable [] g) {
        return potentials(0, g == null ? start.logSums : reduce(Reduction.logSumExp(ROWS, BOTH, Shift.columns(g))));
    }

    /** Returns g for given row potentials f; the first call also computes {@link #columnShare} in the same pass. */
    private double[] columnPotentials(double[] f) {
        List<Reduction> reductions = new ArrayList<>(List.of(Reduction.logSumExp(COLUMNS, BOTH, Shift.rows(f))));
        boolean first = columnShare.length == 0;
        if (first) {
            reductions.add(Reduction.sum(PairFunction.ONE, COLUMNS, POSITIVES, Shift.NONE, share));
        }
        List<Reduced> reduced = reduce(reductions);
        columnShare = first ? reduced.get(1).values() : columnShare;
        return potentials(columnSum, reduced.get(0).values());
    }

    /** Returns constant - logSum; 0 for a row or column whose pairs are all ignored, which is not part of the plan. */
    private static double[] potentials(double constant, double[] logSums) {
        double[] values = new double[logSums.length];
        Arrays.setAll(values, i -> logSums[i] == Double.NEGATIVE_INFINITY ? 0 : constant - logSums[i]);
        return values;
    }

    private double loss(double[] f, double[] g) {
        double loss = 0;
        for (int i = 0; i < n; i++) {
            loss -= share[i] * (start.positiveSum[i] + start.positives[i] * f[i]);
        }
        for (int j = 0; j < m; j++) {
            loss -= columnShare[j] * g[j];
        }
        return loss;
    }

    /** Returns the derivative of the loss with respect to the logits of positives at constant potentials. */
    private Term direct() {
        return new Term(PairFunction.ONE, POSITIVES, Shift.NONE, times(-1, share), null);
    }

    /** Runs a fixed number of iterations and differentiates through all of them. */
    Solution unrolled(int iterations, boolean withTerms) {
        List<double[]> f = new ArrayList<>();
        List<double[]> g = new ArrayList<>(List.of(new double[m]));
        for (int k = 1; k <= iterations; k++) {
            f.add(rowPotentials(k == 1 ? null : g.get(k - 1)));
            g.add(columnPotentials(f.get(k - 1)));
        }
        double loss = loss(f.get(iterations - 1), g.get(iterations));
        return new Solution(loss, withTerms ? oriented(backward(f, g)) : List.of());
    }

    private List<Term> backward(List<double[]> fs, List<double[]> gs) {
        List<Term> terms = new ArrayList<>(List.of(direct()));
        double[] fBar = times(-1, rowShare);
        double[] gBar = times(-1, columnShare);
        for (int k = fs.size(); k >= 1; k--) {
            double[] f = fs.get(k - 1);
            double[] normalised = gs.get(k).clone();
            for (int j = 0; j < m; j++) {
                normalised[j] -= columnSum;
            }
            Shift pi = new Shift(1, f, normalised);
            double[] fromColumns = product(ROWS, pi, gBar);
            terms.add(new Term(PairFunction.EXP, BOTH, pi, null, times(-1, gBar)));
            for (int i = 0; i < n; i++) {
                fBar[i] -= fromColumns[i];
            }
            Shift rho = new Shift(1, f, gs.get(k - 1));
            terms.add(new Term(PairFunction.EXP, BOTH, rho, times(-1, fBar), null));
            if (k > 1) {
                gBar = times(-1, product(COLUMNS, rho, fBar));
                fBar = new double[n];
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
        double[] f = rowPotentials(null);
        double error = Double.POSITIVE_INFINITY;
        for (int k = 1; k <= most; k++) {
            double[] g = columnPotentials(f);
            double[] next = rowPotentials(g);
            error = largestDifference(f, next);
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

    private static double largestDifference(double[] a, double[] b) {
        double largest = 0;
        for (int i = 0; i < a.length; i++) {
            double difference = Math.abs(a[i] - b[i]);
            largest = difference > largest || Double.isNaN(difference) ? difference : largest;
        }
        return largest;
    }

    /**
     * Returns the terms of the implicit gradient G_ij = direct - P_ij (lambda_i + mu_j).
     *
     * <p>lambda and mu solve lambda + P mu = fbar and P^T lambda + c mu = gbar, where c is the column sum. Conjugate
     * gradients solve (c - P^T P) mu = gbar - P^T fbar. Cost: two passes per step.
     */
    private List<Term> implicit(Shift plan, double tolerance, int most) {
        double c = Math.exp(columnSum);
        double[] fBar = times(-1, rowShare);
        double[] residual = times(-1, columnShare);
        subtract(product(COLUMNS, plan, fBar), residual);
        centre(residual);
        double[] mu = new double[m];
        double[] direction = residual.clone();
        double squares = dot(residual, residual);
        double threshold = tolerance * tolerance * dot(columnShare, columnShare);
        for (int k = 0; squares > threshold; k++) {
            if (k == most) {
                throw new NotConvergedException("the implicit gradient of Sinkhorn did not converge in " + most
                        + " conjugate-gradient steps: expected a residual of at most " + Math.sqrt(threshold) + ", got "
                        + Math.sqrt(squares)
                        + "; allow more iterations or a larger tolerance, or use a fixed number of iterations");
            }
            double[] applied = times(c, direction);
            subtract(product(COLUMNS, plan, product(ROWS, plan, direction)), applied);
            centre(applied);
            double step = squares / dot(direction, applied);
            double next = 0;
            for (int j = 0; j < m; j++) {
                mu[j] += step * direction[j];
                residual[j] -= step * applied[j];
                next += residual[j] * residual[j];
            }
            for (int j = 0; j < m; j++) {
                direction[j] = residual[j] + next / squares * direction[j];
            }
            squares = next;
        }
        double[] lambda = fBar;
        subtract(product(ROWS, plan, mu), lambda);
        return List.of(
                direct(),
                new Term(PairFunction.EXP, BOTH, plan, times(-1, lambda), null),
                new Term(PairFunction.EXP, BOTH, plan, null, times(-1, mu)));
    }

    /** Returns the weighted sums of e^z along an axis: a product of the plan or its transpose with a vector. */
    private double[] product(Axis axis, Shift shift, double[] weight) {
        return reduce(Reduction.sum(PairFunction.EXP, axis, BOTH, shift, weight));
    }

    /** Subtracts the mean: the potentials are defined up to a constant, so this component is rounding error. */
    private static void centre(double[] values) {
        double mean = Arrays.stream(values).sum() / values.length;
        Arrays.setAll(values, j -> values[j] - mean);
    }

    private static void subtract(double[] what, double[] from) {
        Arrays.setAll(from, j -> from[j] - what[j]);
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int j = 0; j < a.length; j++) {
            sum += a[j] * b[j];
        }
        return sum;
    }

    private static double[] times(double factor, double[] values) {
        double[] result = new double[values.length];
        Arrays.setAll(result, i -> factor * values[i]);
        return result;
    }
}
