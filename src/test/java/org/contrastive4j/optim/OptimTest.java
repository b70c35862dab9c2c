package org.contrastive4j.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** AdamW against its recurrence, the norm of all gradients, and the learning-rate schedule. */
class OptimTest {
    private static final AdamW.Config SETTINGS = new AdamW.Config(0.9, 0.98, 1e-8, 0.1);

    private static Parameter parameter(Ops ops, String name, boolean decays, double... values) {
        return new Parameter(ops, name, ops.tensor(Shape.of(values.length), values), decays);
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "cpu-f64"})
    void adamW_followsRecurrence(String backend) {
        try (Ops ops = Backend.open(backend);
                Parameter decaying = parameter(ops, "weight", true, 1, -2, 3);
                Parameter plain = parameter(ops, "bias", false, 1, -2, 3);
                Parameter frozen = parameter(ops, "frozen", true, 1, -2, 3);
                AdamW optimizer = new AdamW(ops, List.of(decaying, plain, frozen), SETTINGS)) {
            frozen.freeze(true);
            double[][] p = {{1, -2, 3}, {1, -2, 3}};
            double[][] m = new double[2][3];
            double[][] v = new double[2][3];
            for (int step = 1; step <= 5; step++) {
                double[] g = {0.5 * step, -1, 1e-3};
                double rate = 0.01 * step;
                for (Parameter parameter : List.of(decaying, plain, frozen)) {
                    parameter.gradient().set(g);
                }
                optimizer.step(rate, 0.5);
                for (int k = 0; k < 2; k++) {
                    for (int i = 0; i < 3; i++) {
                        double scaled = 0.5 * g[i];
                        m[k][i] = 0.9 * m[k][i] + 0.1 * scaled;
                        v[k][i] = 0.98 * v[k][i] + 0.02 * scaled * scaled;
                        double first = m[k][i] / (1 - Math.pow(0.9, step));
                        double second = v[k][i] / (1 - Math.pow(0.98, step));
                        p[k][i] = (1 - (k == 0 ? rate * 0.1 : 0)) * p[k][i] - rate * first / (Math.sqrt(second) + 1e-8);
                    }
                }
            }
            assertArrayEquals(p[0], decaying.value().toDoubles(), 1e-5);
            assertArrayEquals(p[1], plain.value().toDoubles(), 1e-5);
            assertArrayEquals(new double[] {1, -2, 3}, frozen.value().toDoubles());
            assertThrows(IllegalArgumentException.class, () -> optimizer.step(Double.NaN, 1));
            assertEquals(5, optimizer.steps());
            assertEquals(6, optimizer.state().size());
        }
    }

    @Test
    void adamW_duplicateNames_isRefused() {
        try (Ops ops = Backend.open("cpu-f64");
                Parameter a = parameter(ops, "w", true, 1);
                Parameter b = parameter(ops, "w", true, 1)) {
            assertThrows(IllegalArgumentException.class, () -> new AdamW(ops, List.of(a, b), SETTINGS))
                    .getMessage();
            assertThrows(IllegalArgumentException.class, () -> new AdamW.Config(1, 0.9, 1e-8, 0));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "cpu-f64"})
    void globalNorm_andClip_agreeWithFormula(String backend) {
        try (Ops ops = Backend.open(backend);
                Parameter a = parameter(ops, "a", true, 0, 0);
                Parameter b = parameter(ops, "b", true, 0);
                Parameter frozen = parameter(ops, "c", true, 0)) {
            a.gradient().set(3.0, 0);
            b.gradient().set(4.0);
            frozen.gradient().set(Double.NaN);
            frozen.freeze(true);
            assertEquals(5, GlobalNorm.of(ops, List.of(a, b, frozen)), 1e-12);
            assertEquals(0.2, GlobalNorm.clip(5, 1));
            assertEquals(1, GlobalNorm.clip(0.5, 1));
            assertEquals(1, GlobalNorm.clip(5, 0), "0 turns clipping off");
            b.gradient().set(Double.POSITIVE_INFINITY);
            assertTrue(assertThrows(
                            GlobalNorm.NonFiniteGradientException.class, () -> GlobalNorm.of(ops, List.of(a, b)))
                    .getMessage()
                    .contains("gradient of b"));
        }
    }

    @Test
    void warmupCosine_warmsUpAndFalls() {
        WarmupCosine schedule = new WarmupCosine(2, 4, 104, 0.5);
        assertEquals(0.5, schedule.at(0));
        assertEquals(2, schedule.at(3));
        assertEquals(2, schedule.at(4));
        assertEquals(1.25, schedule.at(54), 1e-12);
        assertEquals(0.5, schedule.at(104), 1e-12);
        assertEquals(0.5, schedule.at(1000), 1e-12);
        assertThrows(IllegalArgumentException.class, () -> new WarmupCosine(1, 5, 4, 0));
        assertThrows(IllegalArgumentException.class, () -> new WarmupCosine(0, 0, 4, 0));
    }
}
