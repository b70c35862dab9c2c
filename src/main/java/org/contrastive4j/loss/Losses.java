package org.contrastive4j.loss;

import static org.contrastive4j.loss.LossOption.DISTILLATION;
import static org.contrastive4j.loss.LossOption.DISTILLATION_RAMP;
import static org.contrastive4j.loss.LossOption.FIXED_TEMPERATURE;
import static org.contrastive4j.loss.LossOption.GUIDE_MARGIN;
import static org.contrastive4j.loss.LossOption.LABEL_SMOOTHING;
import static org.contrastive4j.loss.LossOption.MARGIN;
import static org.contrastive4j.loss.LossOption.MARGIN_REWARD;
import static org.contrastive4j.loss.LossOption.MOMENTUM;
import static org.contrastive4j.loss.LossOption.MOMENTUM_RAMP;
import static org.contrastive4j.loss.LossOption.NEGATIVE_WEIGHT;
import static org.contrastive4j.loss.LossOption.QUEUE_SIZE;
import static org.contrastive4j.loss.LossOption.RELATIVE_GUIDE_MARGIN;
import static org.contrastive4j.loss.LossOption.SINKHORN_ITERATIONS;
import static org.contrastive4j.loss.LossOption.SINKHORN_TOLERANCE;
import static org.contrastive4j.loss.LossOption.TARGET_ACCURACY;
import static org.contrastive4j.loss.LossOption.TEMPERATURE;
import static org.contrastive4j.ops.Pairing.SameId.IGNORED;
import static org.contrastive4j.ops.Pairing.SameId.POSITIVE;

import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Pairing.SameId;
import org.jspecify.annotations.Nullable;

/**
 * Losses by name, each with the options it takes and their published values.
 *
 * <p>{@link #DISTILLED} and {@link #QUEUE} need momentum encoders. They are not a {@link ContrastiveLoss}; create a
 * {@link DistilledContrast} or a {@link QueueContrast} instead.
 */
public final class Losses {
    /** Name of {@link DistilledContrast}. */
    public static final String DISTILLED = "infonce-distilled";

    /** Name of {@link QueueContrast}. */
    public static final String QUEUE = "queue";

    private static final int MOST_ITERATIONS = 2000; // to a fixed point
    private static final double CLIP = 0.07;
    private static final double SIGLIP = 0.1;

    private interface Maker {
        ContrastiveLoss make(Ops ops, Chosen chosen);
    }

    /** A value for every option of a loss. */
    private record Chosen(Map<LossOption, Double> options) {
        double number(LossOption option) {
            return Objects.requireNonNull(options.get(option), option.key());
        }

        PairPolicy policy(SameId sameId) {
            boolean relative = options.containsKey(RELATIVE_GUIDE_MARGIN);
            return new PairPolicy(sameId, number(relative ? RELATIVE_GUIDE_MARGIN : GUIDE_MARGIN), relative);
        }
    }

    /** A named loss; {@code make} is null for one that needs momentum encoders. */
    private record Entry(
            String description,
            Map<LossOption, Double> options,
            @Nullable Maker make) {}

    private static final Map<String, Entry> BY_NAME = new LinkedHashMap<>();

