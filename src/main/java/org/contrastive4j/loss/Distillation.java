package org.contrastive4j.loss;

import org.contrastive4j.ops.Scalars;

/**
 * Schedule of momentum distillation: the share of the targets that momentum encoders provide. The remaining share is on
 * the positives of the batch. At step k, counted from 0, alpha(k) = alpha min(1, k / steps).
 *
 * <p>Source: Li et al., Align before fuse, 2021, section 3.4 (0.4, over the first epoch's steps).
 *
 * @param alpha in [0, 1)
 * @param steps of the ramp; 0 for a constant alpha
 */
public record Distillation(double alpha, long steps) {
    /** No distillation. */
    public static final Distillation NONE = new Distillation(0, 0);

    /**
     * Checks the arguments.
     *
     * @throws LossOptionException when one is out of range
     */
    public Distillation {
        LossOptionException.require(
                alpha >= 0 && alpha < 1, "expected a share of distillation in [0, 1), got " + alpha);
        LossOptionException.require(steps >= 0, "expected a distillation ramp of 0 or more steps, got " + steps);
    }

    /**
     * Returns the share at a step.
     *
     * @param step counted from 0
     * @return alpha(step)
     */
    public double at(long step) {
        return steps == 0 ? alpha : alpha * Math.min(1, (double) step / steps);
    }

    /** Returns the share at a step that is known to a backend. */
    Scalars at(Scalars step) {
        return steps == 0
                ? Scalars.of(alpha)
                : step.over(Scalars.of(steps)).min(Scalars.of(1)).times(alpha);
    }
}
