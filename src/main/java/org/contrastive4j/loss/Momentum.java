package org.contrastive4j.loss;

import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;

/**
 * The weights of a momentum encoder: theta' = mu theta' + (1 - mu) theta after each step, mu rising from its start to 1
 * along half a cosine: mu(k) = 1 - (1 - start) (1 + cos(pi k / steps)) / 2.
 *
 * <p>Sources: He et al. 2020, equation 2 (0.999); Grill et al., Bootstrap your own latent, 2020 (the ramp).
 *
 * @param start in [0, 1)
 * @param steps after which mu is 1; 0 for no ramp: mu stays at its start
 */
public record Momentum(double start, long steps) {
    /** 0.999 throughout. */
    public static final Momentum DEFAULT = new Momentum(0.999, 0);

    public Momentum {
        LossOptionException.require(start >= 0 && start < 1, "expected a momentum in [0, 1), got " + start);
        LossOptionException.require(steps >= 0, "a ramp of " + steps + " steps, expected 0 or more");
    }

    /** mu at a step, counted from 0. */
    public double at(long step) {
        double done = steps == 0 ? 0 : Math.min(1, (double) step / steps);
        return 1 - (1 - start) * (1 + Math.cos(Math.PI * done)) / 2;
    }

    /** Moves the momentum encoder's parameters towards the trained one's; both in the same order. */
    public void update(Ops ops, long step, List<Parameter> trained, List<Parameter> averaged) {
        if (trained.size() != averaged.size()) {
            throw new ShapeException(trained.size() + " parameters and " + averaged.size() + " averages");
        }
        double mu = at(step);
        for (int k = 0; k < trained.size(); k++) {
            ops.pointwise().scale(mu, averaged.get(k).value(), averaged.get(k).value());
            ops.pointwise().axpy(1 - mu, trained.get(k).value(), averaged.get(k).value());
        }
    }
}
