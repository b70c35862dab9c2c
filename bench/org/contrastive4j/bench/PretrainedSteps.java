package org.contrastive4j.bench;

import static org.bytedeco.pytorch.global.torch.set_num_threads;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.Batch;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.GradCache.ChunkPlan;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.nn.DualEncoder.LowRankConfig;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.pretrained.FineTunedModel;
import org.contrastive4j.pretrained.FineTunedModel.FineTuning;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Measures LoRA (rank 8 on queries and values) on a random checkpoint of {@link PretrainedOpening}:
 *
 * <ul>
 *   <li>{@code PretrainedSteps speed <folder> b32 <batch>}: agreement with PyTorch, then seconds beside PyTorch
 *   <li>{@code PretrainedSteps bytes <folder> b32 <batch> <chunk>}: one step with counted bytes, and the planned bytes
 *       of a step on the whole batch at once
 *   <li>{@code PretrainedSteps plan <folder> l14-336 <chunk> <GB>}: the largest batch that fits, with and without the
 *       cache
 * </ul>
 */
public final class PretrainedSteps implements AutoCloseable {
    private static final int RANK = 8;
    private static final int TOKENS = 16;
    private static final int THREADS = 2;
    private static final int PICTURES = 32;
    private static final int ROUNDS = 3;
    private static final int FEW_PAIRS = 32;

    private final Ops ops;
    private final Path folder;
    private final RandomCheckpoint.Sizes sizes;
    private final FineTunedModel model;
    private final ContrastiveLoss loss;
    private final List<ChunkEncoder<TrainBatch>> encoders;

