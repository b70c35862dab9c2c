package org.contrastive4j.loss;

import org.contrastive4j.loss.LossOption.LossOptionException;

/**
 * Controls the number k of negatives per row by the accuracy of the batch. k starts at 1 and grows while the accuracy
 * exceeds its target.
 *
 * <p>After each step, k = k e^(rate (a - target)), clamped to the range from 1 to the number of negatives in the batch.
 * a is the share of rows whose positive has the largest logit among the 1 + k candidates, smoothed over steps.
 *
 * @param target accuracy, in (0, 1)
 * @param rate above 0; at rate 1, an accuracy of 1 with a target of 0.5 multiplies k by e^0.5 in each step
 * @param smoothing weight of the previous average in the smoothed accuracy, in [0, 1)
 */
record NegativesWarmup(double target, double rate, double smoothing) {
    /** Target accuracy 0.5; k doubles in 14 steps at the fastest. */
    public static final NegativesWarmup DEFAULT = new NegativesWarmup(0.5, 0.1, 0.9);

    /**
     * Checks the arguments.
     *
     * @throws LossOptionException when one is out of range
     */
    public NegativesWarmup {
        LossOptionException.require(
                target > 0 && target < 1, "expected a target accuracy between 0 and 1, got " + target);
        LossOptionException.require(rate > 0 && Double.isFinite(rate), "expected a rate above 0, got " + rate);
        LossOptionException.require(
                smoothing >= 0 && smoothing < 1, "expected a smoothing in [0, 1), got " + smoothing);
    }

    /**
     * Returns the same settings with another target accuracy.
     *
     * @param newTarget in (0, 1)
     * @return the settings
     */
    public NegativesWarmup withTarget(double newTarget) {
        return new NegativesWarmup(newTarget, rate, smoothing);
    }

    /** State of the controller during training; a checkpoint stores it. */
    static final class Controller {
        private final NegativesWarmup settings;
        private double negatives = 1;
        private double accuracy;

        Controller(NegativesWarmup settings) {
            this.settings = settings;
            this.accuracy = settings.target;
        }

        int negatives() {
            return (int) Math.floor(negatives);
        }

        double exactNegatives() {
            return negatives;
        }

        double accuracy() {
            return accuracy;
        }

        /** @param most number of negatives per row in the batch */
        void step(double observed, int most) {
            accuracy = settings.smoothing * accuracy + (1 - settings.smoothing) * observed;
            negatives = Math.max(
                    1, Math.min(Math.max(1, most), negatives * Math.exp(settings.rate * (accuracy - settings.target))));
        }

        void restore(double newNegatives, double newAccuracy) {
            LossOptionException.require(
                    newNegatives >= 1 && Double.isFinite(newNegatives) && newAccuracy >= 0 && newAccuracy <= 1,
                    "expected at least 1 negative and an accuracy in [0, 1], got " + newNegatives + " and "
                            + newAccuracy);
            negatives = newNegatives;
            accuracy = newAccuracy;
        }
    }
}
