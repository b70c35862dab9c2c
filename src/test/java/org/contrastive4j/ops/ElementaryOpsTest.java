package org.contrastive4j.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.internal.numeric.Erf;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.support.Backends;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Matrix products, elementwise operations and norms of all backends against their formulas. */
class ElementaryOpsTest {
    @ParameterizedTest
    @SampledSource(
            every = 5,
            csv = {
                "cpu,1,1,1",
                "cpu,33,31,7",
                "cpu,129,103,64",
                "cpu,300,17,200",
                "cpu-f64,5,7,3",
                "cpu,3,500,400",
                "cpu,4,4,0",
                "sim,1,1,1",
                "sim,33,31,7",
                "sim,129,103,64",
                "sim,65,4,33",
                "sim,4,68,16",
                "sim,4,4,0",
                "sim,3,5,1100"
            })
    void gemm_allTransposes_agreesWithFormula(String backend, int m, int n, int k) {
        for (boolean ta : new boolean[] {false, true}) {
            for (boolean tb : new boolean[] {false, true}) {
                try (TensorFixture f = new TensorFixture(backend, 3)) {
                    double[] a = f.normal(m * k);
                    double[] b = f.normal(k * n);
                    double[] c = f.normal(m * n);
                    double[] want = new double[m * n];
                    for (int i = 0; i < m; i++) {
                        for (int j = 0; j < n; j++) {
                            for (int l = 0; l < k; l++) {
                                want[i * n + j] += a[ta ? l * m + i : i * k + l] * b[tb ? j * k + l : l * n + j];
                            }
                            want[i * n + j] = 0.5 * want[i * n + j] - 2 * c[i * n + j];
                        }
                    }
                    Tensor result = f.tensor(c, m, n);
                    Tensor left = ta ? f.tensor(a, k, m) : f.tensor(a, m, k);
                    Tensor right = tb ? f.tensor(b, n, k) : f.tensor(b, k, n);
                    f.ops.matrix().gemm(ta, tb, 0.5, left, right, -2, result);
                    f.assertClose("gemm " + ta + tb, want, result, 8 + 4 * Math.sqrt(k) * 4);
                    Tensor wrong = f.poisoned(m + 1, n);
                    assertThrows(ShapeException.class, () -> f.ops.matrix().gemm(ta, tb, 1, left, right, 0, wrong));
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "cpu,33,31,7",
        "cpu,257,96,40",
        "cpu-f64,5,7,3",
        "sim,33,31,7",
        "sim,257,96,40",
        "sim,600,5,33",
        "sim,3,600,4"
    })
    void linear_andBiasGradient_agreeWithFormula(String backend, int rows, int in, int out) {
        try (TensorFixture f = new TensorFixture(backend, 4)) {
            double[] x = f.normal(rows * in);
            double[] w = f.normal(in * out);
            double[] bias = f.normal(out);
            double[] want = new double[rows * out];
            double[] sums = new double[out];
            for (int r = 0; r < rows; r++) {
                for (int j = 0; j < out; j++) {
                    want[r * out + j] = bias[j];
                    for (int l = 0; l < in; l++) {
                        want[r * out + j] += x[r * in + l] * w[l * out + j];
                    }
                }
            }
            Tensor y = f.poisoned(rows, out);
            f.ops.matrix().linear(f.tensor(x, rows, in), f.tensor(w, in, out), f.tensor(bias, out), y);
            f.assertClose("linear", want, y, 16 * Math.sqrt(in));
            double[] dy = f.normal(rows * out);
            for (int i = 0; i < dy.length; i++) {
                sums[i % out] += dy[i];
            }
            Tensor dBias = f.tensor(new double[out], out);
            f.ops.matrix().biasGradient(f.tensor(dy, rows, out), dBias);
            f.assertClose("bias gradient", sums, dBias, 16 * Math.sqrt(rows));
        }
    }

    /** Backend, rows, width: all sizes on every backend but those that take the simulator long. */
    static Stream<Arguments> rows() {
        int[][] sizes = {{1, 1}, {33, 31}, {9, 5}, {5, 32}, {70, 8}, {3, 129}, {2, 644}, {129, 96}, {1000, 33}};
        return Backends.all()
                .flatMap(backend -> Arrays.stream(sizes)
                        .filter(size -> !backend.startsWith("sim") || size[0] * size[1] < 4000)
                        .map(size -> Arguments.of(backend, size[0], size[1])));
    }

    @ParameterizedTest
    @SampledSource(value = "rows", every = 3)
    void norms_agreeWithFormula(String backend, int rows, int width) {
        try (TensorFixture f = new TensorFixture(backend, 5)) {
            double[] x = f.normal(rows * width);
            if (rows > 2) {
                Arrays.fill(x, width, 2 * width, 0);
            }
            double[] gamma = f.normal(width);
            double[] beta = f.normal(width);
            double[] normed = new double[x.length];
            double[] unit = new double[x.length];
            double[] inverse = new double[rows];
            for (int r = 0; r < rows; r++) {
                double mean = 0;
                double squares = 0;
                double variance = 0;
                for (int j = 0; j < width; j++) {
                    mean += x[r * width + j] / width;
                    squares += x[r * width + j] * x[r * width + j];
                }
                for (int j = 0; j < width; j++) {
                    variance += Math.pow(x[r * width + j] - mean, 2) / width;
                }
                inverse[r] = squares == 0 ? 0 : 1 / Math.sqrt(squares);
                for (int j = 0; j < width; j++) {
                    int at = r * width + j;
                    normed[at] = gamma[j] * (x[at] - mean) / Math.sqrt(variance + 1e-5) + beta[j];
                    unit[at] = x[at] * inverse[r];
                }
            }
            Tensor in = f.tensor(x, rows, width);
            Tensor y = f.poisoned(rows, width);
            f.ops.norm()
                    .layerNorm(
                            in,
                            f.tensor(gamma, width),
                            f.tensor(beta, width),
                            1e-5,
                            y,
                            f.poisoned(rows),
                            f.poisoned(rows));
            f.assertClose("layer norm", normed, y, width == 1 ? 1000 : 64);
            Tensor inverseNorm = f.poisoned(rows);
            f.ops.norm().l2Normalize(in, y, inverseNorm);
            f.assertClose("unit rows", unit, y, 4);
            f.assertClose("inverse norms", inverse, inverseNorm, 4);
        }
    }

    /** Squares of these overflow or vanish in f32. */
    @ParameterizedTest
    @MethodSource("org.contrastive4j.support.Backends#f32")
    void l2Normalize_extremeNorms_stayFinite(String backend) {
        for (double size : new double[] {1e-30, 1e30}) {
            checkExtremeNorms(backend, size);
        }
    }

    private static void checkExtremeNorms(String backend, double size) {
        try (TensorFixture f = new TensorFixture(backend, 5)) {
            Tensor y = f.poisoned(1, 2);
            f.ops.norm()
                    .l2Normalize(
                            f.tensor(new double[] {(float) (3 * size), (float) (4 * size)}, 1, 2), y, f.poisoned(1));
            f.assertClose("unit row", new double[] {0.6, 0.8}, y, 4);
        }
    }

    /** A norm below the smallest normal number has no finite reciprocal: the row counts as a row of zeros. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu", "sim", "cpu-f64"})
    void l2Normalize_subnormalNorm_countsAsZero(String backend) {
        double least = backend.equals("cpu-f64") ? Double.MIN_NORMAL : Float.MIN_NORMAL;
        double[] sizes = {least / 1024, least / 8, 0, 2 * least, least * 0x1p40, 0x1.8p10};
        try (TensorFixture f = new TensorFixture(backend, 5)) {
            double[] rows = new double[3 * sizes.length];
            double[] unit = new double[rows.length];
            double[] gradient = new double[rows.length];
            for (int k = 0; k < sizes.length; k++) {
                double[] row = {2, 1, -2};
                for (int c = 0; c < 3; c++) {
                    rows[3 * k + c] = row[c] / 3 * sizes[k];
                    unit[3 * k + c] = sizes[k] >= least ? row[c] / 3 : 0;
                    gradient[3 * k + c] = c - 1;
                }
            }
            Tensor y = f.poisoned(sizes.length, 3);
            Tensor inverse = f.poisoned(sizes.length);
            f.ops.norm().l2Normalize(f.tensor(rows, sizes.length, 3), y, inverse);
            f.assertClose("unit rows", unit, y, 4);
            Tensor dx = f.tensor(gradient, sizes.length, 3);
            f.ops.norm().l2NormalizeBackward(y, inverse, dx, dx);
            double[] inverses = inverse.toDoubles();
            double[] gradients = dx.toDoubles();
            for (int k = 0; k < sizes.length; k++) {
                assertEquals(sizes[k] >= least, inverses[k] > 0, "row " + k);
                for (int c = 0; c < 3; c++) {
                    assertTrue(Double.isFinite(gradients[3 * k + c]), "row " + k + ": " + gradients[3 * k + c]);
                    assertEquals(sizes[k] >= least, gradients[3 * k + c] != 0, "row " + k);
                }
            }
        }
    }

    static Stream<Arguments> sizes() {
        return Backends.all()
                .flatMap(backend -> IntStream.of(1, 2, 4, 31, 1023, 1026, 2053, 8191, 8193, 40000)
                        .filter(size -> !backend.startsWith("sim") || size < 8000)
                        .mapToObj(size -> Arguments.of(backend, size)));
    }

    @ParameterizedTest
    @SampledSource(value = "sizes", every = 3)
    void pointwise_inPlaceAndNot_agrees(String backend, int size) {
        try (TensorFixture f = new TensorFixture(backend, 6)) {
            double[] a = f.normal(size);
            double[] b = f.normal(size);
            Tensor x = f.tensor(a, size);
            Tensor z = f.tensor(b, size);
            Tensor y = f.poisoned(size);
            f.ops.pointwise().add(x, z, y);
            f.assertClose("add", combine(a, b, 1, 1), y, 2);
            f.ops.pointwise().axpy(-0.5, x, z);
            f.assertClose("axpy", combine(a, b, -0.5, 1), z, 2);
            f.ops.pointwise().scale(3, x, x);
            f.assertClose("scale", combine(a, b, 3, 0), x, 2);
            f.ops.pointwise().copy(x, y);
            f.assertSameBits("copy", x, y);
            f.ops.pointwise().fill(y, 7);
            f.assertClose("fill", combine(a, b, 0, 0, 7), y, 0);
            assertEquals(-1, f.ops.update().firstNonFinite(x).get());
            double squares = Arrays.stream(x.toDoubles()).map(v -> v * v).sum();
            assertEquals(squares, f.ops.update().sumOfSquares(x).get(), 1e-6 * squares);
            double[] bad = x.toDoubles();
            bad[size - 1] = Double.NaN;
            assertEquals(
                    size - 1, f.ops.update().firstNonFinite(f.tensor(bad, size)).get());
            bad[size / 2] = Double.NEGATIVE_INFINITY;
            assertEquals(
                    size / 2, f.ops.update().firstNonFinite(f.tensor(bad, size)).get());
            assertThrows(
                    ShapeException.class, () -> f.ops.pointwise().add(x, f.tensor(new double[2 * size], 2 * size), y));
        }
    }

    private static double[] combine(double[] a, double[] b, double alpha, double beta, double... plus) {
        double[] sum = new double[a.length];
        Arrays.setAll(sum, i -> alpha * a[i] + beta * b[i] + (plus.length > 0 ? plus[0] : 0));
        return sum;
    }

    @ParameterizedTest
    @MethodSource("org.contrastive4j.support.Backends#all")
    void gelu_agreesWithDefinition(String backend) {
        try (TensorFixture f = new TensorFixture(backend, 7)) {
            double[] x = new double[2001];
            Arrays.setAll(x, i -> (float) (-10 + 20.0 * i / 2000));
            double[] exact = Arrays.stream(x).map(v -> v * Erf.normal(v)).toArray();
            double slope = backend.equals("cpu-f64") ? 1.702 : 1.702f;
            double[] quick =
                    Arrays.stream(x).map(v -> v / (1 + Math.exp(-slope * v))).toArray();
            Tensor y = f.poisoned(2001);
            f.ops.pointwise().gelu(PointwiseOps.Gelu.EXACT, f.tensor(x, 2001), y);
            f.assertClose("gelu", exact, y, backend.equals("cpu-f64") ? 8 : 33); // 33 x 2^-24 = 2e-6
            f.ops.pointwise().gelu(PointwiseOps.Gelu.QUICK, f.tensor(x, 2001), y);
            f.assertClose("quick gelu", quick, y, backend.equals("cpu-f64") ? 8 : 33);
        }
    }

    /** Kept and dropped elements of 16 bits are those of the cpu. */
    @ParameterizedTest
    @SampledSource(value = "org.contrastive4j.support.Backends#sixteenBits", every = 4)
    void dropout_sixteenBits_sameMaskAsCpu(String backend) {
        RandomKey key = new RandomKey(0xFEDCBA9876543210L, -3, 1 << 20);
        for (int width : new int[] {1, 31, 128, 1027, 1028}) {
            double[] ones = new double[2 * width];
            Arrays.fill(ones, 1);
            try (TensorFixture cpu = new TensorFixture("cpu", 8);
                    TensorFixture kernels = new TensorFixture(backend, 8)) {
                double[][] kept = new double[2][];
                for (TensorFixture f : new TensorFixture[] {cpu, kernels}) {
                    Tensor y = f.poisoned(2, width);
                    f.ops.pointwise().dropout(f.tensor(ones, 2, width), f.ints(new int[] {7, -1}, 2), 0.5, key, y);
                    kept[f == cpu ? 0 : 1] = y.toDoubles();
                }
                assertArrayEquals(kept[0], kept[1], backend + ", width " + width);
            }
        }
    }

    /** Tensors of parameters stay f32 beside activations of 16 bits. */
    @ParameterizedTest
    @MethodSource("org.contrastive4j.support.Backends#sixteenBits")
    void parameters_sixteenBitActivations_stayF32(String backend) {
        try (TensorFixture f = new TensorFixture(backend, 9)) {
            double[] a = f.normal(37);
            double[] b = f.normal(37);
            a[3] = 1 + 0x1p-23;
            Tensor x = f.parameter(a, 37);
            Tensor y = f.parameter(b, 37);
            f.ops.pointwise().axpy(1, x, y);
            f.assertClose("axpy", combine(a, b, 1, 1), y, 2);
            f.ops.pointwise().fill(y, 1 + 0x1p-23);
            assertEquals(1 + 0x1p-23, y.toDoubles()[36]);
            assertEquals(
                    Arrays.stream(a).map(v -> v * v).sum(),
                    f.ops.update().sumOfSquares(x).get(),
                    1e-5);
            Tensor activations = f.tensor(b, 37);
            assertThrows(ShapeException.class, () -> f.ops.pointwise().add(x, activations, x));
            assertThrows(ShapeException.class, () -> f.ops.update().sumOfSquares(activations));
            assertThrows(
                    ShapeException.class,
                    () -> f.ops.norm()
                            .layerNorm(
                                    activations,
                                    activations,
                                    y,
                                    1e-5,
                                    activations,
                                    f.poisonedParameter(1),
                                    f.poisonedParameter(1)));
        }
    }

    static Stream<Arguments> dropouts() {
        return Backends.kernels()
                .flatMap(backend ->
                        IntStream.of(1, 3, 4, 31, 128, 1025, 2052).mapToObj(width -> Arguments.of(backend, width)));
    }

    @ParameterizedTest
    @SampledSource(value = "dropouts", every = 5)
    void dropout_everyBackend_sameMaskAsCpu(String backend, int width) {
        RandomKey key = new RandomKey(0xFEDCBA9876543210L, -3, 1 << 20);
        for (double p : new double[] {0, 0.1, 0.5, 0.999, Math.nextDown(1.0)}) {
            try (TensorFixture cpu = new TensorFixture("cpu", 8);
                    TensorFixture kernels = new TensorFixture(backend, 8)) {
                double[][] masked = new double[2][];
                for (TensorFixture f : new TensorFixture[] {cpu, kernels}) {
                    Tensor x = f.tensor(f.normal(3 * width), 3, width);
                    Tensor y = f.poisoned(3, width);
                    Tensor ids = f.ints(new int[] {7, -1, Integer.MIN_VALUE}, 3);
                    f.ops.pointwise().dropout(x, ids, p, key, y);
                    f.ops.pointwise().dropout(x, ids, p, key, x);
                    f.assertSameBits("in place", y, x);
                    masked[f == cpu ? 0 : 1] = y.toDoubles();
                }
                assertArrayEquals(masked[0], masked[1], backend + ", p " + p);
            }
        }
    }
}
