package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossCases.Case;
import org.contrastive4j.loss.LossCases.Problem;
import org.contrastive4j.loss.LossCases.Tensors;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.Backends;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.LossReference;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;

/** Every loss of the family: its definition, slopes, both precisions, degenerate inputs, workspace. */
class ContrastiveLossTest {
    private static double bias(ContrastiveLoss loss) {
        return loss.bias() == null ? 0 : loss.bias().value().toDoubles()[0];
    }

    private static final Map<String, Ops> OPEN = new HashMap<>();
    private static final int[][] KERNEL_SIZES = {{1, 4, 3}, {33, 35, 9}};
    private static final int[][] SIZES = {{1, 1, 2}, {1, 4, 3}, {2, 2, 2}, {33, 33, 9}, {33, 50, 9}, {103, 103, 20}};

    static List<Case> cases() {
        return LossCases.all();
    }

    static Set<String> names() {
        return Losses.names();
    }

    static Stream<String> backends() {
        return Backends.plain();
    }

    /** Every case on the cpu, and some of them, with every label and loss among them, by kernels. */
    static Stream<Arguments> casesInSinglePrecision() {
        List<Case> all = cases();
        return Stream.concat(
                all.stream().map(c -> Arguments.of("cpu", c)),
                Devices.names()
                        .flatMap(device -> IntStream.range(0, all.size())
                                .filter(k -> k % 5 == 0)
                                .mapToObj(k -> Arguments.of(device, all.get(k)))));
    }

    static Stream<Arguments> casesOnAllBackends() {
        return Stream.concat(cases().stream().map(c -> Arguments.of("cpu-f64", c)), casesInSinglePrecision());
    }

    static Stream<Arguments> namesInSinglePrecision() {
        return Stream.concat(Stream.of("cpu"), Devices.names())
                .flatMap(backend -> names().stream().map(name -> Arguments.of(backend, name)));
    }

    static Stream<Arguments> namesOnAllBackends() {
        return backends().flatMap(backend -> names().stream().map(name -> Arguments.of(backend, name)));
    }

    /** Opened once, so that kernels are assembled once. */
    private static Ops open(String backend) {
        return OPEN.computeIfAbsent(backend, Backend::open);
    }

