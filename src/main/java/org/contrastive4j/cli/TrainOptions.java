package org.contrastive4j.cli;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.loss.LossOption;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.train.LossConfig;
import org.contrastive4j.train.TrainConfig;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.IGetter;
import picocli.CommandLine.Model.ISetter;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/**
 * Options of one training run.
 *
 * <p>Tested by {@code ResumeOptionsTest}.
 */
final class TrainOptions {
    private static final TrainConfig DEFAULT = TrainConfig.emoji();

    @Mixin
    SharedOptions shared;

    @Option(names = "--seed", description = "seed of everything random")
    long seed = DEFAULT.seed();

    @Option(names = "--batch", description = "pairs in a batch")
    int batch = DEFAULT.batch();

    @Option(
            names = "--loss",
            completionCandidates = Candidates.LossNames.class,
            description = "loss, one of the names below")
    String loss = DEFAULT.loss().name();

    @Option(
            names = "--guide",
            paramLabel = "<run>",
            description = "run folder of a trained model; negatives that this model finds more similar than the"
                    + " positive are ignored")
    @Nullable
    String guide;

    @Option(
            names = "--accumulate",
            paramLabel = "<how>",
            completionCandidates = Candidates.Accumulations.class,
            description = "how the gradient of the whole batch is computed: by gradient caching (gradcache), or by one "
                    + "loss for each chunk with cached representations of the other chunks (features), as in open_clip")
    String accumulate = "gradcache";

    private final Map<LossOption, Double> ofLoss = new EnumMap<>(LossOption.class);

    /** Adds an option for each {@link LossOption} to a command. */
    void declare(CommandSpec command) {
        for (LossOption option : LossOption.values()) {
            command.addOption(OptionSpec.builder("--" + option.key())
                    .type(Double.class)
                    .paramLabel("<number>")
                    .description(option.description() + "; " + losses(option))
                    .getter(new IGetter() {
                        @Override
                        @SuppressWarnings("unchecked") // the type of the option
                        public <T> @Nullable T get() {
                            return (T) ofLoss.get(option);
                        }
                    })
                    .setter(new ISetter() {
                        @Override
                        public <T> @Nullable T set(T value) {
                            if (value != null) {
                                ofLoss.put(option, (Double) value);
                            }
                            return null;
                        }
                    })
                    .build());
        }
    }

    /** Describes which losses take an option, and its default. */
    private static String losses(LossOption option) {
        List<String> having = Losses.having(option);
        List<String> others = Losses.allNames().stream()
                .filter(name -> !having.contains(name))
                .toList();
        String which = others.size() < having.size()
                ? "all losses except " + String.join(", ", others)
                : "for " + String.join(", ", having);
        List<Double> usual = having.stream()
                .map(name -> Losses.options(name, Map.of()).get(option))
                .distinct()
                .toList();
        return usual.size() > 1 || usual.get(0) == null
                ? which
                : which + "; default: "
                        + BigDecimal.valueOf(usual.get(0)).stripTrailingZeros().toPlainString();
    }

    TrainConfig config() {
        String guideRun =
                guide == null ? "" : Path.of(guide).toAbsolutePath().normalize().toString();
        return shared.config(seed, batch, LossConfig.of(loss, ofLoss, guideRun, batch)).toBuilder()
                .accumulation(accumulation())
                .build();
    }

    /**
     * Checks that no option is without effect in a new run.
     *
     * @throws IllegalArgumentException with the names of such options
     */
    void refuseIgnored(ParseResult given) {
        shared.refuseIgnored(given);
        if (accumulation() == TrainConfig.Accumulation.FEATURES) {
            IgnoredOptions.refuse(
                    given, List.of("--memory"), "without effect with --accumulate features, which plans no memory");
        }
    }

    private TrainConfig.Accumulation accumulation() {
        return switch (accumulate) {
            case "gradcache" -> TrainConfig.Accumulation.GRADCACHE;
            case "features" -> TrainConfig.Accumulation.FEATURES;
            default ->
                throw new IllegalArgumentException(
                        "--accumulate is \"" + accumulate + "\", expected gradcache or features");
        };
    }
}
