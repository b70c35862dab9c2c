package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TinyPairs;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/** Whole training steps of every kind of loss on kernels, compared with the CPU. */
@Tag("gpu")
class LossStepOnKernelsTest {
    private static final int PAIRS = 5;
    /** Bound of differences of values near 1 after a step, for f32 sums in another order. */
    private static final double BOUND = 2e-5;

    private static final Map<String, Ops> OPEN = new HashMap<>();

    static Stream<Arguments> losses() {
        return Devices.names()
                .flatMap(device -> Stream.of(
                                "siglip", "bce-warmup", "triplet-hardest", "sinkhorn", "infonce-smoothed", Losses.QUEUE)
                        .map(name -> Arguments.of(device, name)));
    }

    private record Outcome(List<Double> losses, Map<String, double[]> weights, double moved) {}

    /** A queue is empty in the first step, and negatives are warmed up after it. */
    private static int steps(String loss) {
        return loss.equals(Losses.QUEUE) || loss.equals("bce-warmup") ? 2 : 1;
    }

    private static TrainConfig config(String loss) {
        return Configs.of(
                "none",
                false,
                "none",
                0.2,
                3,
                2,
                PAIRS,
                3,
                1L << 20,
                0.01,
                1,
                1,
                23,
                new Augmentation(0, 0, 0, 0, 0, 0),
                new AdamW.Config(0.9, 0.98, 1e-3, 0.1),
                TinyPairs.model(0.2),
                LossConfig.named(loss, PAIRS));
    }

    /** Backends, opened once so that kernels are assembled once. */
    private static Ops open(String backend) {
        return OPEN.computeIfAbsent(backend, Backend::open);
    }

    @AfterAll
    static void closeBackends() {
        OPEN.values().forEach(Ops::close);
        OPEN.clear();
    }

    private static Outcome train(String backend, String loss) {
        List<Double> losses = new ArrayList<>();
        Map<String, double[]> weights = new LinkedHashMap<>();
        TrainConfig config = config(loss);
        Ops ops = open(backend);
        try (DualEncoder model = new DualEncoder(ops, config.model(), 3);
                Objective objective = Objective.of(ops, config, model, sample -> sample, null)) {
            List<Parameter> parameters = new ArrayList<>(model.parameters());
            parameters.addAll(objective.parameters());
            double[] before = parameters.get(0).value().toDoubles();
            try (AdamW optimizer = new AdamW(ops, parameters, config.optimizer())) {
                for (int step = 0; step < steps(loss); step++) {
                    losses.add(step(ops, objective, parameters, optimizer, step));
                }
            }
            parameters.forEach(
                    parameter -> weights.put(parameter.name(), parameter.value().toDoubles()));
            double moved = Math.abs(parameters.get(0).value().toDoubles()[0] - before[0]);
            return new Outcome(losses, weights, moved);
        }
    }

    private static double step(Ops ops, Objective objective, List<Parameter> parameters, AdamW optimizer, int step) {
        try (TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(PAIRS, 5 + step), 7, step)) {
            parameters.forEach(Parameter::zeroGradient);
            PairwiseOps.Result result = GradCache.ofChunks(
                            ops,
                            objective.encoders(),
                            objective,
                            Collections.nCopies(objective.encoders().size(), 3))
                    .step(batch, 1)
                    .get();
            objective.beforeUpdate();
            optimizer.step(0.01, GlobalNorm.clip(GlobalNorm.of(ops, parameters), 1));
            objective.afterStep(result, step);
            return result.loss();
        }
    }

    @ParameterizedTest
    @SampledSource(value = "losses", every = 6)
    void step_onKernels_equalsTheCpuForEveryParameter(String device, String loss) {
        Outcome expected = train("cpu-f64", loss); // needs no native library
        Outcome actual = train(device, loss);
        for (int step = 0; step < steps(loss); step++) {
            double expectedLoss = expected.losses().get(step);
            assertEquals(expectedLoss, actual.losses().get(step), BOUND * (1 + expectedLoss), loss + ", step " + step);
        }
        assertEquals(expected.weights().keySet(), actual.weights().keySet());
        expected.weights().forEach((name, values) -> {
            double[] given = actual.weights().get(name);
            for (int i = 0; i < values.length; i++) {
                assertEquals(values[i], given[i], BOUND, loss + " " + name + "[" + i + "]");
            }
        });
        assertTrue(expected.moved() > 5 * BOUND, "the weights must change: " + expected.moved());
    }
}
