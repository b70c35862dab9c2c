package org.contrastive4j.autograd;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Compares the gradients of a function with central differences (f(x + h e) - f(x - h e)) / 2 h in f64.
 *
 * <p>The output is reduced to one scalar by a dot product with fixed random weights. Parameters of at most {@link
 * #ALL_ELEMENTS} elements are checked element by element. Larger ones are checked along random directions, so that the
 * number of function evaluations does not depend on their size.
 */
public final class GradientCheck {
    /** Parameters up to this size are checked in every element. */
    public static final int ALL_ELEMENTS = 64;

    private static final int DIRECTIONS = 3;
    private static final double LARGE_STEP = 1e-3;
    private static final double SMALL_STEP = 1e-6;
    private static final double STANDARD_DEVIATIONS = 4;

    private final Ops ops;
    private final long seed;
    private final double step;

    /**
     * Creates a check with a relative step of 1e-5.
     *
     * @param ops a backend in f64, e.g. {@code Backend.open("cpu-f64")}; central differences in f32 are too inaccurate
     * @param seed of weights and directions
     */
    public GradientCheck(Ops ops, long seed) {
        this(ops, seed, 1e-5);
    }

    /**
     * Creates a check.
     *
     * @param ops a backend in f64
     * @param seed of weights and directions
     * @param step h relative to max(1, |x|)
     * @throws IllegalArgumentException when the backend is not in f64
     */
    public GradientCheck(Ops ops, long seed, double step) {
        if (ops.dtype() != DType.F64) {
            throw new IllegalArgumentException("expected an f64 backend for a gradient check, got " + ops.name());
        }
        this.ops = ops;
        this.seed = seed;
        this.step = step;
    }

    /**
     * One comparison of two derivatives.
     *
     * @param parameter name of the parameter
     * @param where element or direction
     * @param backward derivative by the backward pass
     * @param difference derivative by central differences
     * @param scale largest derivative of the parameter
     */
    public record Entry(String parameter, String where, double backward, double difference, double scale) {
        /**
         * Returns |backward - difference| / max(scale, 1e-3).
         *
         * @return the relative error
         */
        public double error() {
            return Math.abs(backward - difference) / Math.max(scale, 1e-3);
        }

        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT,
                    "%s %s: backward %.10g, difference %.10g, relative error %.2g",
                    parameter,
                    where,
                    backward,
                    difference,
                    error());
        }
    }

    /**
     * All comparisons of a check.
     *
     * @param entries in the order of the parameters
     */
    public record Report(List<Entry> entries) {
        /**
         * Returns the comparison with the largest error.
         *
         * @return the entry; one whose error is NaN if there is one
         */
        public Entry worst() {
            return entries.stream()
                    .max((a, b) -> Double.compare(rank(a), rank(b)))
                    .orElseThrow();
        }

        private static double rank(Entry entry) {
            return Double.isNaN(entry.error()) ? Double.POSITIVE_INFINITY : entry.error();
        }

        /**
         * Checks all comparisons.
         *
         * @param tolerance maximum relative error
         * @throws GradientMismatchException when an error is larger than the tolerance or NaN
         */
        public void require(double tolerance) {
            if (!(worst().error() <= tolerance)) {
                throw new GradientMismatchException(worst() + ", expected a relative error of at most " + tolerance);
            }
        }
    }

    /** Thrown when a gradient differs from central differences. */
    public static final class GradientMismatchException extends RuntimeException {
        GradientMismatchException(String message) {
            super(message);
        }
    }

    /**
     * Checks the gradient of every parameter. Accumulated gradients are overwritten; values are restored.
     *
     * @param function deterministic; computes a variable from the parameters on the given tape
     * @param parameters to check
     * @return all comparisons
     */
    public Report run(Function<Tape, Variable> function, List<Parameter> parameters) {
        parameters.forEach(Parameter::zeroGradient);
        double[] weights = backward(function);
        List<Entry> entries = new ArrayList<>();
        SplittableRandom random = new SplittableRandom(seed);
        for (Parameter parameter : parameters) {
            check(function, parameter, weights, random, entries);
        }
        return new Report(entries);
    }

    /**
     * Checks a gradient of a function of an array that was computed without a tape. Uses fourth-order differences along
     * random directions and, for at most {@link #ALL_ELEMENTS} elements, along each axis.
     *
     * @param what name for the error message
     * @param f the function, in f64
     * @param x point at which the gradient was computed
     * @param gradient to check
     * @param tolerance relative to 1 + |derivative| for an element, to 1 + |gradient| for a direction
     * @param seed of the directions
     * @throws GradientMismatchException when a derivative differs
     */
    public static void require(
            String what, ToDoubleFunction<double[]> f, double[] x, double[] gradient, double tolerance, long seed) {
        requireLength(what, x, gradient);
        for (int i = 0; i < x.length && x.length <= ALL_ELEMENTS; i++) {
            compare(
                    what + ", element " + i,
                    fourthOrder(f, x, unit(x.length, i), LARGE_STEP),
                    gradient[i],
                    tolerance * (1 + Math.abs(gradient[i])));
        }
        Random random = new Random(seed);
        double norm = Math.sqrt(dot(gradient, gradient));
        for (int trial = 0; trial < DIRECTIONS; trial++) {
            double[] direction = random.doubles(x.length, -1, 1).toArray();
            compare(
                    what + ", direction " + trial + ", seed " + seed,
                    fourthOrder(f, x, direction, LARGE_STEP),
                    dot(direction, gradient),
                    tolerance * (1 + norm));
        }
    }

    /**
     * Checks some elements of a gradient, each within its own error bound, and the whole gradient along random
     * directions. The tolerance along a direction is 4 standard deviations of the sum of independent errors of these
     * sizes.
     *
     * <p>The step is 1e-6, so that a step rarely crosses the kink of a hinge or of a maximum. The differences are
     * accurate to about 1e-9.
     *
     * @param what name for the error message
     * @param f the function, in f64
     * @param x point at which the gradient was computed
     * @param gradient to check
     * @param elements to check one by one
     * @param bounds of the error of each element of the gradient
     * @param seed of the directions
     * @throws GradientMismatchException when a derivative differs
     */
    public static void require(
            String what,
            ToDoubleFunction<double[]> f,
            double[] x,
            double[] gradient,
            int[] elements,
            double[] bounds,
            long seed) {
        requireLength(what, x, gradient);
        for (int i : elements) {
            compare(what + ", element " + i, fourthOrder(f, x, unit(x.length, i), SMALL_STEP), gradient[i], bounds[i]);
        }
        Random random = new Random(seed);
        for (int trial = 0; trial < DIRECTIONS; trial++) {
            double[] direction = random.doubles(x.length, -1, 1).toArray();
            double squares = 0;
            for (int i = 0; i < x.length; i++) {
                squares += direction[i] * bounds[i] * direction[i] * bounds[i];
            }
            compare(
                    what + ", direction " + trial + ", seed " + seed,
                    fourthOrder(f, x, direction, SMALL_STEP),
                    dot(direction, gradient),
                    STANDARD_DEVIATIONS * Math.sqrt(squares));
        }
    }

    private static void requireLength(String what, double[] x, double[] gradient) {
        if (x.length != gradient.length) {
            throw new IllegalArgumentException(
                    what + ": expected a gradient of " + x.length + " elements, got " + gradient.length);
        }
    }

    private static void compare(String what, double expected, double actual, double tolerance) {
        if (!(Math.abs(expected - actual) <= tolerance) && expected != actual) {
            throw new GradientMismatchException(
                    what + ": expected " + expected + " within " + tolerance + ", got " + actual);
        }
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    /** Returns the derivative along a direction, with an error of order h^4. */
    private static double fourthOrder(ToDoubleFunction<double[]> f, double[] x, double[] direction, double h) {
        return (4 * secondOrder(f, x, direction, h) - secondOrder(f, x, direction, 2 * h)) / 3;
    }

    /** Returns the derivative along a direction, with an error of order h^2. */
    private static double secondOrder(ToDoubleFunction<double[]> f, double[] x, double[] direction, double h) {
        return (f.applyAsDouble(moved(x, direction, h)) - f.applyAsDouble(moved(x, direction, -h))) / (2 * h);
    }

    private static double[] moved(double[] x, double[] direction, double h) {
        double[] moved = x.clone();
        for (int i = 0; i < moved.length; i++) {
            moved[i] += h * direction[i];
        }
        return moved;
    }

    private double[] backward(Function<Tape, Variable> function) {
        try (Tape tape = Tape.recording(ops)) {
            Variable output = function.apply(tape);
            double[] weights = new SplittableRandom(seed ^ 0x9E3779B97F4A7C15L)
                    .doubles(output.value().size(), -1, 1)
                    .toArray();
            try (Tensor seeds = ops.tensor(output.shape(), weights)) {
                tape.backward(output, seeds);
            }
            return weights;
        }
    }

    private void check(
            Function<Tape, Variable> function,
            Parameter parameter,
            double[] weights,
            SplittableRandom random,
            List<Entry> entries) {
        double[] gradient = parameter.gradient().toDoubles();
        int size = gradient.length;
        boolean all = size <= ALL_ELEMENTS;
        int count = all ? size : DIRECTIONS;
        double[] backward = new double[count];
        double[] difference = new double[count];
        double largest = 0;
        for (int k = 0; k < count; k++) {
            double[] direction =
                    all ? unit(size, k) : random.doubles(size, -1, 1).toArray();
            for (int i = 0; i < size; i++) {
                backward[k] += gradient[i] * direction[i];
            }
            difference[k] = slope(function, parameter, direction, weights);
            largest = Math.max(largest, Math.max(Math.abs(backward[k]), Math.abs(difference[k])));
        }
        for (int k = 0; k < count; k++) {
            entries.add(new Entry(
                    parameter.name(), (all ? "element " : "direction ") + k, backward[k], difference[k], largest));
        }
    }

    private static double[] unit(int size, int k) {
        double[] direction = new double[size];
        direction[k] = 1;
        return direction;
    }

    private double slope(Function<Tape, Variable> function, Parameter parameter, double[] direction, double[] weights) {
        double[] before = parameter.value().toDoubles();
        double magnitude = 1;
        for (double value : before) {
            magnitude = Math.max(magnitude, Math.abs(value));
        }
        double h = step * magnitude;
        try {
            return secondOrder(x -> at(function, parameter, x, weights), before, direction, h);
        } finally {
            parameter.value().set(before);
        }
    }

    private double at(Function<Tape, Variable> function, Parameter parameter, double[] x, double[] weights) {
        parameter.value().set(x);
        try (Tape tape = Tape.inference(ops)) {
            double[] output = function.apply(tape).value().toDoubles();
            double sum = 0;
            for (int i = 0; i < output.length; i++) {
                sum += output[i] * weights[i];
            }
            return sum;
        }
    }
}
