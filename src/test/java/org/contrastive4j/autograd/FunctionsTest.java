package org.contrastive4j.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every function of the tape against central differences in f64, for every input. */
class FunctionsTest {
    /** A function, the shapes of its inputs, and how it is applied. */
    record Case(String name, BiFunction<Ops, Tape, Function> function, int[]... inputs) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Tensor ids(Ops ops, Tape tape, int... values) {
        return tape.hold(ops.ints(Shape.of(values.length), values));
    }

    static Stream<Case> cases() {
        List<Case> cases = new ArrayList<>();
        cases.add(new Case("linear", (o, t) -> new Linear(false), new int[] {3, 2, 4}, new int[] {4, 5}));
        cases.add(new Case(
                "linear with bias", (o, t) -> new Linear(true), new int[] {3, 4}, new int[] {4, 5}, new int[] {5}));
        for (boolean a : new boolean[] {false, true}) {
            for (boolean b : new boolean[] {false, true}) {
                int[] left = a ? new int[] {4, 3} : new int[] {3, 4};
                int[] right = b ? new int[] {5, 4} : new int[] {4, 5};
                cases.add(new Case("matmul " + a + b, (o, t) -> new MatMul(a, b, 0.7), left, right));
                cases.add(new Case(
                        "batched matmul " + a + b,
                        (o, t) -> new MatMul(a, b, 0.7),
                        new int[] {2, left[0], left[1]},
                        new int[] {2, right[0], right[1]}));
            }
        }
        for (PointwiseOps.Gelu kind : PointwiseOps.Gelu.values()) {
            cases.add(new Case(
                    "linear gelu " + kind,
                    (o, t) -> new LinearGelu(kind),
                    new int[] {3, 2, 4},
                    new int[] {4, 5},
                    new int[] {5}));
        }
        cases.add(new Case("gelu", (o, t) -> new Gelu(PointwiseOps.Gelu.EXACT), new int[] {7}));
        cases.add(new Case("quick gelu", (o, t) -> new Gelu(PointwiseOps.Gelu.QUICK), new int[] {7}));
        cases.add(new Case("add", (o, t) -> new Add(), new int[] {2, 3}, new int[] {2, 3}));
        cases.add(new Case("scale", (o, t) -> new Scale(-1.5), new int[] {2, 3}));
        cases.add(new Case(
                "dropout", (o, t) -> new Dropout(0.4, ids(o, t, 3, 9), new RandomKey(1, 2, 3)), new int[] {2, 6}));
        cases.add(new Case(
                "layer norm", (o, t) -> new LayerNorm(1e-5), new int[] {2, 3, 5}, new int[] {5}, new int[] {5}));
        cases.add(new Case("l2 normalise", (o, t) -> new L2Normalize(), new int[] {4, 5}));
        cases.add(new Case("attention", (o, t) -> new Attention(2, false, null), new int[] {2, 3, 12}));
        cases.add(new Case("causal attention", (o, t) -> new Attention(1, true, null), new int[] {2, 3, 6}));
        cases.add(
                new Case("padded attention", (o, t) -> new Attention(1, false, ids(o, t, 2, 3)), new int[] {2, 3, 6}));
        cases.add(new Case("embedding", (o, t) -> new Embedding(ids(o, t, 2, 0, 2, 1)), new int[] {4, 3}));
        cases.add(new Case("positions", (o, t) -> new AddPositions(), new int[] {2, 3, 4}, new int[] {5, 4}));
        cases.add(new Case("class token", (o, t) -> new PrependToken(), new int[] {2, 3, 4}, new int[] {4}));
        cases.add(new Case("patches", (o, t) -> new Patchify(2, 2, 0), new int[] {1, 4, 4, 3}));
        cases.add(new Case("overlapping patches", (o, t) -> new Patchify(3, 2, 1), new int[] {1, 4, 4, 2}));
        cases.add(new Case("mean pooling", (o, t) -> new MeanPool(null), new int[] {2, 3, 4}));
        cases.add(new Case("mean pooling of lengths", (o, t) -> new MeanPool(ids(o, t, 3, 1)), new int[] {2, 3, 4}));
        cases.add(new Case("token", (o, t) -> new SelectToken(ids(o, t, 3, 1)), new int[] {2, 3, 4}));
        cases.add(new Case("flatten", (o, t) -> new Flatten(), new int[] {2, 3, 4}));
        return cases.stream();
    }

