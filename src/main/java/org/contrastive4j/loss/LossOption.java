package org.contrastive4j.loss;

import org.jspecify.annotations.Nullable;

/**
 * A numeric option of some losses; {@link Losses} lists the options of each loss and their default values.
 *
 * <p>Tested by {@code LossesTest}.
 */
public enum LossOption {
    /** Initial value of the learned temperature. */
    TEMPERATURE("temperature", "initial value of the learned temperature, 0.01 to 1", null),
    /** Constant temperature. */
    FIXED_TEMPERATURE("fixed-temperature", "constant temperature, 0.01 to 1", TEMPERATURE),
    /** Label smoothing. */
    LABEL_SMOOTHING("label-smoothing", "share of the target spread over the batch, from 0, below 1", null),
    /** Weight of each negative. */
    NEGATIVE_WEIGHT("negative-weight", "weight of each negative; 0 for 1 / (n - 1)", null),
    /** Accuracy above which more negatives are added. */
    TARGET_ACCURACY("target-accuracy", "accuracy above which negatives are added, between 0 and 1", null),
    /** Margin of the hinges, or its initial value. */
    MARGIN("margin", "margin of the hinges, above 0, at most 2", null),
    /** Makes the margin learnable; the number of active hinges per row at which the margin is stationary. */
    MARGIN_REWARD(
            "margin-reward",
            "active hinges per row at which a learned margin is stationary; 0 for a fixed margin",
            null),
    /** Fixed number of Sinkhorn iterations. */
    SINKHORN_ITERATIONS("sinkhorn-iterations", "iterations that the gradient goes through, 1 to 1000", null),
    /** Tolerance of row sums, for iteration to the fixed point. */
    SINKHORN_TOLERANCE(
            "sinkhorn-tolerance",
            "iterates until no row sum differs from 1 by more; uses the gradient of the fixed point",
            SINKHORN_ITERATIONS),
    /** Absolute margin of a guide. */
    GUIDE_MARGIN(
            "guide-margin",
            "negatives that the guide finds more similar than the positive less this are ignored, 0 to 2",
            null),
    /** Margin of a guide as a fraction of the similarity of the positive. */
    RELATIVE_GUIDE_MARGIN(
            "relative-guide-margin", "the same as a fraction of the similarity of the positive, 0 to 1", GUIDE_MARGIN),
    /** Number of keys in each queue. */
    QUEUE_SIZE("queue-size", "keys in each queue, at least a batch", null),
    /** Momentum of the momentum encoders, or its initial value. */
    MOMENTUM("momentum", "share of their weights that momentum encoders keep in a step, from 0, below 1", null),
    /** Number of steps in which the momentum rises to 1. */
    MOMENTUM_RAMP("momentum-ramp", "steps in which the momentum rises to 1; 0 for a constant momentum", null),
    /** Share of the targets that momentum encoders provide. */
    DISTILLATION("distillation", "share of the targets that momentum encoders provide, from 0, below 1", null),
    /** Number of steps in which that share rises from 0. */
    DISTILLATION_RAMP("distillation-ramp", "steps in which that share rises from 0; 0 for a constant share", null);

    private final String key;
    private final String description;
    private final @Nullable LossOption insteadOf; // the option that this one replaces

    LossOption(String key, String description, @Nullable LossOption insteadOf) {
        this.key = key;
        this.description = description;
        this.insteadOf = insteadOf;
    }

    /**
     * Returns the name of the command-line option, without dashes.
     *
     * @return the name
     */
    public String key() {
        return key;
    }

    /**
     * Returns a one-line description with the range.
     *
     * @return the description
     */
    public String description() {
        return description;
    }

    /** Returns the setting that this option belongs to; options of the same setting exclude each other. */
    LossOption setting() {
        return insteadOf == null ? this : insteadOf;
    }

    /**
     * Whether this option and another one exclude each other.
     *
     * @param other option
     * @return true if at most one of both can be given
     */
    public boolean excludes(LossOption other) {
        return this != other && setting() == other.setting();
    }

    /**
     * Converts a value of this option to an integer.
     *
     * @param value given
     * @return the value
     * @throws LossOptionException when it is not an integer of type int
     */
    public int count(double value) {
        LossOptionException.require(value == (int) value, "expected a whole number for " + key + ", got " + value);
        return (int) value;
    }

    /** Thrown when a setting of a loss is out of range or conflicts with another setting. Nothing was computed. */
    public static final class LossOptionException extends IllegalArgumentException {
        /**
         * Creates an exception.
         *
         * @param message expected and actual setting
         */
        public LossOptionException(String message) {
            super(message);
        }

        /** Returns {@code value} if the condition holds; for checks in the arguments of a super constructor call. */
        static <T> T checked(T value, boolean holds, String message) {
            require(holds, message);
            return value;
        }

        static void require(boolean holds, String message) {
            if (!holds) {
                throw new LossOptionException(message);
            }
        }
    }
}
