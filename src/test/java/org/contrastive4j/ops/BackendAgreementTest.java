package org.contrastive4j.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.support.Backends;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/** The backends in f32 and 16 bits against the f64 reference: every operation on the same random inputs. */
public class BackendAgreementTest {
    public static final long SEED = 20;

    /**
     * One operation; returns its results on the backend of the fixture, whose random numbers are equal for both
     * backends.
     */
    public record Case(String name, double units, Function<TensorFixture, List<Result>> run) {
        @Override
        public String toString() {
            return name;
        }
    }

    /** Results of an operation, and their type. */
    public record Result(double[] values, DType dtype) {}

    static Stream<Arguments> cases() {
        return Stream.of(
                        Stream.of(matrix(), attention(), losses())
                                .flatMap(List::stream)
                                .map(one -> Arguments.of("cpu", one)),
                        Backends.f32().stream().flatMap(backend -> ofKernels().map(one -> Arguments.of(backend, one))),
                        Backends.sixteenBits()
                                .flatMap(backend -> ofSixteenBits().map(one -> Arguments.of(backend, one))))
                .flatMap(Function.identity());
    }

    /**
     * Returns the operations that kernels compute on 16-bit activations, except attention, which rounds more than
     * results.
     */
    public static Stream<Case> ofSixteenBits() {
        return Stream.concat(
                Stream.of(pointwise(), norms(), sequences()).flatMap(List::stream),
                matrix().stream().filter(one -> !one.name.matches("(gemm|batchedGemm) .* (0.0|1.0)")));
    }

    /** Returns the operations that kernels compute. */
    public static Stream<Case> ofKernels() {
        return Stream.of(pointwise(), norms(), sequences(), updates()).flatMap(List::stream);
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 36)
    void everyOperation_agreesWithF64(String backend, Case operation) {
        try (TensorFixture f32 = new TensorFixture(backend, SEED)) {
            agree(f32, operation);
        }
    }

    /**
     * Throws if the backend of the fixture, which is fresh and of seed {@link #SEED}, differs from the f64 reference.
     */
    public static void agree(TensorFixture f32, Case operation) {
        try (TensorFixture f64 = TensorFixture.reference(f32)) {
            List<Result> given = operation.run.apply(f32);
            List<Result> expected = operation.run.apply(f64);
            for (int i = 0; i < expected.size(); i++) {
                f32.assertClose(
                        operation + ", result " + i,
                        expected.get(i).values,
                        given.get(i).values,
                        given.get(i).dtype,
                        operation.units);
            }
        }
    }

    private static Tensor random(TensorFixture fixture, int... dims) {
        return fixture.tensor(fixture.normal(Arrays.stream(dims).reduce(1, (a, b) -> a * b)), dims);
    }

    private static Tensor parameter(TensorFixture fixture, int... dims) {
        return fixture.parameter(fixture.normal(Arrays.stream(dims).reduce(1, (a, b) -> a * b)), dims);
    }

    private static List<Result> values(Tensor... tensors) {
        return Arrays.stream(tensors)
                .map(tensor -> new Result(tensor.toDoubles(), tensor.dtype()))
                .toList();
    }

    private static Result numbers(double... values) {
        return new Result(values, DType.F64);
    }

    /** b products of m x n x k. */
    public static Case batchedGemm(boolean transA, boolean transB, double beta, int b, int m, int n, int k) {
        return new Case("batchedGemm " + transA + " " + transB + " " + beta, 200, f -> {
            Tensor x = transA ? random(f, b, k, m) : random(f, b, m, k);
            Tensor y = transB ? random(f, b, n, k) : random(f, b, k, n);
            Tensor c = beta == 0 ? f.poisoned(b, m, n) : random(f, b, m, n);
            f.ops.matrix().batchedGemm(transA, transB, -0.75, x, y, beta, c);
            return values(c);
        });
    }

