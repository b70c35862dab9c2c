package org.contrastive4j.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.support.Backends;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.SequenceReference.Attention;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class AttentionOpsTest {
    /** Batch, tokens, heads, head width: one of everything, odd sizes, multiples of a vector, and one more and less. */
    private static final int[][] SIZES = {
        {1, 1, 1, 1},
        {2, 2, 1, 3},
        {3, 5, 2, 1},
        {4, 17, 2, 16},
        {3, 31, 3, 7},
        {3, 32, 1, 33},
        {4, 33, 2, 32},
        {4, 65, 4, 31},
        {3, 129, 1, 64}
    };

    /** Fewer where each instruction is simulated. */
    private static final int[][] KERNEL_SIZES = {{1, 1, 1, 1}, {4, 5, 2, 4}, {2, 66, 1, 9}};

    static Stream<String> backends() {
        return Stream.concat(Backends.plain(), Backends.rounded());
    }

    /** Precisions that round have more in tests of their own, or the kernels of f32; here both masks or none. */
    static Stream<Arguments> cases() {
        return Stream.concat(
                Backends.plain()
                        .flatMap(backend -> Arrays.stream(backend.startsWith("cpu") ? SIZES : KERNEL_SIZES)
                                .flatMap(size -> Stream.of(false, true)
                                        .flatMap(causal -> Stream.of(false, true)
                                                .map(ragged ->
                                                        Arguments.of(backend, attention(size, causal, ragged)))))),
                Backends.rounded()
                        .flatMap(backend -> Arrays.stream(KERNEL_SIZES)
                                .flatMap(size -> Stream.of(false, true)
                                        .filter(masked -> size[1] < 64 || masked && backend.endsWith("16"))
                                        .map(masked -> Arguments.of(backend, attention(size, masked, masked))))));
    }

    /** Ragged lengths are 0, all, 1, and something between. */
    private static Attention attention(int[] size, boolean causal, boolean ragged) {
        int tokens = size[1];
        int[] lengths = {0, tokens, 1, (tokens + 1) / 2};
        return new Attention(
                size[0], tokens, size[2], size[3], causal, ragged ? Arrays.copyOf(lengths, size[0]) : null);
    }

    /**
     * Units of f32 for {@link TensorFixture#assertClose}: where activations are of 16 bits weights are rounded to them
     * before they are multiplied with values of that size.
     */
    private static double units(TensorFixture fixture, double ofF32, double size) {
        return ofF32 + size * TensorFixture.rounding(fixture.ops.dtype()) * 0x1p24;
    }

    /** Inputs and outputs of one attention on one backend. */
    private record Run(
            TensorFixture fixture, Attention shape, double[] qkv, Tensor in, Tensor lengths, Tensor out, Tensor lse) {
        static Run of(TensorFixture fixture, Attention shape, double[] qkv) {
            int b = shape.batch();
            int t = shape.tokens();
            return new Run(
                    fixture,
                    shape,
                    qkv,
                    fixture.tensor(qkv, b, t, 3 * shape.width()),
                    shape.lengths() == null ? null : fixture.ints(shape.lengths(), b),
                    fixture.poisoned(b, t, shape.width()),
                    fixture.poisonedParameter(b, shape.heads(), t));
        }

        static Run random(TensorFixture fixture, Attention shape) {
            return of(fixture, shape, fixture.normal(shape.batch() * shape.tokens() * 3 * shape.width()));
        }

        Run forward() {
            fixture.ops.attention().attention(in, shape.heads(), shape.causal(), lengths, out, lse);
            return this;
        }

        Tensor backward(double[] dOut) {
            Tensor dIn = fixture.poisoned(in.shape().dims());
            fixture.ops
                    .attention()
                    .attentionBackward(
                            in,
                            shape.heads(),
                            shape.causal(),
                            lengths,
                            out,
                            lse,
                            fixture.tensor(dOut, out.shape().dims()),
                            dIn);
            return dIn;
        }
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 20)
    void attention_agreesWithFormula(String backend, Attention shape) {
        try (TensorFixture fixture = new TensorFixture(backend, shape.hashCode())) {
            Run run = Run.random(fixture, shape).forward();
            fixture.assertClose("out", shape.out(run.qkv), run.out, units(fixture, 40, 3));
            fixture.assertClose("logSumExp", shape.logSumExp(run.qkv), run.lse, 40);
        }
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 20)
    void attentionBackward_agreesWithDifferences(String backend, Attention shape) {
        long seed = shape.hashCode();
        try (TensorFixture fixture = new TensorFixture(backend, seed);
                TensorFixture precise = new TensorFixture("cpu-f64", seed)) {
            Run run = Run.random(fixture, shape).forward();
            double[] dOut = fixture.normal(run.out.toDoubles().length);
            double[] gradient = run.backward(dOut).toDoubles();
            GradientCheck.require(
                    backend + " " + shape,
                    qkv -> {
                        double[] out = Run.of(precise, shape, qkv).forward().out.toDoubles();
                        return TensorFixture.dot(dOut, out);
                    },
                    run.qkv,
                    gradient,
                    backend.equals("cpu-f64") ? 1e-9 : 2e-5 + 4 * TensorFixture.rounding(fixture.ops.dtype()),
                    seed);
        }
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 20)
    void attention_maskedKeys_haveNoInfluence(String backend, Attention shape) {
        try (TensorFixture fixture = new TensorFixture(backend, 3)) {
            Run run = Run.random(fixture, shape).forward();
            double[] dIn =
                    run.backward(fixture.normal(run.out.toDoubles().length)).toDoubles();
            double[] out = run.out.toDoubles();
            int width = shape.width();
            for (int b = 0; b < shape.batch() && shape.lengths() != null; b++) {
                for (int t = shape.lengths()[b]; t < shape.tokens(); t++) {
                    int row = (b * shape.tokens() + t) * 3 * width;
                    double[] keyAndValue = Arrays.copyOfRange(dIn, row + width, row + 3 * width);
                    assertTrue(Arrays.stream(keyAndValue).allMatch(g -> g == 0), "token " + t + " of sample " + b);
                }
                if (shape.lengths()[b] == 0) {
                    int sample = b * shape.tokens() * width;
                    assertTrue(Arrays.stream(out, sample, sample + shape.tokens() * width)
                            .allMatch(o -> o == 0));
                }
            }
            if (shape.causal() && shape.lengths() == null) {
                assertEquals(run.qkv[2 * width], out[0], 1e-6, "the first query sees the first value only");
            }
        }
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 20)
    void attention_repeated_sameBits(String backend, Attention shape) {
        try (TensorFixture fixture = new TensorFixture(backend, 4)) {
            Run first = Run.random(fixture, shape).forward();
            double[] dOut = fixture.normal(first.out.toDoubles().length);
            Tensor dFirst = first.backward(dOut);
            for (int i = 0; i < (backend.startsWith("cpu") ? 3 : 1); i++) {
                Run again = Run.of(fixture, shape, first.qkv).forward();
                fixture.assertSameBits("out", first.out, again.out);
                fixture.assertSameBits("logSumExp", first.lse, again.lse);
                fixture.assertSameBits("dQkv", dFirst, again.backward(dOut));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void attention_largeScores_stayFinite(String backend) {
        try (TensorFixture fixture = new TensorFixture(backend, 5)) {
            Attention shape = new Attention(2, 9, 2, 8, true, new int[] {9, 4});
            double[] qkv = fixture.normal(2 * 9 * 3 * 16);
            Arrays.setAll(qkv, i -> fixture.exact(qkv[i] * 40)[0]);
            Run run = Run.of(fixture, shape, qkv).forward();
            fixture.assertClose("logSumExp", shape.logSumExp(qkv), run.lse, 100);
            fixture.assertClose("out", shape.out(qkv), run.out, units(fixture, 1e5, 120));
            double[] dIn = run.backward(fixture.normal(2 * 9 * 16)).toDoubles();
            assertTrue(Arrays.stream(dIn).allMatch(Double::isFinite));
        }
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 20)
    void attention_anyChunk_sameBits(String backend, Attention shape) {
        try (TensorFixture fixture = new TensorFixture(backend, 6)) {
            Run all = Run.random(fixture, shape).forward();
            double[] dOut = fixture.normal(all.out.toDoubles().length);
            Tensor dAll = all.backward(dOut);
            int out = shape.tokens() * shape.width();
            for (int b = 0; b < shape.batch(); b++) {
                Attention single = new Attention(
                        1,
                        shape.tokens(),
                        shape.heads(),
                        shape.size(),
                        shape.causal(),
                        shape.lengths() == null ? null : new int[] {shape.lengths()[b]});
                double[] qkv = Arrays.copyOfRange(all.qkv, b * 3 * out, (b + 1) * 3 * out);
                Run one = Run.of(fixture, single, qkv).forward();
                fixture.assertSameBits("sample " + b, all.out.rows(b, b + 1), one.out);
                fixture.assertSameBits(
                        "gradient of sample " + b,
                        dAll.rows(b, b + 1),
                        one.backward(Arrays.copyOfRange(dOut, b * out, (b + 1) * out)));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void attention_emptyBatch_writesNothing(String backend) {
        try (TensorFixture fixture = new TensorFixture(backend, 7)) {
            Run run =
                    Run.random(fixture, new Attention(0, 4, 2, 3, false, null)).forward();
            assertEquals(0, run.backward(new double[0]).size());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void invalidArguments_areRefused(String backend) {
        try (TensorFixture fixture = new TensorFixture(backend, 8)) {
            AttentionOps attention = fixture.ops.attention();
            Tensor qkv = fixture.tensor(fixture.normal(2 * 4 * 18), 2, 4, 18);
            Tensor out = fixture.poisoned(2, 4, 6);
            Tensor lse = fixture.poisonedParameter(2, 3, 4);
            for (int heads : new int[] {-1, 0, 4, 5}) {
                refused("heads", () -> attention.attention(qkv, heads, false, null, out, lse));
            }
            refused("qkv is", () -> attention.attention(fixture.poisoned(2, 4, 17), 3, false, null, out, lse));
            refused("qkv is null", () -> attention.attention(null, 3, false, null, out, lse));
            refused("out is", () -> attention.attention(qkv, 3, false, null, fixture.poisoned(2, 4, 18), lse));
            refused(
                    "logSumExp is",
                    () -> attention.attention(qkv, 3, false, null, out, fixture.poisonedParameter(2, 4, 3)));
            refused("lengths is", () -> attention.attention(qkv, 3, false, fixture.ints(new int[3], 3), out, lse));
            for (int bad : new int[] {-1, 5, Integer.MAX_VALUE, new Random(1).nextInt() | Integer.MIN_VALUE}) {
                Tensor lengths = fixture.ints(new int[] {4, bad}, 2);
                refused(
                        "lengths[1] is " + bad + ", expected 0 to 4",
                        () -> attention.attention(qkv, 3, false, lengths, out, lse));
                refused(
                        "lengths[1] is " + bad,
                        () -> attention.attentionBackward(
                                qkv,
                                3,
                                false,
                                lengths,
                                out,
                                lse,
                                fixture.poisoned(2, 4, 6),
                                fixture.poisoned(2, 4, 18)));
            }
            refused(
                    "dQkv is",
                    () -> attention.attentionBackward(
                            qkv, 3, false, null, out, lse, fixture.poisoned(2, 4, 6), fixture.poisoned(2, 4, 6)));
            assertTrue(Arrays.stream(out.toDoubles()).allMatch(Double::isNaN), "a refusal wrote something");
        }
    }

    private static void refused(String why, Executable call) {
        String message = assertThrows(ShapeException.class, call).getMessage();
        assertTrue(List.of("attention: ", "attentionBackward: ").stream().anyMatch(message::startsWith), message);
        assertTrue(message.contains(why), message);
    }
}
