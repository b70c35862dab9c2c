package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/** Attention on 16-bit activations against f64, each element within the error that the rounding of weights allows. */
class PtxAttentionOpsTest {
    private static final double ATOL = 2e-5;

    /** @param start offset of each tensor in its storage, in elements */
    record Case(int tokens, int heads, int size, boolean causal, boolean ragged, int start) {
        int width() {
            return heads * size;
        }

        int samples() {
            return ragged ? 4 : 1;
        }

        int length(int sample) {
            return ragged ? new int[] {tokens, 0, 1, (2 * tokens + 2) / 3}[sample] : tokens;
        }

        int[] lengths() {
            return new int[] {length(0), length(1), length(2), length(3)};
        }
    }

    private static final List<Case> CASES = List.of(
            new Case(1, 1, 8, false, false, 0),
            new Case(20, 2, 8, true, true, 0),
            new Case(68, 1, 64, false, true, 0),
            new Case(65, 2, 5, true, true, 1),
            new Case(9, 1, 136, true, true, 0),
            new Case(31, 1, 67, false, false, 3),
            new Case(130, 1, 16, true, false, 0));

    static Stream<Arguments> devices() {
        return Devices.names()
                .flatMap(name -> Stream.of(Arguments.of(name, DType.BF16), Arguments.of(name, DType.F16)));
    }

    /** The inputs and outputs of the kernels. */
    private record Run(double[] qkv, double[] dOut, double[] out, double[] lse, double[] dQkv) {}

    static void check(PtxDevice device, Kernels kernels, DType type, Case c) {
        new Reference(run(device, kernels, type, c), type, c).check();
    }

    private static Run run(PtxDevice device, Kernels kernels, DType type, Case c) {
        PtxAttentionOps attention = new PtxAttentionOps(device, kernels, type, true);
        int b = c.samples();
        try (SixteenBitGemmTest.Bench bench = new SixteenBitGemmTest.Bench(device, kernels, type, c.start);
                Tensor lengths = Tensor.ofInts(device, Shape.of(4), c.lengths())) {
            Tensor qkv = bench.random(type, b, c.tokens, 3 * c.width());
            Tensor dOut = bench.random(type, b, c.tokens, c.width());
            Tensor out = bench.poisoned(type, b, c.tokens, c.width());
            Tensor lse = bench.poisoned(DType.F32, b, c.heads, c.tokens);
            Tensor dQkv = bench.poisoned(type, b, c.tokens, 3 * c.width());
            Tensor given = c.ragged ? lengths : null;
            attention.attention(qkv, c.heads, c.causal, given, out, lse);
            attention.attentionBackward(qkv, c.heads, c.causal, given, out, lse, dOut, dQkv);
            return new Run(qkv.toDoubles(), dOut.toDoubles(), out.toDoubles(), lse.toDoubles(), dQkv.toDoubles());
        }
    }

    /** The f64 result on the same 16-bit inputs, and for each element the sum of the sizes of the rounded terms. */
    private static final class Reference {
        private final Run run;
        private final DType type;
        private final Case c;
        private final double epsilon;

        Reference(Run run, DType type, Case c) {
            this.run = run;
            this.type = type;
            this.c = c;
            epsilon = SixteenBitGemmTest.roundoff(type);
        }

        void check() {
            for (int sample = 0; sample < c.samples(); sample++) {
                for (int head = 0; head < c.heads; head++) {
                    check(sample, head);
                }
            }
        }

        /** Returns the index of q (0), k (1) or v (2) in qkv or its gradient. */
        private int at(int sample, int token, int which, int head, int column) {
            return ((sample * c.tokens + token) * 3 + which) * c.width() + head * c.size + column;
        }

        private int outAt(int sample, int token, int head, int column) {
            return (sample * c.tokens + token) * c.width() + head * c.size + column;
        }

