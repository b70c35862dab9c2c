package org.contrastive4j.ops;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One f64 scalar for each row or each column of a batch, such as a log-sum-exp or a weight; or a single scalar, which
 * stands for all rows and columns.
 *
 * <p>A loss combines the results of reductions by the methods of this class. They run where the scalars are: at once on
 * the host, or as kernels in stream order on a device, so that the host need not wait. Both operands of a method have
 * as many elements, or one of them is a single scalar.
 *
 * <p>Memory: 8 bytes for each element of each result, until the {@link Scope} that it came from is closed.
 *
 * <p>Numerics: f64. A NaN is passed on, except by {@link #choose}.
 *
 * <p>Tested by {@code PtxScalarsTest}.
 */
public abstract class Scalars {
    /** The functions of up to three operands. */
    public enum Function {
        /** a + b. */
        ADD,
        /** a - b. */
        SUBTRACT,
        /** a b. */
        MULTIPLY,
        /** a / b. */
        DIVIDE,
        /** The larger of a and b. */
        MAX,
        /** The smaller of a and b. */
        MIN,
        /** e^a. */
        EXP,
        /** ln(1 + e^a). */
        SOFTPLUS,
        /** b if a &gt; 0, else c. */
        CHOOSE;

        /**
         * Returns the value of the function.
         *
         * @param a first operand
         * @param b second operand; not read by a function of one operand
         * @param c third operand of CHOOSE
         * @return the value
         */
        public double of(double a, double b, double c) {
            return switch (this) {
                case ADD -> a + b;
                case SUBTRACT -> a - b;
                case MULTIPLY -> a * b;
                case DIVIDE -> a / b;
                case MAX -> Math.max(a, b);
                case MIN -> Math.min(a, b);
                case EXP -> Math.exp(a);
                case SOFTPLUS -> PairFunction.SOFTPLUS.of(a);
                case CHOOSE -> a > 0 ? b : c;
            };
        }
    }

    private final int size;

    /**
     * Creates scalars of a class of its own.
     *
     * @param size number of elements, at least 1
     */
    protected Scalars(int size) {
        this.size = size;
    }

    /**
     * Returns scalars on the host.
     *
     * @param values one for each row or column, or a single one; not copied
     * @return the scalars
     */
    public static Scalars of(double... values) {
        return new HostScalars(values);
    }

    /**
     * Returns the number of elements.
     *
     * @return 1 for a single scalar
     */
    public final int size() {
        return size;
    }

    /**
     * Applies a function element by element.
     *
     * @param function to apply
     * @param a first operand
     * @param b second operand
     * @param c third operand
     * @return the results, as many as the operand with most elements has
     * @throws ShapeException when the numbers of elements differ and none of them is 1
     */
    public static Scalars map(Function function, Scalars a, Scalars b, Scalars c) {
        int most = Math.max(a.size, Math.max(b.size, c.size));
        for (Scalars operand : List.of(a, b, c)) {
            Checks.that(
                    operand.size == most || operand.size == 1,
                    "scalars",
                    "operands have " + a.size + ", " + b.size + " and " + c.size + " elements, expected equal numbers");
        }
        Scalars onDevice = a.isOnHost() ? b.isOnHost() ? c : b : a;
        return onDevice.mapUnchecked(function, a, b, c, most);
    }

    /**
     * Computes {@link #map} on operands that were checked. At least one of them is of the class of this one; others may
     * be on the host.
     *
     * @param function to apply
     * @param a first operand
     * @param b second operand
     * @param c third operand
     * @param count number of results
     * @return {@code count} results
     */
    protected abstract Scalars mapUnchecked(Function function, Scalars a, Scalars b, Scalars c, int count);

    /**
     * Returns whether the elements are on the host, so that {@link #at} can be called.
     *
     * @return false for scalars on a device
     */
    public boolean isOnHost() {
        return false;
    }

    /**
     * Returns an element without waiting.
     *
     * @param i index of the row or column; a single scalar has its value at every index
     * @return the element
     * @throws UnsupportedOperationException when the scalars are on a device
     */
    public double at(int i) {
        throw new UnsupportedOperationException("these scalars are on a device; read them by values()");
    }

    /**
     * Returns all elements.
     *
     * @return the elements; complete at once on the host
     */
    public abstract Deferred<double[]> values();

    /**
     * Adds up all elements.
     *
     * @return the sum, a single scalar
     */
    public abstract Scalars sum();

    /**
     * Returns the elements of a range.
     *
     * @param from first element
     * @param to element after the last
     * @return to - from elements
     */
    public abstract Scalars slice(int from, int to);

    private Scalars with(Function function, Scalars other) {
        return map(function, this, other, this);
    }

    /**
     * Computes this + other, element by element.
     *
     * @param other second operand
     * @return this + other
     */
    public final Scalars plus(Scalars other) {
        return with(Function.ADD, other);
    }

    /**
     * Computes this - other, element by element.
     *
     * @param other second operand
     * @return this - other
     */
    public final Scalars minus(Scalars other) {
        return with(Function.SUBTRACT, other);
    }

    /**
     * Computes this times other, element by element.
     *
     * @param other second operand
     * @return the products
     */
    public final Scalars times(Scalars other) {
        return with(Function.MULTIPLY, other);
    }

    /**
     * Computes this times a constant.
     *
     * @param factor multiplied into each element
     * @return the products
     */
    public final Scalars times(double factor) {
        return times(of(factor));
    }

    /**
     * Computes this / other, element by element.
     *
     * @param other second operand
     * @return this / other
     */
    public final Scalars over(Scalars other) {
        return with(Function.DIVIDE, other);
    }

    /**
     * Computes the larger of this and other, element by element.
     *
     * @param other second operand
     * @return the larger of this and other
     */
    public final Scalars max(Scalars other) {
        return with(Function.MAX, other);
    }

    /**
     * Computes the smaller of this and other, element by element.
     *
     * @param other second operand
     * @return the smaller of this and other
     */
    public final Scalars min(Scalars other) {
        return with(Function.MIN, other);
    }

    /**
     * Computes e^this, element by element.
     *
     * @return the exponentials
     */
    public final Scalars exp() {
        return with(Function.EXP, this);
    }

    /**
     * Computes ln(1 + e^this), element by element.
     *
     * @return the results
     */
    public final Scalars softplus() {
        return with(Function.SOFTPLUS, this);
    }

    /**
     * Selects by the sign of this: elements of one operand where this is above 0, of the other where it is not, or is
     * NaN.
     *
     * @param ifPositive selected where this is above 0
     * @param otherwise selected elsewhere
     * @return the selected elements
     */
    public final Scalars choose(Scalars ifPositive, Scalars otherwise) {
        return map(Function.CHOOSE, this, ifPositive, otherwise);
    }

    /**
     * The result of a {@link PairTileOps.Reduction}.
     *
     * @param scalars one per row or column
     * @param ties number of pairs that have the largest z; null unless the kind is MAX or MAX_BELOW
     * @param first the first column with the largest z (the first row when reducing columns), -1 for none; null unless
     *     the kind is MAX or MAX_BELOW
     */
    public record Reduced(
            Scalars scalars,
            @Nullable Scalars ties,
            @Nullable Scalars first) {
        private static final int[] NONE = {};

        /**
         * Creates a result on the host.
         *
         * @param values one per row or column
         * @param counts number of pairs that have the largest z; empty unless the kind is MAX or MAX_BELOW
         * @param at the first of them; empty unless the kind is MAX or MAX_BELOW
         */
        public Reduced(double[] values, int[] counts, int[] at) {
            this(Scalars.of(values), host(counts), host(at));
        }

        /**
         * Creates the result of a SUM or LOG_SUM_EXP on the host.
         *
         * @param values one per row or column
         */
        public Reduced(double[] values) {
            this(values, NONE, NONE);
        }

        private static @Nullable Scalars host(int[] values) {
            return values.length == 0
                    ? null
                    : Scalars.of(Arrays.stream(values).asDoubleStream().toArray());
        }

        private static int[] ints(@Nullable Scalars of) {
            return of == null
                    ? NONE
                    : Arrays.stream(of.values().get())
                            .mapToInt(value -> (int) value)
                            .toArray();
        }

        /**
         * Returns the scalars on the host; waits for a device.
         *
         * @return one per row or column
         */
        public double[] values() {
            return scalars.values().get();
        }

        /**
         * Returns the ties on the host; waits for a device.
         *
         * @return one per row or column; empty unless the kind is MAX or MAX_BELOW
         */
        public int[] counts() {
            return ints(ties);
        }

        /**
         * Returns the first column or row with the largest z on the host; waits for a device.
         *
         * @return one per row or column; empty unless the kind is MAX or MAX_BELOW
         */
        public int[] at() {
            return ints(first);
        }

        /**
         * Returns the ties of a maximum.
         *
         * @return one per row or column
         */
        public Scalars requireTies() {
            return Objects.requireNonNull(ties, "only a maximum has ties");
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
        List<Reduced> reduce(PairTileOps.Pairs pairs, List<PairTileOps.Reduction> reductions);

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

    /** Scalars in an array. */
    private static final class HostScalars extends Scalars {
        private final double[] values;

        HostScalars(double[] values) {
            super(values.length);
            this.values = values;
        }

        @Override
        protected Scalars mapUnchecked(Function function, Scalars a, Scalars b, Scalars c, int count) {
            double[] results = new double[count];
            Arrays.setAll(results, i -> function.of(a.at(i), b.at(i), c.at(i)));
            return new HostScalars(results);
        }

        @Override
        public boolean isOnHost() {
            return true;
        }

        @Override
        public double at(int i) {
            return values[values.length == 1 ? 0 : i];
        }

        @Override
        public Deferred<double[]> values() {
            return Deferred.of(values);
        }

        @Override
        public Scalars sum() {
            return of(Arrays.stream(values).sum());
        }

        @Override
        public Scalars slice(int from, int to) {
            return of(Arrays.copyOfRange(values, from, to));
        }

        @Override
        public String toString() {
            return Arrays.toString(values);
        }
    }
}