    private static List<Case> matrix() {
        List<Case> cases = new ArrayList<>();
        for (int transposes = 0; transposes < 4; transposes++) {
            boolean transA = (transposes & 1) != 0;
            boolean transB = (transposes & 2) != 0;
            for (double beta : new double[] {0, 1, -0.5}) {
                cases.add(new Case("gemm " + transA + " " + transB + " " + beta, 200, f -> {
                    Tensor a = transA ? random(f, 65, 33) : random(f, 33, 65);
                    Tensor b = transB ? random(f, 31, 65) : random(f, 65, 31);
                    Tensor c = beta == 0 ? f.poisoned(33, 31) : random(f, 33, 31);
                    f.ops.matrix().gemm(transA, transB, 1.5, a, b, beta, c);
                    return values(c);
                }));
                cases.add(batchedGemm(transA, transB, beta, 3, 9, 33, 17));
            }
        }
        for (boolean biased : new boolean[] {true, false}) {
            cases.add(new Case("linear " + biased, 200, f -> {
                Tensor y = f.poisoned(7, 19, 43);
                f.ops.matrix().linear(random(f, 7, 19, 61), parameter(f, 61, 43), biased ? parameter(f, 43) : null, y);
                return values(y);
            }));
        }
        for (Gelu kind : Gelu.values()) {
            cases.add(new Case("linearGelu " + kind, 200, f -> {
                Tensor z = f.poisoned(7, 19, 43);
                Tensor y = f.poisoned(7, 19, 43);
                Tensor bias = kind == Gelu.EXACT ? parameter(f, 43) : null;
                f.ops.matrix().linearGelu(kind, random(f, 7, 19, 61), parameter(f, 61, 43), bias, z, y);
                Tensor apart = f.poisoned(7, 19, 43);
                f.ops.pointwise().gelu(kind, z, apart);
                f.assertSameBits("linearGelu and gelu", apart, y);
                return values(z);
            }));
        }
        cases.add(new Case("biasGradient", 400, f -> {
            Tensor dBias = parameter(f, 37);
            f.ops.matrix().biasGradient(random(f, 5, 103, 37), dBias);
            return values(dBias);
        }));
        return cases;
    }

    private static List<Case> pointwise() {
        List<Case> cases = new ArrayList<>();
        cases.add(new Case("fill", 1, f -> {
            Tensor y = f.poisoned(9, 103);
            f.ops.pointwise().fill(y, 0.1);
            return values(y);
        }));
        cases.add(new Case("copy add axpy scale", 4, f -> {
            PointwiseOps pointwise = f.ops.pointwise();
            Tensor a = random(f, 3, 33);
            Tensor b = random(f, 3, 33);
            Tensor copy = f.poisoned(3, 33);
            Tensor sum = f.poisoned(3, 33);
            Tensor scaled = f.poisoned(3, 33);
            pointwise.copy(a, copy);
            pointwise.add(a, b, sum);
            pointwise.scale(-0.3, a, scaled);
            pointwise.axpy(2.5, a, b);
            return values(copy, sum, scaled, b);
        }));
        cases.add(new Case("clamp", 0, f -> {
            Tensor x = parameter(f, 3, 33);
            f.ops.pointwise().clamp(-0.5, 0.75, x);
            return values(x);
        }));
        for (Gelu kind : Gelu.values()) {
            cases.add(new Case("gelu " + kind, 40, f -> {
                double[] range = f.exact(IntStream.rangeClosed(-1500, 1500)
                        .mapToDouble(i -> i / 128.0)
                        .toArray());
                Tensor x = f.tensor(range, range.length);
                Tensor y = f.poisoned(range.length);
                Tensor dx = f.poisoned(range.length);
                f.ops.pointwise().gelu(kind, x, y);
                f.ops.pointwise().geluBackward(kind, x, random(f, range.length), dx);
                return values(y, dx);
            }));
        }
        for (double p : new double[] {0, 0.1, 0.5, 0.999}) {
            cases.add(new Case("dropout " + p, 2, f -> {
                Tensor y = f.poisoned(3, 33, 7);
                f.ops.pointwise()
                        .dropout(
                                random(f, 3, 33, 7),
                                f.ints(new int[] {5, -1, 1 << 30}, 3),
                                p,
                                new RandomKey(0x123456789ABCDEF0L, 17, 3),
                                y);
                return values(y);
            }));
        }
        return cases;
    }

    /** Rows of a tensor of three dimensions. */
    public static Case layerNorm(int... shape) {
        int rows = shape[0] * shape[1];
        int width = shape[2];
        return new Case("layerNorm " + Arrays.toString(shape), 100, f -> {
            Tensor x = random(f, shape);
            Tensor gamma = parameter(f, width);
            Tensor y = f.poisoned(shape);
            Tensor mean = f.poisonedParameter(rows);
            Tensor rstd = f.poisonedParameter(rows);
            f.ops.norm().layerNorm(x, gamma, parameter(f, width), 1e-5, y, mean, rstd);
            Tensor dx = f.poisoned(shape);
            Tensor dGamma = parameter(f, width);
            Tensor dBeta = parameter(f, width);
            Tensor dy = random(f, shape);
            f.ops.norm().layerNormBackward(x, gamma, mean, rstd, dy, dx, dGamma, dBeta);
            f.ops.norm().layerNormBackward(x, gamma, mean, rstd, dy, dy, null, null);
            return values(y, mean, rstd, dx, dGamma, dBeta, dy);
        });
    }

