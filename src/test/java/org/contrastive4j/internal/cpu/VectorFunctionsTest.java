package org.contrastive4j.internal.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.contrastive4j.internal.numeric.Erf;
import org.junit.jupiter.api.Test;

/** exp and the normal distribution for arrays, and the worker threads. */
class VectorFunctionsTest {
    @Test
    void exp_denseGrid_within2Ulp() {
        float[] x = new float[3001];
        float[] y = new float[3001];
        for (double start = -70; start < 88; start += 0.5) {
            for (int i = 0; i < x.length; i++) {
                x[i] = (float) (start + 0.5 * i / x.length);
                y[i] = x[i];
            }
            VectorExp.exp(y, 3, x.length - 5); // neither start nor count on a block edge
            for (int i = 3; i < x.length - 2; i++) {
                double want = Math.exp(x[i]);
                assertTrue(Math.abs(y[i] - want) <= 2 * Math.ulp((float) want), "exp(" + x[i] + ") = " + y[i]);
            }
            assertEquals(x[2], y[2], "elements before the range are left alone");
            assertEquals(x[2999], y[2999], "elements after the range are left alone");
        }
    }

    @Test
    void exp_extremes_areDefined() {
        float[] x = {Float.NEGATIVE_INFINITY, -1e30f, -88, 0, Float.NaN, 200};
        VectorExp.exp(x, 0, x.length);
        assertEquals(0, x[0]);
        assertEquals(0, x[1]);
        assertEquals(0, x[2]);
        assertEquals(1, x[3]);
        assertTrue(Float.isNaN(x[4]));
        assertTrue(x[5] > 2e38f);
    }

    @Test
    void normal_errorWithinBound() {
        float[] x = new float[4001];
        float[] y = new float[4001];
        for (int i = 0; i < x.length; i++) {
            x[i] = -8 + 16f * i / 4000;
        }
        VectorErf.normal(x, y, x.length);
        for (int i = 0; i < x.length; i++) {
            assertEquals(Erf.normal(x[i]), y[i], 3e-7, "Phi(" + x[i] + ")");
        }
    }

    @Test
    void run_nestedTasks_eachRunsOnce() {
        for (int tasks : new int[] {0, 1, 2, 3, 100}) {
            AtomicInteger[] ran = new AtomicInteger[tasks * tasks];
            for (int i = 0; i < ran.length; i++) {
                ran[i] = new AtomicInteger();
            }
            Workers.run(tasks, a -> Workers.run(tasks, b -> ran[a * tasks + b].getAndIncrement()));
            for (AtomicInteger count : ran) {
                assertEquals(1, count.get());
            }
        }
    }

    @Test
    void run_failingTask_throwsAndRecovers() {
        IllegalStateException failure = new IllegalStateException("on purpose");
        for (int k = 0; k < 50; k++) {
            int bad = k;
            assertSame(
                    failure,
                    assertThrows(
                            IllegalStateException.class,
                            () -> Workers.run(64, task -> {
                                if (task == bad) {
                                    throw failure;
                                }
                            })));
            AtomicInteger sum = new AtomicInteger();
            Workers.run(64, sum::addAndGet);
            assertEquals(63 * 32, sum.get());
        }
    }
}
