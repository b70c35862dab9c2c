package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.LossReference;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** One negative at first, more while accuracy is above its target. */
class NegativesWarmupTest {
    private static PairwiseOps.Result accuracy(double share) {
        return new PairwiseOps.Result(0, share, 0, 0);
    }

    @Test
    void valueAndGradient_window_equalTheirDefinition() {
        int n = 7;
        Random random = new Random(4);
        double[] rows = random.doubles(n * 3, -1, 1).toArray();
        double[] columns = random.doubles(n * 3, -1, 1).toArray();
        for (int k : new int[] {1, 3, 6, 100}) {
            try (Ops ops = Backend.open("cpu-f64");
                    BinaryLoss loss = (BinaryLoss) Losses.named(ops, "bce-warmup");
                    Parameter u = new Parameter(ops, "u", ops.tensor(Shape.of(n, 3), rows), true);
                    Parameter v = new Parameter(ops, "v", ops.tensor(Shape.of(n, 3), columns), true)) {
                loss.restore(Map.of("warmup.negatives", (double) k, "warmup.accuracy", 0.5));
                int[][] classes = new int[n][n];
                for (int i = 0; i < n; i++) {
                    for (int j = 0; j < n; j++) {
                        int after = Math.floorMod(j - i, n);
                        classes[i][j] = after == 0 ? 1 : after <= k ? 0 : -1;
                    }
                }
                double[][] s = LossReference.logits(rows, columns, n, n, 3, 10, 0);
                assertEquals(
                        LossReference.binary(s, classes, 1) / n,
                        loss.value(u.value(), v.value(), PairLabels.DIAGONAL)
                                .get()
                                .loss(),
                        1e-12);
                List<Parameter> all = List.of(u, v, loss.logScale(), loss.bias());
                new GradientCheck(ops, 1)
                        .run(
                                tape -> tape.apply(
                                        new LossFunction(loss, PairLabels.DIAGONAL), all.toArray(new Parameter[0])),
                                all)
                        .require(1e-7);
            }
        }
    }

    /**
     * A world in which the positive is one of 1 + k equally likely choices up to 8 and sure below: accuracy settles at
     * the target.
     */
    @Test
    void warmup_manySteps_settlesAtTheTargetAccuracy() {
        NegativesWarmup.Controller controller = new NegativesWarmup.Controller(NegativesWarmup.DEFAULT);
        assertEquals(1, controller.negatives());
        double seen = 0;
        for (int step = 0; step < 2000; step++) {
            seen = Math.min(1, 8.0 / (1 + controller.negatives()));
            controller.step(seen, 1000);
        }
        assertEquals(15, controller.negatives(), 1);
        assertEquals(0.5, seen, 0.05);
        for (int step = 0; step < 2000; step++) {
            controller.step(1, 1000);
        }
        assertEquals(1000, controller.negatives(), "never more than the batch has");
        for (int step = 0; step < 2000; step++) {
            controller.step(0, 1000);
        }
        assertEquals(1, controller.negatives(), "never less than one");
    }

    @Test
    void restore_savedState_continuesTheSame() {
        try (Ops ops = Backend.open("cpu");
                BinaryLoss one = (BinaryLoss) Losses.named(ops, "bce-warmup");
                BinaryLoss other = (BinaryLoss) Losses.named(ops, "bce-warmup");
                Tensor u = ops.zeros(Shape.of(50, 2))) {
            one.value(u, u, PairLabels.DIAGONAL);
            for (int step = 0; step < 60; step++) {
                one.afterStep(accuracy(1));
            }
            assertTrue(one.negatives() > 5);
            other.restore(one.state());
            assertEquals(one.state(), other.state());
            other.value(u, u, PairLabels.DIAGONAL);
            one.afterStep(accuracy(0.25));
            other.afterStep(accuracy(0.25));
            assertEquals(one.state(), other.state());
            assertThrows(LossOptionException.class, () -> other.restore(Map.of()));
            assertThrows(
                    LossOptionException.class,
                    () -> other.restore(Map.of("warmup.negatives", 0.0, "warmup.accuracy", 0.5)));
            try (ContrastiveLoss plain = Losses.named(ops, "siglip")) {
                assertEquals(Map.of(), plain.state());
                plain.restore(Map.of());
                assertThrows(LossOptionException.class, () -> plain.restore(one.state()));
            }
        }
    }
}
