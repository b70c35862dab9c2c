package org.contrastive4j.loss;

import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Symmetric InfoNCE within a batch with momentum encoders as teachers, which provide a share alpha of the targets: with
 * S_ij = e^t &lt;x_i, y_j&gt;, T_ij = e^t &lt;x'_i, y'_j&gt; and q = alpha softmax_j T + (1 - alpha) [i = j], the mean
 * over rows of lse_j S_ij - sum_j q_ij S_ij; likewise of columns, half each.
 *
 * <p>Both sides of a pair get gradients; the momentum encoders' x' and y' are constants, and so is t in T. {@link
 * QueueContrast} is the same against keys of momentum encoders, past ones too.
 *
 * <p>Computed as InfoNCE + alpha (sum_i S_ii - sum_ij M_ij S_ij) / n, M the mean of the softmax over rows and over
 * columns of T. Memory: linear in n, 9 n d beyond InfoNCE's. Cost: 26 n n d flops, with teachers as wide.
 *
 * <p>Source: Li et al., Align before fuse, 2021, section 3.4, with the batch's own representations as keys.
 */
public final class DistilledContrast implements AutoCloseable {
    private final Ops ops;
    private final InfoNce loss;

    /**
     * Creates a loss with a learnable temperature of 0.07 at first.
     *
     * @param ops backend
     */
    public DistilledContrast(Ops ops) {
        this(ops, InfoNce.INITIAL_LOG_SCALE, true);
    }

    /**
     * Creates a loss.
     *
     * @param ops backend
     * @param initialLogScale in [0, ln 100]
     * @param learnable whether the log-scale gets a gradient
     */
    public DistilledContrast(Ops ops, double initialLogScale, boolean learnable) {
        this.ops = ops;
        loss = new InfoNce(ops, InfoNce.Direction.SYMMETRIC, 0, PairPolicy.DEFAULT, initialLogScale, null, learnable);
    }

    /** The log-scale. */
    public List<Parameter> parameters() {
        return loss.parameters();
    }

    public Parameter logScale() {
        return loss.logScale();
    }

    /** After each optimiser step: puts the log-scale back into [0, ln 100]. */
    public void afterStep(PairwiseOps.Result result) {
        loss.afterStep(result);
    }

    /**
     * Computes value, statistics, and gradients times {@code gradientScale}.
     *
     * @param u [n, d] raw representations; read
     * @param v [n, d] raw representations, row i belongs to row i of u; read
     * @param teacherOfU [n, e] raw representations of the same samples by the momentum encoder; read
     * @param teacherOfV [n, e]; read
     * @param alpha share of the momentum encoders' targets, in [0, 1); see {@link Distillation#at}
     * @param du [n, d], or null; written
     * @param dv [n, d], or null; written
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            Tensor teacherOfU,
            Tensor teacherOfV,
            double alpha,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        LossOptionException.require(
                alpha >= 0 && alpha < 1, "expected a share of distillation in [0, 1), got " + alpha);
        for (Tensor[] pair : new Tensor[][] {{u, v}, {teacherOfU, teacherOfV}}) {
            if (pair[0].shape().rank() != 2 || !pair[1].shape().equals(pair[0].shape()) || pair[0].dim(0) != u.dim(0)) {
                throw new ShapeException("representations are " + u + " and " + v + ", those of the teacher "
                        + teacherOfU + " and " + teacherOfV + ", expected two of [n, d] and two of [n, e]");
            }
        }
        try (UnitRows x = new UnitRows(ops, "u", u);
                UnitRows y = new UnitRows(ops, "v", v);
                Tensor dLogScale = ops.zeroParameter(Shape.of(1))) {
            x.requireFinite();
            y.requireFinite();
            int n = u.dim(0);
            PairwiseOps.Gradients gradients = new PairwiseOps.Gradients(du, dv, dLogScale, null);
            PairwiseOps.Result hard = loss.run(
                            x.unit(),
                            y.unit(),
                            Pairing.diagonal(n, n),
                            new ContrastiveLoss.Outputs(gradients, gradientScale, null))
                    .get();
            loss.requireFinite(hard.loss());
            double softening = alpha == 0
                    ? 0
                    : soften(x.unit(), y.unit(), teacherOfU, teacherOfV, du, dv, dLogScale, alpha * gradientScale);
            x.backward(du);
            y.backward(dv);
            loss.accumulate(dLogScale, null);
            return Deferred.of(new PairwiseOps.Result(
                    hard.loss() + alpha * softening, hard.rowAccuracy(), hard.columnAccuracy(), hard.meanPositive()));
        }
    }

    /** (sum_i S_ii - sum_ij M_ij S_ij) / n; its gradients, times a weight, are added. */
    private double soften(
            Tensor x,
            Tensor y,
            Tensor teacherOfU,
            Tensor teacherOfV,
            @Nullable Tensor dx,
            @Nullable Tensor dy,
            Tensor dLogScale,
            double weight) {
        double slope = loss.scale() / x.dim(0);
        try (UnitRows a = new UnitRows(ops, "momentum u", teacherOfU);
                UnitRows b = new UnitRows(ops, "momentum v", teacherOfV);
                Tensor expected = ops.allocateParameter(x.shape())) {
            a.requireFinite();
            b.requireFinite();
            SoftTargets targets = SimilarityTargets.symmetric(ops, a.unit(), b.unit(), loss.scale());
            targets.apply(ops, y, expected);
            double value = slope * (SoftCrossEntropy.dot(x, y) - SoftCrossEntropy.dot(x, expected));
            add(weight * slope, y, expected, dx);
            if (dy != null) {
                targets.applyTransposed(ops, x, expected);
                add(weight * slope, x, expected, dy);
            }
            dLogScale.set(dLogScale.toDoubles()[0] + weight * value);
            return value;
        }
    }

    /** gradient += factor (own - expected). */
    private void add(double factor, Tensor own, Tensor expected, @Nullable Tensor gradient) {
        if (gradient != null) {
            ops.pointwise().axpy(factor, own, gradient);
            ops.pointwise().axpy(-factor, expected, gradient);
        }
    }

    /** How the pairs of a batch lie; see {@link ContrastiveLoss#metrics}. */
    public PairMetrics metrics(Tensor u, Tensor v) {
        return loss.metrics(u, v, PairLabels.DIAGONAL);
    }

    /**
     * Returns the bytes of tensors that {@link #metrics} allocates while it runs.
     *
     * @param n rows of u
     * @param d width
     * @return bytes
     */
    public long metricsBytes(int n, int d) {
        return loss.metricsBytes(n, n, d);
    }

    /** Bytes of tensors allocated by {@link #valueAndGradient} while it runs, with a teacher as wide. */
    public long workspaceBytes(int n, int d) {
        return loss.workspaceBytes(n, n, d, PairLabels.DIAGONAL)
                + n * (3L * d + 2) * ops.parameterDtype().bytes()
                + SimilarityTargets.workspaceBytes(ops, n, n, d, d);
    }

    @Override
    public void close() {
        loss.close();
    }

    /**
     * Schedule of momentum distillation: the share of the targets that momentum encoders provide. The remaining share
     * is on the positives of the batch. At step k, counted from 0, alpha(k) = alpha min(1, k / steps).
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
    }

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
                ops.pointwise()
                        .scale(mu, averaged.get(k).value(), averaged.get(k).value());
                ops.pointwise()
                        .axpy(1 - mu, trained.get(k).value(), averaged.get(k).value());
            }
        }
    }
}
