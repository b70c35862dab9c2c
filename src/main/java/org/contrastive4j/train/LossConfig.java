package org.contrastive4j.train;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.EnumMap;
import java.util.Map;
import org.contrastive4j.loss.Distillation;
import org.contrastive4j.loss.LossOption;
import org.contrastive4j.loss.LossOptionException;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.Momentum;

/**
 * The loss of a run: one of {@link Losses}, a value for each of its options, and a guide.
 *
 * @param name one of {@link Losses#allNames}
 * @param options values of some options; here, of all that the loss takes
 * @param guide folder of the run whose model says which negatives are none; empty for no guide
 */
public record LossConfig(String name, Map<LossOption, Double> options, String guide) {
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
                    "a guide margin without a guide; name the run folder of one");
        }
        if (hasMomentum(options)) {
            momentum(options);
            distillation(options);
        }
        if (name.equals(Losses.QUEUE)) {
            int size = LossOption.QUEUE_SIZE.count(options.get(LossOption.QUEUE_SIZE));
            refuse(size < 1, "a queue of " + size + " keys, expected at least a batch");
        }
    }

    private static void refuse(boolean fault, String message) {
        if (fault) {
            throw new LossOptionException(message);
        }
    }

    /** A loss with its usual options, for batches of this size. */
    public static LossConfig named(String name, int batch) {
        return of(name, Map.of(), "", batch);
    }

    /** A loss with some options given; a queue whose size is not holds a batch at least. */
    public static LossConfig of(String name, Map<LossOption, Double> given, String guide, int batch) {
        Map<LossOption, Double> options = new EnumMap<>(LossOption.class);
        options.putAll(given);
        if (name.equals(Losses.QUEUE)) {
            double usual = Losses.options(name, Map.of()).get(LossOption.QUEUE_SIZE);
            options.putIfAbsent(LossOption.QUEUE_SIZE, Math.max(usual, batch));
        }
        return new LossConfig(name, options, guide);
    }

    /** The same with a value for an option. */
    public LossConfig with(LossOption option, double value) {
        Map<LossOption, Double> changed = new EnumMap<>(LossOption.class);
        changed.putAll(options);
        changed.keySet().removeIf(own -> own.excludes(option));
        changed.put(option, value);
        return new LossConfig(name, changed, guide);
    }

    /** As configurations have it; those of before there were options have the queue's two, 0 for other losses. */
    @JsonCreator
    static LossConfig read(
            @JsonProperty("name") String name,
            @JsonProperty("options") Map<LossOption, Double> options,
            @JsonProperty("guide") String guide,
            @JsonProperty("queueSize") double queueSize,
            @JsonProperty("momentum") double momentum) {
        if (options != null) {
            return new LossConfig(name, options, guide);
        }
        return new LossConfig(
                name,
                Losses.QUEUE.equals(name)
                        ? Map.of(LossOption.QUEUE_SIZE, queueSize, LossOption.MOMENTUM, momentum)
                        : Map.of(),
                guide);
    }

    private static boolean hasMomentum(Map<LossOption, Double> options) {
        return options.containsKey(LossOption.MOMENTUM);
    }

    private static Momentum momentum(Map<LossOption, Double> options) {
        return new Momentum(
                options.get(LossOption.MOMENTUM),
                LossOption.MOMENTUM_RAMP.count(options.get(LossOption.MOMENTUM_RAMP)));
    }

    private static Distillation distillation(Map<LossOption, Double> options) {
        return new Distillation(
                options.get(LossOption.DISTILLATION),
                LossOption.DISTILLATION_RAMP.count(options.get(LossOption.DISTILLATION_RAMP)));
    }

    Momentum momentum() {
        return momentum(options);
    }

    Distillation distillation() {
        return distillation(options);
    }

    /** Keys in each queue, 0 without. */
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
