package org.contrastive4j.loss;

import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;

/**
 * Updates momentum encoders, whose weights theta' are an exponential moving average of the trained weights theta.
 *
 * <p>After step k, theta' = mu theta' + (1 - mu) theta. The momentum rises from its start to 1 along half a cosine:
 * mu(k) = 1 - (1 - start) (1 + cos(pi k / steps)) / 2.
 *
 * <p>Sources: He et al. 2020, equation 2 (0.999); Grill et al., Bootstrap your own latent, 2020 (the ramp).
 *
 * @param start in [0, 1)
 * @param steps after which mu is 1; 0 for a constant mu
 */
public record Momentum(double start, long steps) {
    /** Constant momentum 0.999. */
    public static final Momentum DEFAULT = new Momentum(0.999, 0);

    /**
     * Checks the arguments.
     *
     * @throws LossOptionException when one is out of range
     */
    public Momentum {
        LossOptionException.require(start >= 0 && start < 1, "expected a momentum in [0, 1), got " + start);
        LossOptionException.require(steps >= 0, "expected a momentum ramp of 0 or more steps, got " + steps);
    }

    /**
     * Returns the momentum of a step.
     *
     * @param step counted from 0
     * @return mu
     */
    public double at(long step) {
        double done = steps == 0 ? 0 : Math.min(1, (double) step / steps);
        return 1 - (1 - start) * (1 + Math.cos(Math.PI * done)) / 2;
    }

    /**
     * Updates the averages with the trained parameters.
     *
     * @param ops backend
     * @param step counted from 0
     * @param trained parameters of the trained encoder; read
     * @param averaged parameters of the momentum encoder, in the same order; updated
     * @throws ShapeException when the numbers of parameters differ
     */
    public void update(Ops ops, long step, List<Parameter> trained, List<Parameter> averaged) {
        if (trained.size() != averaged.size()) {
            throw new ShapeException("expected " + trained.size() + " averaged parameters, got " + averaged.size());
        }
        double mu = at(step);
        for (int k = 0; k < trained.size(); k++) {
            ops.pointwise().scale(mu, averaged.get(k).value(), averaged.get(k).value());
            ops.pointwise().axpy(1 - mu, trained.get(k).value(), averaged.get(k).value());
        }
    }
}
