package org.contrastive4j.optim;

/**
 * Linear from 0 to {@code peak} over the first {@code warmup} steps, then half a cosine down to
 * {@code floor} at {@code total}.
 *
 * @param peak largest learning rate
 * @param warmup steps of warm-up
 * @param total steps of the run, at least warmup
 * @param floor learning rate at the end
 */
public record WarmupCosine(double peak, int warmup, int total, double floor) {
    public WarmupCosine {
        if (!(peak > 0) || warmup < 0 || total < warmup || floor < 0 || floor > peak) {
            throw new IllegalArgumentException("schedule with peak " + peak + ", " + warmup + " of " + total
                    + " steps of warm-up, floor " + floor + ": wanted 0 <= floor <= peak and warmup <= total");
        }
    }

    /** Learning rate of a step, counted from 0. */
    public double at(int step) {
        if (step < warmup) {
            return peak * (step + 1) / warmup;
        }
        double progress = Math.min(1, (step - warmup) / (double) Math.max(1, total - warmup));
        return floor + (peak - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
    }
}