    static {
        softmax("infonce", "softmax over the batch, both ways, as in CLIP", 0, IGNORED, InfoNce.Direction.SYMMETRIC);
        softmax(
                "infonce-rows",
                "softmax over the batch, pictures over captions only",
                0,
                IGNORED,
                InfoNce.Direction.ROWS);
        softmax(
                "infonce-smoothed",
                "infonce, a tenth of the target spread over the batch",
                0.1,
                IGNORED,
                InfoNce.Direction.SYMMETRIC);
        softmax(
                "infonce-multipositive",
                "infonce, samples of one id are positives",
                0,
                POSITIVE,
                InfoNce.Direction.SYMMETRIC);
        add(
                "infonce-fourway",
                "infonce that also tells samples of one side apart",
                options(TEMPERATURE, CLIP, LABEL_SMOOTHING, 0.0, GUIDE_MARGIN, 0.0),
                (ops, chosen) -> fourWay(ops, chosen.number(LABEL_SMOOTHING), chosen.policy(IGNORED)));
        add(
                DISTILLED,
                "infonce, targets softened by momentum encoders (ALBEF)",
                options(
                        TEMPERATURE,
                        CLIP,
                        MOMENTUM,
                        0.99,
                        MOMENTUM_RAMP,
                        0.0,
                        DISTILLATION,
                        0.4,
                        DISTILLATION_RAMP,
                        100.0),
                null);
        add(
                "siglip",
                "sigmoid of every pair, summed, bias from -10",
                options(TEMPERATURE, SIGLIP, GUIDE_MARGIN, 0.0),
                (ops, chosen) -> {
                    BinaryLoss loss =
                            new BinaryLoss(ops, BinaryLoss.Weighting.SUM, 1, null, chosen.policy(IGNORED), -10);
                    loss.boundLogScale(Double.POSITIVE_INFINITY); // as published; models end at scales of 112
                    return loss;
                });
        add(
                "bce",
                "sigmoid of every pair, mean over pairs, bias from 0",
                options(TEMPERATURE, SIGLIP, GUIDE_MARGIN, 0.0),
                (ops, chosen) -> new BinaryLoss(ops, BinaryLoss.Weighting.MEAN, 1, null, chosen.policy(IGNORED), 0));
        add(
                "bce-balanced",
                "sigmoid; negatives weigh as much as the positives",
                options(TEMPERATURE, SIGLIP, NEGATIVE_WEIGHT, 0.0, GUIDE_MARGIN, 0.0),
                Losses::balanced);
        add(
                "bce-warmup",
                "sigmoid; few negatives at first, more as they get easy",
                options(TEMPERATURE, SIGLIP, TARGET_ACCURACY, NegativesWarmup.DEFAULT.target(), GUIDE_MARGIN, 0.0),
                (ops, chosen) -> new BinaryLoss(
                        ops,
                        BinaryLoss.Weighting.SUM,
                        1,
                        NegativesWarmup.DEFAULT.withTarget(chosen.number(TARGET_ACCURACY)),
                        chosen.policy(IGNORED),
                        0));
        triplet("triplet", "hinges of all negatives, margin 0.2", TripletLoss.Negatives.ALL);
        triplet("triplet-hardest", "hinge of the hardest negative, as in VSE++", TripletLoss.Negatives.HARDEST);
        triplet(
                "triplet-semihard",
                "hinge of the hardest below the positive, as FaceNet",
                TripletLoss.Negatives.SEMI_HARD);
        sinkhorn("sinkhorn", "matching under a doubly stochastic plan, 5 iterations", false);
        sinkhorn("sinkhorn-symmetric", "sinkhorn, the mean of both orders of rows and columns", true);
        add(
                QUEUE,
                "infonce with past keys of momentum encoders, as MoCo",
                options(
                        FIXED_TEMPERATURE,
                        CLIP,
                        QUEUE_SIZE,
                        1024.0,
                        MOMENTUM,
                        0.99,
                        MOMENTUM_RAMP,
                        0.0,
                        DISTILLATION,
                        0.0,
                        DISTILLATION_RAMP,
                        0.0),
                null);
    }

    private Losses() {}

    private static void add(String name, String description, Map<LossOption, Double> options, @Nullable Maker make) {
        BY_NAME.put(name, new Entry(description, options, make));
    }

    private static Map<LossOption, Double> options(Object... pairs) {
        Map<LossOption, Double> options = new EnumMap<>(LossOption.class);
        for (int k = 0; k < pairs.length; k += 2) {
            options.put((LossOption) pairs[k], (Double) pairs[k + 1]);
        }
        return Collections.unmodifiableMap(options);
    }

    private static void softmax(
            String name, String description, double smoothing, SameId sameId, InfoNce.Direction direction) {
        add(
                name,
                description,
                options(TEMPERATURE, CLIP, LABEL_SMOOTHING, smoothing, GUIDE_MARGIN, 0.0),
                (ops, chosen) ->
                        InfoNce.withPolicy(ops, direction, chosen.number(LABEL_SMOOTHING), chosen.policy(sameId)));
    }

