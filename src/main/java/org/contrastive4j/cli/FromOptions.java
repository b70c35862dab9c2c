package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.nn.DualEncoder.LowRankConfig;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.LoraAdapter;
import org.contrastive4j.pretrained.PretrainedModel;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/**
 * Options that choose a pretrained model and its weights.
 *
 * <p>Tested by {@code PretrainedCommandsTest}.
 */
final class FromOptions {
    @Spec(Spec.Target.MIXEE)
    private CommandSpec command;

    @Option(
            names = "--from",
            paramLabel = "<dir>",
            description = "folder of a CLIP or SigLIP model in Hugging Face or open_clip layout, instead of a run")
    @Nullable
    Path from;

    @Option(
            names = "--adapter",
            paramLabel = "<dir>",
            description = "folder of a LoRA adapter in PEFT's layout, merged into the weights of --from")
    @Nullable
    Path adapter;

    @Option(
            names = "--wise-ft",
            paramLabel = "<alpha>",
            description = "interpolate weights: alpha times the fine-tuned model plus 1 - alpha times --start")
    @Nullable
    Double wiseFt;

    @Option(
            names = "--start",
            paramLabel = "<dir>",
            description = "folder of the model that fine-tuning started from; default: --from without its adapter")
    @Nullable
    Path start;

    @Option(
            names = "--picture-size",
            description = "side of pictures in pixels, a multiple of the patch; position embeddings are interpolated "
                    + "(bicubic); default: the size of the model")
    @Nullable
    private Integer pictureSize;

    /**
     * Returns whether the command runs a pretrained model, and rejects options that would have no effect.
     *
     * @throws IllegalArgumentException with the names of these options
     */
    boolean isPretrained() {
        ParseResult given = command.commandLine().getParseResult();
        if (from == null) {
            IgnoredOptions.refuse(
                    given,
                    List.of("--adapter", "--wise-ft", "--start", "--picture-size"),
                    "only for a pretrained model; name its folder with --from");
            return false;
        }
        IgnoredOptions.refuse(given, List.of("--run"), "cannot be combined with --from; give one of the two");
        if (wiseFt == null) {
            IgnoredOptions.refuse(given, List.of("--start"), "only for interpolated weights; give --wise-ft too");
        }
        return true;
    }

    /** Opens the model; the caller closes it. */
    PretrainedModel open(Ops ops) {
        if (!isPretrained()) {
            throw new IllegalArgumentException(
                    "no model is given; name a folder that holds config.json and model.safetensors with --from");
        }
        if (wiseFt != null && !(wiseFt >= 0 && wiseFt <= 1)) {
            throw new IllegalArgumentException("--wise-ft is " + wiseFt + ", expected 0 to 1");
        }
        if (wiseFt != null && start == null && adapter == null) {
            throw new IllegalArgumentException(
                    "--wise-ft needs the model that fine-tuning started from; name it with --start");
        }
        Path folder = Objects.requireNonNull(from);
        PretrainedModel.Options options = new PretrainedModel.Options(ops.parameterDtype(), pictureSize(pictureSize));
        PretrainedModel model = PretrainedModel.open(ops, folder, options);
        try {
            if (adapter != null) {
                LoraAdapter.load(ops, model, adapter);
                model.encoder().merge(ops);
            }
            if (wiseFt != null) {
                try (PretrainedModel first = PretrainedModel.open(ops, start == null ? folder : start, options)) {
                    model.interpolate(first, 1 - wiseFt);
                }
            }
            return model;
        } catch (RuntimeException refused) {
            model.close();
            throw refused;
        }
    }

    /** Returns the size for {@link PretrainedModel.Options}: 0 if none is given. */
    static int pictureSize(@Nullable Integer given) {
        if (given != null && given < 1) {
            throw new IllegalArgumentException("--picture-size is " + given + ", expected a multiple of the patch");
        }
        return given == null ? 0 : given;
    }

    /** Returns the settings of adapters; the default of alpha is the rank. */
    static LowRankConfig lowRank(int rank, @Nullable Double alpha, double dropout) {
        return new LowRankConfig(rank, alpha == null ? Math.max(rank, 1) : alpha, dropout, false);
    }
}
