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
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.Backends;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/** Every named loss and its gradients against what PyTorch's autograd gave, see test-data/golden. */
class LossGoldenTest {
    private static double[] doubles(JsonNode array) {
        return IntStream.range(0, array.size())
                .mapToDouble(i -> array.get(i).asDouble())
                .toArray();
    }

    private static JsonNode read(String file) throws IOException {
        return new ObjectMapper()
                .readTree(Path.of("test-data/golden/losses", file + ".json").toFile());
    }

    static Stream<Arguments> problems() {
        return Backends.plain()
                .flatMap(backend -> Stream.of("2x3", "7x5", "17x8").map(file -> Arguments.of(backend, file)));
    }

    @ParameterizedTest
    @SampledSource(value = "problems", every = 3)
    @Tag("gpu")
    void everyLoss_agreesWithPyTorch(String backend, String file) throws IOException {
        JsonNode golden = read(file);
        Set<String> given = new HashSet<>();
        golden.get("losses").fieldNames().forEachRemaining(given::add);
        assertEquals(Losses.names(), given, "make the golden values again: a loss was added, removed or renamed");
        try (Ops ops = Backend.open(backend)) {
            for (String name : Losses.names()) {
                agrees(ops, name, golden, golden.get("losses").get(name), ops.dtype() == DType.F64 ? 2e-12 : 2e-5);
            }
        }
    }

    private static void agrees(Ops ops, String name, JsonNode problem, JsonNode golden, double tolerance) {
        int n = problem.get("n").asInt();
        int d = problem.get("d").asInt();
        double[] poison = new double[n * d];
        Arrays.fill(poison, Double.NaN);
        int[] ids = Arrays.stream(doubles(problem.get("ids")))
                .mapToInt(id -> (int) id)
                .toArray();
        try (ContrastiveLoss loss = Losses.named(ops, name);
                Tensor u = ops.tensor(Shape.of(n, d), doubles(problem.get("u")));
                Tensor v = ops.tensor(Shape.of(n, d), doubles(problem.get("v")));
                Tensor tags = ops.ints(Shape.of(n), ids);
                Tensor du = ops.tensor(Shape.of(n, d), poison);
                Tensor dv = ops.tensor(Shape.of(n, d), poison)) {
            loss.logScale().freeze(false);
            loss.logScale().value().set(golden.get("logScale").asDouble());
            if (loss.bias() != null) {
                loss.bias().value().set(golden.get("bias").asDouble());
            }
            PairLabels labels = name.contains("multipositive") ? PairLabels.ids(tags, tags) : PairLabels.DIAGONAL;
            double value = loss.valueAndGradient(u, v, labels, du, dv, 1).get().loss();
            double expected = golden.get("loss").asDouble();
            assertEquals(expected, value, tolerance * (1 + Math.abs(expected)), name);
            close(name + " du", doubles(golden.get("du")), du.toDoubles(), tolerance);
            close(name + " dv", doubles(golden.get("dv")), dv.toDoubles(), tolerance);
            List<String> scalarNames = new ArrayList<>(List.of("dLogScale"));
            scalarNames.addAll(loss.bias() == null ? List.of() : List.of("dBias"));
            for (int k = 0; k < scalarNames.size(); k++) {
                Parameter own = loss.parameters().get(k);
                double slope = golden.get(scalarNames.get(k)).asDouble();
                assertEquals(
                        slope,
                        own.gradient().toDoubles()[0],
                        tolerance * (1 + Math.abs(slope)),
                        name + " " + scalarNames.get(k));
            }
        }
    }

    private static void close(String what, double[] expected, double[] given, double tolerance) {
        double size = Arrays.stream(expected).map(Math::abs).max().orElse(0);
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], given[i], tolerance * (size + 0.01), what + "[" + i + "]");
        }
    }

    /** The comparison rejects the values of another loss. */
    @Test
    void comparison_valuesOfAnotherLoss_fails() throws IOException {
        JsonNode golden = read("7x5");
        try (Ops ops = Backend.open("cpu-f64")) {
            assertThrows(
                    AssertionError.class,
                    () -> agrees(ops, "siglip", golden, golden.get("losses").get("bce"), 1e-3));
        }
    }
}
