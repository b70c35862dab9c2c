package org.contrastive4j.loss;

/**
 * How many negatives each row is told from its positive: one at first, more while that is easy. After each step k =
 * clamp(k e^{rate (a - target)}, 1, ...), a the share of rows that picked their positive among the 1 + k choices,
 * smoothed over steps.
 *
 * @param target accuracy to stay near, in (0, 1)
 * @param rate more than 0: at 1, a perfect accuracy against a target of a half multiplies k by e^0.5 each step
 * @param smoothing of the accuracy, in [0, 1): weight of the past
 */
public record NegativesWarmup(double target, double rate, double smoothing) {
    /** Half of the rows right; k at most doubles in about 14 steps. */
    public static final NegativesWarmup DEFAULT = new NegativesWarmup(0.5, 0.1, 0.9);

    public NegativesWarmup {
        LossOptionException.require(
                target > 0 && target < 1, "expected a target accuracy between 0 and 1, got " + target);
        LossOptionException.require(rate > 0 && Double.isFinite(rate), "expected a rate above 0, got " + rate);
        LossOptionException.require(
                smoothing >= 0 && smoothing < 1, "expected a smoothing in [0, 1), got " + smoothing);
    }

    /** The same with another accuracy to stay near. */
    public NegativesWarmup withTarget(double newTarget) {
        return new NegativesWarmup(newTarget, rate, smoothing);
    }

    /** The controller: where it is, and what a checkpoint keeps. */
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

        /** @param most negatives that the batch has */
        void step(double observed, int most) {
            accuracy = settings.smoothing * accuracy + (1 - settings.smoothing) * observed;
            negatives = Math.max(
                    1, Math.min(Math.max(1, most), negatives * Math.exp(settings.rate * (accuracy - settings.target))));
        }

        void restore(double newNegatives, double newAccuracy) {
            LossOptionException.require(
                    newNegatives >= 1 && Double.isFinite(newNegatives) && newAccuracy >= 0 && newAccuracy <= 1,
                    "state of " + newNegatives + " negatives at accuracy " + newAccuracy);
            negatives = newNegatives;
            accuracy = newAccuracy;
        }
    }
}