    private static List<Parameter> inputs(Ops ops, Case c) {
        List<Parameter> inputs = new ArrayList<>();
        Random random = new Random(c.name().hashCode());
        for (int[] dims : c.inputs()) {
            Shape shape = Shape.of(dims);
            inputs.add(new Parameter(
                    ops,
                    "input" + inputs.size(),
                    ops.tensor(shape, random.doubles(shape.size(), -1, 1).toArray()),
                    true));
        }
        return inputs;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backward_everyFunction_agreesWithCentralDifferences(Case c) {
        try (Ops ops = Backend.open("cpu-f64")) {
            List<Parameter> inputs = inputs(ops, c);
            new GradientCheck(ops, 1)
                    .run(tape -> tape.apply(c.function().apply(ops, tape), inputs.toArray(new Variable[0])), inputs)
                    .require(1e-7);
            inputs.forEach(Parameter::close);
            assertEquals(0, ops.memory().currentBytes());
        }
    }

    /**
     * Only one input wants a gradient, the function is applied to constants otherwise: nothing else may
     * be touched or leak.
     */
    @ParameterizedTest
    @MethodSource("cases")
    void backward_inputsWithoutGradient_areUntouched(Case c) {
        try (Ops ops = Backend.open("cpu-f64")) {
            List<Parameter> inputs = inputs(ops, c);
            for (Parameter trained : inputs) {
                inputs.forEach(parameter -> parameter.freeze(parameter != trained));
                new GradientCheck(ops, 1)
                        .run(
                                tape -> tape.apply(c.function().apply(ops, tape), inputs.toArray(new Variable[0])),
                                List.of(trained))
                        .require(1e-7);
            }
            inputs.forEach(Parameter::close);
            assertEquals(0, ops.memory().currentBytes());
        }
    }

    /** y = x^2 with a backward pass that forgets the factor 2. */
    private static final class WrongSquare extends Function {
        WrongSquare() {
            super("wrong_square");
        }

        @Override
        protected Tensor[] forward(Forward f) {
            Tensor y = f.allocate(f.input(0).shape());
            y.set(Arrays.stream(f.input(0).toDoubles()).map(x -> x * x).toArray());
            f.save(0);
            return new Tensor[] {y};
        }

        @Override
        protected void backward(Backward b) {
            double[] x = b.input(0).toDoubles();
            double[] dy = b.outputGradient(0).toDoubles();
            Tensor dx = b.allocate(b.inputShape(0));
            for (int i = 0; i < x.length; i++) {
                x[i] *= dy[i];
            }
            dx.set(x);
            b.accumulate(0, dx);
        }
    }

    @Test
    void gradientCheck_wrongBackward_fails() {
        try (Ops ops = Backend.open("cpu-f64")) {
            for (int size : new int[] {5, 500}) {
                Case c = new Case("wrong", (o, t) -> new WrongSquare(), new int[] {size});
                List<Parameter> inputs = inputs(ops, c);
                assertThrows(
                        GradientCheck.GradientMismatchException.class,
                        () -> new GradientCheck(ops, 1)
                                .run(tape -> tape.apply(new WrongSquare(), inputs.get(0)), inputs)
                                .require(1e-3));
                inputs.forEach(Parameter::close);
            }
        }
    }

    @Test
    void gradientCheck_inF32_isRefused() {
        try (Ops ops = Backend.open("cpu")) {
            assertThrows(IllegalArgumentException.class, () -> new GradientCheck(ops, 1));
        }
    }
}
