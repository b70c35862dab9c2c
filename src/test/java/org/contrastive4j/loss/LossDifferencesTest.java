package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.ContrastiveLossTest.Answer;
import org.contrastive4j.loss.LossCases.Case;
import org.contrastive4j.loss.LossCases.Labels;
import org.contrastive4j.loss.LossCases.Problem;
import org.contrastive4j.loss.LossCases.Tensors;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/**
 * Gradients of every loss by the kernels of a device, from the kernel that norms rows to the one that undoes it,
 * against slopes of the loss's value in f64: central differences of plain loops, of which {@link ContrastiveLossTest}
 * says that they are the definition.
 */
@Tag("gpu")
class LossDifferencesTest {
    /** Of the largest element; of a parameter, where all pairs cancel, twice that. */
    private static final double F32 = 2e-5;

    private static final int ALL = 60; // elements, else those next to the edges of tiles
    private static final Map<String, Ops> OPEN = new HashMap<>();

    /** A loss and the labels of a batch for it. */
    private record Check(String name, Function<Ops, ContrastiveLoss> make, Case batch) {
        @Override
        public String toString() {
            return name + ", " + batch.labels();
        }
    }

    /** Every loss with each of its options once, labels in turns; and the losses by name. */
    static Stream<Arguments> checksOnDevices() {
        Map<String, List<Case>> cases = new LinkedHashMap<>();
        LossCases.all()
                .forEach(c -> cases.computeIfAbsent(c.name(), name -> new ArrayList<>())
                        .add(c));
        List<Check> checks = new ArrayList<>();
        cases.values().forEach(same -> {
            Labels labels = Labels.values()[checks.size() % Labels.values().length];
            Case c = same.stream()
                    .filter(one -> one.labels() == labels)
                    .findFirst()
                    .orElseThrow();
            checks.add(new Check(c.name(), c.make(), c));
        });
        Case plain = LossCases.all().get(0);
        assertEquals(Labels.NOTHING, plain.labels());
        Losses.names().forEach(name -> checks.add(new Check(name, ops -> Losses.named(ops, name), plain)));
        return Devices.names().flatMap(device -> checks.stream().map(check -> Arguments.of(device, check)));
    }

    private static Ops open(String backend) {
        return OPEN.computeIfAbsent(backend, Backend::open);
    }

    @AfterAll
    static void closeBackends() {
        OPEN.values().forEach(Ops::close);
        OPEN.clear();
    }

    @ParameterizedTest
    @SampledSource(value = "checksOnDevices", every = 20)
    void gradient_everyLoss_equalsCentralDifferences(String device, Check check) {
        try (ContrastiveLoss loss = trained(check, open(device));
                ContrastiveLoss truth = trained(check, open("cpu-f64"))) {
            for (int[] size : new int[][] {{7, 9, 5}, {65, 67, 3}}) {
                Problem p = new Problem(check.batch, size[0], size[1], size[2], 11);
                compare(check, truth, loss, p, ContrastiveLossTest.ask(open(device), loss, p, 1));
            }
        }
    }

    private static ContrastiveLoss trained(Check check, Ops ops) {
        ContrastiveLoss loss = check.make.apply(ops);
        loss.logScale().freeze(false);
        return loss;
    }

    /** At the parameters that the device has, which are of f32. */
    private static void compare(Check check, ContrastiveLoss truth, ContrastiveLoss loss, Problem p, Answer answer) {
        for (int k = 0; k < truth.parameters().size(); k++) {
            truth.parameters()
                    .get(k)
                    .value()
                    .set(loss.parameters().get(k).value().toDoubles());
        }
        String what = check + ", n " + p.n + " m " + p.m + ": ";
        try (Tensors t = new Tensors(open("cpu-f64"), p)) {
            ToDoubleFunction<double[]> value =
                    any -> truth.value(t.u, t.v, t.labels).get().loss();
            compare(what + "du", value, t.u, answer.du(), p.d);
            compare(what + "dv", value, t.v, answer.dv(), p.d);
            for (int k = 0; k < truth.parameters().size(); k++) {
                Parameter parameter = truth.parameters().get(k);
                compare(
                        what + parameter.name(),
                        value,
                        parameter.value(),
                        answer.own().get(k),
                        1);
            }
        }
    }

    private static void compare(String what, ToDoubleFunction<double[]> value, Tensor at, double[] gradient, int d) {
        double[] bounds = new double[gradient.length];
        Arrays.fill(
                bounds,
                (d == 1 ? 2 : 1)
                        * F32
                        * (Arrays.stream(gradient).map(Math::abs).max().orElse(0) + 0.01));
        int[] elements = IntStream.range(0, gradient.length)
                .filter(i -> gradient.length <= ALL || i / d == 63 || i / d == 64)
                .toArray();
        double[] before = at.toDoubles();
        GradientCheck.require(
                what,
                moved -> {
                    at.set(moved);
                    double loss = value.applyAsDouble(moved);
                    at.set(before);
                    return loss;
                },
                before,
                gradient,
                elements,
                bounds,
                5);
    }

    @Test
    void comparison_oneWrongElement_fails() {
        Case c = LossCases.all().get(0);
        Check check = new Check(c.name(), c.make(), c);
        Problem p = new Problem(c, 7, 9, 5, 11);
        try (ContrastiveLoss loss = trained(check, open("sim"));
                ContrastiveLoss truth = trained(check, open("cpu-f64"))) {
            Answer right = ContrastiveLossTest.ask(open("sim"), loss, p, 1);
            compare(check, truth, loss, p, right);
            for (double[] gradient : List.of(right.du(), right.dv(), right.own().get(0))) {
                double off =
                        5 * F32 * (Arrays.stream(gradient).map(Math::abs).max().orElseThrow() + 0.01);
                gradient[gradient.length - 1] += off;
                assertThrows(
                        GradientCheck.GradientMismatchException.class, () -> compare(check, truth, loss, p, right));
                gradient[gradient.length - 1] -= off;
            }
        }
    }
}
