package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Set;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.LossReference;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What losses want of their settings and labels, and where they start. */
class LossSettingsTest {
    static Set<String> names() {
        return Losses.names();
    }

    @Test
    void settings_outOfRange_areRefused() {
        try (Ops ops = Backend.open("cpu")) {
            assertThrows(
                    LossOptionException.class,
                    () -> new TripletLoss(ops, TripletLoss.Negatives.ALL, 0, PairPolicy.DEFAULT));
            assertThrows(
                    LossOptionException.class,
                    () -> new TripletLoss(ops, TripletLoss.Negatives.ALL, Double.NaN, PairPolicy.DEFAULT));
            assertThrows(
                    LossOptionException.class,
                    () -> new TripletLoss(ops, TripletLoss.Negatives.ALL, 2.5, PairPolicy.DEFAULT));
            assertThrows(LossOptionException.class, () -> new SinkhornLoss(ops, 0, PairPolicy.DEFAULT, true));
            assertThrows(LossOptionException.class, () -> Losses.bceWeighted(ops, -1));
            assertThrows(
                    LossOptionException.class,
                    () -> InfoNce.withPolicy(ops, InfoNce.Direction.ROWS, 1, PairPolicy.DEFAULT));
            assertThrows(
                    LossOptionException.class,
                    () -> new InfoNce(ops, InfoNce.Direction.ROWS, 0, PairPolicy.DEFAULT, 5, null, true));
            assertThrows(LossOptionException.class, () -> new PairPolicy(PairPolicy.DEFAULT.sameId(), -0.1, false));
            assertThrows(LossOptionException.class, () -> new PairPolicy(PairPolicy.DEFAULT.sameId(), 1.1, true));
            assertThrows(LossOptionException.class, () -> new NegativesWarmup(1, 0.1, 0.9));
            assertThrows(
                    LossOptionException.class,
                    () -> new TripletLoss(ops, TripletLoss.Negatives.ALL, 0.2, PairPolicy.MULTI_POSITIVE));
            String message = assertThrows(LossOptionException.class, () -> Losses.named(ops, "clip"))
                    .getMessage();
            assertTrue(message.contains("siglip"), message);
            assertEquals(0, ops.memory().currentBytes(), "refusals leave nothing behind");
        }
    }

    @ParameterizedTest
    @MethodSource("names")
    void valueAndGradient_invalidShapes_areRefusedWithoutLeaks(String name) {
        try (Ops ops = Backend.open("cpu");
                ContrastiveLoss loss = Losses.named(ops, name);
                Tensor u = ops.tensor(Shape.of(3, 2), 1, 2, 3, 4, 5, 6);
                Tensor narrow = ops.zeros(Shape.of(3, 1));
                Tensor bad = ops.tensor(Shape.of(3, 2), 1, 2, Double.NaN, 4, 5, 6);
                Tensor two = ops.zeros(Shape.of(2, 2));
                Tensor ids = ops.ints(Shape.of(2), 0, 1);
                Tensor targets = ops.ints(Shape.of(3), 0, 1, 3);
                Tensor guide = ops.zeros(Shape.of(2, 4))) {
            long before = ops.memory().currentBytes();
            assertThrows(ShapeException.class, () -> loss.value(u, narrow, PairLabels.DIAGONAL));
            assertThrows(ShapeException.class, () -> loss.value(u, two, PairLabels.DIAGONAL));
            assertThrows(ShapeException.class, () -> loss.value(u, u, PairLabels.ids(ids, ids)));
            assertThrows(ShapeException.class, () -> loss.value(u, u, PairLabels.targets(ids)));
            assertThrows(ShapeException.class, () -> loss.value(u, u, PairLabels.targets(targets)));
            assertThrows(ShapeException.class, () -> loss.value(u, u, PairLabels.guide(guide, guide)));
            assertThrows(LossOptionException.class, () -> PairLabels.ids(ids, null));
            assertEquals(
                    1,
                    assertThrows(NonFiniteException.class, () -> loss.value(u, bad, PairLabels.DIAGONAL))
                            .row());
            assertEquals(before, ops.memory().currentBytes());
        }
    }

    /** More active hinges than the reward push the margin down, fewer let it grow, and it stays in its range. */
    @Test
    void learnableMargin_afterSteps_settlesWhereTheRewardBalancesTheHinges() {
        try (Ops ops = Backend.open("cpu-f64");
                TripletLoss loss = (TripletLoss)
                        TripletLoss.learnableMargin(ops, TripletLoss.Negatives.HARDEST, 0.5, 1, PairPolicy.DEFAULT);
                Tensor u = ops.tensor(Shape.of(2, 2), 1, 0, 0, 1);
                Tensor v = ops.tensor(Shape.of(2, 2), 1, 0.1, 0.1, 1);
                Tensor w = ops.tensor(Shape.of(2, 2), 0.1, 1, 1, 0.1)) {
            Parameter margin = loss.parameters().get(1);
            assertEquals("loss.margin", margin.name());
            assertEquals(null, loss.bias());
            loss.valueAndGradient(u, v, PairLabels.DIAGONAL, null, null, 1);
            assertEquals(-1, margin.gradient().toDoubles()[0], 1e-15, "no hinge is active");
            margin.zeroGradient();
            loss.valueAndGradient(u, w, PairLabels.DIAGONAL, null, null, 2);
            assertEquals(2 * (2 - 1), margin.gradient().toDoubles()[0], 1e-15, "both hinges of each row are");
            for (double[] givenAndClamped : new double[][] {{3, 2}, {-1, 0.001}, {0.7, 0.7}}) {
                margin.value().set(givenAndClamped[0]);
                loss.afterStep(new PairwiseOps.Result(0, 0, 0, 0));
                assertEquals(givenAndClamped[1], loss.margin());
            }
            for (double reward : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
                assertThrows(
                        LossOptionException.class,
                        () -> TripletLoss.learnableMargin(
                                ops, TripletLoss.Negatives.ALL, 0.2, reward, PairPolicy.DEFAULT));
            }
            assertThrows(
                    LossOptionException.class,
                    () -> TripletLoss.learnableMargin(ops, TripletLoss.Negatives.ALL, 2.1, 1, PairPolicy.DEFAULT));
        }
    }

