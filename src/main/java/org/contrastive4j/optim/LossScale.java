package org.contrastive4j.optim;

import org.jspecify.annotations.Nullable;

/**
 * Dynamic loss scaling: a power of two that gradients are multiplied by in the backward pass, so that 16-bit
 * gradients neither underflow nor overflow, and divided by before the update. A power of two changes no bit of a
 * gradient that f32 can hold.
 *
 * <p>The scale starts at {@link Config#start()} and doubles after {@link Config#growEvery()} consecutive good steps,
 * up to 2^127. A step with a non-finite gradient is skipped and halves the scale, down to 1; at 1 a non-finite
 * gradient is not the fault of the scale.
 *
 * <p>Source: Micikevicius et al., Mixed precision training, ICLR 2018, section 3.2, and the dynamic schedule that
 * followed from it.
 */
public final class LossScale {
    private static final double LARGEST = 0x1p127; // of the powers of two in f32

    /**
     * The settings of a run.
     *
     * @param start first scale, a power of two from 1 to 2^127
     * @param growEvery consecutive good steps after which the scale doubles
     */
    public record Config(double start, int growEvery) {
        /** Starts at 2^15 and doubles every 500 steps, so that at most 1 of 501 steps is lost. */
        public static final Config USUAL = new Config(0x1p15, 500);

        /**
         * Checks the settings.
         *
         * @param start first scale, a power of two from 1 to 2^127
         * @param growEvery consecutive good steps after which the scale doubles
         * @throws IllegalArgumentException when one is out of range
         */
        public Config {
            if (!isScale(start) || growEvery < 1) {
                throw new IllegalArgumentException("loss scale starts at " + start + " and grows every " + growEvery
                        + " steps: expected a power of two from 1 to 2^127 and at least 1 step");
            }
        }
    }

    /**
     * The state of the schedule, for a checkpoint.
     *
     * @param value scale of the next step
     * @param good steps since the scale last changed
     * @param skipped steps that were skipped in the whole run
     */
    public record State(double value, int good, int skipped) {
        /**
         * Checks the state.
         *
         * @param value scale of the next step
         * @param good steps since the scale last changed
         * @param skipped steps that were skipped in the whole run
         * @throws IllegalArgumentException when one is out of range
         */
        public State {
            if (!isScale(value) || good < 0 || skipped < 0) {
                throw new IllegalArgumentException("loss scale " + value + " after " + good + " good steps, " + skipped
                        + " skipped: expected a power of two from 1 to 2^127 and no negative counts");
            }
        }
    }

    private final int growEvery;
    private State state;

    private static boolean isScale(double value) {
        return value >= 1 && value <= LARGEST && Math.scalb(1.0, Math.getExponent(value)) == value;
    }

    private LossScale(double start, int growEvery) {
        this.growEvery = growEvery;
        state = new State(start, 0, 0);
    }

    /**
     * Returns a scale in its initial state.
     *
     * @param config settings; null for a scale that stays 1, which f32 and bf16 need
     * @return the scale
     */
    public static LossScale of(@Nullable Config config) {
        return config == null ? new LossScale(1, Integer.MAX_VALUE) : new LossScale(config.start(), config.growEvery());
    }

    /**
     * Returns the factor of the gradients of the next step.
     *
     * @return a power of two
     */
    public double value() {
        return state.value;
    }

    /** Records a step whose gradients were all finite. */
    public void good() {
        int good = state.good + 1;
        state = good >= growEvery && state.value < LARGEST
                ? new State(2 * state.value, 0, state.skipped)
                : new State(state.value, good, state.skipped);
    }

    /**
     * Records a step with a non-finite gradient and halves the scale.
     *
     * @return whether the step may be skipped; false if the scale is 1 already, then nothing changes
     */
    public boolean overflowed() {
        if (state.value == 1) {
            return false;
        }
        state = new State(state.value / 2, 0, state.skipped + 1);
        return true;
    }

    /**
     * Returns the state to save.
     *
     * @return scale and counts
     */
    public State state() {
        return state;
    }

    /**
     * Continues from a saved state.
     *
     * @param saved from {@link #state}
     */
    public void restore(State saved) {
        state = saved;
    }
}
