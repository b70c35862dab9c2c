package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Losses against soft targets whose pairs and whose teacher's pairs are nearly solved: targets and softmax differ from
 * hard labels by 1e-6, and f32 keeps the relative accuracy of loss and gradients.
 */
class NearlySolvedPairsTest {
    private static final int N = 24;
    private static final int D = 32;
    private static final double LOG_SCALE = Math.log(14.3);

    static Stream<String> backends() {
        return Stream.concat(Stream.of("cpu"), Devices.names());
    }

    /** Rows near the axes; their cosines with each other are near 0, with their partners near 1. */
    private static double[] nearAxes(long seed) {
        Random random = new Random(seed);
        double[] rows = new double[N * D];
        for (int i = 0; i < N; i++) {
            for (int k = 0; k < D; k++) {
                rows[i * D + k] = (float) ((k == i ? 2 : 0) + 0.02 * random.nextGaussian());
            }
        }
        return rows;
    }

    /** Loss, and gradients of u and of the log-scale. */
    private record Answer(double loss, double[] du, double[] dv, double dLogScale) {}

    private interface Case {
        PairwiseOps.Result run(Ops ops, Tensor[] reps, Tensor du, Tensor dv, double[] dLogScale);
    }

    private static Answer answer(String backend, Case c) {
        try (Ops ops = Backend.open(backend);
                Tensor u = ops.parameterTensor(Shape.of(N, D), nearAxes(1));
                Tensor v = ops.parameterTensor(Shape.of(N, D), nearAxes(2));
                Tensor a = ops.parameterTensor(Shape.of(N, D), nearAxes(3));
                Tensor b = ops.parameterTensor(Shape.of(N, D), nearAxes(4));
                Tensor du = ops.allocateParameter(N, D);
                Tensor dv = ops.allocateParameter(N, D)) {
            double[] dLogScale = new double[1];
            PairwiseOps.Result result = c.run(ops, new Tensor[] {u, v, a, b}, du, dv, dLogScale);
            return new Answer(result.loss(), du.toDoubles(), dv.toDoubles(), dLogScale[0]);
        }
    }

    private static void agree(String backend, Case c, double tolerance) {
        Answer expected = answer("cpu-f64", c);
        Answer got = answer(backend, c);
        assertTrue(expected.loss > 1e-6 && expected.loss < 1e-3, "loss " + expected.loss);
        assertEquals(expected.loss, got.loss, tolerance * expected.loss);
        assertEquals(expected.dLogScale, got.dLogScale, tolerance * Math.abs(expected.dLogScale));
        assertTrue(distance(expected.du, got.du) <= tolerance, "du differs by " + distance(expected.du, got.du));
        assertTrue(distance(expected.dv, got.dv) <= tolerance, "dv differs by " + distance(expected.dv, got.dv));
    }

    /** Returns |a - b| / |a|. */
    private static double distance(double[] a, double[] b) {
        double difference = 0;
        double size = 0;
        for (int k = 0; k < a.length; k++) {
            difference += (a[k] - b[k]) * (a[k] - b[k]);
            size += a[k] * a[k];
        }
        return Math.sqrt(difference / size);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void distilledContrast_nearlySolved_agreesWithF64(String backend) {
        agree(
                backend,
                (ops, reps, du, dv, dLogScale) -> {
                    try (DistilledContrast loss = new DistilledContrast(ops, LOG_SCALE, true)) {
                        PairwiseOps.Result result = loss.valueAndGradient(
                                        reps[0], reps[1], reps[2], reps[3], 0.4, du, dv, 1)
                                .get();
                        dLogScale[0] = loss.logScale().gradient().toDoubles()[0];
                        return result;
                    }
                },
                5e-4);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void queueContrast_nearlySolved_agreesWithF64(String backend) {
        agree(
                backend,
                (ops, reps, du, dv, dLogScale) -> {
                    try (QueueContrast loss = new QueueContrast(ops, N, D, PairPolicy.DEFAULT, LOG_SCALE, true)) {
                        PairwiseOps.Result result = loss.valueAndGradient(
                                        reps[0], reps[1], reps[2], reps[3], null, 0.4, du, dv, 1)
                                .get();
                        dLogScale[0] = loss.logScale().gradient().toDoubles()[0];
                        return result;
                    }
                },
                5e-4);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void softTargetContrast_nearlySolved_agreesWithF64(String backend) {
        agree(
                backend,
                (ops, reps, du, dv, dLogScale) -> {
                    try (SoftTargetContrast loss = new SoftTargetContrast(ops, LOG_SCALE, true);
                            UnitRows a = new UnitRows(ops, "a", reps[2]);
                            UnitRows b = new UnitRows(ops, "b", reps[3])) {
                        SoftTargets soft = SoftTargets.similarity(ops, a.unit(), b.unit(), Math.exp(LOG_SCALE));
                        SoftTargets mixed = SoftTargets.mixed(0.4, soft, SoftTargets.diagonal(N, N));
                        PairwiseOps.Result result = loss.valueAndGradient(
                                        reps[0], reps[1], mixed, SoftTargets.diagonal(N, N), du, dv, 1)
                                .get();
                        dLogScale[0] = loss.logScale().gradient().toDoubles()[0];
                        return result;
                    }
                },
                5e-4);
    }
}
