package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Pairing.SameId;
import org.contrastive4j.support.Backends;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/**
 * Soft targets, distillation, queues, guides, learnt margins, fixed points, windows and weights, with their gradients,
 * against what PyTorch's autograd gave; see test-data/golden.
 */
class LossOptionGoldenTest {
    private static final int N = 9;
    private static final int D = 5;
    private static final double ALPHA = 0.4;
    private static final PairPolicy ABSOLUTE = new PairPolicy(SameId.IGNORED, 0.05, false);
    private static final PairPolicy RELATIVE = new PairPolicy(SameId.IGNORED, 0.1, true);

    /** Value and gradient; those of u and v go to the last two tensors. */
    private interface Gradient {
        double value(Tensor u, Tensor v, Tensor du, Tensor dv);
    }

    /** A loss, its parameters, and how to ask it. */
    private record Asked(AutoCloseable loss, List<Parameter> parameters, Gradient gradient) {}

    private final JsonNode golden = read();
    private final List<Tensor> tensors = new ArrayList<>();

    private static JsonNode read() {
        try {
            return new ObjectMapper()
                    .readTree(Path.of("test-data/golden/losses/options.json").toFile());
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static double[] doubles(JsonNode array) {
        return IntStream.range(0, array.size())
                .mapToDouble(i -> array.get(i).asDouble())
                .toArray();
    }

    private static int[] ints(JsonNode array) {
        return Arrays.stream(doubles(array)).mapToInt(value -> (int) value).toArray();
    }

    private Tensor matrix(Ops ops, JsonNode values, int columns) {
        double[] numbers = doubles(values);
        tensors.add(ops.tensor(Shape.of(numbers.length / columns, columns), numbers));
        return tensors.get(tensors.size() - 1);
    }

    private Tensor input(Ops ops, String name) {
        return matrix(ops, golden.get(name), D);
    }

    private Tensor numbers(Ops ops, String name) {
        int[] values = ints(golden.get(name));
        tensors.add(ops.ints(Shape.of(values.length), values));
        return tensors.get(tensors.size() - 1);
    }

    /** Half on the diagonal, a quarter on each of two columns. */
    private SoftTargets sparse(String name) {
        int[] quarters = ints(golden.get(name));
        int[] columns = IntStream.range(0, 3 * N)
                .map(k -> k % 3 == 0 ? k / 3 : quarters[2 * (k / 3) + k % 3 - 1])
                .toArray();
        double[] weights = IntStream.range(0, 3 * N)
                .mapToDouble(k -> k % 3 == 0 ? 0.5 : 0.25)
                .toArray();
        return new SparseTargets(N, IntStream.rangeClosed(0, N).map(i -> 3 * i).toArray(), columns, weights);
    }

    private SoftTargets lowRank(Ops ops, String name) {
        return new LowRankTargets(
                matrix(ops, golden.get(name).get("left"), 3),
                matrix(ops, golden.get(name).get("right"), 3));
    }

    private PairLabels guide(Ops ops) {
        return PairLabels.guide(matrix(ops, golden.get("guideRows"), 2), matrix(ops, golden.get("guideColumns"), 2));
    }

    private static Asked contrast(ContrastiveLoss loss, PairLabels labels) {
        return new Asked(
                loss,
                loss.parameters(),
                (u, v, du, dv) ->
                        loss.valueAndGradient(u, v, labels, du, dv, 1).get().loss());
    }

    private static Asked contrast(ContrastiveLoss loss) {
        return contrast(loss, PairLabels.DIAGONAL);
    }

    private Asked soft(Ops ops, SoftTargets ofRows, SoftTargets ofColumns) {
        SoftTargetContrast loss = new SoftTargetContrast(ops);
        return new Asked(
                loss,
                loss.parameters(),
                (u, v, du, dv) -> loss.valueAndGradient(u, v, ofRows, ofColumns, du, dv, 1)
                        .get()
                        .loss());
    }

    private Asked distilled(Ops ops) {
        DistilledContrast loss = new DistilledContrast(ops);
        Tensor a = input(ops, "teacherOfU");
        Tensor b = input(ops, "teacherOfV");
        return new Asked(
                loss,
                loss.parameters(),
                (u, v, du, dv) -> loss.valueAndGradient(u, v, a, b, ALPHA, du, dv, 1)
                        .get()
                        .loss());
    }

    private Asked queue(Ops ops, double alpha, boolean withIds) {
        QueueContrast loss = new QueueContrast(ops, 11, D, PairPolicy.DEFAULT, 1, true);
        Tensor a = input(ops, "teacherOfU");
        Tensor b = input(ops, "teacherOfV");
        Tensor ids = numbers(ops, "ids");
        loss.enqueue(input(ops, "pastOfU"), input(ops, "pastOfV"), numbers(ops, "pastIds"));
        return new Asked(
                loss,
                loss.parameters(),
                (u, v, du, dv) -> loss.valueAndGradient(u, v, a, b, withIds ? ids : null, alpha, du, dv, 1)
                        .get()
                        .loss());
    }

    private static Asked margin(Ops ops, TripletLoss.Negatives negatives) {
        return contrast(TripletLoss.learnableMargin(ops, negatives, 0.2, 0.7, PairPolicy.DEFAULT));
    }

    private static Asked warmedUp(Ops ops, int negatives) {
        ContrastiveLoss loss = Losses.named(ops, "bce-warmup");
        loss.restore(Map.of("warmup.negatives", (double) negatives, "warmup.accuracy", 0.5));
        return contrast(loss);
    }

    private Map<String, Asked> cases(Ops ops) {
        Map<String, Asked> all = new LinkedHashMap<>();
        all.put("soft-sparse", soft(ops, sparse("sparse"), sparse("sparseOfColumns")));
        all.put("soft-sparse-rows", soft(ops, sparse("sparse"), null));
        all.put("soft-lowrank", soft(ops, lowRank(ops, "lowRank"), lowRank(ops, "lowRankOfColumns")));
        all.put("distilled", distilled(ops));
        for (boolean withIds : new boolean[] {false, true}) {
            all.put("queue" + (withIds ? "-ids" : ""), queue(ops, 0, withIds));
            all.put("queue-distilled" + (withIds ? "-ids" : ""), queue(ops, ALPHA, withIds));
        }
        for (PairPolicy policy : List.of(ABSOLUTE, RELATIVE)) {
            String kind = "guide-" + (policy.relative() ? "relative" : "absolute");
            PairLabels labels = guide(ops);
            all.put(kind, contrast(InfoNce.withPolicy(ops, InfoNce.Direction.SYMMETRIC, 0, policy), labels));
            all.put(
                    kind + "-siglip",
                    contrast(new BinaryLoss(ops, BinaryLoss.Weighting.SUM, 1, null, policy, -2), labels));
            all.put(kind + "-fourway", contrast(Losses.fourWay(ops, 0, policy), labels));
        }
        all.put("margin-all", margin(ops, TripletLoss.Negatives.ALL));
        all.put("margin-hardest", margin(ops, TripletLoss.Negatives.HARDEST));
        all.put("margin-semihard", margin(ops, TripletLoss.Negatives.SEMI_HARD));
        for (int iterations : new int[] {1, 3}) {
            all.put("sinkhorn-" + iterations, contrast(new SinkhornLoss(ops, iterations, PairPolicy.DEFAULT, true)));
            all.put(
                    "sinkhorn-symmetric-" + iterations,
                    contrast(SinkhornLoss.symmetric(ops, iterations, PairPolicy.DEFAULT)));
        }
        double tolerance = ops.dtype() == DType.F64 ? 1e-13 : 1e-6;
        for (boolean symmetric : new boolean[] {false, true}) {
            all.put(
                    "sinkhorn-" + (symmetric ? "symmetric-" : "") + "converged",
                    contrast(SinkhornLoss.converged(ops, tolerance, 5000, symmetric, PairPolicy.DEFAULT)));
        }
        all.put("bce-warmup-3", warmedUp(ops, 3));
        all.put("bce-weighted", contrast(Losses.bceWeighted(ops, 0.3)));
        return all;
    }

    private void agrees(Ops ops, String name, Asked asked, JsonNode expected) {
        boolean converged = name.endsWith("converged");
        double tolerance = ops.dtype() == DType.F64 ? converged ? 1e-10 : 2e-12 : converged ? 1e-4 : 2e-5;
        List<Parameter> own = asked.parameters();
        own.get(0).freeze(false);
        own.get(0).value().set(expected.get("logScale").asDouble());
        if (own.size() > 1) {
            own.get(1).value().set(expected.get("second").asDouble());
        }
        double[] poison = DoubleStream.generate(() -> Double.NaN).limit(N * D).toArray();
        try (Tensor du = ops.tensor(Shape.of(N, D), poison);
                Tensor dv = ops.tensor(Shape.of(N, D), poison)) {
            double value = asked.gradient().value(input(ops, "u"), input(ops, "v"), du, dv);
            close(name, new double[] {expected.get("loss").asDouble()}, new double[] {value}, tolerance);
            close(name + " du", doubles(expected.get("du")), du.toDoubles(), tolerance);
            close(name + " dv", doubles(expected.get("dv")), dv.toDoubles(), tolerance);
        }
        for (int k = 0; k < own.size(); k++) {
            close(
                    name + " " + own.get(k).name(),
                    new double[] {expected.get(k == 0 ? "dLogScale" : "dSecond").asDouble()},
                    own.get(k).gradient().toDoubles(),
                    tolerance);
        }
    }

    private static void close(String what, double[] expected, double[] given, double tolerance) {
        double size = Arrays.stream(expected).map(Math::abs).max().orElse(0);
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], given[i], tolerance * (size + 0.1), what + "[" + i + "]");
        }
    }

    private void closeAll(Map<String, Asked> cases) {
        cases.values().forEach(asked -> {
            try {
                asked.loss().close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        tensors.forEach(Tensor::close);
    }

    static Stream<String> backends() {
        return Backends.plain();
    }

    @ParameterizedTest
    @SampledSource(value = "backends", every = 3)
    @Tag("gpu")
    void everyOption_agreesWithPyTorch(String backend) {
        try (Ops ops = Backend.open(backend)) {
            Map<String, Asked> cases = cases(ops);
            Set<String> given = new HashSet<>();
            golden.get("cases").fieldNames().forEachRemaining(given::add);
            assertEquals(given, cases.keySet());
            cases.forEach((name, asked) ->
                    agrees(ops, name, asked, golden.get("cases").get(name)));
            closeAll(cases);
            assertEquals(0, ops.memory().currentBytes());
        }
    }

    /** The comparison rejects the values of another case; the two fixed points, which are the same, are never met. */
    @Test
    void comparison_valuesOfAnotherCase_fails() {
        try (Ops ops = Backend.open("cpu-f64")) {
            Map<String, Asked> cases = cases(ops);
            List<String> names = List.copyOf(cases.keySet());
            for (int k = 0; k < names.size(); k++) {
                String name = names.get(k);
                JsonNode other = golden.get("cases").get(names.get((k + 2) % names.size()));
                assertThrows(AssertionError.class, () -> agrees(ops, name, cases.get(name), other), name);
            }
            closeAll(cases);
        }
    }
}
