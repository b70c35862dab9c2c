package org.contrastive4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.Batch;
import org.contrastive4j.data.BatchLoader;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.BatchOrder;
import org.contrastive4j.data.CaptionEncoder;
import org.contrastive4j.data.Identities;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.WarmupCosine;
import org.contrastive4j.pretrained.FineTuner;
import org.contrastive4j.pretrained.FineTuning;
import org.contrastive4j.pretrained.LoraAdapter;
import org.contrastive4j.pretrained.PretrainedModel;
import org.contrastive4j.pretrained.TextTokenizer;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.train.RunFolder;
import org.contrastive4j.train.TrainConfig;
import org.contrastive4j.train.Trainer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/** Implements {@code train --from}: fine-tunes a pretrained model and writes the model or its adapter. */
final class PretrainedTraining {
    private static final double WHOLE_RATE = 1e-5;
    private static final double LORA_RATE = 1e-4;
    private static final double WEIGHT_DECAY = 0.1;
    private static final String METRICS = "metrics.jsonl";

    /** Options of training that fine-tuning follows too; all others are refused. */
    private static final Set<String> USED = Set.of(
            "--data",
            "--strict",
            "--held-out-group",
            "--unseen-share",
            "--seed",
            "--batch",
            "--chunk",
            "--memory",
            "--steps",
            "--learning-rate",
            "--warmup",
            "--clip",
            "--weight-decay",
            "--out",
            "--save-every",
            "--device",
            "--precision");

    @Option(
            names = "--from",
            paramLabel = "<dir>",
            description = "fine-tune the CLIP or SigLIP model in this folder instead of training a new one; sizes, "
                    + "tokenizer and loss come from the model; --learning-rate then has the default 1e-5, or 1e-4 "
                    + "with LoRA")
    @Nullable
    Path from;

    @Option(names = "--lock-image", description = "with --from: freeze the picture tower (LiT)")
    private boolean lockImage;

    @Option(names = "--lock-text", description = "with --from: freeze the text tower")
    private boolean lockText;

    @Option(
            names = "--unlock-blocks",
            description = "with --lock-image or --lock-text: number of last blocks of a locked tower to train, with "
                    + "the layers after them")
    private int unlockBlocks;

    @Option(
            names = "--layer-decay",
            description = "with --from: factor of the learning rate from each layer to the layer below")
    private double layerDecay = 1;

    @Option(names = "--lora-rank", description = "with --from: rank of the low-rank adapters to train")
    @Nullable
    private Integer loraRank;

    @Option(
            names = "--lora-alpha",
            description = "with --lora-rank: adapters are scaled by alpha / rank; default: the rank")
    @Nullable
    private Double loraAlpha;

    @Option(
            names = "--lora-targets",
            split = ",",
            description = "with --lora-rank: layers with adapters: q, k, v, out, up, down, or module names of Hugging "
                    + "Face transformers")
    private List<String> loraTargets = List.of("q", "v");

    @Option(names = "--lora-dropout", description = "with --lora-rank: dropout probability at the input of adapters")
    private double loraDropout;

    @Option(
            names = "--base-weights",
            description = "with --lora-rank: element type of the frozen matrices: F32, F16 or BF16")
    private DType baseWeights = DType.F32;

    /**
     * Checks that the options fit each other.
     *
     * @throws IllegalArgumentException with the options that would have no effect
     */
    void checkOptions(ParseResult given) {
        List<String> own = CommandSpec.forAnnotatedObject(new PretrainedTraining()).options().stream()
                .map(OptionSpec::longestName)
                .toList();
        if (from == null) {
            IgnoredOptions.refuse(given, own, "only for fine-tuning; name the folder of a model with --from");
            return;
        }
        IgnoredOptions.refuse(
                given,
                List.of("--resume"),
                "a fine-tuning run cannot be continued; it starts from the model in --from each time");
        List<String> without = given.matchedOptions().stream()
                .map(OptionSpec::longestName)
                .filter(name -> !own.contains(name) && !USED.contains(name))
                .distinct()
                .toList();
        IgnoredOptions.refuse(given, without, "without effect with --from, where the folder of the model decides");
        if (loraRank == null) {
            IgnoredOptions.refuse(
                    given,
                    List.of("--lora-alpha", "--lora-targets", "--lora-dropout", "--base-weights"),
                    "only for low-rank adapters; give --lora-rank too");
        } else {
            IgnoredOptions.refuse(
                    given, List.of("--unlock-blocks"), "cannot be combined with --lora-rank, which freezes all blocks");
        }
        if (!lockImage && !lockText) {
            IgnoredOptions.refuse(
                    given, List.of("--unlock-blocks"), "only for a locked tower; give --lock-image or --lock-text too");
        }
    }

    private Path from() {
        return Objects.requireNonNull(from, "--from");
    }

    private static void requireNew(Path out) {
        for (String file : List.of(METRICS, "adapter", "model")) {
            if (Files.exists(out.resolve(file))) {
                throw new IllegalArgumentException(
                        "--out " + out + " holds a run already (" + file + "); choose another folder");
            }
        }
    }

