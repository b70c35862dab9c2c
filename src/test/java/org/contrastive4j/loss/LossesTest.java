package org.contrastive4j.loss;

import static org.contrastive4j.loss.LossOption.FIXED_TEMPERATURE;
import static org.contrastive4j.loss.LossOption.GUIDE_MARGIN;
import static org.contrastive4j.loss.LossOption.LABEL_SMOOTHING;
import static org.contrastive4j.loss.LossOption.MARGIN;
import static org.contrastive4j.loss.LossOption.MARGIN_REWARD;
import static org.contrastive4j.loss.LossOption.NEGATIVE_WEIGHT;
import static org.contrastive4j.loss.LossOption.RELATIVE_GUIDE_MARGIN;
import static org.contrastive4j.loss.LossOption.SINKHORN_ITERATIONS;
import static org.contrastive4j.loss.LossOption.SINKHORN_TOLERANCE;
import static org.contrastive4j.loss.LossOption.TARGET_ACCURACY;
import static org.contrastive4j.loss.LossOption.TEMPERATURE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.contrastive4j.Backend;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Pairing.SameId;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Names, factories and options of losses. */
class LossesTest {
    private static double value(Ops ops, ContrastiveLoss loss, PairLabels labels) {
        int n = 13;
        Random random = new Random(5);
        try (loss;
                Tensor u =
                        ops.tensor(Shape.of(n, 4), random.doubles(n * 4, -1, 1).toArray());
                Tensor v =
                        ops.tensor(Shape.of(n, 4), random.doubles(n * 4, -1, 1).toArray())) {
            return loss.value(u, v, labels).get().loss();
        }
    }

    @Test
    void create_lossOverMomentumEncoders_isRefused() {
        assertEquals(
                Set.of(Losses.QUEUE, Losses.DISTILLED),
                Losses.allNames().stream()
                        .filter(name -> !Losses.names().contains(name))
                        .collect(Collectors.toSet()));
        try (Ops ops = Backend.open("cpu")) {
            assertTrue(assertThrows(LossOptionException.class, () -> Losses.named(ops, "queue"))
                    .getMessage()
                    .contains("create a QueueContrast or a DistilledContrast"));
        }
    }

    /** Options by name against constructors. */
    @Test
    void create_optionsByName_equalsTheConstructor() {
        PairPolicy policy = new PairPolicy(SameId.IGNORED, 0.1, true);
        Map<Map<LossOption, Double>, Map.Entry<String, Function<Ops, ContrastiveLoss>>> all = new LinkedHashMap<>();
        all.put(
                Map.of(LABEL_SMOOTHING, 0.3),
                Map.entry(
                        "infonce",
                        ops -> InfoNce.withPolicy(ops, InfoNce.Direction.SYMMETRIC, 0.3, PairPolicy.DEFAULT)));
        all.put(Map.of(NEGATIVE_WEIGHT, 0.3), Map.entry("bce-balanced", ops -> Losses.bceWeighted(ops, 0.3)));
        all.put(
                Map.of(MARGIN, 0.5),
                Map.entry(
                        "triplet-hardest",
                        ops -> new TripletLoss(ops, TripletLoss.Negatives.HARDEST, 0.5, PairPolicy.DEFAULT)));
        all.put(
                Map.of(MARGIN, 0.5, MARGIN_REWARD, 0.6),
                Map.entry(
                        "triplet",
                        ops -> TripletLoss.learnableMargin(
                                ops, TripletLoss.Negatives.ALL, 0.5, 0.6, PairPolicy.DEFAULT)));
        all.put(
                Map.of(SINKHORN_ITERATIONS, 2.0),
                Map.entry("sinkhorn", ops -> new SinkhornLoss(ops, 2, PairPolicy.DEFAULT, true)));
        all.put(
                Map.of(SINKHORN_TOLERANCE, 1e-9),
                Map.entry("sinkhorn", ops -> SinkhornLoss.converged(ops, 1e-9, 2000, PairPolicy.DEFAULT)));
        all.put(
                Map.of(RELATIVE_GUIDE_MARGIN, 0.1),
                Map.entry("siglip", ops -> new BinaryLoss(ops, BinaryLoss.Weighting.SUM, 1, null, policy, -10)));
        all.put(Map.of(TEMPERATURE, 0.25), Map.entry("infonce-fourway", ops -> {
            ContrastiveLoss loss = Losses.named(ops, "infonce-fourway");
            loss.startAt(0.25, true);
            return loss;
        }));
        double[] guide = new Random(3).doubles(26, 0, 1).toArray();
        try (Ops ops = Backend.open("cpu-f64");
                Tensor raw = ops.tensor(Shape.of(13, 2), guide);
                UnitRows unit = new UnitRows(ops, "guide", raw)) {
            PairLabels labels = PairLabels.guide(unit.unit(), unit.unit());
            all.forEach((options, of) -> {
                double given = value(ops, Losses.named(ops, of.getKey(), options), labels);
                assertEquals(value(ops, of.getValue().apply(ops), labels), given, of.getKey() + options);
                assertTrue(value(ops, Losses.named(ops, of.getKey()), labels) != given, of.getKey() + options);
            });
        }
    }

