package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import org.contrastive4j.loss.LossOption;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.train.TrainConfig;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ParseResult;

/** Checks the options of a resumed run: some change the run, the others must equal its configuration. */
final class ResumeOptions {
    /** Options that change the configuration of a run. */
    static final Set<String> CHANGING = Set.of("--steps", "--learning-rate", "--memory", "--data");

    /** Options of one process that are not part of the run; the precision is checked when training starts. */
    static final Set<String> FREE = Set.of(
            "--out", "--resume", "--save-every", "--recall-every", "--device", "--precision", "--help", "--version");

    private ResumeOptions() {}

    /** Returns the options that must not change, each with a function that returns its value in a configuration. */
    static Map<String, Function<TrainConfig, @Nullable Object>> fixed() {
        Map<String, Function<TrainConfig, @Nullable Object>> fixed = new LinkedHashMap<>();
        fixed.put("--loss", run -> run.loss().name());
        for (LossOption option : LossOption.values()) {
            fixed.put("--" + option.key(), run -> run.loss().options().get(option));
        }
        fixed.put("--guide", run -> run.loss().guide());
        fixed.put("--accumulate", run -> run.accumulation().name().toLowerCase(Locale.ROOT));
        fixed.put(
                "--loss-scale",
                run -> run.lossScale() == null ? null : run.lossScale().start());
        fixed.put("--strict", TrainConfig::strict);
        fixed.put(
                "--held-out-group", run -> run.heldOutGroup().isEmpty() ? SharedOptions.NO_GROUP : run.heldOutGroup());
        fixed.put("--unseen-share", TrainConfig::unseenShare);
        fixed.put("--seed", TrainConfig::seed);
        fixed.put("--batch", TrainConfig::batch);
        fixed.put("--chunk", TrainConfig::chunk);
        fixed.put("--warmup", TrainConfig::warmup);
        fixed.put("--clip", TrainConfig::clip);
        fixed.put("--weight-decay", run -> run.optimizer().weightDecay());
        fixed.put("--vocabulary", TrainConfig::vocabulary);
        fixed.putAll(AugmentationOptions.fixed());
        fixed.put("--dropout", run -> image(run).transformer().dropout());
        fixed.put("--image-size", run -> image(run).imageSize());
        fixed.put("--patch", run -> image(run).kernel());
        fixed.put("--image-width", run -> image(run).transformer().width());
        fixed.put("--image-heads", run -> image(run).transformer().heads());
        fixed.put("--image-layers", run -> image(run).transformer().layers());
        fixed.put("--text-width", run -> text(run).transformer().width());
        fixed.put("--text-heads", run -> text(run).transformer().heads());
        fixed.put("--text-layers", run -> text(run).transformer().layers());
        fixed.put("--text-length", run -> text(run).maxTokens());
        fixed.put("--embedding", run -> image(run).embedding());
        return fixed;
    }

    private static VisionTransformer.Config image(TrainConfig run) {
        return run.model().image();
    }

    private static TextTransformer.Config text(TrainConfig run) {
        return run.model().text();
    }

    /**
     * Returns the configuration of the resumed run.
     *
     * @param given options of the command line
     * @param run configuration of the run so far
     * @throws IllegalArgumentException with each option that must not change, its value in the run and the given value
     */
    static TrainConfig config(ParseResult given, TrainConfig run) {
        List<String> refused = new ArrayList<>();
        fixed().forEach((option, ofRun) -> {
            Object own = ofRun.apply(run);
            boolean changedByOthers = option.equals(AugmentationOptions.NAME) && AugmentationOptions.CUSTOM.equals(own);
            if (given.hasMatchedOption(option) && !changedByOthers) {
                Object value = given.matchedOptionValue(option, null);
                if (!Objects.equals(option.equals("--guide") ? absolute(value) : value, own)) {
                    refused.add(option + " is " + (own == null || own.equals("") ? "not set" : own) + ", got " + value);
                }
            }
        });
        refuse(refused);
        TrainConfig.Builder changed = run.toBuilder();
        if (given.hasMatchedOption("--steps")) {
            changed.steps(given.matchedOptionValue("--steps", run.steps()));
        }
        if (given.hasMatchedOption("--learning-rate")) {
            changed.learningRate(given.matchedOptionValue("--learning-rate", run.learningRate()));
        }
        if (given.hasMatchedOption("--memory")) {
            changed.memoryBudget(given.matchedOptionValue("--memory", 0L) << 20);
        }
        if (given.hasMatchedOption("--data")) {
            changed.data(absolute(given.matchedOptionValue("--data", Path.of(run.data()))));
        }
        return changed.build();
    }

    /** @throws IllegalArgumentException if there are descriptions of options that must not change */
    static void refuse(List<String> refused) {
        if (!refused.isEmpty()) {
            throw new IllegalArgumentException("a run keeps these options when it is resumed: "
                    + String.join("; ", refused) + "; leave them out, or start a new run in another --out");
        }
    }

    private static String absolute(@Nullable Object path) {
        return Path.of(String.valueOf(path)).toAbsolutePath().normalize().toString();
    }
}
