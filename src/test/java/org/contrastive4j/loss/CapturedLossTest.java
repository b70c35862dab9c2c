package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.internal.sim.HostTraffic;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.loss.DistilledContrast.Distillation;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Ops.CapturedGraph;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every loss that can be captured as a graph, on the simulator with all of its checks. */
class CapturedLossTest {
    private static final int N = 7;
    private static final int D = 3;
    private static final long ARENA = 4L << 20;

    /** The losses by name, some of their options, and all that reads the same code in another way. */
    static Stream<String> losses() {
        return Stream.concat(
                Losses.names().stream(),
                Stream.of("triplet-semihard margin-reward", "sinkhorn tolerance", "infonce-fourway smoothed"));
    }

    private static ContrastiveLoss loss(Ops ops, String name) {
        return switch (name) {
            case "triplet-semihard margin-reward" ->
                Losses.named(ops, "triplet-semihard", Map.of(LossOption.MARGIN_REWARD, 0.5));
            case "sinkhorn tolerance" -> Losses.named(ops, "sinkhorn", Map.of(LossOption.SINKHORN_TOLERANCE, 1e-3));
            case "infonce-fourway smoothed" -> Losses.fourWay(ops, 0.1, PairPolicy.DEFAULT);
            default -> Losses.named(ops, name);
        };
    }

    private static Ops sim() {
        return new PtxOps("sim", SimDevice.open(SimOptions.defaults()));
    }

    /** A loss and its inputs; each step has other representations and moves the parameters. */
    private static final class Steps implements AutoCloseable {
        final Ops ops = sim();
        final ContrastiveLoss loss;
        final Tensor[] tensors = new Tensor[4]; // u, v, du, dv
        final Random random = new Random(5);

        Steps(String name) {
            loss = loss(ops, name);
            Arrays.setAll(tensors, k -> ops.zeroParameter(Shape.of(N, D)));
            loss.parameters().forEach(Parameter::gradient);
        }

        Deferred<PairwiseOps.Result> issue() {
            loss.parameters().forEach(Parameter::zeroGradient);
            return loss.valueAndGradient(tensors[0], tensors[1], PairLabels.DIAGONAL, tensors[2], tensors[3], 3);
        }

        void next() {
            tensors[0].set(random.doubles(N * D, -1, 1).toArray());
            tensors[1].set(random.doubles(N * D, -1, 1).toArray());
            tensors[1].rows(0, 1).set(tensors[0].rows(0, 1).toDoubles());
            for (Parameter parameter : loss.parameters()) {
                parameter.value().set(parameter.value().toDoubles()[0] + 0.01);
            }
        }

        List<String> bits(PairwiseOps.Result result) {
            List<String> bits = new ArrayList<>(List.of(result.toString()));
            bits.add(Arrays.toString(tensors[2].toDoubles()));
            bits.add(Arrays.toString(tensors[3].toDoubles()));
            loss.parameters().forEach(p -> bits.add(Arrays.toString(p.gradient().toDoubles())));
            return bits;
        }

        HostTraffic traffic() {
            return ((SimDevice) ops.memory()).traffic();
        }

        @Override
        public void close() {
            loss.close();
            Arrays.stream(tensors).forEach(Tensor::close);
            ops.close();
        }
    }

    @ParameterizedTest
    @SampledSource(value = "losses", every = 4)
    void valueAndGradient_captured_hasTheBitsOfAnEagerCallAndWaitsOnce(String name) {
        try (Steps eager = new Steps(name);
                Steps captured = new Steps(name)) {
            if (!captured.loss.isCapturable()) {
                assertEquals("sinkhorn tolerance", name);
                return;
            }
            captured.issue().get();
            List<Deferred<PairwiseOps.Result>> result = new ArrayList<>();
            try (Storage arena = captured.ops.memory().allocate(ARENA);
                    CapturedGraph graph = captured.ops.capture(() -> result.add(captured.issue()), arena)) {
                for (int step = 0; step < 3; step++) {
                    eager.next();
                    captured.next();
                    HostTraffic before = captured.traffic();
                    graph.run();
                    PairwiseOps.Result got = result.get(0).get();
                    assertEquals(1, captured.traffic().since(before).waits(), name);
                    PairwiseOps.Result expected = eager.issue().get();
                    assertEquals(eager.bits(expected), captured.bits(got), name + ", step " + step);
                    eager.loss.afterStep(expected);
                    captured.loss.afterStep(got);
                }
            }
        }
    }

