package org.contrastive4j.optim;

/**
 * A learning-rate schedule: linear warm-up from 0 to {@code peak}, then half a cosine down to {@code floor}.
 *
 * @param peak largest learning rate
 * @param warmup steps of warm-up
 * @param total steps of the run, at least warmup
 * @param floor learning rate at the end
 */
public record WarmupCosine(double peak, int warmup, int total, double floor) {
    /**
     * Checks the schedule.
     *
     * @param peak largest learning rate
     * @param warmup steps of warm-up
     * @param total steps of the run, at least warmup
     * @param floor learning rate at the end
     * @throws IllegalArgumentException when one is out of range
     */
    public WarmupCosine {
        if (!(peak > 0) || warmup < 0 || total < warmup || floor < 0 || floor > peak) {
            throw new IllegalArgumentException("schedule with peak " + peak + ", " + warmup + " of " + total
                    + " steps of warm-up, floor " + floor + ": expected 0 <= floor <= peak and warmup <= total");
        }
    }

    /**
     * Returns the learning rate of a step: peak (step + 1) / warmup before warmup, then floor + (peak - floor) (1 +
     * cos(pi (step - warmup) / (total - warmup))) / 2, and floor after total.
     *
     * @param step counted from 0
     * @return the learning rate
     */
    public double at(int step) {
        if (step < warmup) {
            return peak * (step + 1) / warmup;
        }
        double progress = Math.min(1, (step - warmup) / (double) Math.max(1, total - warmup));
        return floor + (peak - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
    }
}
