package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses.NotConvergedException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** The fixed point of Sinkhorn's iterations and its gradient, against many iterations. */
class SinkhornLossTest {
    private static double[] random(int rows, int d, long seed) {
        return new Random(seed)
                .doubles((long) rows * d, -1, 1)
                .map(x -> (float) x)
                .toArray();
    }

    private record Answer(double loss, double[] du, double[] dv, double dLogScale) {}

    private static Answer ask(Ops ops, ContrastiveLoss loss, double logScale, int n, int m, int d, PairLabels labels) {
        try (loss;
                Tensor u = ops.tensor(Shape.of(n, d), random(n, d, 1));
                Tensor v = ops.tensor(Shape.of(m, d), random(m, d, 2));
                Tensor du = ops.allocate(n, d);
                Tensor dv = ops.allocate(m, d)) {
            loss.logScale().value().set(logScale);
            double value = loss.valueAndGradient(u, v, labels, du, dv, 3).get().loss();
            return new Answer(
                    value,
                    du.toDoubles(),
                    dv.toDoubles(),
                    loss.logScale().gradient().toDoubles()[0]);
        }
    }

    private static void near(double[] expected, double[] given, double tolerance) {
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], given[i], tolerance, "element " + i);
        }
    }

    @ParameterizedTest
    @SampledSource(
            every = 3,
            csv = {"1,1,2", "2,2,3", "7,7,4", "5,9,3", "33,33,6", "31,40,5"})
    void implicitGradient_converged_equalsThatOfManyIterations(int n, int m, int d) {
        double logScale = Math.log(4);
        Answer unrolled;
        try (Ops ops = Backend.open("cpu-f64")) {
            unrolled = ask(
                    ops, new SinkhornLoss(ops, 300, PairPolicy.DEFAULT, true), logScale, n, m, d, PairLabels.DIAGONAL);
            Answer implicit = ask(
                    ops,
                    SinkhornLoss.converged(ops, 1e-13, 5000, PairPolicy.DEFAULT),
                    logScale,
                    n,
                    m,
                    d,
                    PairLabels.DIAGONAL);
            assertEquals(unrolled.loss, implicit.loss, 1e-11);
            near(unrolled.du, implicit.du, 1e-10);
            near(unrolled.dv, implicit.dv, 1e-10);
            assertEquals(unrolled.dLogScale, implicit.dLogScale, 1e-10);
            assertTrue(n == 1 || Math.abs(unrolled.dLogScale) > 1e-3, "nothing to compare");
        }
        for (String backend : inSinglePrecision(n)) {
            try (Ops ops = Backend.open(backend)) {
                Answer single = ask(
                        ops,
                        SinkhornLoss.converged(ops, 1e-5, 5000, PairPolicy.DEFAULT),
                        logScale,
                        n,
                        m,
                        d,
                        PairLabels.DIAGONAL);
                assertEquals(unrolled.loss, single.loss, 1e-4);
                near(unrolled.du, single.du, 2e-4);
                near(unrolled.dv, single.dv, 2e-4);
            }
        }
    }

    /** More rows take more iterations, too many for a simulator. */
    private static List<String> inSinglePrecision(int n) {
        return Stream.concat(Stream.of("cpu"), n <= 9 ? Devices.names() : Stream.of())
                .toList();
    }

    @Test
    void implicitGradient_agreesWithCentralDifferences() {
        int[] ids = {0, 1, 2, 0, 4};
        for (PairPolicy policy : List.of(PairPolicy.DEFAULT, PairPolicy.MULTI_POSITIVE)) {
            try (Ops ops = Backend.open("cpu-f64");
                    Tensor tags = ops.ints(Shape.of(5), ids);
                    ContrastiveLoss loss = SinkhornLoss.converged(ops, 1e-13, 20000, policy);
                    Parameter u = new Parameter(ops, "u", ops.tensor(Shape.of(5, 3), random(5, 3, 5)), true);
                    Parameter v = new Parameter(ops, "v", ops.tensor(Shape.of(5, 3), random(5, 3, 6)), true)) {
                loss.logScale().value().set(Math.log(3));
                List<Parameter> all = new ArrayList<>(List.of(u, v, loss.logScale()));
                new GradientCheck(ops, 1)
                        .run(
                                tape -> tape.apply(
                                        new LossFunction(loss, PairLabels.ids(tags, tags)),
                                        all.toArray(new Parameter[0])),
                                all)
                        .require(1e-7);
            }
        }
    }

    /** A few iterations are not the fixed point: the comparison above can fail. */
    @Test
    void fixedPoint_fewIterations_isNotReached() {
        try (Ops ops = Backend.open("cpu-f64")) {
            Answer few = ask(
                    ops, new SinkhornLoss(ops, 1, PairPolicy.DEFAULT, true), Math.log(8), 7, 7, 4, PairLabels.DIAGONAL);
            Answer fixed = ask(
                    ops,
                    SinkhornLoss.converged(ops, 1e-12, 5000, PairPolicy.DEFAULT),
                    Math.log(8),
                    7,
                    7,
                    4,
                    PairLabels.DIAGONAL);
            assertTrue(Math.abs(few.loss - fixed.loss) > 1e-3);
        }
    }

    @Test
    void converged_tooFewIterations_throwsNotConverged() {
        try (Ops ops = Backend.open("cpu-f64")) {
            long before = ops.memory().currentBytes();
            String message = assertThrows(
                            NotConvergedException.class,
                            () -> ask(
                                    ops,
                                    SinkhornLoss.converged(ops, 1e-12, 3, PairPolicy.DEFAULT),
                                    Math.log(50),
                                    9,
                                    9,
                                    3,
                                    PairLabels.DIAGONAL))
                    .getMessage();
            assertTrue(message.contains("in 3 iterations"), message);
            assertEquals(before, ops.memory().currentBytes());
            for (double tolerance : new double[] {0, -1, 1, Double.NaN}) {
                assertThrows(
                        LossOptionException.class,
                        () -> SinkhornLoss.converged(ops, tolerance, 10, PairPolicy.DEFAULT));
            }
            assertThrows(LossOptionException.class, () -> SinkhornLoss.converged(ops, 0.1, 0, PairPolicy.DEFAULT));
            assertThrows(LossOptionException.class, () -> SinkhornLoss.symmetric(ops, 1001, PairPolicy.DEFAULT));
        }
    }

    /** Exchanging u and v leaves the symmetric loss unchanged and changes the other one. */
    @Test
    void symmetric_sidesExchanged_sameLoss() {
        int n = 12;
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss symmetric = SinkhornLoss.symmetric(ops, 2, PairPolicy.DEFAULT);
                ContrastiveLoss plain = new SinkhornLoss(ops, 2, PairPolicy.DEFAULT, true);
                Tensor u = ops.tensor(Shape.of(n, 3), random(n, 3, 1));
                Tensor v = ops.tensor(Shape.of(n, 3), random(n, 3, 2));
                Tensor ids = ops.ints(Shape.of(n), IntStream.range(0, n).toArray())) {
            PairLabels labels = PairLabels.ids(ids, ids);
            assertEquals(
                    symmetric.value(u, v, labels).get().loss(),
                    symmetric.value(v, u, labels).get().loss(),
                    1e-13);
            assertTrue(Math.abs(plain.value(u, v, labels).get().loss()
                            - plain.value(v, u, labels).get().loss())
                    > 1e-6);
        }
    }
}
