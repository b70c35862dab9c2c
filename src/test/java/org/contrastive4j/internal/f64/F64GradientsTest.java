package org.contrastive4j.internal.f64;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.PairwiseOps.Gradients;
import org.contrastive4j.ops.PairwiseOps.InfoNce;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The backward passes of the f64 reference backend against central differences of its forward passes. */
class F64GradientsTest {
    private static final double TOLERANCE = 1e-9;

    private static void with(Consumer<TensorFixture> test) {
        try (TensorFixture fixture = new TensorFixture("cpu-f64", 31)) {
            test.accept(fixture);
        }
    }

    @ParameterizedTest
    @EnumSource(Gelu.class)
    void geluBackward_agreesWithDifferences(Gelu kind) {
        with(f -> {
            double[] x = f.normal(41);
            double[] dy = f.normal(41);
            Tensor dx = f.poisoned(41);
            f.ops.pointwise().geluBackward(kind, f.tensor(x, 41), f.tensor(dy, 41), dx);
            GradientCheck.require(
                    "gelu " + kind,
                    values -> {
                        Tensor y = f.poisoned(41);
                        f.ops.pointwise().gelu(kind, f.tensor(values, 41), y);
                        return TensorFixture.dot(dy, y.toDoubles());
                    },
                    x,
                    dx.toDoubles(),
                    TOLERANCE,
                    1);
        });
    }

    @Test
    void layerNormBackward_agreesWithDifferences() {
        with(f -> {
            double[] x = f.normal(5 * 9);
            double[] gamma = f.normal(9);
            double[] beta = f.normal(9);
            double[] dy = f.normal(5 * 9);
            Tensor mean = f.poisoned(5);
            Tensor rstd = f.poisoned(5);
            f.ops.norm()
                    .layerNorm(
                            f.tensor(x, 5, 9),
                            f.tensor(gamma, 9),
                            f.tensor(beta, 9),
                            1e-3,
                            f.poisoned(5, 9),
                            mean,
                            rstd);
            Tensor dx = f.tensor(dy, 5, 9);
            Tensor dGamma = f.tensor(new double[9], 9);
            Tensor dBeta = f.tensor(new double[9], 9);
            f.ops.norm().layerNormBackward(f.tensor(x, 5, 9), f.tensor(gamma, 9), mean, rstd, dx, dx, dGamma, dBeta);
            Function<double[][], Double> value = in -> {
                Tensor y = f.poisoned(5, 9);
                f.ops.norm()
                        .layerNorm(
                                f.tensor(in[0], 5, 9),
                                f.tensor(in[1], 9),
                                f.tensor(in[2], 9),
                                1e-3,
                                y,
                                f.poisoned(5),
                                f.poisoned(5));
                return TensorFixture.dot(dy, y.toDoubles());
            };
            GradientCheck.require(
                    "x", v -> value.apply(new double[][] {v, gamma, beta}), x, dx.toDoubles(), TOLERANCE, 2);
            GradientCheck.require(
                    "gamma", v -> value.apply(new double[][] {x, v, beta}), gamma, dGamma.toDoubles(), TOLERANCE, 3);
            GradientCheck.require(
                    "beta", v -> value.apply(new double[][] {x, gamma, v}), beta, dBeta.toDoubles(), TOLERANCE, 4);
        });
    }

    @Test
    void l2NormalizeBackward_agreesWithDifferences() {
        with(f -> {
            double[] x = f.normal(5 * 9);
            double[] dy = f.normal(5 * 9);
            Tensor y = f.poisoned(5, 9);
            Tensor inverse = f.poisoned(5);
            Tensor dx = f.tensor(dy, 5, 9);
            f.ops.norm().l2Normalize(f.tensor(x, 5, 9), y, inverse);
            f.ops.norm().l2NormalizeBackward(y, inverse, dx, dx);
            GradientCheck.require(
                    "l2Normalize",
                    v -> {
                        Tensor unit = f.poisoned(5, 9);
                        f.ops.norm().l2Normalize(f.tensor(v, 5, 9), unit, f.poisoned(5));
                        return TensorFixture.dot(dy, unit.toDoubles());
                    },
                    x,
                    dx.toDoubles(),
                    TOLERANCE,
                    5);
        });
    }

    @Test
    void l2Normalize_extremeNorms_stayFinite() {
        with(f -> {
            Tensor y = f.poisoned(4, 2);
            Tensor inverse = f.poisoned(4);
            f.ops.norm()
                    .l2Normalize(f.tensor(new double[] {3e200, 4e200, 3e-200, -4e-200, 0, 0, 0, 5}, 4, 2), y, inverse);
            f.assertClose("y", new double[] {0.6, 0.8, 0.6, -0.8, 0, 0, 0, 1}, y, 4);
            double[] given = inverse.toDoubles();
            double[] expected = {2e-201, 2e199, 0, 0.2};
            for (int i = 0; i < 4; i++) {
                assertEquals(expected[i], given[i], 1e-15 * expected[i]);
            }
        });
    }

