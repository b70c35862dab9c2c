package org.contrastive4j.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** The schedule of dynamic loss scaling. */
class LossScaleTest {
    private static void good(LossScale scale, int steps) {
        for (int k = 0; k < steps; k++) {
            scale.good();
        }
    }

    @Test
    void good_consecutiveSteps_doublesScale() {
        LossScale scale = LossScale.of(new LossScale.Config(0x1p4, 3));
        good(scale, 2);
        assertEquals(new LossScale.State(0x1p4, 2, 0), scale.state());
        scale.good();
        assertEquals(new LossScale.State(0x1p5, 0, 0), scale.state());
        good(scale, 2);
        assertTrue(scale.overflowed());
        assertEquals(new LossScale.State(0x1p4, 0, 1), scale.state(), "the row of good steps begins again");
        good(scale, 3);
        assertEquals(0x1p5, scale.value());
        assertTrue(scale.overflowed());
        assertTrue(scale.overflowed());
        assertEquals(new LossScale.State(0x1p3, 0, 3), scale.state());
    }

    @Test
    void overflowed_scaleOne_isNotSkipped() {
        LossScale scale = LossScale.of(new LossScale.Config(2, 1));
        assertTrue(scale.overflowed());
        assertFalse(scale.overflowed());
        assertEquals(new LossScale.State(1, 0, 1), scale.state());
        scale.good();
        assertEquals(2, scale.value());
    }

    @Test
    void of_null_staysOne() {
        LossScale scale = LossScale.of(null);
        good(scale, 5000);
        assertEquals(1, scale.value());
        assertFalse(scale.overflowed());
        assertEquals(0, scale.state().skipped());
    }

    @Test
    void good_largestScale_staysThere() {
        LossScale scale = LossScale.of(new LossScale.Config(0x1p120, 1));
        good(scale, 10);
        assertEquals(0x1p127, scale.value());
        assertTrue(Float.isFinite((float) scale.value()) && Float.isInfinite((float) (2 * scale.value())));
    }

    @Test
    void restore_continuesSchedule() {
        Random random = new Random(7);
        LossScale straight = LossScale.of(LossScale.Config.USUAL);
        LossScale resumed = LossScale.of(LossScale.Config.USUAL);
        for (int k = 0; k < 3000; k++) {
            if (random.nextInt(400) == 0) {
                assertEquals(straight.overflowed(), resumed.overflowed());
            } else {
                straight.good();
                resumed.good();
            }
            LossScale next = LossScale.of(LossScale.Config.USUAL);
            next.restore(resumed.state());
            resumed = next;
            assertEquals(straight.state(), resumed.state(), "step " + k);
        }
        assertTrue(straight.state().skipped() > 2, "there must be something to continue");
    }

    @Test
    void config_invalidScale_isRefused() {
        for (double start : new double[] {0, 0.5, 3, -2, 0x1p127 * 2, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertThrows(IllegalArgumentException.class, () -> new LossScale.Config(start, 10), () -> "start " + start);
            assertThrows(
                    IllegalArgumentException.class, () -> new LossScale.State(start, 0, 0), () -> "scale " + start);
        }
        assertThrows(IllegalArgumentException.class, () -> new LossScale.Config(2, 0));
        assertThrows(IllegalArgumentException.class, () -> new LossScale.State(2, -1, 0));
        assertThrows(IllegalArgumentException.class, () -> new LossScale.State(2, 0, -1));
    }
}
