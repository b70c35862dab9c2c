package org.contrastive4j.loss;

/**
 * How much of the targets the momentum encoders give: alpha(k) = alpha min(1, k / steps) at step k, counted from 0; the
 * rest is the batch's own pairs.
 *
 * <p>Source: Li et al., Align before fuse, 2021, section 3.4 (0.4, over the first epoch's steps).
 *
 * @param alpha in [0, 1)
 * @param steps of the ramp; 0 for none: alpha from the start
 */
public record Distillation(double alpha, long steps) {
    /** No distillation. */
    public static final Distillation NONE = new Distillation(0, 0);

    public Distillation {
        LossOptionException.require(
                alpha >= 0 && alpha < 1, "expected a share of distillation in [0, 1), got " + alpha);
        LossOptionException.require(steps >= 0, "a ramp of " + steps + " steps, expected 0 or more");
    }

    /** The share at a step. */
    public double at(long step) {
        return steps == 0 ? alpha : alpha * Math.min(1, (double) step / steps);
    }
}