    /** Returns rows, columns, width, targets. */
    static Stream<Arguments> losses() {
        return Stream.of(
                Arguments.of(4, 4, 3, null),
                Arguments.of(3, 7, 2, null),
                Arguments.of(1, 1, 1, null),
                Arguments.of(5, 4, 3, new int[] {2, 2, 0, 3, 2}),
                Arguments.of(9, 13, 11, null),
                Arguments.of(3, 1, 2, new int[3]),
                Arguments.of(2, 6, 3, new int[] {5, 1}));
    }

    @ParameterizedTest
    @MethodSource("losses")
    void infoNceGradients_agreeWithDifferences(int n, int m, int d, int[] targets) {
        with(f -> {
            double[][] in = {f.normal(n * d), f.normal(m * d), {0.7}, {-0.3}};
            Tensor belongs = targets == null ? null : f.ints(targets, n);
            Function<double[][], InfoNce> inputs = v -> new InfoNce(
                    f.tensor(v[0], n, d),
                    f.tensor(v[1], m, d),
                    belongs,
                    f.tensor(v[2], 1),
                    f.tensor(v[3], 1),
                    0.6,
                    0.3);
            Gradients gradients = new Gradients(
                    f.poisoned(n, d), f.poisoned(m, d), f.tensor(new double[] {10}, 1), f.tensor(new double[] {20}, 1));
            PairwiseOps pairwise = f.ops.pairwise();
            PairwiseOps.Result result =
                    pairwise.infoNce(inputs.apply(in), gradients, 8, null).get();
            assertEquals(loss(in, n, m, d, targets), result.loss(), 1e-13);
            double[][] given = {
                gradients.dx().toDoubles(),
                gradients.dy().toDoubles(),
                {gradients.dLogScale().toDoubles()[0] - 10},
                {gradients.dBias().toDoubles()[0] - 20}
            };
            for (int part = 0; part < 4; part++) {
                int moved = part;
                GradientCheck.require(
                        "input " + part,
                        v -> {
                            double[][] at = in.clone();
                            at[moved] = v;
                            return 8
                                    * pairwise.infoNce(inputs.apply(at), null, 1, null)
                                            .get()
                                            .loss();
                        },
                        in[part],
                        given[part],
                        1e-8,
                        6);
            }
        });
    }

    /** Computes the loss by its definition. */
    private static double loss(double[][] in, int n, int m, int d, int[] targets) {
        double[][] s = new double[n][m];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                for (int c = 0; c < d; c++) {
                    s[i][j] += Math.exp(in[2][0]) * in[0][i * d + c] * in[1][j * d + c];
                }
                s[i][j] += in[3][0];
            }
        }
        double loss = 0;
        for (int i = 0; i < n; i++) {
            int t = targets == null ? i : targets[i];
            double row = Arrays.stream(s[i]).map(Math::exp).sum();
            double column = Arrays.stream(s).mapToDouble(r -> Math.exp(r[t])).sum();
            loss += (0.6 * (Math.log(row) - s[i][t]) + 0.3 * (Math.log(column) - s[i][t])) / n;
        }
        return loss;
    }

    @Test
    void infoNce_smallLoss_keepsRelativeAccuracy() {
        with(f -> {
            double[] aligned = {1, 0, 0, 1};
            double logScale = Math.log(100);
            Gradients gradients = new Gradients(f.poisoned(2, 2), f.poisoned(2, 2), null, null);
            Tensor hardest = f.ints(new int[2], 2);
            PairwiseOps.Result result = f.ops.pairwise()
                    .infoNce(
                            new InfoNce(
                                    f.tensor(aligned, 2, 2),
                                    f.tensor(aligned, 2, 2),
                                    null,
                                    f.tensor(new double[] {logScale}, 1),
                                    null,
                                    0.5,
                                    0.5),
                            gradients,
                            1,
                            hardest)
                    .get();
            double expected = Math.log1p(Math.exp(-100));
            assertEquals(expected, result.loss(), 1e-12 * expected);
            assertEquals(1, result.rowAccuracy());
            assertEquals(1, result.columnAccuracy());
            assertEquals(100, result.meanPositive(), 1e-12);
            assertArrayEquals(new int[] {1, 0}, hardest.toInts());
            double g = 100 * expected / 2; // s G of a positive is -g, of a negative g
            double[] dx = gradients.dx().toDoubles();
            double[] signed = {-g, g, g, -g};
            for (int i = 0; i < 4; i++) {
                assertEquals(signed[i], dx[i], 1e-12 * g, "element " + i);
            }
        });
    }

    @Test
    void infoNce_ties_areNotHits() {
        with(f -> {
            Tensor same = f.tensor(new double[] {1, 1, 1}, 3, 1);
            PairwiseOps.Result result = f.ops.pairwise()
                    .infoNce(
                            new InfoNce(same, same, null, f.tensor(new double[] {0}, 1), null, 0.5, 0.5), null, 1, null)
                    .get();
            assertEquals(0, result.rowAccuracy());
            assertEquals(0, result.columnAccuracy());
            assertTrue(Math.abs(result.loss() - Math.log(3)) < 1e-15);
        });
    }
}
