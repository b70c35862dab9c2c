package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The loss from raw representations: golden values, slopes, refusals. */
class InfoNceTest {
    private static double[] doubles(JsonNode array) {
        double[] values = new double[array.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = array.get(i).asDouble();
        }
        return values;
    }

    /** Values and gradients that PyTorch's autograd gave, see test-data/golden. */
    @ParameterizedTest
    @CsvSource({
        "cpu,symmetric-7x7x5",
        "cpu,symmetric-33x33x16",
        "cpu,rows-33x40x16",
        "cpu-f64,symmetric-7x7x5",
        "cpu-f64,symmetric-33x33x16",
        "cpu-f64,rows-33x40x16"
    })
    void agreesWithPyTorch(String backend, String name) throws IOException {
        JsonNode golden = new ObjectMapper()
                .readTree(Path.of("test-data/golden/infonce", name + ".json").toFile());
        int n = golden.get("n").asInt();
        int m = golden.get("m").asInt();
        int d = golden.get("d").asInt();
        InfoNce.Direction direction =
                golden.get("symmetric").asBoolean() ? InfoNce.Direction.SYMMETRIC : InfoNce.Direction.ROWS;
        int[] rows = new int[n];
        for (int i = 0; i < n; i++) {
            rows[i] = golden.get("targets").get(i).asInt();
        }
        try (Ops ops = Backend.open(backend);
                InfoNce loss = InfoNce.of(
                        ops,
                        direction,
                        golden.get("logScale").asDouble(),
                        golden.get("bias").asDouble());
                Tensor u = ops.tensor(Shape.of(n, d), doubles(golden.get("u")));
                Tensor v = ops.tensor(Shape.of(m, d), doubles(golden.get("v")));
                Tensor targets = ops.ints(Shape.of(n), rows);
                Tensor du = ops.allocate(n, d);
                Tensor dv = ops.allocate(m, d)) {
            double tolerance = ops.dtype() == DType.F64 ? 1e-12 : 3e-6;
            PairwiseOps.Result result = loss.valueAndGradient(u, v, PairLabels.targets(targets), du, dv, 1)
                    .get();
            assertEquals(
                    golden.get("loss").asDouble(),
                    result.loss(),
                    tolerance * golden.get("loss").asDouble());
            close("du", doubles(golden.get("du")), du.toDoubles(), tolerance);
            close("dv", doubles(golden.get("dv")), dv.toDoubles(), tolerance);
            assertEquals(
                    golden.get("dLogScale").asDouble(),
                    loss.logScale().gradient().toDoubles()[0],
                    3 * tolerance);
            assertEquals(
                    golden.get("dBias").asDouble(),
                    loss.parameters().get(1).gradient().toDoubles()[0],
                    3 * tolerance);
        }
    }

    private static void close(String what, double[] want, double[] got, double tolerance) {
        for (int i = 0; i < want.length; i++) {
            assertEquals(want[i], got[i], tolerance * (Math.abs(want[i]) + 0.05), what + "[" + i + "]");
        }
    }

