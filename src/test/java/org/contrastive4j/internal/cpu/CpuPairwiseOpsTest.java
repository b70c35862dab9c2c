package org.contrastive4j.internal.cpu;

import static org.contrastive4j.internal.cpu.PairwiseFixture.ask;
import static org.contrastive4j.internal.cpu.PairwiseFixture.close;
import static org.contrastive4j.internal.cpu.PairwiseFixture.compare;
import static org.contrastive4j.internal.cpu.PairwiseFixture.forAll;
import static org.contrastive4j.internal.cpu.PairwiseFixture.poisoned;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.internal.cpu.PairwiseFixture.Answer;
import org.contrastive4j.internal.cpu.PairwiseFixture.Problem;
import org.contrastive4j.internal.cpu.PairwiseFixture.Subject;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.PairwiseReference;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** InfoNCE of the CPU backends against its definition; tiny tilings cross every edge. */
class CpuPairwiseOpsTest {
    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {"1", "31", "32", "33", "103", "127", "128", "129"})
    void infoNce_raggedSizesEveryTarget_agreesWithDefinition(int n) {
        forAll(subject -> {
            for (int d : new int[] {1, 7, 33}) {
                compare(subject, new Problem(n, n, d, true, 10 + n), 1);
                compare(subject, new Problem(n, n + 9, d, true, 20 + n), 1);
                compare(subject, new Problem(n, Math.max(1, n / 2), d, false, 30 + n), 1);
                compare(subject, new Problem(n, n + 40, d, false, 40 + n), 0.25);
            }
        });
    }

    /** Sizes of more than one stripe and tile of the default tiling. */
    @Test
    void infoNce_sizesAcrossDefaultTiles_agreesWithDefinition() {
        forAll(subject -> compare(subject, new Problem(520, 1030, 16, false, 3), 1));
    }

    @Test
    void comparison_wrongResult_fails() {
        forAll(subject -> {
            Problem p = new Problem(33, 40, 7, false, 5);
            Answer right = ask(subject, p, 1);
            compare(subject, p, 1, right);
            double[] wrong = right.dy().clone();
            wrong[100] += 1e-4 * Arrays.stream(wrong).map(Math::abs).max().orElseThrow();
            assertThrows(
                    AssertionError.class,
                    () -> compare(
                            subject,
                            p,
                            1,
                            new Answer(
                                    right.result(),
                                    right.dx(),
                                    wrong,
                                    right.dLogScale(),
                                    right.dBias(),
                                    right.hardest())));
            assertThrows(
                    AssertionError.class,
                    () -> compare(
                            subject,
                            p,
                            1,
                            new Answer(
                                    right.result(),
                                    right.dx(),
                                    right.dy(),
                                    1.001 * right.dLogScale(),
                                    right.dBias(),
                                    right.hardest())));
            assertThrows(AssertionError.class, () -> compare(subject, p, 2, right), "not scaled");
            p.rowWeight = 0.501;
            assertThrows(AssertionError.class, () -> compare(subject, p, 1, right));
        });
    }

    @ParameterizedTest
    @ValueSource(doubles = {1, 14.3, 39.9, 40.1, 100})
    void infoNce_scalesAndDirections_agreesWithDefinition(double scale) {
        forAll(subject -> {
            for (double rowWeight : new double[] {0, 0.5, 1}) {
                for (int m : new int[] {20, 75}) { // 20: most columns belong to several rows
                    Problem p = new Problem(61, m, 16, m == 75 && rowWeight != 0.5, 7);
                    p.logScale = (float) Math.log(scale);
                    p.rowWeight = rowWeight;
                    p.columnWeight = 1 - rowWeight;
                    compare(subject, p, 3);
                }
            }
        });
    }

    /** Logits up to 240 at a scale of 12: exponentials without a shift would overflow. */
    @Test
    void infoNce_nonUnitRows_staysFinite() {
        forAll(subject -> {
            Problem p = new Problem(61, 75, 16, false, 8);
            for (int k = 0; k < p.x.length; k++) {
                p.x[k] *= 20;
            }
            p.logScale = (float) Math.log(12);
            PairwiseReference truth = p.truth();
            Answer answer = ask(subject, p, 1);
            assertEquals(truth.loss, answer.result().loss(), 1e-5 * truth.loss, subject.toString());
            assertArrayEquals(truth.hardest, answer.hardest(), subject.toString());
            close(subject + ": dx", truth.dx, answer.dx(), 1, 1e-3, 0);
            close(subject + ": dy", truth.dy, answer.dy(), 1, 1e-3, 0);
        });
    }

    @Test
    void reference_agreesWithCentralDifferences() {
        Problem p = new Problem(7, 9, 3, false, 3);
        PairwiseReference truth = p.truth();
        for (double[][] side : new double[][][] {{p.x, truth.dx}, {p.y, truth.dy}}) {
            for (int i = 0; i < side[0].length; i++) {
                double before = side[0][i];
                side[0][i] = before + 1e-6;
                double up = p.truth().loss;
                side[0][i] = before - 1e-6;
                double down = p.truth().loss;
                side[0][i] = before;
                assertEquals((up - down) / 2e-6, side[1][i], 1e-7);
            }
        }
    }

    @Test
    void infoNce_alignedAndOppositeAtScale100_agreesWithDefinition() {
        forAll(subject -> {
            for (double sign : new double[] {1, -1}) {
                Problem p = new Problem(40, 40, 8, true, 5);
                for (int i = 0; i < p.x.length; i++) {
                    p.y[i] = sign * p.x[i];
                }
                p.logScale = (float) Math.log(100);
                compare(subject, p, 1);
            }
        });
    }

    @Test
    void infoNce_allRowsEqual_lossIsLogCount() {
        forAll(subject -> {
            Problem p = new Problem(33, 33, 4, true, 5);
            for (double[] rows : List.of(p.x, p.y)) {
                for (int i = 0; i < rows.length; i++) {
                    rows[i] = i % 4 == 0 ? 1 : 0;
                }
            }
            p.logScale = (float) Math.log(100);
            Answer answer = ask(subject, p, 1);
            assertEquals(Math.log(33), answer.result().loss(), 1e-5);
            assertEquals(
                    0, answer.result().rowAccuracy(), "ties are not hits: a collapsed encoder must not look perfect");
            assertEquals(0, answer.result().columnAccuracy());
        });
    }

    @Test
    void infoNce_equalRowsOfOneColumn_areNotColumnHits() {
        forAll(subject -> {
            Problem p = new Problem(2, 2, 2, true, 5);
            System.arraycopy(new double[] {1, 0, 1, 0}, 0, p.x, 0, 4);
            System.arraycopy(new double[] {1, 0, 0, 1}, 0, p.y, 0, 4);
            Arrays.fill(p.targets, 0);
            compare(subject, p, 1);
            assertEquals(1, p.truth().rowAccuracy);
            assertEquals(0, p.truth().columnAccuracy, "neither row is above the other");
        });
    }

    @Test
    void infoNce_zeroRows_haveZeroLogits() {
        forAll(subject -> {
            Problem p = new Problem(35, 35, 6, true, 5);
            Arrays.fill(p.x, 6, 18, 0);
            Arrays.fill(p.y, 0, 12, 0);
            compare(subject, p, 1);
        });
    }

    /** Losses of 1e-3 and 1e-8 keep their relative accuracy: the positive is not added to the sum of the negatives. */
    @Test
    void infoNce_smallLoss_keepsRelativeAccuracy() {
        forAll(subject -> {
            for (double scale : new double[] {9, 24}) {
                Problem p = new Problem(20, 20, 40, true, 5);
                Arrays.fill(p.x, 0);
                for (int i = 0; i < 20; i++) {
                    p.x[i * 40 + i] = 1;
                }
                System.arraycopy(p.x, 0, p.y, 0, p.x.length);
                p.logScale = (float) Math.log(scale);
                PairwiseReference truth = p.truth();
                Answer answer = ask(subject, p, 1);
                assertTrue(truth.loss < 3e-3 && truth.loss > 0);
                double relative = subject.ops().dtype() == DType.F64 ? 1e-12 : 1e-5;
                assertEquals(1, answer.result().loss() / truth.loss, relative, subject + " loss " + truth.loss);
                for (int i = 0; i < 20; i++) {
                    assertEquals(1, answer.dx()[i * 40 + i] / truth.dx[i * 40 + i], relative, subject.toString());
                }
            }
        });
    }

    /** The same with inexact rows: the only error is that of f32 logits. */
    @Test
    void infoNce_smallLossOfRoundedRows_errorOfLogitsOnly() {
        forAll(subject -> {
            for (double scale : new double[] {12, 25}) {
                Problem p = new Problem(20, 20, 512, true, 5);
                System.arraycopy(p.x, 0, p.y, 0, p.x.length);
                p.logScale = (float) Math.log(scale);
                double loss = p.truth().loss;
                assertTrue(loss < 2e-3 && loss > 1e-10, "loss " + loss);
                double relative = subject.ops().dtype() == DType.F64 ? 1e-11 : 1e-4;
                assertEquals(1, ask(subject, p, 1).result().loss() / loss, relative, subject + " loss " + loss);
            }
        });
    }

    @Test
    void infoNce_nanAnywhere_nanLoss() {
        forAll(subject -> {
            for (double rowWeight : new double[] {0, 0.5, 1}) {
                for (int at : new int[] {0, 17, 41 * 5 - 1}) {
                    for (boolean left : new boolean[] {true, false}) {
                        Problem p = new Problem(41, 41, 5, true, 5);
                        p.rowWeight = rowWeight;
                        p.columnWeight = 1 - rowWeight;
                        (left ? p.x : p.y)[at] = Double.NaN;
                        assertTrue(
                                Double.isNaN(ask(subject, p, 1).result().loss()),
                                subject + (left ? " x[" : " y[") + at + "], row weight " + rowWeight);
                    }
                }
            }
        });
    }

    @ParameterizedTest
    @MethodSource("org.contrastive4j.internal.cpu.PairwiseFixture#subjects")
    void infoNce_skippedGradients_changeNothing(Subject subject) {
        try (subject) {
            Ops ops = subject.ops();
            Problem p = new Problem(30, 37, 9, false, 5);
            Answer all = ask(subject, p, 1);
            try (Tensor x = ops.tensor(Shape.of(30, 9), p.x);
                    Tensor y = ops.tensor(Shape.of(37, 9), p.y);
                    Tensor targets = ops.ints(Shape.of(30), p.targets);
                    Tensor logScale = ops.tensor(Shape.of(1), p.logScale);
                    Tensor bias = ops.tensor(Shape.of(1), p.bias);
                    Tensor dx = poisoned(ops, 30, 9);
                    Tensor dy = poisoned(ops, 37, 9);
                    Tensor dLogScale = ops.zeros(Shape.of(1))) {
                PairwiseOps.InfoNce inputs = new PairwiseOps.InfoNce(x, y, targets, logScale, bias, 0.5, 0.5);
                assertEquals(
                        all.result().loss(),
                        subject.pairwise().infoNce(inputs, null, 1, null).get().loss(),
                        1e-12);
                subject.pairwise().infoNce(inputs, new PairwiseOps.Gradients(dx, null, null, null), 1, null);
                subject.pairwise().infoNce(inputs, new PairwiseOps.Gradients(null, dy, null, null), 1, null);
                subject.pairwise().infoNce(inputs, new PairwiseOps.Gradients(null, null, dLogScale, null), 1, null);
                assertArrayEquals(all.dx(), dx.toDoubles());
                assertArrayEquals(all.dy(), dy.toDoubles());
                assertEquals(all.dLogScale(), dLogScale.toDoubles()[0], 1e-5 * (1 + Math.abs(all.dLogScale())));
            }
        }
    }

    @Test
    void workspaceBytes_equalsMemoryAndIsLinear() {
        try (Ops ops = Backend.open("cpu")) {
            List<Long> bytes = new ArrayList<>();
            for (int n : new int[] {1000, 2000, 4000}) {
                try (Tensor x = ops.zeros(Shape.of(n, 16));
                        Tensor dx = ops.zeros(Shape.of(n, 16));
                        Tensor logScale = ops.zeros(Shape.of(1))) {
                    long before = ops.memory().currentBytes();
                    ops.memory().resetPeak();
                    ops.pairwise()
                            .infoNce(
                                    new PairwiseOps.InfoNce(x, x, null, logScale, null, 0.5, 0.5),
                                    new PairwiseOps.Gradients(dx, null, null, null),
                                    1,
                                    null);
                    assertEquals(
                            ops.pairwise().workspaceBytes(n, n, 16, true),
                            ops.memory().peakBytes() - before);
                    bytes.add(ops.memory().peakBytes() - before);
                    ops.memory().resetPeak();
                    ops.pairwise()
                            .infoNce(new PairwiseOps.InfoNce(x, x, null, logScale, null, 0.5, 0.5), null, 1, null);
                    assertEquals(
                            ops.pairwise().workspaceBytes(n, n, 16, false),
                            ops.memory().peakBytes() - before);
                }
            }
            assertTrue(bytes.get(2) <= 4.1 * bytes.get(0), bytes.toString());
            assertTrue(ops.pairwise().workspaceBytes(8192, 8192, 512, true) + 2L * 8192 * 513 * 4 <= 64_000_000);
        }
    }

    @Test
    void infoNce_anyNumberOfThreads_sameBits() {
        try (Ops ops = Backend.open("cpu")) {
            Subject subject = new Subject("cpu", ops, ops.pairwise());
            Problem p = new Problem(700, 900, 24, true, 5);
            Answer first = ask(subject, p, 1);
            Answer again = ask(subject, p, 1);
            Answer alone;
            Workers.useThreads(1);
            try {
                alone = ask(subject, p, 1);
            } finally {
                Workers.useThreads(Integer.MAX_VALUE);
            }
            for (Answer other : List.of(again, alone)) {
                assertEquals(first.result(), other.result());
                assertArrayEquals(first.dx(), other.dx());
                assertArrayEquals(first.dy(), other.dy());
                assertEquals(first.dLogScale(), other.dLogScale());
            }
        }
    }

    @Test
    void invalidArguments_areRefused() {
        try (Ops ops = Backend.open("cpu");
                Tensor x = ops.zeros(Shape.of(4, 3));
                Tensor wide = ops.zeros(Shape.of(4, 5));
                Tensor few = ops.zeros(Shape.of(2, 3));
                Tensor one = ops.zeros(Shape.of(1));
                Tensor targets = ops.ints(Shape.of(4), 0, 1, 7, 0)) {
            PairwiseOps pairwise = ops.pairwise();
            assertThrows(
                    ShapeException.class,
                    () -> pairwise.infoNce(new PairwiseOps.InfoNce(x, wide, null, one, null, 1, 0), null, 1, null));
            assertThrows(
                    ShapeException.class,
                    () -> pairwise.infoNce(new PairwiseOps.InfoNce(x, few, null, one, null, 1, 0), null, 1, null));
            ShapeException outside = assertThrows(
                    ShapeException.class,
                    () -> pairwise.infoNce(new PairwiseOps.InfoNce(x, x, targets, one, null, 1, 0), null, 1, null));
            assertTrue(outside.getMessage().contains("targets[2] is 7"), outside.getMessage());
            for (double weight : new double[] {-1, Double.NaN, Double.POSITIVE_INFINITY}) {
                for (PairwiseOps.InfoNce wrong : List.of(
                        new PairwiseOps.InfoNce(x, x, null, one, null, weight, 0),
                        new PairwiseOps.InfoNce(x, x, null, one, null, 1, weight))) {
                    assertThrows(ShapeException.class, () -> pairwise.infoNce(wrong, null, 1, null));
                }
            }
            PairwiseOps.InfoNce right = new PairwiseOps.InfoNce(x, x, null, one, null, 1, 0);
            PairwiseOps.Gradients expected = new PairwiseOps.Gradients(x, null, null, null);
            for (double scale : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
                assertThrows(ShapeException.class, () -> pairwise.infoNce(right, expected, scale, null));
            }
        }
    }
}