    private static ContrastiveLoss balanced(Ops ops, Chosen chosen) {
        double weight = chosen.number(NEGATIVE_WEIGHT);
        return weight == 0
                ? new BinaryLoss(ops, BinaryLoss.Weighting.BALANCED, 1, null, chosen.policy(IGNORED), 0)
                : new BinaryLoss(ops, BinaryLoss.Weighting.SUM, weight, null, chosen.policy(IGNORED), 0);
    }

    private static void triplet(String name, String description, TripletLoss.Negatives negatives) {
        add(
                name,
                description,
                options(MARGIN, TripletLoss.DEFAULT_MARGIN, MARGIN_REWARD, 0.0, GUIDE_MARGIN, 0.0),
                (ops, chosen) -> chosen.number(MARGIN_REWARD) == 0
                        ? new TripletLoss(ops, negatives, chosen.number(MARGIN), chosen.policy(IGNORED))
                        : TripletLoss.learnableMargin(
                                ops,
                                negatives,
                                chosen.number(MARGIN),
                                chosen.number(MARGIN_REWARD),
                                chosen.policy(IGNORED)));
    }

    private static void sinkhorn(String name, String description, boolean symmetric) {
        add(
                name,
                description,
                options(TEMPERATURE, CLIP, SINKHORN_ITERATIONS, 5.0, GUIDE_MARGIN, 0.0),
                (ops, chosen) -> chosen.options.containsKey(SINKHORN_TOLERANCE)
                        ? SinkhornLoss.converged(
                                ops,
                                chosen.number(SINKHORN_TOLERANCE),
                                MOST_ITERATIONS,
                                symmetric,
                                chosen.policy(IGNORED))
                        : new SinkhornLoss(
                                ops,
                                SINKHORN_ITERATIONS.count(chosen.number(SINKHORN_ITERATIONS)),
                                0,
                                symmetric,
                                chosen.policy(IGNORED),
                                true));
    }

