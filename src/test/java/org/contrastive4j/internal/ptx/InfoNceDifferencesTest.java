package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.PairwiseReference;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/**
 * Gradients of the InfoNCE kernels in every precision, portable and sm_90a, against central differences of the loss
 * in f64 at the rounded operands, so that the test depends on no other derivative.
 */
@Tag("gpu")
class InfoNceDifferencesTest {
    private static final int ALL = 60; // elements, else those next to the edges of tiles

    static Stream<Arguments> everywhere() {
        return InfoNceKernelSet.everywhere();
    }

    private static InfoNceCase weighted(InfoNceCase c, double scale, double rowWeight, double columnWeight) {
        c.logScale = (float) Math.log(scale);
        c.rowWeight = rowWeight;
        c.columnWeight = columnWeight;
        c.gradientScale = 3;
        return c;
    }

    /** Small problems, of which every element is checked, and problems of more than a tile or thread block. */
    private static List<InfoNceCase> cases() {
        return List.of(
                new InfoNceCase(7, 9, 5, true, 1),
                weighted(new InfoNceCase(7, 9, 5, false, 2), 6, 0.25, 0.75),
                weighted(new InfoNceCase(9, 4, 3, false, 3), 30, 1, 0),
                weighted(new InfoNceCase(5, 5, 12, true, 4), 2, 0, 1),
                new InfoNceCase(65, 70, 5, true, 5),
                weighted(new InfoNceCase(67, 130, 9, false, 6), 9, 0.5, 0.5),
                weighted(new InfoNceCase(130, 33, 2, false, 7), 20, 0.7, 0.3));
    }

    /** Compares everything with differences at exact rows. */
    private static void check(InfoNceCase c, InfoNceCase.Answer answer, Precision precision) {
        double[] x = InfoNceCase.doubles(c.x);
        double[] y = InfoNceCase.doubles(c.y);
        double[][] bounds = c.bounds(precision);
        String what = precision + ", " + c + ": ";
        check(
                what + "dx",
                rows -> value(c, rows, y, c.logScale, c.bias),
                x,
                InfoNceCase.doubles(answer.dx()),
                elements(c.n, c.d),
                bounds[0]);
        check(
                what + "dy",
                rows -> value(c, x, rows, c.logScale, c.bias),
                y,
                InfoNceCase.doubles(answer.dy()),
                elements(c.m, c.d),
                bounds[1]);
        check(
                what + "dLogScale",
                at -> value(c, x, y, at[0], c.bias),
                new double[] {c.logScale},
                new double[] {answer.dLogScale()},
                new int[] {0},
                bounds[2]);
        check(
                what + "dBias",
                at -> value(c, x, y, c.logScale, at[0]),
                new double[] {c.bias},
                new double[] {answer.dBias()},
                new int[] {0},
                bounds[3]);
    }

    private static void check(
            String what,
            ToDoubleFunction<double[]> f,
            double[] at,
            double[] gradient,
            int[] elements,
            double[] bounds) {
        GradientCheck.require(what, f, at, gradient, elements, bounds, 8);
    }

    private static double value(InfoNceCase c, double[] x, double[] y, double logScale, double bias) {
        return c.gradientScale
                * new PairwiseReference(c.n, c.m, c.d, x, y, c.targets, logScale, bias, c.rowWeight, c.columnWeight)
                        .loss;
    }

    /** Returns all elements, or those of the first and last row of each tile of 64. */
    private static int[] elements(int rows, int d) {
        return IntStream.range(0, rows * d)
                .filter(i -> rows * d <= ALL || i / d % 64 == 0 || i / d % 64 == 63 || i / d == rows - 1)
                .toArray();
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 6)
    void gradients_agreeWithCentralDifferences(String name, InfoNceKernelSet set) {
        try (PtxDevice device = Backend.device(name)) {
            Kernels kernels = new Kernels(device);
            for (InfoNceCase c : cases()) {
                check(c.seenBy(set, device, kernels), c.ask(device, set.open(kernels, 1)), set.precision);
            }
        }
    }

    /** A single element that is wrong by little more than rounding, a missing row, and a wrong scalar are rejected. */
    @ParameterizedTest
    @SampledSource(every = 4)
    void comparison_oneWrongElement_fails(InfoNceKernelSet set) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            Precision precision = set.precision;
            Kernels kernels = new Kernels(device);
            for (InfoNceCase raw : List.of(cases().get(1), cases().get(4))) {
                InfoNceCase.Answer right = raw.ask(device, set.open(kernels, 1));
                InfoNceCase c = raw.seenBy(set, device, kernels);
                double[][] bounds = c.bounds(precision);
                for (int i : new int[] {0, c.d * c.n - 1}) {
                    float[] wrong = right.dx().clone();
                    wrong[i] += (float) (2.5 * bounds[0][i]);
                    rejected(c, precision, with(wrong, right.dy(), right.dLogScale(), right.dBias()));
                }
                float[] wrong = right.dy().clone();
                for (int k = 0; k < c.d; k++) {
                    wrong[3 * c.d + k] = -wrong[3 * c.d + k];
                }
                rejected(c, precision, with(right.dx(), wrong, right.dLogScale(), right.dBias()));
                float off = (float) (2.5 * bounds[2][0]);
                rejected(c, precision, with(right.dx(), right.dy(), right.dLogScale() + off, right.dBias()));
                off = (float) (2.5 * bounds[3][0]);
                rejected(c, precision, with(right.dx(), right.dy(), right.dLogScale(), right.dBias() + off));
            }
        }
    }

    private static InfoNceCase.Answer with(float[] dx, float[] dy, float dLogScale, float dBias) {
        return new InfoNceCase.Answer(null, dx, dy, dLogScale, dBias, null);
    }

    private static void rejected(InfoNceCase c, Precision precision, InfoNceCase.Answer wrong) {
        assertThrows(
                GradientCheck.GradientMismatchException.class, () -> check(c, wrong, precision), precision + ", " + c);
    }
}
