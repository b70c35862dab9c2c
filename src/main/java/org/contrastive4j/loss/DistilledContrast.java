package org.contrastive4j.loss;

import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Factors;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Symmetric InfoNCE within a batch with momentum encoders as teachers, which provide a share alpha of the targets: with
 * S_ij = e^t &lt;x_i, y_j&gt;, T_ij = e^t &lt;x'_i, y'_j&gt; and q = alpha softmax_j T + (1 - alpha) [i = j], the mean
 * over rows of lse_j S_ij - sum_j q_ij S_ij, averaged with the same over columns.
 *
 * <p>Both sides of a pair get gradients. The momentum encoders' x' and y' are constants, and so is t in T. {@link
 * QueueContrast} compares with keys of momentum encoders, past ones included.
 *
 * <p>It is InfoNCE less alpha sum_ij D_ij S_ij / n, where D is the difference of the mean of the two softmaxes from the
 * hard targets. D is formed without cancellation, so that loss and gradient keep their relative accuracy when the pairs
 * are nearly solved. Memory: linear in n, 4 n d beyond that of InfoNCE. Cost: 16 n n d flops, with teachers as wide.
 *
 * <p>Source: Li et al., Align before fuse, 2021, section 3.4, with the batch's own representations as keys.
 */
public final class DistilledContrast implements AutoCloseable {
    private static final int REDUCTIONS = 6; // of the teacher
    private static final int SCALARS = 36; // computed from them

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

    /**
     * Returns the parameters of the loss.
     *
     * @return the log-scale
     */
    public List<Parameter> parameters() {
        return loss.parameters();
    }

    /**
     * Returns the logarithm of the logit scale.
     *
     * @return t, one element
     */
    public Parameter logScale() {
        return loss.logScale();
    }

