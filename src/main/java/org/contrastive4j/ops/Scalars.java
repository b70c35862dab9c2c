package org.contrastive4j.ops;

import java.util.Arrays;
import java.util.List;

/**
 * One f64 scalar for each row or each column of a batch, such as a log-sum-exp or a weight; or a single scalar, which
 * stands for all rows and columns.
 *
 * <p>A loss combines the results of reductions by the methods of this class. They run where the scalars are: at once on
 * the host, or as kernels in stream order on a device, so that the host need not wait. Both operands of a method have
 * as many elements, or one of them is a single scalar.
 *
 * <p>Memory: 8 bytes for each element of each result, until the {@link PairTileOps.Scope} that it came from is closed.
 *
 * <p>Numerics: f64. A NaN is passed on, except by {@link #choose}.
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

    /** @param size number of elements, at least 1 */
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

    /** Returns the number of elements; 1 for a single scalar. */
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

    /** Applies a function; at least one of the operands is of the class of this one, others may be on the host. */
    protected abstract Scalars mapUnchecked(Function function, Scalars a, Scalars b, Scalars c, int count);

    /** Returns whether the elements are on the host, so that {@link #at} can be called. */
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

    /** Returns this + other. */
    public final Scalars plus(Scalars other) {
        return with(Function.ADD, other);
    }

    /** Returns this - other. */
    public final Scalars minus(Scalars other) {
        return with(Function.SUBTRACT, other);
    }

    /** Returns this times other. */
    public final Scalars times(Scalars other) {
        return with(Function.MULTIPLY, other);
    }

    /** Returns this times a constant. */
    public final Scalars times(double factor) {
        return times(of(factor));
    }

    /** Returns this / other. */
    public final Scalars over(Scalars other) {
        return with(Function.DIVIDE, other);
    }

    /** Returns the larger of this and other. */
    public final Scalars max(Scalars other) {
        return with(Function.MAX, other);
    }

    /** Returns the smaller of this and other. */
    public final Scalars min(Scalars other) {
        return with(Function.MIN, other);
    }

    /** Returns e^this. */
    public final Scalars exp() {
        return with(Function.EXP, this);
    }

    /** Returns ln(1 + e^this). */
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