        private void check(int sample, int head) {
            int t = c.tokens;
            double slope = 1 / Math.sqrt(c.size);
            double[][] p = new double[t][t];
            double[][] ds = new double[t][t];
            for (int i = 0; i < t; i++) {
                int keys = Math.min(c.length(sample), c.causal ? i + 1 : t);
                double lse = softmax(sample, head, i, keys, slope, p[i]);
                close("lse", lse, run.lse[(sample * c.heads + head) * t + i], 0);
                double dot = 0;
                for (int l = 0; l < c.size; l++) {
                    dot += run.out[outAt(sample, i, head, l)] * run.dOut[outAt(sample, i, head, l)];
                }
                for (int j = 0; j < keys; j++) {
                    double dp = 0;
                    for (int l = 0; l < c.size; l++) {
                        dp += run.dOut[outAt(sample, i, head, l)] * run.qkv[at(sample, j, 2, head, l)];
                    }
                    ds[i][j] = p[i][j] * (dp - dot);
                }
            }
            for (int i = 0; i < t; i++) {
                for (int l = 0; l < c.size; l++) {
                    double[] sums = new double[8]; // out, dq, dk, dv and the sums of their sizes
                    for (int j = 0; j < t; j++) {
                        add(sums, 0, p[i][j], run.qkv[at(sample, j, 2, head, l)]);
                        add(sums, 1, slope * ds[i][j], run.qkv[at(sample, j, 1, head, l)]);
                        add(sums, 2, slope * ds[j][i], run.qkv[at(sample, j, 0, head, l)]);
                        add(sums, 3, p[j][i], run.dOut[outAt(sample, j, head, l)]);
                    }
                    close("out", sums[0], run.out[outAt(sample, i, head, l)], sums[4]);
                    for (int which = 0; which < 3; which++) {
                        close(
                                List.of("dq", "dk", "dv").get(which),
                                sums[1 + which],
                                run.dQkv[at(sample, i, which, head, l)],
                                sums[5 + which]);
                    }
                }
            }
        }

        private double softmax(int sample, int head, int i, int keys, double slope, double[] p) {
            double sum = 0;
            for (int j = 0; j < keys; j++) {
                double score = 0;
                for (int l = 0; l < c.size; l++) {
                    score += run.qkv[at(sample, i, 0, head, l)] * run.qkv[at(sample, j, 1, head, l)];
                }
                p[j] = Math.exp(slope * score);
                sum += p[j];
            }
            for (int j = 0; j < keys; j++) {
                p[j] /= sum;
            }
            return Math.log(sum);
        }

        private static void add(double[] sums, int which, double weight, double value) {
            sums[which] += weight * value;
            sums[4 + which] += Math.abs(weight * value);
        }

        private void close(String what, double want, double got, double size) {
            double allowed = epsilon * (size + (what.equals("lse") ? 0 : Math.abs(want))) + ATOL * (1 + size);
            assertTrue(
                    got == want || Math.abs(got - want) <= allowed,
                    () -> what + " of " + c + " in " + type + ": " + got + ", expected " + want + ", seed 9");
        }
    }

    @ParameterizedTest
    @SampledSource(value = "devices", every = 2)
    void attention_everySizeAndMask_agreesWithF64(String device, DType type) {
        for (Case c : CASES) {
            try (PtxDevice memory = Backend.device(device)) {
                check(memory, new Kernels(memory), type, c);
            }
        }
    }

    /** Every schedule gives the same bits. */
    @Test
    void attention_anySchedule_sameBits() {
        List<double[]> want = new ArrayList<>();
        for (long seed = 0; seed < 4; seed++) {
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed))) {
                Run run = run(device, new Kernels(device), DType.BF16, new Case(66, 1, 24, true, true, 0));
                if (seed == 0) {
                    want.addAll(List.of(run.out, run.lse, run.dQkv));
                }
                assertArrayEquals(want.toArray(), new Object[] {run.out, run.lse, run.dQkv}, "seed " + seed);
            }
        }
    }
}