    private PretrainedSteps(Ops ops, Path folder, RandomCheckpoint.Sizes sizes) {
        this.ops = ops;
        this.folder = folder;
        this.sizes = sizes;
        LowRankConfig adapters = new LowRankConfig(RANK, 2 * RANK, 0, false);
        model = FineTunedModel.open(
                ops,
                folder,
                new FineTunedModel.Settings(FineTuning.WHOLE, adapters, List.of("q", "v"), DType.F32, 0),
                1);
        loss = model.pretrained().loss();
        model.prepare(loss);
        encoders = Encoders.of(ops, model.encoder());
        SplittableRandom random = new SplittableRandom(2);
        for (Parameter parameter : model.trained()) { // B is zero at first, and then A has no gradient
            float[] values = parameter.value().toFloats();
            for (int k = 0; k < values.length; k++) {
                values[k] += 0.02f * (float) (random.nextDouble() - 0.5);
            }
            parameter.value().set(values);
            parameter.gradient();
        }
    }

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[1]);
        RandomCheckpoint.Sizes sizes = RandomCheckpoint.Sizes.named(arguments[2]);
        if (!Files.exists(folder)) {
            RandomCheckpoint.write(folder, sizes);
        }
        int number = Integer.parseInt(arguments[3]);
        if (arguments[0].equals("speed")) {
            set_num_threads(THREADS); // loads PyTorch, which must come before OpenBLAS
        }
        try (Ops ops = Backend.open("cpu");
                PretrainedSteps steps = new PretrainedSteps(ops, folder, sizes)) {
            switch (arguments[0]) {
                case "speed" -> steps.speed(number);
                case "bytes" -> steps.bytes(number, Integer.parseInt(arguments[4]));
                case "plan" -> steps.plan(number, Double.parseDouble(arguments[4]));
                default -> throw new IllegalArgumentException(arguments[0] + ", expected speed, bytes or plan");
            }
        }
    }

    private Batch batch(int pairs) {
        SplittableRandom random = new SplittableRandom(3);
        int size = sizes.image();
        float[] pixels = new float[pairs * size * size * 3];
        for (int k = 0; k < pixels.length; k++) {
            pixels[k] = (float) (2 * random.nextDouble() - 1);
        }
        int[] tokens = new int[pairs * TOKENS];
        int[] lengths = new int[pairs];
        int[] ids = new int[pairs];
        for (int k = 0; k < tokens.length; k++) {
            tokens[k] = random.nextInt(40_000);
        }
        for (int k = 0; k < pairs; k++) {
            lengths[k] = TOKENS;
            ids[k] = k;
        }
        return new Batch(ids, size, pixels, TOKENS, tokens, lengths);
    }

    /** Keeps the activations of all chunks. */
    private GradCache<TrainBatch, PairwiseOps.Result> keeping(int chunk) {
        return GradCache.ofChunks(
                ops, encoders, LossOverEncoders.of(loss), Collections.nCopies(encoders.size(), chunk), Long.MAX_VALUE);
    }

    /** Keeps no activations between the passes. */
    private GradCache<TrainBatch, PairwiseOps.Result> recomputing(int chunk) {
        return GradCache.ofChunks(
                ops, encoders, LossOverEncoders.of(loss), Collections.nCopies(encoders.size(), chunk));
    }

    private double gradients(GradCache<TrainBatch, PairwiseOps.Result> cache, TrainBatch batch) {
        model.trained().forEach(Parameter::zeroGradient);
        return cache.step(batch, 1).get().loss();
    }

    private static double seconds(Runnable work) {
        long start = System.nanoTime();
        work.run();
        return (System.nanoTime() - start) / 1e9;
    }

    private void speed(int pairs) {
        try (TorchClip peer = new TorchClip(folder, sizes, THREADS)) {
            List<Parameter> trained = model.trained();
            for (int k = 0; k < trained.size(); k += 2) {
                String name = trained.get(k).name();
                boolean isA = name.endsWith("lora_A");
                peer.adapt(
                        module(name),
                        trained.get(isA ? k : k + 1).value().toFloats(),
                        trained.get(isA ? k + 1 : k).value().toFloats(),
                        RANK,
                        2);
            }
            agree(peer);
            compareEmbedding(peer);
            compareSteps(peer, pairs);
        }
    }

    /** From image.block0.attention.q.lora_A to the name of the module in Hugging Face transformers. */
    private static String module(String parameter) {
        String[] parts = parameter.split("\\.");
        return (parts[0].equals("image") ? "vision_model" : "text_model") + ".encoder.layers."
                + parts[1].substring("block".length()) + ".self_attn." + parts[3] + "_proj";
    }

    private static org.bytedeco.pytorch.Tensor pixels(Batch batch) {
        long size = batch.imageSize();
        return TorchClip.tensor(batch.pictures(), batch.pairs(), size, size, 3)
                .permute(0, 3, 1, 2)
                .contiguous();
    }

    private static org.bytedeco.pytorch.Tensor ids(Batch batch) {
        long[] ids = new long[batch.tokens().length];
        for (int k = 0; k < ids.length; k++) {
            ids[k] = batch.tokens()[k];
        }
        return TorchClip.tensor(ids, batch.pairs(), TOKENS);
    }

    private static double error(float[] found, float[] expected) {
        double difference = 0;
        double norm = 0;
        for (int k = 0; k < found.length; k++) {
            difference += Math.pow(found[k] - (double) expected[k], 2);
            norm += Math.pow(expected[k], 2);
        }
        return Math.sqrt(difference / norm);
    }

    private static void require(double error, double most, String what) {
        System.out.printf(Locale.ROOT, "agreement: %s differ by %.1e%n", what, error);
        if (!(error < most)) {
            throw new IllegalStateException(what + " differ by " + error + ", expected at most " + most);
        }
    }

    private void agree(TorchClip peer) {
        Batch few = batch(5);
        try (TrainBatch sent = new TrainBatch(ops, few, 1, 0);
                Tensor own = ops.allocateParameter(few.pairs(), encoders.get(0).width())) {
            encoders.get(0).encode(sent, 0, few.pairs(), own);
            require(error(own.toFloats(), peer.embed(pixels(few))), 1e-5, "representations of pictures");
            double value = gradients(recomputing(2), sent);
            double expected = peer.step(pixels(few), ids(few));
            require(Math.abs(value - expected) / expected, 1e-5, "losses");
            List<float[]> gradients = peer.takeGradients();
            double worst = 0;
            for (int k = 0; k < gradients.size(); k++) {
                worst = Math.max(worst, error(ordered().get(k).gradient().toFloats(), gradients.get(k)));
            }
            require(worst, 1e-3, "gradients of A and B");
        }
    }

    /** A before B, as the peer has them. */
    private List<Parameter> ordered() {
        List<Parameter> trained = model.trained();
        List<Parameter> ordered = new ArrayList<>();
        for (int k = 0; k < trained.size(); k += 2) {
            boolean isA = trained.get(k).name().endsWith("lora_A");
            ordered.add(trained.get(isA ? k : k + 1));
            ordered.add(trained.get(isA ? k + 1 : k));
        }
        return ordered;
    }

    private static void alternate(String what, List<String> names, List<DoubleSupplier> works) {
        double[] best = new double[works.size()];
        for (int round = 0; round <= ROUNDS; round++) {
            for (int k = 0; k < best.length; k++) {
                double seconds = works.get(k).getAsDouble();
                best[k] = round == 0 ? Double.MAX_VALUE : Math.min(best[k], seconds); // the first round is warm-up
            }
        }
        for (int k = 0; k < best.length; k++) {
            System.out.printf(Locale.ROOT, "%s, %s: %.2f s%n", what, names.get(k), best[k]);
        }
    }

    private void compareEmbedding(TorchClip peer) {
        Batch pictures = batch(PICTURES);
        org.bytedeco.pytorch.Tensor pixels = pixels(pictures);
        try (TrainBatch sent = new TrainBatch(ops, pictures, 1, -1);
                Tensor own = ops.allocateParameter(PICTURES, encoders.get(0).width())) {
            alternate(
                    PICTURES + " pictures embedded",
                    List.of("contrastive4j", "PyTorch"),
                    List.of(
                            () -> seconds(() -> encoders.get(0).encode(sent, 0, PICTURES, own)),
                            () -> seconds(() -> peer.embed(pixels))));
        }
    }

    private void compareSteps(TorchClip peer, int pairs) {
        Batch batch = batch(pairs);
        org.bytedeco.pytorch.Tensor pixels = pixels(batch);
        org.bytedeco.pytorch.Tensor ids = ids(batch);
        GradCache<TrainBatch, PairwiseOps.Result> whole = keeping(pairs);
        GradCache<TrainBatch, PairwiseOps.Result> chunked = recomputing(Math.min(8, pairs));
        try (TrainBatch sent = new TrainBatch(ops, batch, 1, 0)) {
            alternate(
                    "gradients of LoRA, " + pairs + " pairs",
                    List.of("contrastive4j, whole batch", "PyTorch, whole batch", "contrastive4j, chunks of 8"),
                    List.of(
                            () -> seconds(() -> gradients(whole, sent)),
                            () -> seconds(() -> {
                                peer.step(pixels, ids);
                                peer.takeGradients();
                            }),
                            () -> seconds(() -> gradients(chunked, sent))));
        }
    }

    private static String mebibytes(long bytes) {
        return String.format(Locale.ROOT, "%,.0f MiB", bytes / 1048576.0);
    }

    private void bytes(int pairs, int chunk) {
        try (TrainBatch sent = new TrainBatch(ops, batch(pairs), 1, 0)) {
            ChunkPlan whole = keeping(pairs).plan(sent);
            System.out.printf("whole batch of %d at once, planned: %s%n", pairs, mebibytes(atOnce(whole)));
            if (pairs <= FEW_PAIRS) {
                ops.memory().resetPeak();
                gradients(keeping(pairs), sent);
                System.out.println("whole batch at once, counted: "
                        + mebibytes(ops.memory().peakBytes()));
            }
            ChunkPlan chunks = keeping(chunk).plan(sent);
            System.out.printf(
                    Locale.ROOT,
                    "chunks of %d, nothing kept, planned: %s%n",
                    chunk,
                    mebibytes(
                            chunks.base() + chunks.representations() + Math.max(chunks.lossWorkspace(), most(chunks))));
            GradCache<TrainBatch, PairwiseOps.Result> cache = recomputing(chunk);
            ops.memory().resetPeak();
            double seconds = seconds(() -> gradients(cache, sent));
            System.out.printf(
                    Locale.ROOT,
                    "step in chunks of %d: %.0f s, counted peak %s; before the step %s%n",
                    chunk,
                    seconds,
                    mebibytes(ops.memory().peakBytes()),
                    mebibytes(ops.memory().currentBytes()));
        }
    }

    /** A stage of the plan as a linear function of the pairs of a batch. */
    private record Line(double atZero, double perPair) {
        static Line through(int n, long bytes, int m, long others) {
            double slope = (others - bytes) / (double) (m - n);
            return new Line(bytes - slope * n, slope);
        }
    }

    private void plan(int chunk, double gigabytes) {
        int few = 2; // samples of the trial passes of the planner
        int more = 3;
        ChunkPlan[] plans = new ChunkPlan[2];
        for (int k = 0; k < plans.length; k++) {
            int pairs = k == 0 ? few : more;
            try (TrainBatch sent = new TrainBatch(ops, batch(pairs), 1, 0)) {
                plans[k] = keeping(pairs).plan(sent);
            }
        }
        Line whole = Line.through(few, atOnce(plans[0]), more, atOnce(plans[1]));
        Line chunks = Line.through(few, most(plans[0]), more, most(plans[1]));
        double one = chunks.atZero() + chunks.perPair() * chunk;
        Line outside = Line.through(few, outside(plans[0]), more, outside(plans[1]));
        double limit = gigabytes * 1e9;
        System.out.printf(
                Locale.ROOT,
                "weights %s; whole batch: %.0f MiB + %.1f MiB a pair; cached: %.0f MiB + %.2f MiB a pair + %.0f MiB"
                        + " for a chunk of %d%n",
                mebibytes(model.encoder().parameters().stream()
                        .mapToLong(parameter -> parameter.value().bytes())
                        .sum()),
                whole.atZero() / 1048576,
                whole.perPair() / 1048576,
                outside.atZero() / 1048576,
                outside.perPair() / 1048576,
                one / 1048576,
                chunk);
        System.out.printf(
                Locale.ROOT,
                "largest batch in %.0f GB: %,d without the cache, %,d with it in chunks of %d%n",
                gigabytes,
                (long) ((limit - whole.atZero()) / whole.perPair()),
                (long) ((limit - outside.atZero() - one) / outside.perPair()),
                chunk);
    }

    /** Peak of one chunk of the larger encoder. */
    private static long most(ChunkPlan plan) {
        return plan.encoders().stream()
                .mapToLong(ChunkPlan.EncoderPlan::chunkPeak)
                .max()
                .orElseThrow();
    }

    /** Peak of a step that encodes the batch once: activations of both encoders, and the rest of one backward pass. */
    private static long atOnce(ChunkPlan plan) {
        long activations = 0;
        long most = plan.lossWorkspace();
        for (ChunkPlan.EncoderPlan encoder : plan.encoders()) {
            activations += encoder.chunkActivations();
            most = Math.max(most, encoder.chunkPeak() - encoder.chunkActivations());
        }
        return plan.base() + plan.representations() + activations + most;
    }

    /** Bytes other than those of the chunks. */
    private static long outside(ChunkPlan plan) {
        return plan.base() + plan.representations() + plan.lossWorkspace();
    }

    @Override
    public void close() {
        loss.close();
        model.close();
    }
}