    @Test
    void fourWay_sharedTargets_areRefused() {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss loss = Losses.named(ops, "infonce-fourway");
                Tensor u = ops.tensor(Shape.of(2, 2), 1, 2, 4, -3);
                Tensor v = ops.tensor(Shape.of(1, 2), 2, 1);
                Tensor same = ops.ints(Shape.of(2), 0, 0);
                Tensor one = ops.ints(Shape.of(2), -1, 0);
                Tensor dv = ops.allocate(1, 2)) {
            assertThrows(LossOptionException.class, () -> loss.value(u, v, PairLabels.targets(same)));
            assertThrows(LossOptionException.class, () -> Losses.fourWay(ops, 0, PairPolicy.MULTI_POSITIVE));
            assertThrows(LossOptionException.class, () -> Losses.fourWay(ops, 1, PairPolicy.DEFAULT));
            double[][] z = LossReference.logits(
                    new double[] {1, 2, 4, -3, 2, 1}, new double[] {1, 2, 4, -3, 2, 1}, 3, 3, 2, loss.scale(), 0);
            int[][] classes = {{-1, 0, 0}, {0, -1, 1}, {0, 1, -1}}; // row 0 has no partner: a negative of the others
            PairwiseOps.Result result = loss.valueAndGradient(u, v, PairLabels.targets(one), null, dv, 1)
                    .get();
            assertEquals(LossReference.crossEntropy(z, classes, 0, true), result.loss(), 1e-12);
            assertEquals(1, result.rowAccuracy(), "of the one row that has a partner");
            assertEquals(0, result.columnAccuracy(), "the row without a partner is closer");
        }
    }

    @Test
    void triplet_sharedTargets_areRefused() {
        try (Ops ops = Backend.open("cpu");
                ContrastiveLoss loss = Losses.named(ops, "triplet");
                Tensor u = ops.tensor(Shape.of(2, 1), 1, 2);
                Tensor same = ops.ints(Shape.of(2), 1, 1);
                Tensor none = ops.ints(Shape.of(2), 1, -1)) {
            assertThrows(LossOptionException.class, () -> loss.value(u, u, PairLabels.targets(same)));
            assertThrows(LossOptionException.class, () -> loss.value(u, u, PairLabels.targets(none)));
        }
    }

    @Test
    void value_rowsWithoutAPositive_areNotCounted() {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss loss = Losses.named(ops, "infonce-multipositive");
                Tensor u = ops.tensor(Shape.of(3, 2), 1, 2, 3, 4, -5, 6);
                Tensor v = ops.tensor(Shape.of(2, 2), 1, 1, -1, 2);
                Tensor none = ops.ints(Shape.of(3), -1, -1, -1);
                Tensor rowIds = ops.ints(Shape.of(3), 1, 9, 2);
                Tensor columnIds = ops.ints(Shape.of(2), 1, 2)) {
            int[][] classes = {{1, 0}, {0, 0}, {0, 1}};
            double[][] s = LossReference.logits(u.toDoubles(), v.toDoubles(), 3, 2, 2, loss.scale(), 0);
            double expected = 0.5 * LossReference.crossEntropy(s, classes, 0, true)
                    + 0.5
                            * LossReference.crossEntropy(
                                    LossReference.transposed(s), LossReference.transposed(classes), 0, true);
            assertEquals(
                    expected,
                    loss.value(u, v, new PairLabels(none, rowIds, columnIds, null, null))
                            .get()
                            .loss(),
                    1e-12);
        }
    }

    @Test
    void sigLip_initialParameters_areThePublishedOnes() {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss loss = Losses.named(ops, "siglip")) {
            assertEquals(Math.log(10), loss.logScale().value().toDoubles()[0]);
            assertEquals(-10, loss.bias().value().toDoubles()[0]);
        }
    }

    /** Published CLIP models have scales of at most 100, SigLIP models of 112. */
    @Test
    void afterStep_clampsTheScaleAsPublished() {
        try (Ops ops = Backend.open("cpu-f64")) {
            for (String name : Losses.names()) {
                try (ContrastiveLoss loss = Losses.named(ops, name)) {
                    loss.logScale().value().set(Math.log(112));
                    loss.afterStep(new PairwiseOps.Result(0, 0, 0, 0));
                    boolean clamped = !name.equals("siglip") && !loss.logScale().isFrozen();
                    assertEquals(
                            clamped ? Math.log(100) : Math.log(112),
                            loss.logScale().value().toDoubles()[0],
                            name);
                }
            }
        }
    }
}
