package org.contrastive4j.train;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.loss.DistilledContrast.Distillation;
import org.contrastive4j.loss.DistilledContrast.Momentum;
import org.contrastive4j.loss.LossOption;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses;
import org.jspecify.annotations.Nullable;

/**
 * The loss of a run, the values of its options, and a guide.
 *
 * <p>Tested by {@code LossOptionsTest}.
 *
 * @param name one of {@link Losses#allNames}
 * @param options values of options; the constructor adds the defaults of options that are not given
 * @param guide folder of the run whose model detects false negatives; empty for no guide
 */
public record LossConfig(String name, Map<LossOption, Double> options, String guide) {
    /**
     * Checks the options and adds defaults.
     *
     * @param name one of {@link Losses#allNames}
     * @param options values of some options
     * @param guide folder of a run; null or empty for no guide
     * @throws LossOptionException when the loss does not take an option or the guide, or a value is out of range
     */
    public LossConfig {
        options = Losses.options(name, options);
        guide = guide == null ? "" : guide;
        if (!guide.isEmpty()) {
            refuse(
                    !options.containsKey(LossOption.GUIDE_MARGIN)
                            && !options.containsKey(LossOption.RELATIVE_GUIDE_MARGIN),
                    "loss " + name
                            + " takes no guide; losses that do: "
                            + String.join(", ", Losses.having(LossOption.GUIDE_MARGIN)));
        } else {
            refuse(
                    options.getOrDefault(LossOption.GUIDE_MARGIN, 0.0) != 0
                            || options.containsKey(LossOption.RELATIVE_GUIDE_MARGIN),
                    "a guide margin without a guide; name the run folder of a guide");
        }
        if (hasMomentum(options)) {
            momentum(options);
            distillation(options);
        }
        if (name.equals(Losses.QUEUE)) {
            int size = LossOption.QUEUE_SIZE.count(value(options, LossOption.QUEUE_SIZE));
            refuse(size < 1, "a queue of " + size + " keys, expected at least a batch");
        }
    }

    private static void refuse(boolean fault, String message) {
        if (fault) {
            throw new LossOptionException(message);
        }
    }

    /**
     * Returns a loss with default options.
     *
     * @param name of the loss
     * @param batch pairs in a batch
     * @return the configuration
     */
    public static LossConfig named(String name, int batch) {
        return of(name, Map.of(), "", batch);
    }

    /**
     * Returns a loss with some options given. The default size of a queue is at least the batch.
     *
     * @param name of the loss
     * @param given values of some options
     * @param guide folder of a run; empty for no guide
     * @param batch pairs in a batch
     * @return the configuration
     */
    public static LossConfig of(String name, Map<LossOption, Double> given, String guide, int batch) {
        Map<LossOption, Double> options = new EnumMap<>(LossOption.class);
        options.putAll(given);
        if (name.equals(Losses.QUEUE)) {
            double usual = value(Losses.options(name, Map.of()), LossOption.QUEUE_SIZE);
            options.putIfAbsent(LossOption.QUEUE_SIZE, Math.max(usual, batch));
        }
        return new LossConfig(name, options, guide);
    }

    /**
     * Returns this configuration with another value of an option. Options that exclude it are removed.
     *
     * @param option to set
     * @param value of the option
     * @return the changed configuration
     */
    public LossConfig with(LossOption option, double value) {
        Map<LossOption, Double> changed = new EnumMap<>(LossOption.class);
        changed.putAll(options);
        changed.keySet().removeIf(own -> own.excludes(option));
        changed.put(option, value);
        return new LossConfig(name, changed, guide);
    }

    /** Reads a configuration; an old one has the two options of the queue in place of a map of options. */
    @JsonCreator
    static LossConfig read(
            @JsonProperty("name") String name,
            @JsonProperty("options") @Nullable Map<LossOption, Double> options,
            @JsonProperty("guide") @Nullable String guide,
            @JsonProperty("queueSize") double queueSize,
            @JsonProperty("momentum") double momentum) {
        if (options != null) {
            return new LossConfig(name, options, guide == null ? "" : guide);
        }
        return new LossConfig(
                name,
                Losses.QUEUE.equals(name)
                        ? Map.of(LossOption.QUEUE_SIZE, queueSize, LossOption.MOMENTUM, momentum)
                        : Map.of(),
                guide == null ? "" : guide);
    }

    private static double value(Map<LossOption, Double> options, LossOption option) {
        return Objects.requireNonNull(options.get(option), option.key());
    }

    private static boolean hasMomentum(Map<LossOption, Double> options) {
        return options.containsKey(LossOption.MOMENTUM);
    }

    private static Momentum momentum(Map<LossOption, Double> options) {
        return new Momentum(
                value(options, LossOption.MOMENTUM),
                LossOption.MOMENTUM_RAMP.count(value(options, LossOption.MOMENTUM_RAMP)));
    }

    private static Distillation distillation(Map<LossOption, Double> options) {
        return new Distillation(
                value(options, LossOption.DISTILLATION),
                LossOption.DISTILLATION_RAMP.count(value(options, LossOption.DISTILLATION_RAMP)));
    }

    Momentum momentum() {
        return momentum(options);
    }

    Distillation distillation() {
        return distillation(options);
    }

    /** Returns the number of keys in each queue, 0 for a loss without queues. */
    int queueSize() {
        return options.getOrDefault(LossOption.QUEUE_SIZE, 0.0).intValue();
    }

    double logScale() {
        return Math.log(1 / Losses.temperature(options));
    }

    boolean learnsTemperature() {
        return options.containsKey(LossOption.TEMPERATURE);
    }
}
