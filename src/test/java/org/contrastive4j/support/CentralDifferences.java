package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import java.util.function.ToDoubleFunction;

/** Checks a gradient against the function's own values, at x + h and x - h in f64. */
public final class CentralDifferences {
    private static final int SMALL = 60; // elements that are all checked one by one

    private static final double STEP = 1e-3;
    private static final double SMALL_STEP = 1e-6;
    private static final double SIGMAS = 4; // of a bound that errors hardly reach

    private CentralDifferences() {}

    /**
     * Fails unless {@code gradient} is that of {@code f} at {@code x}: along random directions, and along each
     * axis when x is small.
     *
     * @param tolerance relative to 1 + |slope|, and for a direction to 1 + |gradient|
     */
    public static void check(
            String what, ToDoubleFunction<double[]> f, double[] x, double[] gradient, double tolerance, long seed) {
        assertEquals(x.length, gradient.length, what);
        for (int i = 0; i < x.length && x.length <= SMALL; i++) {
            double[] axis = new double[x.length];
            axis[i] = 1;
            compare(
                    what + ", element " + i,
                    slope(f, x, axis, STEP),
                    gradient[i],
                    tolerance * (1 + Math.abs(gradient[i])));
        }
        Random random = new Random(seed);
        double norm = Math.sqrt(dot(gradient, gradient));
        for (int trial = 0; trial < 3; trial++) {
            double[] direction = random.doubles(x.length, -1, 1).toArray();
            compare(
                    what + ", direction " + trial + ", seed " + seed,
                    slope(f, x, direction, STEP),
                    dot(direction, gradient),
                    tolerance * (1 + norm));
        }
    }

    /**
     * Fails unless each element of {@code gradient} that is asked about is within its bound of the slope of {@code f}
     * along its axis, and the whole along random directions within what such errors come to when they are independent.
     *
     * <p>Steps are of 1e-6, so that hardly any leads across a kink of a hinge or a largest; slopes are known to some
     * 1e-9.
     *
     * @param elements to check one by one
     * @param bounds what each element of the gradient may be off by
     */
    public static void check(
            String what,
            ToDoubleFunction<double[]> f,
            double[] x,
            double[] gradient,
            int[] elements,
            double[] bounds,
            long seed) {
        assertEquals(x.length, gradient.length, what);
        for (int i : elements) {
            double[] axis = new double[x.length];
            axis[i] = 1;
            compare(what + ", element " + i, slope(f, x, axis, SMALL_STEP), gradient[i], bounds[i]);
        }
        Random random = new Random(seed);
        for (int trial = 0; trial < 3; trial++) {
            double[] direction = random.doubles(x.length, -1, 1).toArray();
            double squares = 0;
            for (int i = 0; i < x.length; i++) {
                squares += direction[i] * bounds[i] * direction[i] * bounds[i];
            }
            compare(
                    what + ", direction " + trial + ", seed " + seed,
                    slope(f, x, direction, SMALL_STEP),
                    dot(direction, gradient),
                    SIGMAS * Math.sqrt(squares));
        }
    }

    private static void compare(String what, double slope, double given, double tolerance) {
        assertEquals(slope, given, tolerance, what);
    }

    /** Fourth order: the error is of h^4. */
    private static double slope(ToDoubleFunction<double[]> f, double[] x, double[] direction, double h) {
        double near = at(f, x, direction, h) - at(f, x, direction, -h);
        double far = at(f, x, direction, 2 * h) - at(f, x, direction, -2 * h);
        return (8 * near - far) / (12 * h);
    }

    private static double at(ToDoubleFunction<double[]> f, double[] x, double[] direction, double step) {
        double[] moved = x.clone();
        for (int i = 0; i < x.length; i++) {
            moved[i] += step * direction[i];
        }
        return f.applyAsDouble(moved);
    }

    public static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