    private static List<Case> norms() {
        List<Case> cases = new ArrayList<>();
        for (int[] shape : new int[][] {{5, 9, 103}, {3, 65, 4}, {1, 2, 388}}) {
            cases.add(layerNorm(shape));
        }
        for (int width : new int[] {65, 132}) {
            cases.add(new Case("l2Normalize " + width, 40, f -> {
                double[] rows = f.normal(33 * width);
                Arrays.fill(rows, width, 2 * width, 0);
                Tensor y = f.poisonedParameter(33, width);
                Tensor inverse = f.poisonedParameter(33);
                Tensor dx = f.poisonedParameter(33, width);
                f.ops.norm().l2Normalize(f.parameter(rows, 33, width), y, inverse);
                f.ops.norm().l2NormalizeBackward(y, inverse, parameter(f, 33, width), dx);
                return values(y, inverse, dx);
            }));
        }
        return cases;
    }

    private static List<Case> attention() {
        List<Case> cases = new ArrayList<>();
        for (boolean causal : new boolean[] {false, true}) {
            for (boolean ragged : new boolean[] {false, true}) {
                cases.add(new Case("attention " + causal + " " + ragged, 100, f -> {
                    Tensor qkv = random(f, 4, 33, 3 * 4 * 17);
                    Tensor lengths = ragged ? f.ints(new int[] {33, 0, 1, 20}, 4) : null;
                    Tensor out = f.poisoned(4, 33, 4 * 17);
                    Tensor lse = f.poisonedParameter(4, 4, 33);
                    Tensor dQkv = f.poisoned(4, 33, 3 * 4 * 17);
                    f.ops.attention().attention(qkv, 4, causal, lengths, out, lse);
                    f.ops.attention()
                            .attentionBackward(qkv, 4, causal, lengths, out, lse, random(f, 4, 33, 4 * 17), dQkv);
                    return values(out, lse, dQkv);
                }));
            }
        }
        return cases;
    }

    /** b samples of t tokens of width w, and the gradient of the table. */
    public static Case embedding(int vocabulary, int b, int t, int w) {
        return new Case("embedding", 100, f -> {
            Tensor ids = f.ints(new Random(SEED).ints(b * t, 0, vocabulary).toArray(), b, t);
            Tensor y = f.poisoned(b, t, w);
            Tensor dTable = parameter(f, vocabulary, w);
            f.ops.sequence().embedding(ids, parameter(f, vocabulary, w), y);
            f.ops.sequence().embeddingBackward(ids, random(f, b, t, w), dTable);
            return values(y, dTable);
        });
    }

    private static List<Case> sequences() {
        return List.of(
                embedding(50, 7, 31, 33),
                new Case("positions", 40, f -> {
                    Tensor y = f.poisoned(7, 31, 33);
                    Tensor dPositions = parameter(f, 40, 33);
                    f.ops.sequence().addPositions(random(f, 7, 31, 33), parameter(f, 40, 33), y);
                    f.ops.sequence().addPositionsBackward(random(f, 7, 31, 33), dPositions);
                    return values(y, dPositions);
                }),
                new Case("prependToken", 40, f -> {
                    Tensor y = f.poisoned(7, 32, 33);
                    Tensor dx = f.poisoned(7, 31, 33);
                    Tensor dToken = parameter(f, 33);
                    f.ops.sequence().prependToken(random(f, 7, 31, 33), parameter(f, 33), y);
                    f.ops.sequence().prependTokenBackward(random(f, 7, 32, 33), dx, dToken);
                    return values(y, dx, dToken);
                }),
                new Case("patchify", 40, f -> {
                    Tensor y = f.poisoned(3, 81, 147);
                    Tensor dx = f.poisoned(3, 33, 33, 3);
                    Tensor ofParameters = f.poisoned(3, 81, 147);
                    f.ops.sequence().patchify(random(f, 3, 33, 33, 3), 7, 4, 3, y);
                    f.ops.sequence().patchify(parameter(f, 3, 33, 33, 3), 7, 4, 3, ofParameters);
                    f.ops.sequence().patchifyBackward(random(f, 3, 81, 147), 7, 4, 3, dx);
                    return values(y, ofParameters, dx);
                }),
                new Case("patchify whole", 40, f -> {
                    Tensor y = f.poisoned(2, 12, 36);
                    Tensor dx = f.poisoned(2, 6, 5, 4);
                    Tensor ofParameters = f.poisoned(2, 12, 36);
                    f.ops.sequence().patchify(random(f, 2, 6, 5, 4), 3, 1, 0, y);
                    f.ops.sequence().patchify(parameter(f, 2, 6, 5, 4), 3, 1, 0, ofParameters);
                    f.ops.sequence().patchifyBackward(random(f, 2, 12, 36), 3, 1, 0, dx);
                    return values(y, ofParameters, dx);
                }),
                new Case("pools", 40, f -> {
                    SequenceOps sequence = f.ops.sequence();
                    Tensor lengths = f.ints(new int[] {31, 0, 4}, 3);
                    Tensor ends = f.ints(new int[] {31, 1, 5}, 3);
                    Tensor x = random(f, 3, 31, 33);
                    Tensor dy = random(f, 3, 33);
                    Tensor[] results = {
                        f.poisoned(3, 33), f.poisoned(3, 31, 33), f.poisoned(3, 33), f.poisoned(3, 31, 33)
                    };
                    sequence.meanPool(x, lengths, results[0]);
                    sequence.meanPoolBackward(dy, lengths, results[1]);
                    sequence.selectToken(x, ends, results[2]);
                    sequence.selectTokenBackward(dy, ends, results[3]);
                    return values(results);
                }));
    }