    /** Runs all steps; returns false if the user stopped them. */
    boolean run(
            Ops ops,
            TrainConfig config,
            boolean rateIsGiven,
            boolean decayIsGiven,
            Path out,
            int saveEvery,
            BooleanSupplier stopRequested) {
        requireNew(out);
        PretrainedModel.Options options =
                new PretrainedModel.Options(baseWeights == DType.F32 ? ops.parameterDtype() : baseWeights, 0);
        try (RunFolder folder = RunFolder.open(out);
                PretrainedModel model = PretrainedModel.open(ops, from(), options);
                TextTokenizer tokenizer = model.tokenizer()) {
            FineTuning tuning = new FineTuning(lockImage, lockText, unlockBlocks, layerDecay);
            LoraAdapter adapter = null;
            if (loraRank != null) {
                adapter = LoraAdapter.add(
                        ops, model, FromOptions.lowRank(loraRank, loraAlpha, loraDropout), loraTargets, config.seed());
                for (Parameter parameter : adapter.parameters()) {
                    boolean locked = parameter.name().startsWith("image.") ? lockImage : lockText;
                    parameter.freeze(locked);
                }
            } else {
                tuning.apply(model.encoder());
            }
            double decay = decayIsGiven ? config.optimizer().weightDecay() : WEIGHT_DECAY;
            FineTuner.Settings settings = new FineTuner.Settings(
                    config.chunk(),
                    config.memoryBudget(),
                    config.clip(),
                    new AdamW.Config(0.9, 0.98, 1e-6, decay),
                    config.seed());
            double rate = rateIsGiven ? config.learningRate() : loraRank != null ? LORA_RATE : WHOLE_RATE;
            PairDataset data = PairDataset.open(Path.of(config.data()), config.strict());
            Splits splits = Splits.of(data, config.heldOutGroup(), config.unseenShare(), config.seed());
            try (FineTuner tuner = new FineTuner(ops, model, tuning, settings)) {
                boolean done = steps(
                        ops,
                        config,
                        rate,
                        model,
                        tokenizer,
                        data,
                        splits,
                        tuner,
                        folder,
                        adapter,
                        saveEvery,
                        stopRequested);
                save(model, adapter, out);
                if (done) {
                    measure(ops, model, tokenizer, data, splits);
                }
                return done;
            }
        }
    }

    private boolean steps(
            Ops ops,
            TrainConfig config,
            double rate,
            PretrainedModel model,
            TextTokenizer tokenizer,
            PairDataset data,
            Splits splits,
            FineTuner tuner,
            RunFolder folder,
            @Nullable LoraAdapter adapter,
            int saveEvery,
            BooleanSupplier stopRequested) {
        CaptionEncoder captions = model.captions(tokenizer);
        int tokens = model.config().contextLength();
        BatchOrder order =
                BatchOrder.of(data, splits, new Identities(data, captions, tokens), config.batch(), config.seed());
        BatchMaker maker = new BatchMaker(data, captions, model.preprocessing(), tokens, config.seed());
        WarmupCosine schedule = new WarmupCosine(rate, Math.min(config.warmup(), config.steps()), config.steps(), 0);
        long numbers = tuner.trained().stream()
                .mapToLong(parameter -> parameter.value().size())
                .sum();
        System.out.printf(
                Locale.ROOT,
                "%,d training pairs on %s; %,d trained parameters, batches of %d pairs%n",
                splits.train().size(),
                ops.name(),
                numbers,
                config.batch());
        try (BatchLoader loader = new BatchLoader(
                order, maker, Augmentation.none(), 0, config.steps(), BatchLoader.defaultThreads(), 2)) {
            for (int step = 0; step < config.steps() && !stopRequested.getAsBoolean(); step++) {
                long start = System.nanoTime();
                Batch batch = loader.next();
                if (step == 0) {
                    System.out.print(tuner.plan(batch));
                }
                PairwiseOps.Result result = tuner.step(batch, schedule.at(step));
                Map<String, Object> metrics = new LinkedHashMap<>();
                metrics.put("step", step + 1);
                metrics.put("loss", result.loss());
                metrics.put("accuracy", result.rowAccuracy());
                metrics.put("learningRate", schedule.at(step));
                metrics.put("seconds", (System.nanoTime() - start) / 1e9);
                folder.append(metrics);
                System.out.printf(
                        Locale.ROOT,
                        "step %d of %d: loss %.4f, %.1f s%n",
                        step + 1,
                        config.steps(),
                        result.loss(),
                        (System.nanoTime() - start) / 1e9);
                if ((step + 1) % saveEvery == 0 && step + 1 < config.steps()) {
                    write(model, adapter, folder.path());
                }
            }
        }
        if (stopRequested.getAsBoolean()) {
            System.out.println("stopped; what was trained so far is saved, but the run cannot be continued");
            return false;
        }
        return true;
    }

    private void save(PretrainedModel model, @Nullable LoraAdapter adapter, Path out) {
        write(model, adapter, out);
        if (adapter != null) {
            System.out.println("adapter: " + out.resolve("adapter") + "; create a model with: merge --from " + from
                    + " --adapter " + out.resolve("adapter") + " --out DIR");
        } else {
            System.out.println("model: " + out.resolve("model"));
        }
    }

    private void write(PretrainedModel model, @Nullable LoraAdapter adapter, Path out) {
        if (adapter == null) {
            model.save(out.resolve("model"));
        } else {
            adapter.save(
                    out.resolve("adapter"), from().toAbsolutePath().normalize().toString());
        }
    }

    private static void measure(
            Ops ops, PretrainedModel model, TextTokenizer tokenizer, PairDataset data, Splits splits) {
        Map<String, Trainer.Recall> recalls = new LinkedHashMap<>();
        splits.tests()
                .forEach((name, samples) ->
                        recalls.put(name, Trainer.recall(ops, model.embedder(data, tokenizer), samples)));
        if (!recalls.isEmpty()) {
            System.out.print(RecallTable.of(recalls));
        }
    }
}
