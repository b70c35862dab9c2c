package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape.AutogradException;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.internal.sim.HostTraffic;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.loss.LossOption;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.EagerOps;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The training loop with captured steps, on the simulator. */
class CapturedTrainingTest {
    private static final int BATCH = 7;
    private static final int TOKENS = 20;

    @TempDir
    Path folder;

    private static Ops sim() {
        return sim(Precision.F32);
    }

    private static Ops sim(Precision precision) {
        return new PtxOps("sim", SimDevice.open(SimOptions.defaults().withoutChecks()), precision);
    }

    /** Returns pairs of which every seventh has a long caption, so that batches have different padded lengths. */
    private PairDataset data() {
        Path pairs = PairFiles.folder(folder.resolve("pairs"), 20);
        try {
            Path captions = pairs.resolve("captions.tsv");
            List<String> lines = new ArrayList<>(Files.readAllLines(captions));
            for (int k = 1; k < lines.size(); k += 7) {
                lines.set(k, lines.get(k).replace(" kind", " a b c d e f g kind"));
            }
            Files.write(captions, lines);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return PairDataset.open(pairs, true);
    }

    private TrainConfig config(int steps, String loss, int chunk, TrainConfig.Accumulation accumulation) {
        TransformerConfig image = new TransformerConfig(8, 1, 2, 12, PointwiseOps.Gelu.EXACT, 0.2);
        TransformerConfig text = new TransformerConfig(6, 0, 2, 10, PointwiseOps.Gelu.QUICK, 0.2);
        DualEncoder.Config model = new DualEncoder.Config(
                new VisionTransformer.Config(8, 4, 4, 0, image, Pooling.MEAN, 5),
                new TextTransformer.Config(
                        60,
                        TOKENS,
                        text,
                        false,
                        accumulation == TrainConfig.Accumulation.FEATURES ? Pooling.LAST : Pooling.MEAN,
                        5));
        return Configs.of(
                        folder.resolve("pairs").toString(),
                        true,
                        "c",
                        0.2,
                        3,
                        steps,
                        BATCH,
                        chunk,
                        1L << 30,
                        1e-2,
                        2,
                        1,
                        60,
                        new Augmentation(0.1, 0.1, 10, 0.2, 0.3, 0.2),
                        new AdamW.Config(0.9, 0.98, 1e-8, 0.1),
                        model,
                        loss.equals("queue")
                                ? LossConfig.of(loss, Map.of(LossOption.QUEUE_SIZE, 2.0 * BATCH), "", BATCH)
                                : LossConfig.named(loss, BATCH))
                .toBuilder()
                .accumulation(accumulation)
                .build();
    }

    private record Run(List<Map<String, Object>> lines, List<String> end, List<HostTraffic> traffic, int graphs) {}

    private static Run run(Ops ops, Trainer trainer) {
        List<Map<String, Object>> lines = new ArrayList<>();
        List<HostTraffic> traffic = new ArrayList<>();
        int graphs = 0;
        while (trainer.hasNext()) {
            HostTraffic before = ((SimDevice) ops.memory()).traffic();
            lines.add(trainer.next().asMap());
            traffic.add(((SimDevice) ops.memory()).traffic().since(before));
            graphs = Math.max(graphs, trainer.graphs());
        }
        return new Run(lines, Snapshots.of(trainer), traffic, graphs);
    }

    private static Run run(Ops ops, TrainConfig config, PairDataset data) {
        try (ops;
                Trainer trainer = Trainer.start(ops, config, data)) {
            return run(ops, trainer);
        }
    }

    /** Downloads of a step, and uploads by its graph: the constants of each pass over the pairs. */
    private static Stream<Arguments> runs() {
        return Stream.of(
                gradCache("infonce", 5, 0),
                Arguments.of("infonce-rows", 4, TrainConfig.Accumulation.FEATURES, 8, 0),
                gradCache("siglip", 9, 2),
                gradCache("infonce-smoothed", 8, 2),
                gradCache("infonce-fourway", 8, 2),
                gradCache("bce-warmup", 9, 3),
                gradCache("triplet-semihard", 8, 3),
                gradCache("sinkhorn", 8, 20),
                gradCache("infonce-distilled", 8, 2),
                gradCache("queue", 18, 7));
    }

    private static Arguments gradCache(String loss, int downloads, int constants) {
        return Arguments.of(loss, 4, TrainConfig.Accumulation.GRADCACHE, downloads, constants);
    }

    /**
     * Captions have two padded lengths, chunks are ragged, and dropout is on. A stopped and resumed run is compared
     * too.
     */
    @ParameterizedTest
    @SampledSource(value = "runs", every = 9)
    void run_capturedOrEager_hasTheSameBits(
            String loss, int chunk, TrainConfig.Accumulation accumulation, int downloads, int constants) {
        int steps = loss.equals("queue") ? 9 : 6; // the queues are full after two steps
        PairDataset data = data();
        TrainConfig config = config(steps, loss, chunk, accumulation);
        Run captured = run(sim(), config, data);
        Run eager = run(new EagerOps(sim()), config, data);
        assertEquals(eager.lines, captured.lines);
        assertEquals(eager.end, captured.end);
        assertEquals(2, captured.graphs, "one graph for each padded length");
        int waits = loss.equals("queue") ? 4 : 1; // storing the keys reads their checks and ids
        for (int step = 1; step < steps; step++) {
            HostTraffic traffic = captured.traffic.get(step);
            assertEquals(waits, traffic.waits(), "synchronisations of step " + step);
            assertEquals(
                    downloads,
                    traffic.downloads(),
                    "downloads of step " + step + ": result and two checks for each loss, norm, logit scale");
            assertEquals(
                    constants + (step < steps - 1 ? 5 + 2 : 2),
                    traffic.uploads(),
                    "uploads of step " + step + ": five parts of the next batch, scalars of two kinds of updates");
        }
    }

    /** As above; the default tier resumes on the cpu, in {@link TrainerTest}. */
    @Tag("exhaustive")
    @ParameterizedTest
    @MethodSource("runs")
    void resume_ofACapturedRun_hasTheBitsOfAnUninterruptedRun(
            String loss, int chunk, TrainConfig.Accumulation accumulation) {
        int steps = 6;
        PairDataset data = data();
        TrainConfig config = config(steps, loss, chunk, accumulation);
        Run whole = run(sim(), config, data);
        Checkpoint checkpoints = new Checkpoint(folder.resolve("stopped"), 1);
        try (Ops ops = sim()) {
            try (Trainer trainer = Trainer.start(ops, config, data)) {
                for (int step = 0; step < 3; step++) {
                    trainer.next();
                }
                trainer.save(checkpoints);
            }
            try (Trainer trainer =
                    Trainer.resume(ops, data, checkpoints.latest().orElseThrow())) {
                Run resumed = run(ops, trainer);
                assertEquals(whole.lines.subList(3, steps), resumed.lines);
                assertEquals(whole.end, resumed.end);
            }
        }
    }

    /** In f16 each loss scale has graphs of its own, and steps with overflowing gradients update nothing. */
    @Tag("exhaustive")
    @Test
    void run_withAChangingLossScale_hasTheBitsOfAnEagerRun() {
        PairDataset data = data();
        TrainConfig config = config(8, "infonce", 4, TrainConfig.Accumulation.GRADCACHE).toBuilder()
                .lossScale(new LossScale.Config(0x1p14, 1))
                .build();
        Run captured = run(sim(Precision.F16), config, data);
        Run eager = run(new EagerOps(sim(Precision.F16)), config, data);
        assertEquals(eager.lines, captured.lines);
        assertEquals(eager.end, captured.end);
        double skipped = (double) captured.lines.get(7).get("skippedSteps");
        assertTrue(skipped > 0 && skipped < 8 && captured.graphs > 0, skipped + " skipped");
    }

    /** Memory runs out in an eager step, in the allocation of the arena, and later. */
    @Tag("exhaustive")
    @Test
    void next_afterOutOfMemory_repeatsTheStep() {
        PairDataset data = data();
        TrainConfig config = config(6, "infonce", 4, TrainConfig.Accumulation.GRADCACHE);
        Run undisturbed = run(sim(), config, data);
        long limit = 1L << 28;
        List<String> failed = new ArrayList<>();
        try (Ops ops = new PtxOps(
                        "sim",
                        SimDevice.open(SimOptions.defaults().withoutChecks().withMemoryLimit(limit)));
                Trainer trainer = Trainer.start(ops, config, data)) {
            List<Map<String, Object>> lines = new ArrayList<>();
            while (trainer.hasNext()) {
                for (int room : new int[] {0, 20_000, 90_000, 1 << 24}) {
                    List<String> before = Snapshots.of(trainer);
                    try (Storage taken =
                            ops.memory().allocate(limit - ops.memory().currentBytes() - room)) {
                        lines.add(trainer.next().asMap());
                        break;
                    } catch (OutOfBudgetException | AutogradException expected) {
                        assertTrue(expected.getMessage().contains("out of memory budget"), expected.getMessage());
                        failed.add("step " + trainer.step() + " with " + room);
                        assertTrue(room < 1 << 24, expected.getMessage());
                        assertEquals(before, Snapshots.of(trainer));
                    }
                }
            }
            assertEquals(undisturbed.lines, lines);
            assertEquals(undisturbed.end, Snapshots.of(trainer));
            for (String where : List.of("step 0 with 0", "step 1 with 0", "step 2 with 0")) { // eager, eager, captured
                assertTrue(failed.contains(where), failed + " without memory");
            }
            assertFalse(failed.contains("step 2 with 90000"), "a step without memory for an arena runs eagerly");
        }
    }

    @Tag("exhaustive")
    @Test
    void next_capturedWithANonFiniteWeight_stopsBeforeTheUpdate() {
        PairDataset data = data();
        TrainConfig config = config(8, "infonce", 4, TrainConfig.Accumulation.GRADCACHE);
        try (Ops ops = sim();
                Trainer trainer = Trainer.start(ops, config, data)) {
            while (trainer.graphs() < 2) {
                trainer.next();
            }
            Parameter bias = trainer.model().image().parameters().stream()
                    .filter(parameter -> parameter.name().equals("image.project.bias"))
                    .findFirst()
                    .orElseThrow();
            double[] values = bias.value().toDoubles();
            bias.value().set(Double.NaN, values[1], values[2], values[3], values[4]);
            List<String> before = Snapshots.of(trainer);
            for (int attempt = 0; attempt < 2; attempt++) {
                String message = assertThrows(Trainer.TrainingStoppedException.class, trainer::next)
                        .getMessage();
                assertTrue(message.contains("representation 0 of u is not finite"), message);
                assertEquals(before, Snapshots.of(trainer));
            }
            bias.value().set(values);
            assertTrue(Double.isFinite(trainer.next().loss()), "the step is repeated with the same batch");
        }
    }

    /** The plan includes batches, eager steps, the arena of captured steps and the measurement of cosines. */
    @Tag("exhaustive")
    @Test
    void memoryPlan_ofCapturedSteps_boundsThePeak() {
        PairDataset data = data();
        TrainConfig config = config(11, "infonce", 4, TrainConfig.Accumulation.GRADCACHE);
        long enough;
        try (Ops ops = sim();
                Trainer trainer = Trainer.start(ops, config, data)) {
            enough = trainer.memoryPlan().peak();
        }
        long budget = enough - 1;
        TrainConfig scarce = Configs.of(
                config.data(),
                config.strict(),
                config.heldOutGroup(),
                config.unseenShare(),
                config.seed(),
                config.steps(),
                config.batch(),
                config.chunk(),
                budget,
                config.learningRate(),
                config.warmup(),
                config.clip(),
                config.vocabulary(),
                config.augmentation(),
                config.optimizer(),
                config.model(),
                config.loss());
        try (Ops ops = sim();
                Trainer trainer = Trainer.start(ops, scarce, data)) {
            MemoryPlan plan = trainer.memoryPlan();
            long base = ops.memory().currentBytes();
            assertEquals(
                    BATCH * (8 * 8 * 3 * 4 + 4 + 4 + 4 * TOKENS) + 4,
                    plan.batch(),
                    "the buffers hold the longest captions");
            assertTrue(plan.peak() <= budget && plan.peak() < enough, plan + "for a budget of " + budget);
            int most = 0;
            ops.memory().resetPeak();
            while (trainer.hasNext()) {
                trainer.next();
                most = Math.max(most, trainer.graphs());
            }
            long peak = ops.memory().peakBytes();
            assertEquals(2, most, "both lengths were captured within the budget");
            assertTrue(peak <= plan.peak(), peak + " bytes, planned\n" + plan);
            assertTrue(
                    plan.peak() - base <= 1.5 * (peak - base),
                    peak - base + " bytes beyond " + base + ", planned\n" + plan);
        }
    }
}