    /** Two keys and their momentum encoders' representations, with and without ids; alpha grows from step to step. */
    @ParameterizedTest
    @ValueSource(strings = {"distilled", "queue", "queue with ids"})
    void valueAndGradient_ofMomentumEncoders_capturedHasTheBitsOfAnEagerCall(String name) {
        try (MomentumSteps eager = new MomentumSteps(name);
                MomentumSteps captured = new MomentumSteps(name)) {
            captured.issue().get();
            List<Deferred<PairwiseOps.Result>> result = new ArrayList<>();
            try (Storage arena = captured.ops.memory().allocate(ARENA);
                    CapturedGraph graph = captured.ops.capture(() -> result.add(captured.issue()), arena)) {
                List<String> losses = new ArrayList<>();
                for (int step = 0; step < 3; step++) {
                    eager.next(step);
                    captured.next(step);
                    HostTraffic before = captured.traffic();
                    graph.run();
                    PairwiseOps.Result got = result.get(0).get();
                    assertEquals(1, captured.traffic().since(before).waits(), name);
                    assertEquals(eager.bits(eager.issue().get()), captured.bits(got), name + ", step " + step);
                    losses.add(got.toString());
                }
                assertEquals(3, Set.copyOf(losses).size(), "results of the replays");
            }
        }
    }

    /** A loss with teachers, and its inputs. */
    private static final class MomentumSteps implements AutoCloseable {
        final Ops ops = sim();
        final String name;
        final DistilledContrast distilled = new DistilledContrast(ops);
        final QueueContrast queue =
                new QueueContrast(ops, 2 * N, D, PairPolicy.DEFAULT, InfoNce.INITIAL_LOG_SCALE, true);
        final Distillation schedule = new Distillation(0.4, 4);
        final Tensor[] tensors = new Tensor[6]; // u, v, those of the teacher, du, dv
        final Tensor step = ops.ints(Shape.of(1), 1);
        final Tensor ids = ops.ints(Shape.of(N), new int[N]);
        final Random random = new Random(5);

        MomentumSteps(String name) {
            this.name = name;
            Arrays.setAll(tensors, k -> ops.zeroParameter(Shape.of(N, D)));
            parameters().forEach(Parameter::gradient);
            for (int k = 0; k < 2; k++) {
                next(k);
            }
        }

        List<Parameter> parameters() {
            return name.equals("distilled") ? distilled.parameters() : queue.parameters();
        }

        Deferred<PairwiseOps.Result> issue() {
            parameters().forEach(Parameter::zeroGradient);
            return name.equals("distilled")
                    ? distilled.valueAndGradient(
                            tensors[0], tensors[1], tensors[2], tensors[3], schedule, step, tensors[4], tensors[5], 3)
                    : queue.valueAndGradient(
                            tensors[0],
                            tensors[1],
                            tensors[2],
                            tensors[3],
                            name.endsWith("ids") ? ids : null,
                            schedule,
                            step,
                            tensors[4],
                            tensors[5],
                            3);
        }

        void next(int now) {
            queue.enqueue(tensors[2], tensors[3], ids);
            for (int k = 0; k < 4; k++) {
                tensors[k].set(random.doubles(N * D, -1, 1).toArray());
            }
            ops.send(new int[] {now + 1}, step);
            ops.send(random.ints(N, 0, 9).toArray(), ids);
        }

        List<String> bits(PairwiseOps.Result result) {
            List<String> bits = new ArrayList<>(List.of(result.toString()));
            bits.add(Arrays.toString(tensors[4].toDoubles()));
            bits.add(Arrays.toString(tensors[5].toDoubles()));
            parameters().forEach(p -> bits.add(Arrays.toString(p.gradient().toDoubles())));
            return bits;
        }

        HostTraffic traffic() {
            return ((SimDevice) ops.memory()).traffic();
        }

        @Override
        public void close() {
            distilled.close();
            queue.close();
            Arrays.stream(tensors).forEach(Tensor::close);
            step.close();
            ids.close();
            ops.close();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"siglip", "infonce-smoothed"})
    void get_capturedWithANonFiniteRow_throwsAndRecovers(String name) {
        try (Steps captured = new Steps(name)) {
            captured.next();
            PairwiseOps.Result expected = captured.issue().get();
            List<Deferred<PairwiseOps.Result>> result = new ArrayList<>();
            try (Storage arena = captured.ops.memory().allocate(ARENA);
                    CapturedGraph graph = captured.ops.capture(() -> result.add(captured.issue()), arena)) {
                double[] good = captured.tensors[1].toDoubles();
                double[] bad = good.clone();
                bad[4] = Double.NaN;
                captured.tensors[1].set(bad);
                graph.run();
                NonFiniteException found = assertThrows(
                        NonFiniteException.class, () -> result.get(0).get());
                assertTrue(found.getMessage().contains("representation 1 of v"), found.getMessage());
                captured.tensors[1].set(good);
                graph.run();
                assertEquals(expected, result.get(0).get());
            }
        }
    }

    @Test
    void capture_withoutAnEagerCallBefore_isRefused() {
        try (Steps steps = new Steps("siglip");
                Storage arena = steps.ops.memory().allocate(ARENA)) {
            assertThrows(DeviceException.class, () -> steps.ops.capture(steps::issue, arena));
        }
    }

    @Test
    void capture_ofALossThatReadsItsScalars_isRefused() {
        try (Steps steps = new Steps("sinkhorn tolerance");
                Storage arena = steps.ops.memory().allocate(ARENA)) {
            steps.next();
            steps.issue().get();
            assertThrows(DeviceException.class, () -> steps.ops.capture(steps::issue, arena));
        }
    }
}