    @AfterAll
    static void closeBackends() {
        OPEN.values().forEach(Ops::close);
        OPEN.clear();
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 16)
    void value_everyLoss_equalsItsDefinition(Case c) {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss loss = c.make().apply(ops)) {
            for (int[] size : SIZES) {
                Problem p = new Problem(c, size[0], size[1], size[2], 3);
                double[][] s = LossReference.logits(p.u, p.v, p.n, p.m, p.d, loss.scale(), bias(loss));
                try (Tensors t = new Tensors(ops, p)) {
                    double expected = c.definition().value(s, p.classes(c), p);
                    assertEquals(
                            expected,
                            loss.value(t.u, t.v, t.labels).get().loss(),
                            1e-12 * (1 + expected),
                            c + " n " + p.n + " m " + p.m);
                }
            }
        }
    }

    @ParameterizedTest
    @SampledSource(value = "cases", every = 4)
    void gradient_everyLoss_agreesWithCentralDifferences(Case c) {
        for (int[] size : new int[][] {{5, 5, 3}, {4, 7, 3}, {1, 1, 2}}) {
            Problem p = new Problem(c, size[0], size[1], size[2], 11);
            try (Ops ops = Backend.open("cpu-f64");
                    ContrastiveLoss loss = c.make().apply(ops);
                    Tensors t = new Tensors(ops, p);
                    Parameter u = new Parameter(ops, "u", ops.tensor(Shape.of(p.n, p.d), p.u), true);
                    Parameter v = new Parameter(ops, "v", ops.tensor(Shape.of(p.m, p.d), p.v), true)) {
                loss.logScale().freeze(false);
                List<Parameter> all = new ArrayList<>(List.of(u, v));
                all.addAll(loss.parameters());
                new GradientCheck(ops, 1)
                        .run(tape -> tape.apply(new LossFunction(loss, t.labels), all.toArray(new Parameter[0])), all)
                        .require(1e-7);
            }
        }
    }

    record Answer(PairwiseOps.Result result, double[] du, double[] dv, List<double[]> own) {}

    static Answer ask(Ops ops, ContrastiveLoss loss, Problem p, double gradientScale) {
        loss.parameters().forEach(Parameter::zeroGradient);
        try (Tensors t = new Tensors(ops, p);
                Tensor du = poisoned(ops, p.n, p.d);
                Tensor dv = poisoned(ops, p.m, p.d)) {
            PairwiseOps.Result result = loss.valueAndGradient(t.u, t.v, t.labels, du, dv, gradientScale)
                    .get();
            return new Answer(
                    result,
                    du.toDoubles(),
                    dv.toDoubles(),
                    loss.parameters().stream()
                            .map(parameter -> parameter.gradient().toDoubles())
                            .toList());
        }
    }

    private static Tensor poisoned(Ops ops, int... dims) {
        Tensor tensor = ops.allocate(dims);
        double[] nan = new double[(int) tensor.size()];
        Arrays.fill(nan, Double.NaN);
        tensor.set(nan);
        return tensor;
    }

    private static void close(String what, double[] expected, double[] given, double tolerance) {
        double size = Arrays.stream(expected).map(Math::abs).max().orElse(0);
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], given[i], tolerance * (size + 0.01), what + "[" + i + "]");
        }
    }

    @ParameterizedTest
    @SampledSource(value = "casesInSinglePrecision", every = 24)
    @Tag("gpu")
    void valueAndGradient_f32_agreesWithF64(String backend, Case c) {
        Ops f64 = open("cpu-f64");
        Ops f32 = open(backend);
        double tolerance = backend.equals("cpu") ? 2e-5 : 4e-5; // the cpu takes positives in f64
        try (ContrastiveLoss truth = c.make().apply(f64);
                ContrastiveLoss loss = c.make().apply(f32)) {
            for (int[] size : backend.equals("cpu") ? SIZES : KERNEL_SIZES) {
                Problem p = new Problem(c, size[0], size[1], size[2], 3);
                Answer expected = ask(f64, truth, p, 0.5);
                Answer given = ask(f32, loss, p, 0.5);
                String what = backend + " " + c + " n " + p.n + " m " + p.m;
                assertEquals(expected.result.loss(), given.result.loss(), 2e-6 * (1 + expected.result.loss()), what);
                assertEquals(expected.result.rowAccuracy(), given.result.rowAccuracy(), what);
                assertEquals(expected.result.columnAccuracy(), given.result.columnAccuracy(), what);
                assertEquals(expected.result.meanPositive(), given.result.meanPositive(), 2e-5, what);
                close(what + " du", expected.du, given.du, tolerance);
                close(what + " dv", expected.dv, given.dv, tolerance);
                for (int k = 0; k < expected.own.size(); k++) {
                    close(what + " own", expected.own.get(k), given.own.get(k), 4e-5);
                }
            }
        }
    }

    @ParameterizedTest
    @SampledSource(value = "namesInSinglePrecision", every = 28)
    @Tag("gpu")
    void valueAndGradient_manyTiles_agreesWithF64(String backend, String name) {
        Case c = cases().get(0);
        Problem p = backend.equals("cpu") ? new Problem(c, 530, 1100, 12, 8) : new Problem(c, 65, 70, 12, 8);
        Ops f64 = open("cpu-f64");
        Ops f32 = open(backend);
        try (ContrastiveLoss truth = Losses.named(f64, name);
                ContrastiveLoss loss = Losses.named(f32, name)) {
            Answer expected = ask(f64, truth, p, 1);
            Answer given = ask(f32, loss, p, 1);
            assertEquals(expected.result.loss(), given.result.loss(), 1e-5 * expected.result.loss(), name);
            close(name + " du", expected.du, given.du, 1e-4);
            close(name + " dv", expected.dv, given.dv, 1e-4);
            assertArrayEquals(given.du, ask(f32, loss, p, 1).du, "the same bits every time");
        }
    }

    @ParameterizedTest
    @SampledSource(value = "namesOnAllBackends", every = 8)
    @Tag("gpu")
    void valueAndGradient_largestScale_isFinite(String backend, String name) {
        Ops ops = open(backend);
        try (ContrastiveLoss loss = Losses.named(ops, name)) {
            loss.logScale().value().set(ContrastiveLoss.MAX_LOG_SCALE);
            Problem p = new Problem(cases().get(0), 33, 33, 4, 5);
            System.arraycopy(p.u, 0, p.v, 0, p.u.length);
            requireFinite(name + " aligned", ask(ops, loss, p, 1));
            for (int i = 0; i < p.v.length; i++) {
                p.v[i] = -p.u[i];
            }
            requireFinite(name + " opposed", ask(ops, loss, p, 1));
            Arrays.fill(p.u, 0.5);
            Arrays.fill(p.v, 0.5);
            requireFinite(name + " all the same", ask(ops, loss, p, 1));
            Arrays.fill(p.u, 0);
            Answer zeros = ask(ops, loss, p, 1);
            requireFinite(name + " zero rows", zeros);
            close(name + " zero rows have no gradient", new double[p.u.length], zeros.du, 0);
        }
    }

    private static void requireFinite(String what, Answer answer) {
        assertTrue(Double.isFinite(answer.result.loss()), what);
        for (double[] values : List.of(answer.du, answer.dv, answer.own.get(0))) {
            for (double value : values) {
                assertTrue(Double.isFinite(value), what);
            }
        }
    }

    /** Swapping rows of the batch swaps rows of the gradient, ties or not. */
    @ParameterizedTest
    @EnumSource(TripletLoss.Negatives.class)
    void gradient_permutedRowsWithTies_isPermuted(TripletLoss.Negatives name) {
        int n = 6;
        double[] u = new double[n * 2];
        for (int i = 0; i < n; i++) { // pairs of equal rows: every hardest negative is a tie
            u[2 * i] = Math.cos(i / 2);
            u[2 * i + 1] = Math.sin(i / 2);
        }
        int[] order = {3, 5, 0, 2, 4, 1};
        double[] moved = new double[u.length];
        for (int i = 0; i < n; i++) {
            System.arraycopy(u, 2 * order[i], moved, 2 * i, 2);
        }
        for (String backend : backends().toList()) {
            Ops ops = open(backend);
            try (ContrastiveLoss loss = new TripletLoss(ops, name, 1, PairPolicy.DEFAULT)) {
                Problem p = new Problem(cases().get(0), n, n, 2, 1);
                Problem q = new Problem(cases().get(0), n, n, 2, 1);
                System.arraycopy(u, 0, p.u, 0, u.length);
                System.arraycopy(u, 0, p.v, 0, u.length);
                System.arraycopy(moved, 0, q.u, 0, u.length);
                System.arraycopy(moved, 0, q.v, 0, u.length);
                Answer one = ask(ops, loss, p, 1);
                Answer other = ask(ops, loss, q, 1);
                assertEquals(one.result.loss(), other.result.loss(), 1e-6);
                assertTrue(one.result.loss() > 0.1);
                for (int i = 0; i < n; i++) {
                    for (int k = 0; k < 2; k++) {
                        assertEquals(one.du[2 * order[i] + k], other.du[2 * i + k], 1e-6, name.name());
                        assertEquals(one.dv[2 * order[i] + k], other.dv[2 * i + k], 1e-6, name.name());
                    }
                }
            }
        }
    }

    /**
     * Two equal columns are tied hardest negatives wherever u moves, so u still has slopes: they must share one
     * gradient.
     */
    @ParameterizedTest
    @EnumSource(TripletLoss.Negatives.class)
    void gradient_tiedNegatives_shareOneGradient(TripletLoss.Negatives negatives) {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss loss = new TripletLoss(ops, negatives, 1.5, PairPolicy.DEFAULT);
                Parameter u =
                        new Parameter(ops, "u", ops.tensor(Shape.of(4, 2), 1, 0.1, 0.2, 1, -1, 0.3, 0.4, -1), true);
                Tensor columns = ops.tensor(Shape.of(4, 2), 0.5, 1, 0.8, 0.9, 0.8, 0.9, 1, -0.4);
                Parameter v = new Parameter(ops, "v", columns, true)) {
            v.freeze(true);
            new GradientCheck(ops, 1)
                    .run(
                            tape -> tape.apply(new LossFunction(loss, PairLabels.DIAGONAL), u, v, loss.logScale()),
                            List.of(u))
                    .require(1e-7);
        }
    }

    @ParameterizedTest
    @SampledSource(value = "namesInSinglePrecision", every = 8)
    @Tag("gpu")
    void valueAndGradient_f32AtTheLargestScale_agreesWithF64(String backend, String name) {
        Ops f64 = open("cpu-f64");
        Ops f32 = open(backend);
        int n = backend.equals("cpu") ? 103 : 65;
        try (ContrastiveLoss truth = Losses.named(f64, name);
                ContrastiveLoss loss = Losses.named(f32, name)) {
            truth.logScale().value().set((float) Math.log(100));
            loss.logScale().value().set((float) Math.log(100));
            Problem p = new Problem(cases().get(0), n, n, 20, 6);
            Answer expected = ask(f64, truth, p, 1);
            Answer given = ask(f32, loss, p, 1);
            assertEquals(expected.result.loss(), given.result.loss(), 2e-5 * (1 + expected.result.loss()), name);
            close(name + " du", expected.du, given.du, 2e-4);
            close(name + " dv", expected.dv, given.dv, 2e-4);
            close(name + " log-scale", expected.own.get(0), given.own.get(0), 2e-4);
        }
    }

    @Test
    void value_rowWithoutNegatives_isZero() {
        for (String backend : backends().toList()) {
            Ops ops = open(backend);
            for (String name : List.of("infonce", "infonce-rows", "triplet-hardest", "triplet", "triplet-semihard")) {
                try (ContrastiveLoss loss = Losses.named(ops, name);
                        Tensor u = ops.tensor(Shape.of(3, 2), 1, 2, 3, 4, -5, 6);
                        Tensor du = poisoned(ops, 3, 2);
                        Tensor ids = ops.ints(Shape.of(3), 4, 4, 4)) {
                    assertEquals(
                            0,
                            loss.valueAndGradient(u, u, PairLabels.ids(ids, ids), du, null, 1)
                                    .get()
                                    .loss(),
                            1e-6);
                    assertArrayEquals(new double[6], du.toDoubles(), 1e-6);
                }
            }
        }
    }

    /** Pairs of one id are all ignored but the targets: what is left of a loss is by definition. */
    @ParameterizedTest
    @SampledSource(value = "casesOnAllBackends", every = 12)
    @Tag("gpu")
    void value_allNegativesIgnored_equalsItsDefinition(String backend, Case c) {
        Ops ops = open(backend);
        try (ContrastiveLoss loss = c.make().apply(ops)) {
            for (int n : new int[] {1, 5, 33}) {
                Problem p = new Problem(c, n, n, 3, 2);
                p.rowIds = new int[n];
                p.columnIds = new int[n];
                double[][] s = LossReference.logits(p.u, p.v, n, n, p.d, loss.scale(), bias(loss));
                double expected = c.definition().value(s, p.classes(c), p);
                Answer answer = ask(ops, loss, p, 1);
                assertEquals(expected, answer.result.loss(), backend.equals("cpu-f64") ? 1e-12 : 1e-5, c + " n " + n);
                requireFinite(c.toString(), answer);
            }
        }
    }

    /** Unit rows of one number are 1 or -1: nothing to learn, and ties everywhere. */
    @ParameterizedTest
    @SampledSource(value = "casesOnAllBackends", every = 24)
    @Tag("gpu")
    void gradient_widthOne_isZero(String backend, Case c) {
        double[] powers = {0.5, -1, 2, 1, -0.25, -4, 0.5, 1, -1};
        Ops ops = open(backend);
        try (ContrastiveLoss loss = c.make().apply(ops)) {
            Problem p = new Problem(c, 9, 9, 1, 2);
            for (int i = 0; i < 9; i++) {
                p.u[i] = powers[i];
                p.v[i] = powers[(2 * i + 1) % 9];
            }
            double[][] s = LossReference.logits(p.u, p.v, 9, 9, 1, loss.scale(), bias(loss));
            double expected = c.definition().value(s, p.classes(c), p);
            Answer answer = ask(ops, loss, p, 1);
            assertEquals(
                    expected,
                    answer.result.loss(),
                    (backend.equals("cpu-f64") ? 1e-12 : 2e-6) * (1 + expected),
                    c.toString());
            assertArrayEquals(new double[9], answer.du, 1e-5, c + " du");
            assertArrayEquals(new double[9], answer.dv, 1e-5, c + " dv");
        }
    }

    @ParameterizedTest
    @SampledSource(value = "namesInSinglePrecision", every = 8)
    void workspaceBytes_anySize_isUsedAndLinearInTheRows(String backend, String name) {
        Ops ops = open(backend);
        boolean exact = backend.equals("cpu");
        int n = exact ? 700 : 65;
        try (ContrastiveLoss loss = Losses.named(ops, name);
                Tensor u = ops.tensor(
                        Shape.of(n, 24), new Random(1).doubles(n * 24, -1, 1).toArray());
                Tensor du = ops.zeros(Shape.of(n, 24));
                Tensor dv = ops.zeros(Shape.of(n, 24))) {
            loss.parameters().forEach(Parameter::gradient);
            long before = ops.memory().currentBytes();
            ops.memory().resetPeak();
            loss.valueAndGradient(u, u, PairLabels.DIAGONAL, du, dv, 1);
            ops.synchronize();
            long used = ops.memory().peakBytes() - before;
            long said = loss.workspaceBytes(n, n, 24, PairLabels.DIAGONAL);
            assertTrue(exact ? used == said : used <= said, name + " took " + used + " bytes, said " + said);
            long once = loss.workspaceBytes(1 << 16, 1 << 16, 512, PairLabels.DIAGONAL);
            assertTrue(loss.workspaceBytes(1 << 18, 1 << 18, 512, PairLabels.DIAGONAL) <= 4 * once, name);
        }
    }

    @Test
    void metrics_anyBatch_describeThePairs() {
        int n = 40;
        Problem p = new Problem(cases().get(0), n, n, 6, 2);
        int[] ids = IntStream.range(0, n).map(i -> i / 2).toArray();
        for (String backend : backends().toList()) {
            Ops ops = open(backend);
            try (ContrastiveLoss loss = Losses.named(ops, "siglip");
                    Tensors t = new Tensors(ops, p);
                    Tensor tags = ops.ints(Shape.of(n), ids)) {
                PairMetrics metrics = loss.metrics(t.u, t.v, PairLabels.ids(tags, tags));
                double[][] s = LossReference.logits(p.u, p.v, n, n, 6, 1, 0);
                double[] positives =
                        IntStream.range(0, n).mapToDouble(i -> s[i][i]).sorted().toArray();
                assertEquals(n, metrics.positives().count());
                assertEquals((long) n * n - 2 * n, metrics.negatives().count());
                assertEquals((double) n / (n * n - n), metrics.ignoredShare(), 1e-12);
                assertEquals(
                        Arrays.stream(positives).average().orElseThrow(),
                        metrics.positives().mean(),
                        1e-3);
                assertEquals(positives[n / 2 - 1], metrics.positives().p50(), 1e-3);
                assertEquals(positives[1], metrics.positives().p05(), 1e-3);
                assertEquals(
                        loss.value(t.u, t.v, PairLabels.ids(tags, tags)).get().rowAccuracy(), metrics.rowAccuracy());
            }
        }
    }
}
