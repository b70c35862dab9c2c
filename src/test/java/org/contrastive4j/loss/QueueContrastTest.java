package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.DistilledContrast.Momentum;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.QueueContrast.KeyQueue;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.Backends;
import org.contrastive4j.support.LossReference;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Queues keep the last keys, and queries meet them and the batch's own. */
class QueueContrastTest {
    private static final int D = 3;

    static Stream<String> backends() {
        return Backends.plain();
    }

    private static double[] random(int rows, long seed) {
        return new Random(seed)
                .doubles((long) rows * D, -1, 1)
                .map(x -> (float) x)
                .toArray();
    }

    private static double[] joined(double[] a, double[] b) {
        return IntStream.range(0, a.length + b.length)
                .mapToDouble(i -> i < a.length ? a[i] : b[i - a.length])
                .toArray();
    }

    @Test
    void enqueue_moreThanTheCapacity_keepsTheLastKeys() {
        try (Ops ops = Backend.open("cpu");
                KeyQueue queue = new KeyQueue(ops, 7, 1)) {
            assertEquals(0, queue.size());
            int put = 0;
            for (int batch : new int[] {3, 1, 5, 7, 2}) { // sizes that do not divide 7
                int first = put;
                try (Tensor rows = ops.tensor(
                                Shape.of(batch, 1),
                                IntStream.range(0, batch)
                                        .mapToDouble(i -> first + i)
                                        .toArray());
                        Tensor ids = ops.ints(
                                Shape.of(batch),
                                IntStream.range(0, batch)
                                        .map(i -> 100 + first + i)
                                        .toArray())) {
                    queue.put(rows, ids);
                }
                put += batch;
                assertEquals(Math.min(7, put), queue.size());
                double[] keys = queue.keys().toDoubles();
                int[] ids =
                        IntStream.range(0, queue.size()).map(queue::id).sorted().toArray();
                double[] sorted = Arrays.stream(keys).sorted().toArray();
                for (int k = 0; k < queue.size(); k++) {
                    assertEquals(put - queue.size() + k, sorted[k]);
                    assertEquals(100 + put - queue.size() + k, ids[k]);
                }
            }
        }
    }