    /**
     * Returns the names of all losses that are a {@link ContrastiveLoss}, in display order.
     *
     * @return names
     */
    public static Set<String> names() {
        return BY_NAME.entrySet().stream()
                .filter(entry -> entry.getValue().make != null)
                .map(Map.Entry::getKey)
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /**
     * Returns the names of all losses, including those that need momentum encoders, in display order.
     *
     * @return names
     */
    public static Set<String> allNames() {
        return Collections.unmodifiableSet(BY_NAME.keySet());
    }

    /**
     * Returns a one-line description of a loss.
     *
     * @param name of the loss
     * @return the description
     * @throws LossOptionException when there is no such loss
     */
    public static String description(String name) {
        return entry(name).description;
    }

    /**
     * Returns the names of the losses that have an option.
     *
     * @param option of a loss
     * @return names, in display order
     */
    public static List<String> having(LossOption option) {
        return BY_NAME.entrySet().stream()
                .filter(entry -> takes(entry.getValue(), option))
                .map(Map.Entry::getKey)
                .toList();
    }

    private static boolean takes(Entry entry, LossOption option) {
        return entry.options.keySet().stream().anyMatch(own -> own.setting() == option.setting());
    }

    /**
     * Completes the options of a loss with default values.
     *
     * @param name of the loss
     * @param given values of some of its options
     * @return a value for every option of the loss
     * @throws LossOptionException when there is no such loss, the loss does not have an option, two options exclude
     *     each other, or a temperature is out of range
     */
    public static Map<LossOption, Double> options(String name, Map<LossOption, Double> given) {
        Entry entry = entry(name);
        Map<LossOption, LossOption> answers = new EnumMap<>(LossOption.class);
        for (LossOption option : given.keySet()) {
            LossOptionException.require(
                    takes(entry, option),
                    "loss " + name + " has no " + option.key() + ", got " + given.get(option)
                            + "; losses that have one: " + String.join(", ", having(option)));
            LossOption other = answers.put(option.setting(), option);
            if (other != null) {
                throw new LossOptionException(
                        option.key() + " and " + other.key() + " exclude each other; give one of them");
            }
        }
        Map<LossOption, Double> all = new EnumMap<>(LossOption.class);
        entry.options.forEach((usual, value) -> {
            LossOption answer = answers.getOrDefault(usual.setting(), usual);
            all.put(answer, given.getOrDefault(answer, value));
        });
        ContrastiveLoss.requireTemperature(temperature(all));
        return Collections.unmodifiableMap(all);
    }

    /**
     * Creates a loss with default options.
     *
     * @param ops backend
     * @param name of the loss
     * @return the loss; the caller closes it
     * @throws LossOptionException when there is no such loss; lists all names
     */
    public static ContrastiveLoss named(Ops ops, String name) {
        return named(ops, name, Map.of());
    }

    /**
     * Creates a loss.
     *
     * @param ops backend
     * @param name of the loss
     * @param given values of some of its options
     * @return the loss; the caller closes it
     * @throws LossOptionException when there is no such loss, it does not have an option, or a value is out of range
     */
    public static ContrastiveLoss named(Ops ops, String name, Map<LossOption, Double> given) {
        Map<LossOption, Double> options = options(name, given);
        Entry entry = entry(name);
        if (entry.make == null) {
            throw new LossOptionException(
                    "loss " + name + " needs momentum encoders; create a QueueContrast or a DistilledContrast instead");
        }
        ContrastiveLoss loss = entry.make.make(ops, new Chosen(options));
        if (takes(entry, TEMPERATURE)) {
            loss.startAt(temperature(options), options.containsKey(TEMPERATURE));
        }
        return loss;
    }

    /**
     * Creates {@code infonce-fourway} with label smoothing and a policy of its own.
     *
     * @param ops backend
     * @param labelSmoothing in [0, 1)
     * @param policy of ids, which can only be ignored, and guides
     * @return the loss; the caller closes it
     * @throws LossOptionException when the smoothing is out of range or equal ids are positives
     */
    public static ContrastiveLoss fourWay(Ops ops, double labelSmoothing, PairPolicy policy) {
        return new FourWayLoss(ops, labelSmoothing, policy, InfoNce.INITIAL_LOG_SCALE, true);
    }

    /**
     * Creates {@code bce-balanced} with a fixed weight.
     *
     * @param ops backend
     * @param weight of each negative, above 0
     * @return the loss; the caller closes it
     * @throws LossOptionException when the weight is out of range
     */
    public static ContrastiveLoss bceWeighted(Ops ops, double weight) {
        return new BinaryLoss(ops, BinaryLoss.Weighting.SUM, weight, null, PairPolicy.DEFAULT, 0);
    }

    /**
     * Returns the temperature among the options of a loss, learned or constant.
     *
     * @param options of a loss
     * @return the temperature; 1 for a loss without one
     */
    public static double temperature(Map<LossOption, Double> options) {
        return options.getOrDefault(TEMPERATURE, options.getOrDefault(FIXED_TEMPERATURE, 1.0));
    }

    private static Entry entry(String name) {
        Entry entry = BY_NAME.get(name);
        if (entry == null) {
            throw new LossOptionException("no loss \"" + name + "\"; there are " + String.join(", ", allNames()));
        }
        return entry;
    }

    /** Thrown when an iteration does not reach its tolerance. No gradient was written. */
    public static final class NotConvergedException extends ArithmeticException {
        /**
         * Creates an exception.
         *
         * @param message tolerance, error and number of iterations
         */
        public NotConvergedException(String message) {
            super(message);
        }
    }

    /** Thrown when a representation or the loss is NaN or infinite. */
    public static final class NonFiniteException extends ArithmeticException {
        /** Row in the batch; -1 if only the loss is not finite. */
        private final int row;

        /**
         * Creates an exception.
         *
         * @param message names the side and the row
         * @param row of the first representation that is not finite; -1 if only the loss is not finite
         */
        public NonFiniteException(String message, int row) {
            super(message);
            this.row = row;
        }

        /**
         * Returns the row of the first representation that is not finite.
         *
         * @return row in the batch; -1 if only the loss is not finite
         */
        public int row() {
            return row;
        }
    }
}