    @ParameterizedTest
    @EnumSource(InfoNce.Direction.class)
    void gradient_agreesWithCentralDifferences(InfoNce.Direction direction) {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.of(ops, direction, 1.2, 0.4);
                Parameter u = parameter(ops, "u", 5, 3);
                Parameter v = parameter(ops, "v", 7, 3);
                Tensor targets = ops.ints(Shape.of(5), 6, 0, 0, 3, 5)) {
            Parameter scale = loss.parameters().get(0);
            Parameter bias = loss.parameters().get(1);
            new GradientCheck(ops, 1)
                    .run(
                            tape -> tape.apply(new LossFunction(loss, PairLabels.targets(targets)), u, v, scale, bias),
                            List.of(u, v, scale, bias))
                    .require(1e-8);
        }
    }

    private static Parameter parameter(Ops ops, String name, int... dims) {
        Shape shape = Shape.of(dims);
        return new Parameter(
                ops,
                name,
                ops.tensor(
                        shape,
                        new Random(name.hashCode()).doubles(shape.size(), -1, 1).toArray()),
                true);
    }

    @Test
    void backward_laterFunctions_scaleTheGradient() {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.symmetric(ops);
                Parameter u = parameter(ops, "u", 4, 3);
                Parameter v = parameter(ops, "v", 4, 3)) {
            loss.logScale().freeze(true);
            new GradientCheck(ops, 1)
                    .run(
                            tape -> {
                                Variable value =
                                        tape.apply(new LossFunction(loss, PairLabels.DIAGONAL), u, v, loss.logScale());
                                return Functions.scale(tape, value, -3);
                            },
                            List.of(u, v))
                    .require(1e-8);
            assertEquals(0, loss.logScale().gradient().toDoubles()[0], "a frozen scale gets nothing");
        }
    }

    @Test
    void logScale_initialAndClamped_asInClip() {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.symmetric(ops)) {
            assertEquals(Math.log(1 / 0.07), loss.logScale().value().toDoubles()[0]);
            loss.logScale().value().set(9.0);
            loss.afterStep(null);
            assertEquals(Math.log(100), loss.logScale().value().toDoubles()[0]);
            loss.logScale().value().set(-1.0);
            loss.afterStep(null);
            assertEquals(0, loss.logScale().value().toDoubles()[0]);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "cpu-f64"})
    void value_degenerateInputs_isFinite(String backend) {
        try (Ops ops = Backend.open(backend);
                InfoNce loss = InfoNce.of(ops, InfoNce.Direction.SYMMETRIC, ContrastiveLoss.MAX_LOG_SCALE, null);
                Tensor one = ops.tensor(Shape.of(1, 1), -3);
                Tensor zeros = ops.zeros(Shape.of(3, 2));
                Tensor gradient = ops.allocate(3, 2);
                Tensor other = ops.allocate(3, 2)) {
            assertEquals(0, loss.value(one, one, PairLabels.DIAGONAL).get().loss());
            assertEquals(
                    Math.log(3),
                    loss.valueAndGradient(zeros, zeros, PairLabels.DIAGONAL, gradient, other, 1)
                            .get()
                            .loss(),
                    1e-6);
            for (double value : gradient.toDoubles()) {
                assertEquals(0, value, "a row of norm 0 has no direction and gets no gradient");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "cpu-f64"})
    void value_nonFiniteRow_isNamedAndNothingIsChanged(String backend) {
        try (Ops ops = Backend.open(backend);
                InfoNce loss = InfoNce.symmetric(ops);
                Tensor u = ops.zeros(Shape.of(5, 3));
                Tensor v =
                        ops.tensor(Shape.of(5, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, Double.POSITIVE_INFINITY, 1, 1, 1, 1);
                Tensor du = ops.zeros(Shape.of(5, 3))) {
            long before = ops.memory().currentBytes();
            NonFiniteException refused = assertThrows(
                    NonFiniteException.class, () -> loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, du, 1));
            assertEquals(3, refused.row());
            assertTrue(refused.getMessage().contains("representation 3 of v"), refused.getMessage());
            assertEquals(before, ops.memory().currentBytes(), "nothing leaks");
            try (Tensor narrow = ops.zeros(Shape.of(5, 2))) {
                assertThrows(ShapeException.class, () -> loss.value(u, narrow, PairLabels.DIAGONAL));
            }
            assertEquals(before, ops.memory().currentBytes(), "nothing leaks");
        }
    }

    @Test
    void workspaceBytes_equalsTheBytesUsed() {
        try (Ops ops = Backend.open("cpu");
                InfoNce loss = InfoNce.symmetric(ops);
                Tensor u = ops.zeros(Shape.of(700, 24));
                Tensor v = ops.zeros(Shape.of(900, 24));
                Tensor du = ops.zeros(Shape.of(700, 24));
                Tensor dv = ops.zeros(Shape.of(900, 24))) {
            loss.logScale().gradient();
            long before = ops.memory().currentBytes();
            ops.memory().resetPeak();
            loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, dv, 1);
            assertEquals(ops.memory().peakBytes() - before, loss.workspaceBytes(700, 900, 24, PairLabels.DIAGONAL));
        }
    }

    /** A row of norm 1e-42, below the smallest norm that has a finite reciprocal in f32, has a gradient of 0. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu", "sim"})
    void valueAndGradient_rowOfSubnormalNorm_hasFiniteGradients(String backend) {
        try (TensorFixture f = new TensorFixture(backend, 5);
                ContrastiveLoss loss = Losses.named(f.ops, "infonce")) {
            Tensor u = f.tensor(new double[] {6e-43, -8e-43, 1, 2}, 2, 2);
            Tensor v = f.tensor(new double[] {1, 0.5, -1, 3}, 2, 2);
            Tensor du = f.poisoned(2, 2);
            Tensor dv = f.poisoned(2, 2);
            loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, dv, 1).get();
            double[] gradient = du.toDoubles();
            assertTrue(gradient[0] == 0 && gradient[1] == 0, Arrays.toString(gradient));
            assertTrue(Arrays.stream(gradient).allMatch(Double::isFinite));
            assertTrue(Arrays.stream(dv.toDoubles()).allMatch(Double::isFinite));
        }
    }
}