    @Test
    void create_temperature_isInitialOrFixed() {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss learnt = Losses.named(ops, "sinkhorn", Map.of(TEMPERATURE, 0.5));
                ContrastiveLoss fixed = Losses.named(ops, "sinkhorn", Map.of(FIXED_TEMPERATURE, 0.5));
                ContrastiveLoss cosine = Losses.named(ops, "triplet")) {
            assertEquals(2, learnt.scale(), 1e-15);
            assertEquals(2, fixed.scale(), 1e-15);
            assertFalse(learnt.logScale().isFrozen());
            assertTrue(fixed.logScale().isFrozen());
            for (double temperature : new double[] {0, -1, 0.009, 1.1, Double.NaN}) {
                assertThrows(LossOptionException.class, () -> learnt.startAt(temperature, true));
                assertThrows(
                        LossOptionException.class,
                        () -> Losses.named(ops, "infonce", Map.of(TEMPERATURE, temperature)));
            }
            assertThrows(LossOptionException.class, () -> cosine.startAt(0.5, true));
            assertEquals(1, cosine.scale());
        }
    }

    @ParameterizedTest
    @EnumSource(LossOption.class)
    void create_optionOfAnotherLoss_isRefused(LossOption option) {
        List<String> having = Losses.having(option);
        assertFalse(having.isEmpty());
        for (String name : Losses.allNames()) {
            Map<LossOption, Double> given = Map.of(option, 0.5);
            if (having.contains(name)) {
                Map<LossOption, Double> all = Losses.options(name, given);
                assertEquals(0.5, all.get(option));
                assertEquals(all, Losses.options(name, all), "options that are all given stay as they are");
                assertEquals(Losses.options(name, Map.of()).size(), all.size());
            } else {
                String message = assertThrows(LossOptionException.class, () -> Losses.options(name, given))
                        .getMessage();
                assertTrue(
                        message.contains(name)
                                && message.contains(option.key())
                                && message.contains(String.join(", ", having)),
                        message);
            }
        }
    }

    @Test
    void create_valueOutOfRange_isRefusedWithoutLeaks() {
        Map<LossOption, double[]> bad = new LinkedHashMap<>();
        bad.put(LABEL_SMOOTHING, new double[] {-0.1, 1, Double.NaN});
        bad.put(NEGATIVE_WEIGHT, new double[] {-0.1, Double.NaN, Double.POSITIVE_INFINITY});
        bad.put(TARGET_ACCURACY, new double[] {0, 1, Double.NaN});
        bad.put(MARGIN, new double[] {0, 2.1, -0.2, Double.NaN});
        bad.put(MARGIN_REWARD, new double[] {-1, Double.NaN});
        bad.put(SINKHORN_ITERATIONS, new double[] {0, 2.5, 1001, Double.NaN});
        bad.put(SINKHORN_TOLERANCE, new double[] {0, 1, Double.NaN});
        bad.put(GUIDE_MARGIN, new double[] {-0.1, 2.1, Double.NaN});
        bad.put(RELATIVE_GUIDE_MARGIN, new double[] {-0.1, 1.1, Double.NaN});
        try (Ops ops = Backend.open("cpu")) {
            bad.forEach((option, values) -> {
                for (double value : values) {
                    for (String name : Losses.having(option)) {
                        assertThrows(
                                LossOptionException.class,
                                () -> Losses.named(ops, name, Map.of(option, value)),
                                name + " with " + option + " " + value);
                    }
                }
            });
            assertThrows(
                    LossOptionException.class,
                    () -> Losses.named(ops, "sinkhorn", Map.of(SINKHORN_ITERATIONS, 3.0, SINKHORN_TOLERANCE, 0.1)));
            assertEquals(0, ops.memory().currentBytes());
        }
    }
}
