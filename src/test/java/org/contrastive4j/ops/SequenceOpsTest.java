package org.contrastive4j.ops;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.Stream;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.support.Backends;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.SequenceReference;
import org.contrastive4j.support.SequenceReference.Patches;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class SequenceOpsTest {
    /** Batch, tokens, width. */
    private static final int[][] SIZES = {
        {1, 1, 1}, {3, 2, 1}, {2, 5, 31}, {5, 17, 32}, {4, 33, 33}, {3, 65, 103}, {2, 3, 260}, {130, 1, 4}
    };

    /** Fewer in precisions whose kernels have the bodies of f32. */
    private static final int[][] ROUNDED_SIZES = {{2, 5, 31}, {4, 33, 33}, {2, 3, 260}};

    static Stream<Arguments> sizes() {
        return Stream.concat(
                Backends.all().flatMap(backend -> sizes(backend, SIZES)),
                Backends.rounded().flatMap(backend -> sizes(backend, ROUNDED_SIZES)));
    }

    private static Stream<Arguments> sizes(String backend, int[][] sizes) {
        return Arrays.stream(sizes).map(size -> Arguments.of(backend, size[0], size[1], size[2]));
    }

    static Stream<Arguments> patches() {
        Patches[] shapes = {
            new Patches(1, 1, 1, 1, 1, 1, 0), new Patches(2, 8, 8, 3, 4, 4, 0), new Patches(3, 7, 9, 2, 3, 2, 0),
            new Patches(2, 8, 8, 3, 7, 4, 3), new Patches(2, 5, 6, 1, 3, 1, 2), new Patches(2, 3, 11, 4, 2, 3, 1),
            new Patches(4, 32, 32, 3, 4, 4, 0), new Patches(1, 2, 2, 5, 4, 5, 1), new Patches(2, 33, 31, 3, 8, 5, 7),
            new Patches(2, 6, 5, 4, 3, 2, 1), new Patches(1, 18, 18, 8, 17, 1, 0)
        };
        return Stream.concat(
                Backends.all().flatMap(backend -> Arrays.stream(shapes).map(shape -> Arguments.of(backend, shape))),
                Backends.rounded()
                        .flatMap(backend -> Stream.of(shapes[2], shapes[3], shapes[8], shapes[10])
                                .map(shape -> Arguments.of(backend, shape))));
    }

    /** Checks a backward pass: {@code gradient} against central differences of &lt;dy, forward(x)&gt; in f64. */
    private static void checkGradient(
            String what,
            Function<TensorFixture, Function<Tensor, Tensor>> forward,
            double[] x,
            int[] dims,
            double[] dy,
            double[] gradient,
            double tolerance) {
        GradientCheck.require(
                what,
                values -> {
                    try (TensorFixture f64 = new TensorFixture("cpu-f64", 0)) {
                        Tensor y = forward.apply(f64).apply(f64.tensor(values, dims));
                        return TensorFixture.dot(dy, y.toDoubles());
                    }
                },
                x,
                gradient,
                tolerance,
                1);
    }

    private static double[] minus(double[] a, double[] b) {
        double[] difference = a.clone();
        Arrays.setAll(difference, i -> a[i] - b[i]);
        return difference;
    }

    private static int[] indices(int count, int end, long seed) {
        return new Random(seed).ints(count, 0, end).toArray();
    }

    @ParameterizedTest
    @SampledSource(value = "sizes", every = 12)
    void embedding_andGradient_agreeWithFormula(String backend, int b, int t, int w) {
        int vocabulary = 3 * t;
        try (TensorFixture fixture = new TensorFixture(backend, 1)) {
            SequenceOps sequence = fixture.ops.sequence();
            double[] table = fixture.normal(vocabulary * w);
            int[] ids = indices(b * t, vocabulary, t);
            Tensor rows = fixture.ints(ids, b, t);
            Tensor y = fixture.poisoned(b, t, w);
            sequence.embedding(rows, fixture.parameter(table, vocabulary, w), y);
            fixture.assertClose("embedding", SequenceReference.gather(table, w, ids), y, 0);

            double[] dy = fixture.normal(b * t * w);
            double[] before = fixture.normal(vocabulary * w);
            Tensor dTable = fixture.parameter(before, vocabulary, w);
            Tensor again = fixture.parameter(before, vocabulary, w);
            sequence.embeddingBackward(rows, fixture.tensor(dy, b, t, w), dTable);
            sequence.embeddingBackward(rows, fixture.tensor(dy, b, t, w), again);
            fixture.assertSameBits("embeddingBackward", dTable, again);
            double[] expected = before.clone();
            for (int i = 0; i < dy.length; i++) {
                expected[ids[i / w] * w + i % w] += dy[i];
            }
            fixture.assertClose("embeddingBackward", expected, dTable, 40);
        }
    }

    @ParameterizedTest
    @SampledSource(value = "org.contrastive4j.support.Backends#inAllPrecisions", every = 4)
    void embeddingBackward_manyRowsAndOneCommonRow_agrees(String backend) {
        boolean many = backend.startsWith("cpu"); // on the simulator it would take a minute
        int vocabulary = many ? 1000 : 200;
        int count = many ? 3000 : 600;
        try (TensorFixture fixture = new TensorFixture(backend, 2)) {
            int[] ids = indices(count, vocabulary, 5);
            Arrays.fill(ids, count / 6, 2 * count / 3, 7); // padding
            double[] dy = fixture.normal(count * 3);
            Tensor dTable = fixture.parameter(new double[vocabulary * 3], vocabulary, 3);
            fixture.ops.sequence().embeddingBackward(fixture.ints(ids, count), fixture.tensor(dy, count, 3), dTable);
            double[] expected = new double[vocabulary * 3];
            for (int i = 0; i < dy.length; i++) {
                expected[ids[i / 3] * 3 + i % 3] += dy[i];
            }
            fixture.assertClose("embeddingBackward", expected, dTable, 400);
        }
    }

    @ParameterizedTest
    @SampledSource(value = "sizes", every = 12)
    void addPositions_andGradient_agreeWithFormula(String backend, int b, int t, int w) {
        try (TensorFixture fixture = new TensorFixture(backend, 3)) {
            SequenceOps sequence = fixture.ops.sequence();
            double[] x = fixture.normal(b * t * w);
            double[] positions = fixture.normal((t + 2) * w);
            Tensor y = fixture.poisoned(b, t, w);
            sequence.addPositions(fixture.tensor(x, b, t, w), fixture.parameter(positions, t + 2, w), y);
            double[] expected = x.clone();
            Arrays.setAll(expected, i -> x[i] + positions[i % (t * w)]);
            fixture.assertClose("addPositions", expected, y, 1);
            Tensor inPlace = fixture.tensor(x, b, t, w);
            sequence.addPositions(inPlace, fixture.parameter(positions, t + 2, w), inPlace);
            fixture.assertSameBits("addPositions in place", y, inPlace);

            double[] before = fixture.normal((t + 2) * w);
            Tensor dPositions = fixture.parameter(before, t + 2, w);
            sequence.addPositionsBackward(fixture.tensor(x, b, t, w), dPositions);
            double[] gradient = minus(dPositions.toDoubles(), before);
            checkGradient(
                    "addPositions",
                    f64 -> p -> {
                        Tensor out = f64.poisoned(b, t, w);
                        f64.ops.sequence().addPositions(f64.tensor(new double[b * t * w], b, t, w), p, out);
                        return out;
                    },
                    before,
                    new int[] {t + 2, w},
                    x,
                    gradient,
                    fixture.slopeTolerance(dPositions));
        }
    }

    @ParameterizedTest
    @SampledSource(value = "sizes", every = 12)
    void prependToken_andGradient_agreeWithFormula(String backend, int b, int t, int w) {
        try (TensorFixture fixture = new TensorFixture(backend, 4)) {
            SequenceOps sequence = fixture.ops.sequence();
            double[] x = fixture.normal(b * t * w);
            double[] token = fixture.normal(w);
            Tensor y = fixture.poisoned(b, t + 1, w);
            sequence.prependToken(fixture.tensor(x, b, t, w), fixture.parameter(token, w), y);
            double[] out = y.toDoubles();
            for (int i = 0; i < out.length; i++) {
                int sample = i / ((t + 1) * w);
                int within = i % ((t + 1) * w);
                double expected = within < w ? token[within] : x[sample * t * w + within - w];
                assertTrue(out[i] == expected, "element " + i);
            }
            double[] dy = fixture.normal(b * (t + 1) * w);
            Tensor dx = fixture.poisoned(b, t, w);
            Tensor dToken = fixture.parameter(token, w);
            Tensor given = fixture.tensor(dy, b, t + 1, w);
            sequence.prependTokenBackward(given, dx, null);
            sequence.prependTokenBackward(given, null, dToken);
            sequence.prependTokenBackward(given, null, null);
            checkGradient(
                    "prependToken x",
                    f64 -> in -> {
                        Tensor joined = f64.poisoned(b, t + 1, w);
                        f64.ops.sequence().prependToken(in, f64.tensor(token, w), joined);
                        return joined;
                    },
                    x,
                    new int[] {b, t, w},
                    dy,
                    dx.toDoubles(),
                    fixture.slopeTolerance(dx));
            checkGradient(
                    "prependToken token",
                    f64 -> in -> {
                        Tensor joined = f64.poisoned(b, t + 1, w);
                        f64.ops.sequence().prependToken(f64.tensor(x, b, t, w), in, joined);
                        return joined;
                    },
                    token,
                    new int[] {w},
                    dy,
                    minus(dToken.toDoubles(), token),
                    fixture.slopeTolerance(dToken));
        }
    }

    @ParameterizedTest
    @SampledSource(value = "patches", every = 12)
    void patchify_andGradient_agreeWithFormula(String backend, Patches p) {
        try (TensorFixture fixture = new TensorFixture(backend, 5)) {
            SequenceOps sequence = fixture.ops.sequence();
            int[] picture = {p.batch(), p.height(), p.width(), p.channels()};
            int[] windows = {p.batch(), p.rows() * p.columns(), p.length()};
            double[] x = fixture.normal(p.batch() * p.height() * p.width() * p.channels());
            Tensor y = fixture.poisoned(windows);
            sequence.patchify(fixture.tensor(x, picture), p.kernel(), p.stride(), p.padding(), y);
            fixture.assertClose("patchify", p.patchify(x), y, 0);

            double[] dy = fixture.normal(y.toDoubles().length);
            Tensor dx = fixture.poisoned(picture);
            Tensor again = fixture.poisoned(picture);
            sequence.patchifyBackward(fixture.tensor(dy, windows), p.kernel(), p.stride(), p.padding(), dx);
            sequence.patchifyBackward(fixture.tensor(dy, windows), p.kernel(), p.stride(), p.padding(), again);
            fixture.assertSameBits("patchifyBackward", dx, again);
            GradientCheck.require(
                    "patchify",
                    in -> TensorFixture.dot(dy, p.patchify(in)),
                    x,
                    dx.toDoubles(),
                    fixture.slopeTolerance(dx),
                    6);
        }
    }

    @ParameterizedTest
    @SampledSource(value = "sizes", every = 12)
    void meanPool_andGradient_agreeWithFormula(String backend, int b, int t, int w) {
        int[] ragged = new int[b];
        Arrays.setAll(ragged, i -> new int[] {t, 0, 1, (t + 1) / 2}[i % 4]);
        int[] all = new int[b];
        Arrays.fill(all, t);
        try (TensorFixture fixture = new TensorFixture(backend, 7)) {
            SequenceOps sequence = fixture.ops.sequence();
            double[] x = fixture.normal(b * t * w);
            for (boolean given : new boolean[] {true, false}) {
                int[] counts = given ? ragged : all;
                Tensor lengths = given ? fixture.ints(ragged, b) : null;
                Tensor y = fixture.poisoned(b, w);
                sequence.meanPool(fixture.tensor(x, b, t, w), lengths, y);
                fixture.assertClose("meanPool", SequenceReference.meanPool(x, t, w, counts), y, 20);
                double[] dy = fixture.normal(b * w);
                Tensor dx = fixture.poisoned(b, t, w);
                sequence.meanPoolBackward(fixture.tensor(dy, b, w), lengths, dx);
                GradientCheck.require(
                        "meanPool",
                        in -> TensorFixture.dot(dy, SequenceReference.meanPool(in, t, w, counts)),
                        x,
                        dx.toDoubles(),
                        fixture.slopeTolerance(dx),
                        8);
            }
        }
    }

    @ParameterizedTest
    @SampledSource(value = "sizes", every = 12)
    void selectToken_andGradient_agreeWithFormula(String backend, int b, int t, int w) {
        int[] places = indices(b, t, 9);
        try (TensorFixture fixture = new TensorFixture(backend, 9)) {
            SequenceOps sequence = fixture.ops.sequence();
            double[] x = fixture.normal(b * t * w);
            for (boolean given : new boolean[] {true, false}) {
                int[] rows = new int[b];
                Arrays.setAll(rows, i -> i * t + (given ? places[i] : 0));
                int[] ends = Arrays.stream(places).map(place -> place + 1).toArray();
                Tensor lengths = given ? fixture.ints(ends, b) : null;
                Tensor y = fixture.poisoned(b, w);
                sequence.selectToken(fixture.tensor(x, b, t, w), lengths, y);
                fixture.assertClose("selectToken", SequenceReference.gather(x, w, rows), y, 0);
                double[] dy = fixture.normal(b * w);
                Tensor dx = fixture.poisoned(b, t, w);
                sequence.selectTokenBackward(fixture.tensor(dy, b, w), lengths, dx);
                double[] expected = new double[b * t * w];
                for (int i = 0; i < dy.length; i++) {
                    expected[rows[i / w] * w + i % w] = dy[i];
                }
                fixture.assertClose("selectTokenBackward", expected, dx, 0);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("org.contrastive4j.support.Backends#inAllPrecisions")
    void emptyBatch_writesNothing(String backend) {
        try (TensorFixture fixture = new TensorFixture(backend, 10)) {
            SequenceOps sequence = fixture.ops.sequence();
            Tensor none = fixture.poisoned(0, 3, 4);
            Tensor pooled = fixture.poisoned(0, 4);
            Tensor table = fixture.parameter(new double[12], 3, 4);
            sequence.embedding(fixture.ints(new int[0], 0, 3), table, none);
            sequence.embeddingBackward(fixture.ints(new int[0], 0, 3), none, table);
            sequence.addPositions(none, table, none);
            sequence.addPositionsBackward(none, table);
            sequence.meanPool(none, null, pooled);
            sequence.selectToken(none, fixture.ints(new int[0], 0), pooled);
            sequence.selectTokenBackward(pooled, null, none);
            fixture.assertClose("nothing was added", new double[12], table, 0);
        }
    }

    @ParameterizedTest
    @MethodSource("org.contrastive4j.support.Backends#inAllPrecisions")
    void idOrLengthOutOfRange_isRefused(String backend) {
        try (TensorFixture fixture = new TensorFixture(backend, 11)) {
            SequenceOps sequence = fixture.ops.sequence();
            Tensor table = fixture.parameter(fixture.normal(20), 5, 4);
            Tensor x = fixture.tensor(fixture.normal(24), 2, 3, 4);
            Tensor y = fixture.poisoned(2, 4);
            for (int id : new int[] {-1, 5, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
                Tensor ids = fixture.ints(new int[] {4, id}, 2);
                refused("embedding: ids[1] is " + id + ", expected 0 to 4", () -> sequence.embedding(ids, table, y));
                refused("embeddingBackward: ids[1] is " + id, () -> sequence.embeddingBackward(ids, y, table));
            }
            for (int bad : new int[] {-1, 4}) {
                Tensor lengths = fixture.ints(new int[] {bad, 1}, 2);
                refused("meanPool: lengths[0] is " + bad + ", expected 0 to 3", () -> sequence.meanPool(x, lengths, y));
                refused("meanPoolBackward: lengths[0] is " + bad, () -> sequence.meanPoolBackward(y, lengths, x));
            }
            for (int bad : new int[] {-1, 0, 4}) {
                Tensor ends = fixture.ints(new int[] {bad, 1}, 2);
                refused(
                        "selectToken: lengths[0] is " + bad + ", expected 1 to 3",
                        () -> sequence.selectToken(x, ends, y));
                refused("selectTokenBackward: lengths[0] is " + bad, () -> sequence.selectTokenBackward(y, ends, x));
            }
            assertTrue(Arrays.stream(y.toDoubles()).allMatch(Double::isNaN), "a refusal wrote something");
        }
    }

    @ParameterizedTest
    @MethodSource("org.contrastive4j.support.Backends#inAllPrecisions")
    void invalidArguments_areRefused(String backend) {
        try (TensorFixture fixture = new TensorFixture(backend, 12)) {
            SequenceOps sequence = fixture.ops.sequence();
            Tensor table = fixture.poisonedParameter(5, 4);
            Tensor x = fixture.poisoned(2, 3, 4);
            Tensor empty = fixture.poisoned(2, 0, 4);
            Tensor y = fixture.poisoned(2, 4);
            Tensor two = fixture.ints(new int[2], 2);
            Tensor three = fixture.ints(new int[3], 3);
            refused("embedding: rows are", () -> sequence.embedding(three, table, y));
            refused("embedding: rows are", () -> sequence.embedding(two, table, fixture.poisoned(2, 5)));
            refused("embedding: ids are", () -> sequence.embedding(y, table, y));
            refused("embedding: ids is null", () -> sequence.embedding(null, table, y));
            refused("addPositions: positions are", () -> sequence.addPositions(x, fixture.poisonedParameter(2, 4), x));
            refused("addPositions: y is", () -> sequence.addPositions(x, table, fixture.poisoned(2, 3, 5)));
            refused(
                    "addPositionsBackward: positions are",
                    () -> sequence.addPositionsBackward(x, fixture.poisonedParameter(3, 5)));
            refused("prependToken: token is", () -> sequence.prependToken(x, fixture.poisonedParameter(3), x));
            refused("prependToken: y is", () -> sequence.prependToken(x, fixture.poisonedParameter(4), x));
            refused(
                    "prependTokenBackward: dy is",
                    () -> sequence.prependTokenBackward(empty, null, fixture.poisonedParameter(4)));
            refused("prependTokenBackward: dx is", () -> sequence.prependTokenBackward(x, x, null));
            refused("meanPool: y is", () -> sequence.meanPool(x, null, fixture.poisoned(2, 3)));
            refused("meanPool: lengths is", () -> sequence.meanPool(x, three, y));
            refused("selectToken: lengths is", () -> sequence.selectToken(x, three, y));
            refused("selectToken: x is", () -> sequence.selectToken(empty, null, y));
            refused("selectTokenBackward: dx is", () -> sequence.selectTokenBackward(y, null, empty));
        }
    }

    @ParameterizedTest
    @MethodSource("org.contrastive4j.support.Backends#inAllPrecisions")
    void patchify_windowsThatDoNotFit_areRefused(String backend) {
        try (TensorFixture fixture = new TensorFixture(backend, 13)) {
            SequenceOps sequence = fixture.ops.sequence();
            Tensor x = fixture.poisoned(1, 4, 6, 1);
            Tensor y = fixture.poisoned(1, 6, 4);
            sequence.patchify(x, 2, 2, 0, y);
            int[][] bad = {{0, 2, 0}, {2, 0, 0}, {2, 2, -1}, {2, 2, 2}, {5, 1, 0}, {7, 1, 1}};
            for (int[] p : bad) {
                refused("patchify: kernel " + p[0], () -> sequence.patchify(x, p[0], p[1], p[2], y));
                refused("patchifyBackward: kernel " + p[0], () -> sequence.patchifyBackward(y, p[0], p[1], p[2], x));
            }
            refused("patchify: y is", () -> sequence.patchify(x, 2, 1, 0, y));
            refused("patchifyBackward: y is", () -> sequence.patchifyBackward(y, 2, 1, 0, x));
        }
    }

    private static void refused(String why, Executable call) {
        String message = assertThrows(ShapeException.class, call).getMessage();
        assertTrue(message.startsWith(why), message);
    }
}
