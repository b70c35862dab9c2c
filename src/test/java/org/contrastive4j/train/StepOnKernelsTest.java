package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.TinyPairs;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whole training steps on kernels: two encoders with dropout, loss, gradient cache, clipping and optimiser, compared
 * with the CPU.
 */
@Tag("gpu")
class StepOnKernelsTest {
    private static final int PAIRS = 11;
    private static final int STEPS = 2;
    /** Bound of differences of values near 1 after two steps, for f32 sums in another order. */
    private static final double BOUND = 2e-5;

    static List<String> devices() {
        return Devices.names().toList();
    }

    private record Outcome(List<Double> losses, Map<String, double[]> weights) {}

    private static Outcome train(String backend) {
        List<Double> losses = new ArrayList<>();
        Map<String, double[]> weights = new LinkedHashMap<>();
        try (Ops ops = Backend.open(backend);
                DualEncoder model = new DualEncoder(ops, TinyPairs.model(0.2), 3)) {
            InfoNce loss = InfoNce.symmetric(ops);
            List<Parameter> parameters = new ArrayList<>(model.parameters());
            parameters.addAll(loss.parameters());
            try (AdamW optimizer = new AdamW(ops, parameters, new AdamW.Config(0.9, 0.98, 1e-3, 0.1))) {
                for (int step = 0; step < STEPS; step++) {
                    losses.add(step(ops, model, loss, parameters, optimizer, step));
                }
            }
            parameters.forEach(
                    parameter -> weights.put(parameter.name(), parameter.value().toDoubles()));
            loss.close();
        }
        return new Outcome(losses, weights);
    }

    private static double step(
            Ops ops, DualEncoder model, InfoNce loss, List<Parameter> parameters, AdamW optimizer, int step) {
        try (TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(PAIRS, 5 + step), 7, step)) {
            parameters.forEach(Parameter::zeroGradient);
            PairwiseOps.Result result = GradCache.ofChunks(
                            ops, Encoders.of(ops, model), LossOverEncoders.of(loss), List.of(4, 5))
                    .step(batch, 1)
                    .get();
            optimizer.step(0.01, GlobalNorm.clip(GlobalNorm.of(ops, parameters), 1));
            loss.afterStep(result);
            return result.loss();
        }
    }

    @Tag("exhaustive")
    @ParameterizedTest
    @MethodSource("devices")
    void steps_onKernels_equalTheCpuForEveryParameter(String device) {
        Outcome expected = train("cpu-f64"); // needs no native library
        Outcome actual = train(device);
        for (int step = 0; step < STEPS; step++) {
            assertEquals(expected.losses().get(step), actual.losses().get(step), BOUND, "loss of step " + step);
        }
        assertEquals(expected.weights().keySet(), actual.weights().keySet());
        expected.weights().forEach((name, values) -> {
            double[] given = actual.weights().get(name);
            for (int i = 0; i < values.length; i++) {
                assertEquals(values[i], given[i], BOUND, name + "[" + i + "]");
            }
        });
        assertTrue(
                Math.abs(expected.losses().get(0) - expected.losses().get(1)) > 100 * BOUND,
                "the steps must differ for this to say anything");
    }
}
