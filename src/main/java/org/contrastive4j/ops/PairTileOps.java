package org.contrastive4j.ops;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.tensor.DType;
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
 * <p>A {@link Scope} keeps the scalars where the backend computes, so that a loss need not synchronise between its
 * passes. {@link #reduce} returns them to the host instead.
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
        POSITIVES,
        NEGATIVES,
        BOTH;

        public boolean positives() {
            return this != NEGATIVES;
        }

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
    public record Shift(int sign, @Nullable Scalars rows, @Nullable Scalars columns) {
        /** z is the logit. */
        public static final Shift NONE = new Shift(1, null, (Scalars) null);

        /** z is the negative logit. */
        public static final Shift NEGATIVE = new Shift(-1, null, (Scalars) null);

        /** A shift by scalars on the host. */
        public Shift(int sign, double @Nullable [] rows, double @Nullable [] columns) {
            this(sign, host(rows), host(columns));
        }

        /** A shift of rows alone. */
        public static Shift rows(Scalars rows) {
            return new Shift(1, rows, null);
        }

        /** A shift of rows alone, by scalars on the host. */
        public static Shift rows(double[] rows) {
            return rows(Scalars.of(rows));
        }

        /** A shift of columns alone. */
        public static Shift columns(Scalars columns) {
            return new Shift(1, null, columns);
        }

        /** A shift of columns alone, by scalars on the host. */
        public static Shift columns(double[] columns) {
            return columns(Scalars.of(columns));
        }

        /** z in f64; requires shifts on the host. */
        public double of(double logit, int i, int j) {
            return sign * logit + (rows == null ? 0 : rows.at(i)) + (columns == null ? 0 : columns.at(j));
        }
    }

    private static @Nullable Scalars host(double @Nullable [] values) {
        return values == null ? null : Scalars.of(values);
    }

    /**
     * One scalar per row or column.
     *
     * @param function of a SUM; ignored by the other kinds
     * @param weight of a SUM, one for each column when reducing rows and the other way round; null for ones
     */
    public record Reduction(
            Kind kind, PairFunction function, Axis axis, Of of, Shift shift, @Nullable Scalars weight) {
        public static Reduction sum(PairFunction function, Axis axis, Of of, Shift shift, @Nullable Scalars weight) {
            return new Reduction(Kind.SUM, function, axis, of, shift, weight);
        }

        public static Reduction logSumExp(Axis axis, Of of, Shift shift) {
            return new Reduction(Kind.LOG_SUM_EXP, PairFunction.EXP, axis, of, shift, null);
        }

        public static Reduction max(Axis axis, Of of, Shift shift) {
            return new Reduction(Kind.MAX, PairFunction.IDENTITY, axis, of, shift, null);
        }

        public static Reduction maxBelow(Axis axis, Of of, Shift shift) {
            return new Reduction(Kind.MAX_BELOW, PairFunction.IDENTITY, axis, of, shift, null);
        }
    }

    /**
     * The result of a reduction.
     *
     * @param scalars one per row or column
     * @param ties number of pairs that have the largest z; null unless the kind is MAX or MAX_BELOW
     * @param first the first such column (row, when reducing columns), -1 for none; null unless the kind is MAX or
     *     MAX_BELOW
     */
    public record Reduced(Scalars scalars, @Nullable Scalars ties, @Nullable Scalars first) {
        /** A result on the host. */
        public Reduced(double[] values, int @Nullable [] counts, int @Nullable [] at) {
            this(Scalars.of(values), hostInts(counts), hostInts(at));
        }

        private static @Nullable Scalars hostInts(int @Nullable [] values) {
            return values == null
                    ? null
                    : Scalars.of(Arrays.stream(values).asDoubleStream().toArray());
        }

        private static int @Nullable [] ints(@Nullable Scalars of) {
            return of == null
                    ? null
                    : Arrays.stream(of.values().get()).mapToInt(value -> (int) value).toArray();
        }

        /** Returns {@link #scalars} on the host; waits for a device. */
        public double[] values() {
            return scalars.values().get();
        }

        /** Returns {@link #ties} on the host; waits for a device. */
        public int @Nullable [] counts() {
            return ints(ties);
        }

        /** Returns {@link #first} on the host; waits for a device. */
        public int @Nullable [] at() {
            return ints(first);
        }

        /** Returns the ties of a maximum. */
        public Scalars requireTies() {
            return Objects.requireNonNull(ties, "only a maximum has ties");
        }
    }

    /** Adds rowWeight_i columnWeight_j f(z_ij) to G_ij; null weights are ones. */
    public record Term(
            PairFunction function,
            Of of,
            Shift shift,
            @Nullable Scalars rowWeight,
            @Nullable Scalars columnWeight) {
        /** A term with weights on the host. */
        public Term(
                PairFunction function,
                Of of,
                Shift shift,
                double @Nullable [] rowWeight,
                double @Nullable [] columnWeight) {
            this(function, of, shift, host(rowWeight), host(columnWeight));
        }
    }

    /**
     * Unit rows, and which pairs of them are positive, negative or ignored.
     *
     * @param x [n, d]; read
     * @param y [m, d]; read
     * @param scale of the logits, a single scalar above 0
     * @param pairing of their rows
     */
    public record Pairs(Tensor x, Tensor y, Scalars scale, Pairing pairing) {
        /** Pairs with a scale on the host. */
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
    public record Factors(
            @Nullable Tensor rows, @Nullable Tensor columns) {
        /** Returns e. */
        public int width() {
            return Objects.requireNonNull(rows == null ? columns : rows, "rows or columns")
                    .dim(1);
        }
    }

    /**
     * The scalars of one evaluation of a loss, where the backend computes: on the host, or in the memory of a device.
     * Closing it frees them; work that was issued before still reads them.
     */
    public interface Scope extends AutoCloseable {
        /**
         * Reads the elements of a tensor, in stream order.
         *
         * @param tensor of the type of parameters, or I32; read
         * @return its elements
         */
        Scalars read(Tensor tensor);

        /**
         * Computes reductions in one pass, as {@link PairTileOps#reduce} does, without synchronising.
         *
         * @param pairs unit rows and their pairing
         * @param reductions to compute
         * @return their results, in the same order
         */
        List<Reduced> reduce(Pairs pairs, List<Reduction> reductions);

        /**
         * Computes the scalar product of each row of a matrix with the same row of another, in f64.
         *
         * @param x [n, d] of the type of parameters; read
         * @param y [n, d] of the type of parameters; read
         * @return n scalars
         */
        Scalars products(Tensor x, Tensor y);

        /**
         * target += factor scalar, in stream order.
         *
         * @param scalar a single scalar
         * @param factor multiplied into it
         * @param target [1] of the type of parameters; accumulated
         */
        void add(Scalars scalar, double factor, Tensor target);

        @Override
        void close();
    }

    /**
     * Counts of cosines in equal bins over [-1, 1]; what lies outside by rounding is in the first or last bin.
     *
     * @param positives pairs of each bin
     * @param negatives pairs of each bin
     * @param ignored all ignored pairs
     */
    public record Histogram(long[] positives, long[] negatives, long ignored) {}

    private static final int BLOCK = 256; // rows that are read at a time

    private final DType dtype;

    protected PairTileOps(DType dtype) {
        this.dtype = dtype;
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

    /** Checks the arguments of a pass. */
    protected final void check(Pairs pairs, List<Reduction> reductions) {
        check("reduce", pairs);
        for (Reduction reduction : reductions) {
            checkShift("reduce", pairs.pairing(), reduction.shift());
            checkCount(
                    "reduce",
                    "weight",
                    reduction.weight(),
                    reduction.axis() == Axis.ROWS
                            ? pairs.pairing().m()
                            : pairs.pairing().n());
        }
    }

    /** Computes checked reductions. */
    protected abstract Deferred<List<Reduced>> reduceUnchecked(Pairs pairs, List<Reduction> reductions);

    /**
     * Opens a scope for the scalars of one evaluation of a loss.
     *
     * @return the scope; the caller closes it
     */
    public Scope scope() {
        return hostScope();
    }

    /**
     * Opens a scope whose scalars are on the host: a backend with a queue synchronises in every pass.
     *
     * @return the scope; the caller closes it
     */
    public final Scope hostScope() {
        return new HostScope();
    }

    /**
     * Returns the most bytes that a {@link Scope} allocates in the backend's memory.
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

    /** Scalars on the host. */
    private final class HostScope implements Scope {
        @Override
        public Scalars read(Tensor tensor) {
            return Scalars.of(
                    tensor.dtype() == DType.I32
                            ? Arrays.stream(tensor.toInts()).asDoubleStream().toArray()
                            : tensor.toDoubles());
        }

        @Override
        public Scalars products(Tensor x, Tensor y) {
            double[] products = new double[x.dim(0)];
            int width = x.dim(1);
            for (int from = 0; from < products.length; from += BLOCK) {
                int to = Math.min(products.length, from + BLOCK);
                double[] left = x.rows(from, to).toDoubles();
                double[] right = y.rows(from, to).toDoubles();
                for (int k = 0; k < left.length; k++) {
                    products[from + k / width] += left[k] * right[k];
                }
            }
            return Scalars.of(products);
        }

        @Override
        public List<Reduced> reduce(Pairs pairs, List<Reduction> reductions) {
            return PairTileOps.this.reduce(pairs, reductions).get();
        }

        @Override
        public void add(Scalars scalar, double factor, Tensor target) {
            target.set(target.toDoubles()[0] + factor * scalar.at(0));
        }

        @Override
        public void close() {}
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
        check(pairs, terms, gradients);
        checkLike("dx", gradients.dx(), pairs.x());
        checkLike("dy", gradients.dy(), pairs.y());
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
        check(pairs, terms, products);
        int width = factors.width();
        if (dx != null) {
            Checks.shape("products", "columns", factors.columns(), dtype, pairs.pairing().m(), width);
            Checks.shape("products", "dx", dx, dtype, pairs.pairing().n(), width);
        }
        if (dy != null) {
            Checks.shape("products", "rows", factors.rows(), dtype, pairs.pairing().n(), width);
            Checks.shape("products", "dy", dy, dtype, pairs.pairing().m(), width);
        }
        gradientUnchecked(pairs, List.copyOf(terms), factors, products, factor);
    }

    private void check(Pairs pairs, List<Term> terms, PairwiseOps.Gradients gradients) {
        check("gradient", pairs);
        for (Term term : terms) {
            checkShift("gradient", pairs.pairing(), term.shift());
            checkCount(
                    "gradient", "row weight", term.rowWeight(), pairs.pairing().n());
            checkCount(
                    "gradient",
                    "column weight",
                    term.columnWeight(),
                    pairs.pairing().m());
        }
        for (Tensor scalar : Arrays.asList(gradients.dLogScale(), gradients.dBias())) {
            if (scalar != null) {
                Checks.shape("gradient", "dLogScale or dBias", scalar, dtype, 1);
            }
        }
    }

    /** Computes checked gradients or products; those of log-scale and bias only where the factors are x and y. */
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
        check("histogram", pairs);
        Checks.that(bins >= 1, "histogram", "expected at least one bin, got " + bins);
        return histogramUnchecked(new Pairs(pairs.x(), pairs.y(), 1.0, pairs.pairing()), bins);
    }

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

    private void check(String op, Pairs pairs) {
        Checks.rank(op, "x", pairs.x(), dtype, 2);
        Checks.rank(op, "y", pairs.y(), dtype, 2);
        Pairing pairing = pairs.pairing();
        Checks.that(
                pairs.x().dim(1) == pairs.y().dim(1) && pairs.x().dim(1) >= 1,
                op,
                "widths differ: x is " + pairs.x() + ", y is " + pairs.y());
        Checks.that(
                pairs.x().dim(0) == pairing.n() && pairs.y().dim(0) == pairing.m(),
                op,
                "the pairing is of " + pairing.n() + " x " + pairing.m() + ", x is " + pairs.x() + ", y is "
                        + pairs.y());
        Checks.that(
                pairs.scale().size() == 1
                        && (!pairs.scale().isOnHost()
                                || pairs.scale().at(0) > 0 && Double.isFinite(pairs.scale().at(0))),
                op,
                "expected a finite scale above 0, got " + pairs.scale());
        Pairing.Guide guide = pairing.guide();
        if (guide != null) {
            Checks.rank(op, "guide rows", guide.rows(), dtype, 2);
            Checks.shape(
                    op,
                    "guide columns",
                    guide.columns(),
                    dtype,
                    pairing.m(),
                    guide.rows().dim(1));
            Checks.shape(
                    op,
                    "guide rows",
                    guide.rows(),
                    dtype,
                    pairing.n(),
                    guide.rows().dim(1));
            checkCount(op, "guide limits of rows", Scalars.of(guide.rowLimits()), pairing.n());
            checkCount(op, "guide limits of columns", Scalars.of(guide.columnLimits()), pairing.m());
        }
    }

    private static void checkShift(String op, Pairing pairing, Shift shift) {
        Checks.that(shift.sign() == 1 || shift.sign() == -1, op, "expected a sign of 1 or -1, got " + shift.sign());
        checkCount(op, "shift of rows", shift.rows(), pairing.n());
        checkCount(op, "shift of columns", shift.columns(), pairing.m());
    }

    private static void checkCount(String op, String what, @Nullable Scalars given, int expected) {
        Checks.that(
                given == null || given.size() == expected || given.size() == 1,
                op,
                "expected " + expected + " scalars as " + what + ", got " + (given == null ? 0 : given.size()));
    }

    private static void checkLike(String what, @Nullable Tensor gradient, Tensor of) {
        if (gradient != null) {
            Checks.like("gradient", what, gradient, of);
        }
    }
}
