package org.contrastive4j.optim;

/**
 * A power of two that gradients are multiplied with on their way back, so that those of 16 bits neither vanish nor
 * overflow, and divided by before the update. Being a power of two it changes no bit of a gradient that f32 holds.
 *
 * <p>Schedule: it begins at {@link Config#start()}; after {@link Config#growEvery()} good steps in a row it doubles, up
 * to 2^127; a step with a gradient that is not finite is skipped and halves it, down to 1, where a gradient that is not
 * finite is no fault of the scale. Source: Micikevicius et al., Mixed precision training, ICLR 2018, section 3.2, and
 * the dynamic schedule that followed from it.
 */
public final class LossScale {
    private static final double LARGEST = 0x1p127; // of the powers of two in f32

    /**
     * Settings of a run.
     *
     * @param start a power of two, 1 to 2^127
     * @param growEvery good steps in a row after which the scale doubles
     */
    public record Config(double start, int growEvery) {
        /** 2^15 at first, doubled every 500 steps: at the edge one step of 501 is lost. */
        public static final Config USUAL = new Config(0x1p15, 500);

        public Config {
            if (!isScale(start) || growEvery < 1) {
                throw new IllegalArgumentException("loss scale starts at " + start + " and grows every " + growEvery
                        + " steps: wanted a power of two from 1 to 2^127 and 1 step or more");
            }
        }
    }

    /**
     * Where the schedule is, for a checkpoint.
     *
     * @param value of the coming step
     * @param good steps since the last doubling or halving
     * @param skipped steps of the whole run
     */
    public record State(double value, int good, int skipped) {
        public State {
            if (!isScale(value) || good < 0 || skipped < 0) {
                throw new IllegalArgumentException("loss scale " + value + " after " + good + " good steps, " + skipped
                        + " skipped: wanted a power of two from 1 to 2^127 and steps of 0 or more");
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

    /** @param config null for a scale that stays 1: what f32 and bf16 need */
    public static LossScale of(Config config) {
        return config == null ? new LossScale(1, Integer.MAX_VALUE) : new LossScale(config.start(), config.growEvery());
    }

    /** What the gradients of the coming step are to be multiplied with. */
    public double value() {
        return state.value;
    }

    /** All gradients of the step were finite. */
    public void good() {
        int good = state.good + 1;
        state = good >= growEvery && state.value < LARGEST
                ? new State(2 * state.value, 0, state.skipped)
                : new State(state.value, good, state.skipped);
    }

    /**
     * A gradient of the step was not finite: halves the scale.
     *
     * @return whether the step may be skipped; false, and nothing changed, when the scale is 1 already
     */
    public boolean overflowed() {
        if (state.value == 1) {
            return false;
        }
        state = new State(state.value / 2, 0, state.skipped + 1);
        return true;
    }

    public State state() {
        return state;
    }

    /** Continues from here. */
    public void restore(State saved) {
        state = saved;
    }
}
