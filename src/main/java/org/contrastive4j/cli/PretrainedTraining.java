package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.nn.DualEncoder.LowRankConfig;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.pretrained.FineTunedModel;
import org.contrastive4j.pretrained.FineTunedModel.FineTuning;
import org.contrastive4j.pretrained.PretrainedConfig;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.train.LossConfig;
import org.contrastive4j.train.TrainConfig;
import org.contrastive4j.train.TrainableModel;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/**
 * The options of {@code train --from}, which trains a pretrained model instead of a new one.
 *
 * <p>Tested by {@code PretrainedCommandsTest}.
 */
final class PretrainedTraining {
    private static final double WHOLE_RATE = 1e-5;
    private static final double LORA_RATE = 1e-4;
    private static final double WEIGHT_DECAY = 0.1;

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
            "--resume",
            "--save-every",
            "--recall-every",
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

    @Option(
            names = "--picture-size",
            description = "with --from: side of pictures in pixels, a multiple of the patch; position embeddings are "
                    + "interpolated (bicubic); default: the size of the model")
    @Nullable
    private Integer pictureSize;

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
     * @param fineTunes whether the run trains a pretrained model
     * @throws IllegalArgumentException with the options that would have no effect
     */
    void checkOptions(ParseResult given, boolean fineTunes) {
        if (!fineTunes) {
            IgnoredOptions.refuse(given, own(), "only for fine-tuning; name the folder of a model with --from");
            return;
        }
        List<String> without = given.matchedOptions().stream()
                .map(OptionSpec::longestName)
                .filter(name -> !own().contains(name)
                        && !USED.contains(name)
                        && !AugmentationOptions.fixed().containsKey(name))
                .distinct()
                .toList();
        IgnoredOptions.refuse(given, without, "without effect with --from, where the folder of the model decides");
        if (given.hasMatchedOption("--resume")) {
            return; // the options of the run decide which others have an effect
        }
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

    private static List<String> own() {
        return CommandSpec.forAnnotatedObject(new PretrainedTraining()).options().stream()
                .map(OptionSpec::longestName)
                .toList();
    }

    /** Opens the model of a new run; the caller closes it. */
    FineTunedModel open(Ops ops, long seed) {
        LowRankConfig adapters = loraRank == null ? null : FromOptions.lowRank(loraRank, loraAlpha, loraDropout);
        FineTunedModel.Settings settings = new FineTunedModel.Settings(
                new FineTuning(lockImage, lockText, unlockBlocks, layerDecay),
                adapters,
                adapters == null ? List.of() : loraTargets,
                baseWeights,
                FromOptions.pictureSize(pictureSize));
        return FineTunedModel.open(ops, Objects.requireNonNull(from, "--from"), settings, seed);
    }

    /**
     * Opens the model of a resumed run; the caller closes it.
     *
     * @param origin of the model, from the checkpoint
     * @throws IllegalArgumentException with each option that differs from the run
     */
    FineTunedModel reopen(Ops ops, ParseResult given, Map<String, Object> origin, long seed) {
        FineTunedModel.Settings run = FineTunedModel.settings(origin);
        requireUnchanged(given, run);
        Path location = from == null ? Path.of(String.valueOf(origin.get(TrainableModel.LOCATION))) : from;
        return FineTunedModel.open(ops, location, run, seed);
    }

    private static void requireUnchanged(ParseResult given, FineTunedModel.Settings run) {
        FineTuning tuning = run.tuning();
        LowRankConfig adapters = run.adapters();
        List<String> refused = new ArrayList<>();
        requireEqual(given, "--lock-image", tuning.lockImage(), refused);
        requireEqual(given, "--lock-text", tuning.lockText(), refused);
        requireEqual(given, "--unlock-blocks", tuning.unlockBlocks(), refused);
        requireEqual(given, "--layer-decay", tuning.layerDecay(), refused);
        requireEqual(given, "--lora-rank", adapters == null ? null : adapters.rank(), refused);
        requireEqual(given, "--lora-alpha", adapters == null ? null : adapters.alpha(), refused);
        requireEqual(given, "--lora-dropout", adapters == null ? null : adapters.dropout(), refused);
        requireEqual(given, "--lora-targets", adapters == null ? null : run.targets(), refused);
        requireEqual(given, "--base-weights", run.baseWeights(), refused);
        requireEqual(given, "--picture-size", run.imageSize() == 0 ? null : run.imageSize(), refused);
        ResumeOptions.refuse(refused);
    }

    private static void requireEqual(ParseResult given, String option, @Nullable Object ofRun, List<String> refused) {
        if (given.hasMatchedOption(option)) {
            Object value = given.matchedOptionValue(option, null);
            if (!Objects.equals(value, ofRun)) {
                refused.add(option + " is " + (ofRun == null ? "not set" : ofRun) + ", got " + value);
            }
        }
    }

    /** Returns the configuration of a new run: sizes and loss of the model, other defaults than for a new model. */
    static TrainConfig config(ParseResult given, TrainConfig options, FineTunedModel model) {
        double rate = model.adapts() ? LORA_RATE : WHOLE_RATE;
        double decay = options.optimizer().weightDecay();
        boolean clip = model.pretrained().config().family() == PretrainedConfig.Family.CLIP;
        boolean isAugmented = AugmentationOptions.fixed().keySet().stream().anyMatch(given::hasMatchedOption);
        return options.toBuilder()
                .model(model.encoder().config())
                .preprocessing(model.pretrained().preprocessing())
                .vocabulary(model.encoder().config().text().vocabulary())
                .loss(LossConfig.named(clip ? "infonce" : "siglip", options.batch()))
                .augmentation(isAugmented ? options.augmentation() : Augmentation.none())
                .learningRate(given.hasMatchedOption("--learning-rate") ? options.learningRate() : rate)
                .optimizer(new AdamW.Config(
                        0.9, 0.98, 1e-6, given.hasMatchedOption("--weight-decay") ? decay : WEIGHT_DECAY))
                .build();
    }

    /** Writes the adapter or the model, and prints where. */
    static void save(FineTunedModel model, Path out) {
        Path saved = model.save(out);
        if (model.adapts()) {
            System.out.println("adapter: " + saved + "; create a model with: merge --from "
                    + model.pretrained().source() + " --adapter " + saved + " --out DIR");
        } else {
            System.out.println("model: " + saved);
        }
    }
}