    private static List<Case> losses() {
        List<Case> cases = new ArrayList<>();
        for (boolean targeted : new boolean[] {false, true}) {
            for (double columnWeight : new double[] {0, 0.5}) {
                cases.add(new Case(
                        "infoNce " + targeted + " " + columnWeight,
                        200,
                        f -> infoNce(f, 33, 65, 31, targeted, 1 - columnWeight, columnWeight)));
            }
        }
        cases.add(new Case("infoNce of one pair", 200, f -> infoNce(f, 1, 1, 1, false, 0.5, 0.5)));
        return cases;
    }

    private static List<Result> infoNce(
            TensorFixture f, int n, int m, int d, boolean targeted, double rowWeight, double columnWeight) {
        Tensor targets = targeted ? f.ints(new Random(SEED).ints(n, 0, m / 2).toArray(), n) : null;
        PairwiseOps.InfoNce inputs = new PairwiseOps.InfoNce(
                unitRows(f, n, d),
                unitRows(f, m, d),
                targets,
                f.tensor(new double[] {2.5}, 1),
                f.tensor(new double[] {-0.5}, 1),
                rowWeight,
                columnWeight);
        PairwiseOps.Gradients gradients =
                new PairwiseOps.Gradients(f.poisoned(n, d), f.poisoned(m, d), random(f, 1), random(f, 1));
        Tensor hardest = f.ints(new int[n], n);
        PairwiseOps.Result result =
                f.ops.pairwise().infoNce(inputs, gradients, 4, hardest).get();
        List<Result> results =
                new ArrayList<>(values(gradients.dx(), gradients.dy(), gradients.dLogScale(), gradients.dBias()));
        results.add(numbers(Arrays.stream(hardest.toInts()).asDoubleStream().toArray()));
        results.add(numbers(result.loss(), result.rowAccuracy(), result.columnAccuracy(), result.meanPositive()));
        return results;
    }

    private static Tensor unitRows(TensorFixture f, int rows, int width) {
        double[] values = f.normal(rows * width);
        for (int r = 0; r < rows; r++) {
            double squares = 0;
            for (int c = 0; c < width; c++) {
                squares += values[r * width + c] * values[r * width + c];
            }
            for (int c = 0; c < width; c++) {
                values[r * width + c] = (float) (values[r * width + c] / Math.sqrt(squares));
            }
        }
        return f.tensor(values, rows, width);
    }

    private static List<Case> updates() {
        return List.of(
                new Case("adamW", 40, f -> {
                    Tensor parameter = random(f, 3, 103);
                    Tensor m = f.tensor(new double[309], 3, 103);
                    Tensor v = f.tensor(new double[309], 3, 103);
                    for (int step = 1; step <= 3; step++) {
                        f.ops.update()
                                .adamW(
                                        new UpdateOps.AdamW(1e-2, 0.9, 0.98, 1e-8, 0.1, 0.5, step),
                                        parameter,
                                        random(f, 3, 103),
                                        m,
                                        v);
                    }
                    return values(parameter, m, v);
                }),
                new Case("reductions", 100, f -> {
                    double[] numbers = f.normal(10_007);
                    double squares = f.ops.update()
                            .sumOfSquares(f.tensor(numbers, 10_007))
                            .get();
                    long none = f.ops.update()
                            .firstNonFinite(f.tensor(numbers, 10_007))
                            .get();
                    double[] results = {squares, none, 0, 0, 0, 0, 0};
                    numbers[10_006] = Double.NEGATIVE_INFINITY;
                    for (int k = 2; k < results.length; k++) {
                        numbers[10_001 - k] = Double.NaN;
                        results[k] = f.ops.update()
                                .firstNonFinite(f.tensor(numbers, 10_007))
                                .get();
                    }
                    return List.of(numbers(results));
                }));
    }
}