    /**
     * Clamps the log-scale to [0, ln 100]; to be called after each optimiser step.
     *
     * @param result of the step
     */
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
     * @param gradientScale multiplied into every gradient; that of the log-scale is accumulated
     * @return value and statistics
     * @throws LossOptionException when alpha is out of range
     * @throws ShapeException when sizes do not fit
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
        return compute(u, v, teacherOfU, teacherOfV, scope -> Scalars.of(alpha), du, dv, gradientScale);
    }

    /**
     * Computes the same with the share of a schedule. The step is read in stream order: a captured graph reads it again
     * at every replay.
     *
     * @param u [n, d] raw representations; read
     * @param v [n, d] raw representations, row i belongs to row i of u; read
     * @param teacherOfU [n, e] raw representations of the same samples by the momentum encoder; read
     * @param teacherOfV [n, e]; read
     * @param schedule of the share
     * @param step [1] I32, the number of steps before; read
     * @param du [n, d], or null; written
     * @param dv [n, d], or null; written
     * @param gradientScale multiplied into every gradient; that of the log-scale is accumulated
     * @return value and statistics
     * @throws ShapeException when sizes do not fit
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            Tensor teacherOfU,
            Tensor teacherOfV,
            Distillation schedule,
            Tensor step,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        return compute(u, v, teacherOfU, teacherOfV, scope -> schedule.at(scope.read(step)), du, dv, gradientScale);
    }

    private Deferred<PairwiseOps.Result> compute(
            Tensor u,
            Tensor v,
            Tensor teacherOfU,
            Tensor teacherOfV,
            Function<Scalars.Scope, Scalars> share,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        for (Tensor[] pair : new Tensor[][] {{u, v}, {teacherOfU, teacherOfV}}) {
            if (pair[0].shape().rank() != 2 || !pair[1].shape().equals(pair[0].shape()) || pair[0].dim(0) != u.dim(0)) {
                throw new ShapeException("representations are " + u + " and " + v + ", those of the teacher "
                        + teacherOfU + " and " + teacherOfV + ", expected two of [n, d] and two of [n, e]");
            }
        }
        try (Scalars.Scope scope = ops.pairTiles().scope();
                UnitRows x = new UnitRows(ops, "u", u);
                UnitRows y = new UnitRows(ops, "v", v);
                Tensor dLogScale = ops.zeroParameter(Shape.of(1))) {
            PairwiseOps.Gradients gradients = new PairwiseOps.Gradients(du, dv, dLogScale, null);
            Deferred<PairwiseOps.Result> result = loss.run(
                    x.unit(),
                    y.unit(),
                    PairLabels.DIAGONAL,
                    new ContrastiveLoss.Outputs(gradients, gradientScale, null));
            Scalars alpha = share.apply(scope);
            if (!alpha.isOnHost() || alpha.at(0) > 0) {
                result = softened(scope, x, y, teacherOfU, teacherOfV, alpha, result, gradients, gradientScale);
            }
            x.backward(du);
            y.backward(dv);
            loss.accumulate(dLogScale, null);
            return x.ifFinite(y.ifFinite(loss.finite(result)));
        }
    }

    /** Adds the teacher's part to a result and to the gradients. */
    private Deferred<PairwiseOps.Result> softened(
            Scalars.Scope scope,
            UnitRows x,
            UnitRows y,
            Tensor teacherOfU,
            Tensor teacherOfV,
            Scalars alpha,
            Deferred<PairwiseOps.Result> hard,
            PairwiseOps.Gradients gradients,
            double gradientScale) {
        int n = x.unit().dim(0);
        try (UnitRows a = new UnitRows(ops, "momentum u", teacherOfU);
                UnitRows b = new UnitRows(ops, "momentum v", teacherOfV);
                Tensor ofX = ops.allocateParameter(x.unit().shape());
                Tensor ofY = gradients.dy() == null
                        ? null
                        : ops.allocateParameter(y.unit().shape())) {
            Pairs teacher = new Pairs(a.unit(), b.unit(), loss.scale(scope), Pairing.diagonal(n, n));
            new TeacherDifference(ops, scope, teacher, List.of(Axis.ROWS, Axis.COLUMNS), alpha.times(-1.0 / n))
                    .products(new Factors(x.unit(), y.unit()), ofX, ofY);
            Scalars value = scope.products(x.unit(), ofX).sum();
            scope.add(value, gradientScale, Objects.requireNonNull(gradients.dLogScale()));
            add(gradientScale, ofX, gradients.dx());
            add(gradientScale, ofY, gradients.dy());
            Deferred<double[]> softening = value.values();
            return a.ifFinite(b.ifFinite(hard.map(result -> new PairwiseOps.Result(
                    result.loss() + softening.get()[0],
                    result.rowAccuracy(),
                    result.columnAccuracy(),
                    result.meanPositive()))));
        }
    }

    private void add(double factor, @Nullable Tensor part, @Nullable Tensor gradient) {
        if (gradient != null && part != null) {
            ops.pointwise().axpy(factor, part, gradient);
        }
    }

    /**
     * Measures the pairs of a batch, as {@link ContrastiveLoss#metrics} does.
     *
     * @param u [n, d] raw representations; read
     * @param v [n, d] raw representations; read
     * @return the measurements
     */
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

    /**
     * Returns the bytes of tensors that {@link #valueAndGradient} allocates while it runs, with a teacher as wide.
     *
     * @param n rows of u
     * @param d width
     * @return bytes
     */
    public long workspaceBytes(int n, int d) {
        return loss.workspaceBytes(n, n, d, PairLabels.DIAGONAL)
                + n * (4L * d + 2) * ops.parameterDtype().bytes()
                + ops.pairTiles().workspaceBytes(n, n, d)
                + ops.pairTiles().scopeBytes(n, n, REDUCTIONS, SCALARS);
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
         * @param alpha in [0, 1)
         * @param steps of the ramp, at least 0
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

        /** Returns the share at a step that is known to a backend. */
        Scalars at(Scalars step) {
            return steps == 0
                    ? Scalars.of(alpha)
                    : step.over(Scalars.of(steps)).min(Scalars.of(1)).times(alpha);
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
         * @param start in [0, 1)
         * @param steps of the ramp, at least 0
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
