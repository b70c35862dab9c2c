package org.contrastive4j.loss;

/**
 * A number that some losses take beside their name; {@link Losses} says which, and what it is where it is not given.
 * Ranges are those of the classes that take it.
 */
public enum LossOption {
    TEMPERATURE("temperature", "where the learnt temperature starts, 0.01 to 1", null),
    FIXED_TEMPERATURE("fixed-temperature", "the temperature, 0.01 to 1, not learnt", TEMPERATURE),
    LABEL_SMOOTHING("label-smoothing", "share of the target spread over the batch, from 0, below 1", null),
    NEGATIVE_WEIGHT("negative-weight", "weight of each negative; 0 for 1 / (n - 1)", null),
    TARGET_ACCURACY("target-accuracy", "accuracy above which negatives are added, between 0 and 1", null),
    MARGIN("margin", "margin of the hinges, above 0, at most 2", null),
    MARGIN_REWARD(
            "margin-reward",
            "learns the margin, which rests where a row has so many active hinges; 0 for a fixed margin",
            null),
    SINKHORN_ITERATIONS("sinkhorn-iterations", "iterations that the gradient goes through, 1 to 1000", null),
    SINKHORN_TOLERANCE(
            "sinkhorn-tolerance",
            "iterates until no row's sum is off 1 by more, and takes the gradient of the fixed point",
            SINKHORN_ITERATIONS),
    GUIDE_MARGIN(
            "guide-margin",
            "negatives that the guide finds more similar than the positive less this are ignored, 0 to 2",
            null),
    RELATIVE_GUIDE_MARGIN(
            "relative-guide-margin", "the same as a share of the positive's similarity, 0 to 1", GUIDE_MARGIN),
    QUEUE_SIZE("queue-size", "keys in each queue, at least a batch", null),
    MOMENTUM("momentum", "share of the momentum encoders that a step keeps, from 0, below 1", null),
    MOMENTUM_RAMP("momentum-ramp", "steps in which the momentum rises to 1; 0 to stay where it is", null),
    DISTILLATION("distillation", "share of the targets that momentum encoders give, from 0, below 1", null),
    DISTILLATION_RAMP("distillation-ramp", "steps in which that share rises from 0; 0 for all of it at once", null);

    private final String key;
    private final String description;
    private final LossOption insteadOf;

    LossOption(String key, String description, LossOption insteadOf) {
        this.key = key;
        this.description = description;
        this.insteadOf = insteadOf;
    }

    /** The name on a command line, without dashes before it. */
    public String key() {
        return key;
    }

    /** What it is, in a line. */
    public String description() {
        return description;
    }

    /** Options of one question answer it in different ways: only one of them can be given. */
    LossOption question() {
        return insteadOf == null ? this : insteadOf;
    }

    /** Whether the other answers the same question in another way. */
    public boolean excludes(LossOption other) {
        return this != other && question() == other.question();
    }

    /**
     * The value as a count.
     *
     * @throws LossOptionException when it is not whole or out of the range of int
     */
    public int count(double value) {
        LossOptionException.require(value == (int) value, "expected a whole number for " + key + ", got " + value);
        return (int) value;
    }
}
