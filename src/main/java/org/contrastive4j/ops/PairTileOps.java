package org.contrastive4j.ops;

import java.util.List;
import java.util.Objects;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The general pairwise engine: any loss that is a function of reductions over the rows and columns of the logits S_ij =
 * scale &lt;x_i, y_j&gt; and whose gradient G_ij is a sum of functions of S_ij, a number of row i and a number of
 * column j.
 *
 * <p>A loss computes {@link Reduction}s in as many passes as it needs (each recomputes S, tile by tile, never n x m),
 * combines their n + m scalars in f64 (see {@link Scalars}), and describes its gradient as {@link Term}s. Functions,
 * kinds and classes of pairs are enumerations, so that a kernel exists for each.
 *
 * <p>A {@link Scalars.Scope} keeps the scalars where the backend computes, so that a loss need not synchronise between
 * its passes. {@link #reduce} returns them to the host instead.
 *
 * <p>Tested by {@code CpuPairTileOpsTest}.
 */
public abstract class PairTileOps {
    /** What a reduction runs over. */
    public enum Axis {
        /** Over the columns of each row: n numbers. */
        ROWS,
        /** Over the rows of each column: m numbers. */
        COLUMNS
    }

    /** Which pairs a reduction or term includes; ignored pairs never. */
    public enum Of {
        /** The positives alone. */
        POSITIVES,
        /** The negatives alone. */
        NEGATIVES,
        /** Positives and negatives. */
        BOTH;

        /**
         * Returns whether positives are included.
         *
         * @return true for POSITIVES and BOTH
         */
        public boolean positives() {
            return this != NEGATIVES;
        }

        /**
         * Returns whether negatives are included.
         *
         * @return true for NEGATIVES and BOTH
         */
        public boolean negatives() {
            return this != POSITIVES;
        }
    }

    /** How the pairs of a row or column are combined. */
    public enum Kind {
        /** sum of weight f(z). */
        SUM,
        /** ln of the sum of e^z; minus infinity over no pair. */
        LOG_SUM_EXP,
        /** Largest z, how many pairs have it, and the first of them; minus infinity, 0 and -1 over no pair. */
        MAX,
        /**
         * Largest sign S_ij (no shift added) among pairs with z_ij &lt; 0, how many pairs have it, and the first of
         * them.
         */
        MAX_BELOW
    }

    /**
     * z_ij = sign S_ij + rows_i + columns_j.
     *
     * @param sign 1 or -1
     * @param rows n shifts, null for zeros; not NaN
     * @param columns m shifts, null for zeros; not NaN
     */
    public record Shift(
            int sign, @Nullable Scalars rows, @Nullable Scalars columns) {
        /** z_ij = S_ij. */
        public static final Shift NONE = new Shift(1, null, null);

        /** z_ij = -S_ij. */
        public static final Shift NEGATIVE = new Shift(-1, null, null);

        /**
         * Returns the shift z_ij = S_ij + rows_i.
         *
         * @param rows n shifts; not NaN
         * @return the shift
         */
        public static Shift rows(Scalars rows) {
            return new Shift(1, rows, null);
        }

        /**
         * Returns the shift z_ij = S_ij + columns_j.
         *
         * @param columns m shifts; not NaN
         * @return the shift
         */
        public static Shift columns(Scalars columns) {
            return new Shift(1, null, columns);
        }

        /**
         * Returns z_ij, computed in f64 from shifts on the host.
         *
         * @param logit S_ij
         * @param i index of the row
         * @param j index of the column
         * @return z_ij
         */
        public double of(double logit, int i, int j) {
            return sign * logit + (rows == null ? 0 : rows.at(i)) + (columns == null ? 0 : columns.at(j));
        }
    }

    /**
     * One scalar per row or column.
     *
     * @param kind how pairs are combined
     * @param axis whether each row is reduced over its columns or each column over its rows
     * @param of pairs that are included
     * @param shift of the logits
     * @param function of a SUM; ignored by the other kinds
     * @param weight of a SUM, one for each column when reducing rows and the other way round; null for ones
     */
    public record Reduction(
            Kind kind,
            PairFunction function,
            Axis axis,
            Of of,
            Shift shift,
            @Nullable Scalars weight) {
        /**
         * Returns the reduction sum of weight f(z).
         *
         * @param function f
         * @param axis whether each row is reduced over its columns or each column over its rows
         * @param of pairs that are included
         * @param shift of the logits
         * @param weight one for each column when reducing rows, one for each row when reducing columns; null for ones
         * @return the reduction
         */
        public static Reduction sum(PairFunction function, Axis axis, Of of, Shift shift, @Nullable Scalars weight) {
            return new Reduction(Kind.SUM, function, axis, of, shift, weight);
        }

        /**
         * Returns the reduction ln of the sum of e^z.
         *
         * @param axis whether each row is reduced over its columns or each column over its rows
         * @param of pairs that are included
         * @param shift of the logits
         * @return the reduction
         */
        public static Reduction logSumExp(Axis axis, Of of, Shift shift) {
            return new Reduction(Kind.LOG_SUM_EXP, PairFunction.EXP, axis, of, shift, null);
        }

        /**
         * Returns the reduction to the largest z.
         *
         * @param axis whether each row is reduced over its columns or each column over its rows
         * @param of pairs that are included
         * @param shift of the logits
         * @return the reduction
         */
        public static Reduction max(Axis axis, Of of, Shift shift) {
            return new Reduction(Kind.MAX, PairFunction.IDENTITY, axis, of, shift, null);
        }

        /**
         * Returns the reduction to the largest sign S_ij with z_ij &lt; 0: with the shift -t_i, the largest logit below
         * t_i.
         *
         * @param axis whether each row is reduced over its columns or each column over its rows
         * @param of pairs that are included
         * @param shift of the logits
         * @return the reduction
         */
        public static Reduction maxBelow(Axis axis, Of of, Shift shift) {
            return new Reduction(Kind.MAX_BELOW, PairFunction.IDENTITY, axis, of, shift, null);
        }
    }

    /**
     * Adds rowWeight_i columnWeight_j f(z_ij) to G_ij.
     *
     * @param function f
     * @param of pairs that the term is added for
     * @param shift from S_ij to z_ij
     * @param rowWeight n factors; null for ones
     * @param columnWeight m factors; null for ones
     */
    public record Term(
            PairFunction function,
            Of of,
            Shift shift,
            @Nullable Scalars rowWeight,
            @Nullable Scalars columnWeight) {}

    /**
     * Unit rows, and which pairs of them are positive, negative or ignored.
     *
     * @param x [n, d]; read
     * @param y [m, d]; read
     * @param scale factor of &lt;x_i, y_j&gt;, a single scalar; finite and above 0
     * @param pairing class of each pair
     */
    public record Pairs(Tensor x, Tensor y, Scalars scale, Pairing pairing) {
        /**
         * Creates pairs with a scale on the host.
         *
         * @param x [n, d]; read
         * @param y [m, d]; read
         * @param scale factor of &lt;x_i, y_j&gt;; finite and above 0
         * @param pairing class of each pair
         */
        public Pairs(Tensor x, Tensor y, double scale, Pairing pairing) {
            this(x, y, Scalars.of(scale), pairing);
        }
    }

    /**
     * The matrices that G is multiplied by.
     *
     * @param rows [n, e]; read for dy, null without it
     * @param columns [m, e]; read for dx, null without it
     */
    public record Factors(@Nullable Tensor rows, @Nullable Tensor columns) {
        /**
         * Returns the width of the matrices.
         *
         * @return e
         */
        public int width() {
            return Objects.requireNonNull(rows == null ? columns : rows, "rows or columns")
                    .dim(1);
        }
    }

    /**
     * Counts of cosines in equal bins over [-1, 1]; what lies outside by rounding is in the first or last bin.
     *
     * @param positives pairs of each bin
     * @param negatives pairs of each bin
     * @param ignored all ignored pairs
     */
    public record Histogram(long[] positives, long[] negatives, long ignored) {}

    private final PairTileChecks checks;

    /**
     * Creates the family.
     *
     * @param dtype type of representations and gradients
     */
    protected PairTileOps(DType dtype) {
        this.checks = new PairTileChecks(dtype);
    }

    /**
     * Computes reductions in one pass over all pairs.
     *
     * <p>Memory: {@link #workspaceBytes}, and scalars per row and column. Cost: 2 n m d flops, and f of each pair for
     * each reduction.
     *
     * @param pairs unit rows and their pairing
     * @param reductions to compute
     * @return their results, in the same order
     * @throws ShapeException when sizes do not fit
     */
    public final Deferred<List<Reduced>> reduce(Pairs pairs, List<Reduction> reductions) {
        check(pairs, reductions);
        return reduceUnchecked(pairs, List.copyOf(reductions));
    }

    /**
     * Checks the arguments of {@link #reduce}.
     *
     * @param pairs unit rows and their pairing
     * @param reductions to compute
     * @throws ShapeException when sizes do not fit
     */
    protected final void check(Pairs pairs, List<Reduction> reductions) {
        checks.reduce(pairs, reductions);
    }

    /**
     * Computes {@link #reduce} on arguments that were checked.
     *
     * @param pairs unit rows and their pairing; read
     * @param reductions to compute; may be empty
     * @return their results, in the same order
     */
    protected abstract Deferred<List<Reduced>> reduceUnchecked(Pairs pairs, List<Reduction> reductions);

    /**
     * Opens a scope for the scalars of one evaluation of a loss.
     *
     * @return the scope; the caller closes it
     */
    public Scalars.Scope scope() {
        return hostScope();
    }

    /**
     * Opens a scope whose scalars are on the host: a backend with a queue synchronises in every pass.
     *
     * @return the scope; the caller closes it
     */
    public final Scalars.Scope hostScope() {
        return new HostScope(this);
    }

    /**
     * Returns the most bytes that a {@link Scalars.Scope} allocates in the backend's memory.
     *
     * @param n rows
     * @param m columns
     * @param reductions computed in it
     * @param scalars results of the methods of {@link Scalars} in it
     * @return bytes; 0 for a backend that computes on the host
     */
    public long scopeBytes(int n, int m, int reductions, int scalars) {
        return 0;
    }

    /**
     * Computes the gradients of a sum of terms: G = gradientScale sum of terms; dx = scale G y, dy = scale G^T x,
     * dLogScale += sum G_ij scale &lt;x_i, y_j&gt;, dBias += sum G_ij.
     *
     * <p>Memory: as for {@link #reduce}, and m d when neither dx nor dy is computed. Cost: 6 n m d flops.
     *
     * @param pairs unit rows and their pairing
     * @param terms of G
     * @param gradients dx and dy are written, dLogScale and dBias accumulated; a null is left out
     * @param gradientScale multiplied into all of them
     * @throws ShapeException when sizes do not fit
     */
    public final void gradient(Pairs pairs, List<Term> terms, PairwiseOps.Gradients gradients, double gradientScale) {
        checks.gradient(pairs, terms, gradients);
        checks.like("dx", gradients.dx(), pairs.x());
        checks.like("dy", gradients.dy(), pairs.y());
        gradientUnchecked(pairs, List.copyOf(terms), new Factors(pairs.x(), pairs.y()), gradients, gradientScale);
    }

    /**
     * Computes products of a sum of terms with matrices other than the rows of the pairs: with G = factor sum of terms,
     * dx = scale G columns and dy = scale G^T rows.
     *
     * <p>Memory: as for {@link #reduce}. Cost: 2 n m d flops for G, and 2 n m e for each product.
     *
     * @param pairs unit rows and their pairing
     * @param terms of G
     * @param factors the matrices, [n, e] and [m, e]
     * @param dx [n, e], or null; written
     * @param dy [m, e], or null; written
     * @param factor multiplied into both
     * @throws ShapeException when sizes do not fit
     */
    public final void products(
            Pairs pairs, List<Term> terms, Factors factors, @Nullable Tensor dx, @Nullable Tensor dy, double factor) {
        PairwiseOps.Gradients products = new PairwiseOps.Gradients(dx, dy, null, null);
        checks.products(pairs, terms, factors, products);
        gradientUnchecked(pairs, List.copyOf(terms), factors, products, factor);
    }

    /**
     * Computes {@link #gradient} or {@link #products} on arguments that were checked.
     *
     * @param pairs unit rows and their pairing; read
     * @param terms of G
     * @param factors that G is multiplied by: x and y, or those of products
     * @param gradients dx and dy are written, dLogScale and dBias accumulated; a null is left out
     * @param gradientScale factor of all gradients
     */
    protected abstract void gradientUnchecked(
            Pairs pairs, List<Term> terms, Factors factors, PairwiseOps.Gradients gradients, double gradientScale);

    /**
     * Computes the distribution of the cosines of all pairs. Cost: 2 n m d flops.
     *
     * @param pairs unit rows and their pairing; the scale is not used
     * @param bins equal ones over [-1, 1]
     * @return counts
     * @throws ShapeException when sizes do not fit
     */
    public final Deferred<Histogram> histogram(Pairs pairs, int bins) {
        checks.pairs("histogram", pairs);
        Checks.that(bins >= 1, "histogram", "expected at least one bin, got " + bins);
        return histogramUnchecked(new Pairs(pairs.x(), pairs.y(), 1.0, pairs.pairing()), bins);
    }

    /**
     * Computes {@link #histogram} on arguments that were checked.
     *
     * @param pairs unit rows and their pairing, with scale 1; read
     * @param bins number of equal bins over [-1, 1], at least 1
     * @return counts
     */
    protected abstract Deferred<Histogram> histogramUnchecked(Pairs pairs, int bins);

    /**
     * Returns the most bytes that one pass allocates in the backend's memory while it runs. Scalars per row and column
     * are on the heap; a backend that copies them to a device includes as many as any loss of this library has.
     *
     * @param n rows of x
     * @param m rows of y
     * @param d width of both
     * @return bytes
     */
    public abstract long workspaceBytes(int n, int m, int d);

    /**
     * Returns the bin of a cosine.
     *
     * @param cosine rounding outside [-1, 1] included
     * @param bins equal ones over [-1, 1]
     * @return the bin, from 0
     */
    public static int bin(double cosine, int bins) {
        return Math.max(0, Math.min(bins - 1, (int) Math.floor((cosine + 1) / 2 * bins)));
    }

    /** The functions of a shifted logit z that are summed over pairs or weight the gradients of pairs. */
    public enum PairFunction {
        /** 1. */
        ONE,
        /** z. */
        IDENTITY,
        /** e^z. */
        EXP,
        /** 1 / (1 + e^-z). */
        SIGMOID,
        /** ln(1 + e^z). */
        SOFTPLUS,
        /** max(z, 0). */
        HINGE,
        /** 1 when z &gt; 0, else 0. */
        STEP,
        /** 1 when z = 0, else 0. */
        EQUAL;

        /**
         * Returns f(z) in f64.
         *
         * @param z the shifted logit
         * @return the value
         */
        public double of(double z) {
            return switch (this) {
                case ONE -> 1;
                case IDENTITY -> z;
                case EXP -> Math.exp(z);
                case SIGMOID -> z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
                case SOFTPLUS -> Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
                case HINGE -> Math.max(z, 0);
                case STEP -> z > 0 ? 1 : 0;
                case EQUAL -> z == 0 ? 1 : 0;
            };
        }
        ;
    }
}