    @Test
    void valueAndGradient_invalidShapes_areRefused() {
        try (Ops ops = Backend.open("cpu");
                KeyQueue queue = new KeyQueue(ops, 4, 2);
                Tensor five = ops.zeros(Shape.of(5, 2));
                Tensor wide = ops.zeros(Shape.of(1, 3));
                Tensor one = ops.zeros(Shape.of(1, 2));
                Tensor ids = ops.ints(Shape.of(2), 1, 2);
                QueueContrast loss = new QueueContrast(ops, 4, 2)) {
            String message = assertThrows(LossOptionException.class, () -> queue.put(five, null))
                    .getMessage();
            assertTrue(message.contains("queue capacity 4"), message);
            assertThrows(ShapeException.class, () -> queue.put(wide, null));
            assertThrows(ShapeException.class, () -> queue.put(one, ids));
            assertThrows(LossOptionException.class, () -> new KeyQueue(ops, 0, 2));
            assertThrows(LossOptionException.class, () -> new QueueContrast(ops, 4, 2, PairPolicy.DEFAULT, 9, false));
            assertThrows(ShapeException.class, () -> loss.valueAndGradient(one, one, wide, one, null, null, null, 1));
            assertThrows(ShapeException.class, () -> loss.valueAndGradient(one, one, one, one, ids, null, null, 1));
            assertThrows(ShapeException.class, () -> loss.metrics(one, one, one, one, ids));
            assertThrows(ShapeException.class, () -> loss.metrics(one, wide, one, one, null));
            assertThrows(LossOptionException.class, () -> loss.enqueue(five, five, null));
            try (KeyQueue other = new KeyQueue(ops, 5, 2)) {
                assertThrows(LossOptionException.class, () -> other.restore(queue.state()));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    @Tag("gpu")
    void value_batchAndQueue_equalsItsDefinition(String backend) {
        int n = 5;
        double[] u = random(n, 1);
        double[] v = random(n, 2);
        double[] keysOfU = random(n, 3);
        double[] keysOfV = random(n, 4);
        double[] pastU = random(8, 5);
        double[] pastV = random(8, 6);
        int[] ids = {0, 1, 2, 3, 4};
        int[] pastIds = {9, 1, 8, 4, 4, 7, 11, 12};
        for (boolean withIds : new boolean[] {false, true}) {
            for (PairPolicy policy : List.of(PairPolicy.DEFAULT, PairPolicy.MULTI_POSITIVE)) {
                try (Ops ops = Backend.open(backend);
                        QueueContrast loss = new QueueContrast(ops, 8, D, policy, Math.log(5), true);
                        Tensor a = ops.tensor(Shape.of(n, D), u);
                        Tensor b = ops.tensor(Shape.of(n, D), v);
                        Tensor ka = ops.tensor(Shape.of(n, D), keysOfU);
                        Tensor kb = ops.tensor(Shape.of(n, D), keysOfV);
                        Tensor pa = ops.tensor(Shape.of(8, D), pastU);
                        Tensor pb = ops.tensor(Shape.of(8, D), pastV);
                        Tensor tags = ops.ints(Shape.of(n), ids);
                        Tensor pastTags = ops.ints(Shape.of(8), pastIds);
                        Tensor da = ops.allocate(n, D);
                        Tensor db = ops.allocate(n, D)) {
                    loss.enqueue(pa, pb, pastTags);
                    int[][] classes = new int[n][n + 8];
                    for (int i = 0; i < n; i++) {
                        classes[i][i] = 1;
                        for (int j = 0; withIds && j < 8; j++) {
                            classes[i][n + j] = ids[i] != pastIds[j] ? 0 : policy == PairPolicy.DEFAULT ? -1 : 1;
                        }
                    }
                    PairwiseOps.Result result = loss.valueAndGradient(a, b, ka, kb, withIds ? tags : null, da, db, 2)
                            .get();
                    double tolerance = backend.equals("cpu-f64") ? 1e-12 : 2e-6;
                    assertEquals(expected(u, v, keysOfU, keysOfV, pastU, pastV, classes, 5), result.loss(), tolerance);
                    double slope = backend.equals("cpu-f64") ? 1e-8 : 2e-5;
                    GradientCheck.require(
                            "u",
                            x -> 2 * expected(x, v, keysOfU, keysOfV, pastU, pastV, classes, 5),
                            u,
                            da.toDoubles(),
                            slope,
                            7);
                    GradientCheck.require(
                            "v",
                            x -> 2 * expected(u, x, keysOfU, keysOfV, pastU, pastV, classes, 5),
                            v,
                            db.toDoubles(),
                            slope,
                            7);
                    GradientCheck.require(
                            "log-scale",
                            x -> 2 * expected(u, v, keysOfU, keysOfV, pastU, pastV, classes, Math.exp(x[0])),
                            new double[] {Math.log(5)},
                            loss.logScale().gradient().toDoubles(),
                            slope,
                            7);
                }
            }
        }
    }

    private static double expected(
            double[] u,
            double[] v,
            double[] keysOfU,
            double[] keysOfV,
            double[] pastU,
            double[] pastV,
            int[][] classes,
            double scale) {
        int n = classes.length;
        double[][] rows = LossReference.logits(u, joined(keysOfV, pastV), n, n + 8, D, scale, 0);
        double[][] columns = LossReference.logits(v, joined(keysOfU, pastU), n, n + 8, D, scale, 0);
        return (LossReference.crossEntropy(rows, classes, 0, true)
                        + LossReference.crossEntropy(columns, classes, 0, true))
                / 2;
    }

    @Test
    void value_emptyQueue_equalsTheBatchAlone() {
        try (Ops ops = Backend.open("cpu");
                QueueContrast loss = new QueueContrast(ops, 50, D);
                Tensor u = ops.tensor(Shape.of(33, D), random(33, 1));
                Tensor v = ops.tensor(Shape.of(33, D), random(33, 2));
                InfoNce batch = InfoNce.symmetric(ops)) {
            assertEquals(
                    batch.value(u, v, PairLabels.DIAGONAL).get().loss(),
                    loss.valueAndGradient(u, v, u, v, null, null, null, 1).get().loss(),
                    1e-5);
            assertEquals(0, loss.logScale().gradient().toDoubles()[0], "the temperature is fixed");
            assertEquals(0, loss.queueOfU().size(), "a step does not change the queues");
        }
    }

    /** Both ways together: what u meets among keys of v, and the other way round. */
    @ParameterizedTest
    @MethodSource("backends")
    @Tag("gpu")
    void metrics_coverAllKeysOfBatchAndQueue(String backend) {
        int n = 33;
        double[] u = random(n, 1);
        double[] v = random(n, 2);
        double[] pastU = random(8, 5);
        double[] pastV = random(8, 6);
        int[] pastIds = {90, 1, 80, 4, 4, 70, 61, 62};
        try (Ops ops = Backend.open(backend);
                QueueContrast loss = new QueueContrast(ops, 8, D);
                Tensor a = ops.tensor(Shape.of(n, D), u);
                Tensor b = ops.tensor(Shape.of(n, D), v);
                Tensor pa = ops.tensor(Shape.of(8, D), pastU);
                Tensor pb = ops.tensor(Shape.of(8, D), pastV);
                Tensor tags = ops.ints(Shape.of(n), IntStream.range(0, n).toArray());
                Tensor pastTags = ops.ints(Shape.of(8), pastIds)) {
            loss.enqueue(pa, pb, pastTags);
            long before = ops.memory().currentBytes();
            PairMetrics metrics = loss.metrics(a, b, a, b, tags);
            assertEquals(before, ops.memory().currentBytes());
            double[][] rows = LossReference.logits(u, joined(v, pastV), n, n + 8, D, 1, 0);
            double[][] columns = LossReference.logits(v, joined(u, pastU), n, n + 8, D, 1, 0);
            double positives = 0;
            double negatives = 0;
            for (double[][] side : List.of(rows, columns)) {
                for (int i = 0; i < n; i++) {
                    positives += side[i][i];
                    for (int j = 0; j < n + 8; j++) {
                        boolean ignored = j >= n && pastIds[j - n] == i;
                        negatives += j == i || ignored ? 0 : side[i][j];
                    }
                }
            }
            int ignored = 2 * 3;
            assertEquals(2 * n, metrics.positives().count());
            assertEquals(2 * n * (n + 7) - ignored, metrics.negatives().count());
            assertEquals((double) ignored / (2 * n * (n + 7)), metrics.ignoredShare(), 1e-12);
            assertEquals(positives / (2 * n), metrics.positives().mean(), 1e-3);
            assertEquals(
                    negatives / metrics.negatives().count(), metrics.negatives().mean(), 1e-3);
            PairwiseOps.Result result =
                    loss.valueAndGradient(a, b, a, b, tags, null, null, 1).get();
            assertEquals(result.rowAccuracy(), metrics.rowAccuracy());
            assertEquals(result.columnAccuracy(), metrics.columnAccuracy());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    @Tag("gpu")
    void valueAndGradient_largestScale_isFinite(String backend) {
        try (Ops ops = Backend.open(backend);
                QueueContrast loss = new QueueContrast(ops, 40, D, PairPolicy.DEFAULT, Math.log(100), true);
                Tensor u = ops.tensor(Shape.of(33, D), random(33, 1));
                Tensor opposed = ops.tensor(
                        Shape.of(33, D),
                        Arrays.stream(random(33, 1)).map(x -> -x).toArray());
                Tensor du = ops.allocate(33, D);
                Tensor dv = ops.allocate(33, D)) {
            loss.enqueue(u, opposed, null);
            for (double alpha : new double[] {0, 0.4}) {
                for (Tensor keys : List.of(u, opposed)) {
                    assertTrue(Double.isFinite(loss.valueAndGradient(u, u, keys, keys, null, alpha, du, dv, 1)
                            .get()
                            .loss()));
                    assertTrue(Arrays.stream(joined(du.toDoubles(), dv.toDoubles()))
                            .allMatch(Double::isFinite));
                    assertTrue(Double.isFinite(loss.logScale().gradient().toDoubles()[0]));
                }
            }
        }
    }

    @Test
    void restore_savedState_continuesTheSame() {
        try (Ops ops = Backend.open("cpu");
                QueueContrast one = new QueueContrast(ops, 7, D);
                QueueContrast other = new QueueContrast(ops, 7, D);
                Tensor u = ops.tensor(Shape.of(5, D), random(5, 1));
                Tensor v = ops.tensor(Shape.of(5, D), random(5, 2));
                Tensor ids = ops.ints(Shape.of(5), 1, 2, 3, 4, 5);
                Tensor a = ops.allocate(5, D);
                Tensor b = ops.allocate(5, D)) {
            one.enqueue(u, v, ids);
            one.enqueue(v, u, null);
            other.queueOfU().restore(one.queueOfU().state());
            other.queueOfV().restore(one.queueOfV().state());
            one.enqueue(u, u, ids);
            other.enqueue(u, u, ids);
            assertEquals(
                    one.valueAndGradient(u, v, v, u, ids, a, null, 1),
                    other.valueAndGradient(u, v, v, u, ids, b, null, 1));
            assertArrayEquals(a.toDoubles(), b.toDoubles());
        }
    }

    @Test
    void workspaceBytes_coversTheBytesUsed() {
        try (Ops ops = Backend.open("cpu");
                QueueContrast loss = new QueueContrast(ops, 500, D);
                Tensor u = ops.tensor(Shape.of(300, D), random(300, 1));
                Tensor du = ops.allocate(300, D)) {
            loss.enqueue(u, u, null);
            loss.enqueue(u, u, null);
            long before = ops.memory().currentBytes();
            ops.memory().resetPeak();
            loss.valueAndGradient(u, u, u, u, null, du, null, 1);
            assertTrue(ops.memory().peakBytes() - before <= loss.workspaceBytes(300, D));
            loss.valueAndGradient(u, u, u, u, null, 0.4, du, null, 1);
            assertTrue(ops.memory().peakBytes() - before <= loss.workspaceBytes(300, D), "with a teacher");
            assertEquals(before, ops.memory().currentBytes());
        }
    }

    @Test
    void momentum_manySteps_followsAndRampsUp() {
        Momentum ramp = new Momentum(0.9, 100);
        assertEquals(0.9, ramp.at(0), 1e-15);
        assertEquals(0.95, ramp.at(50), 1e-15);
        assertEquals(1, ramp.at(100), 1e-15);
        assertEquals(1, ramp.at(1000), 1e-15);
        assertEquals(0.999, Momentum.DEFAULT.at(12345), 1e-15);
        assertThrows(LossOptionException.class, () -> new Momentum(1, 0));
        try (Ops ops = Backend.open("cpu-f64");
                Parameter trained = new Parameter(ops, "a", ops.tensor(Shape.of(2), 1, 2), false);
                Parameter averaged = new Parameter(ops, "b", ops.tensor(Shape.of(2), 5, -2), false)) {
            ramp.update(ops, 0, List.of(trained), List.of(averaged));
            assertArrayEquals(
                    new double[] {0.9 * 5 + 0.1, 0.9 * -2 + 0.2},
                    averaged.value().toDoubles(),
                    1e-15);
            assertThrows(ShapeException.class, () -> ramp.update(ops, 0, List.of(trained), List.of()));
        }
    }
}
