package org.contrastive4j.autograd;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** {@link GradientCheck} of plain functions; of functions on a tape, see FunctionsTest. */
class GradientCheckTest {
    private static double wave(double[] x) {
        return Math.sin(x[0]) * x[1] + x[1] * x[1];
    }

    @Test
    void require_wrongElement_isRefused() {
        double[] x = {0.3, -0.7};
        double[] gradient = {Math.cos(0.3) * -0.7, Math.sin(0.3) - 1.4};
        GradientCheck.require("wave", GradientCheckTest::wave, x, gradient, 1e-11, 1);
        gradient[1] += 1e-6;
        assertThrows(
                GradientCheck.GradientMismatchException.class,
                () -> GradientCheck.require("wave", GradientCheckTest::wave, x, gradient, 1e-8, 1));
    }

    @Test
    void require_oneWrongElementOfMany_isRefused() {
        double[] x = new double[500];
        double[] gradient = new double[500];
        Arrays.fill(gradient, 2);
        gradient[321] = 2.1;
        assertThrows(
                GradientCheck.GradientMismatchException.class,
                () -> GradientCheck.require(
                        "sum", values -> 2 * Arrays.stream(values).sum(), x, gradient, 1e-8, 2));
    }

    /** Each element has its own bound; an element that is not asked about is seen along directions. */
    @Test
    void require_elementOutOfItsBound_isRefused() {
        double[] x = {0.3, -0.7, 0.1};
        double[] bounds = {1e-5, 1e-8, 1e-8};
        double[] gradient = {2 + 9e-6, 2, 2};
        check(x, gradient, new int[] {0, 1}, bounds);
        for (int wrong = 0; wrong < 3; wrong++) {
            double[] changed = {2, 2, 2};
            changed[wrong] += 1e4 * bounds[wrong];
            assertThrows(
                    GradientCheck.GradientMismatchException.class,
                    () -> check(x, changed, new int[] {0, 1}, bounds),
                    "element " + wrong);
        }
        gradient[2] = Double.NaN;
        assertThrows(GradientCheck.GradientMismatchException.class, () -> check(x, gradient, new int[0], bounds));
    }

    private static void check(double[] x, double[] gradient, int[] elements, double[] bounds) {
        GradientCheck.require("sum", values -> 2 * Arrays.stream(values).sum(), x, gradient, elements, bounds, 2);
    }
}
