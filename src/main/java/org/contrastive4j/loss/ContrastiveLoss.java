package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A loss over all pairs of raw representations: u and v are L2-normalised to x and y, logits are S_ij = e^t &lt;x_i,
 * y_j&gt; + b with log-scale t and, where the loss has one, bias b. The n x m matrix is never stored.
 *
 * <p>Gradients are exact for u, v, t and b, whatever the chunking of the encoders. A row whose norm is 0 or subnormal
 * has no direction: its logits are b and its gradient is 0. Memory: unit copies of u and v, {@link
 * PairTileOps#workspaceBytes}, and scalars per row and column. A representation or a loss that is not finite is
 * reported by {@link NonFiniteException}: by the call itself where its result is complete at once, otherwise by {@link
 * Deferred#get}. Shapes that do not fit are refused with {@link ShapeException}.
 *
 * <p><b>A loss of your own</b> extends this class and implements {@link #evaluate}, nothing else: the loss as a
 * function of reductions over the logits, and its derivative by the logits as a sum of terms. Normalisation, gradients
 * of representations, log-scale and bias, statistics, workers, tapes and gradient caching then work for it as they do
 * for the losses of {@link Losses}.
 */
public abstract class ContrastiveLoss implements AutoCloseable {
    /** ln 100: log-scales are kept in [0, ln 100]. */
    public static final double MAX_LOG_SCALE = Math.log(100);

    private static final double ROUNDING = 1e-12;
    private static final int REDUCTIONS = 24; // of an evaluation
    private static final int SCALARS = 96; // computed from them

    final Ops ops;
    private final PairPolicy policy;
    private final Parameter logScale;
    private final @Nullable Parameter second; // the bias, or a parameter that the pair engine does not read
    private final boolean hasBias;
    private double largestLogScale = MAX_LOG_SCALE;

    /**
     * What a loss computes from a {@link PairField}.
     *
     * @param loss its value, a single scalar
     * @param terms G_ij, its derivative by the logits, is their sum
     * @param slope its derivative by its second parameter, unless that is the bias; 0 for a loss without one
     */
    public record Evaluation(Scalars loss, List<Term> terms, Scalars slope) {
        /**
         * The evaluation of a loss whose only parameters are log-scale and bias.
         *
         * @param loss its value, a single scalar
         * @param terms of its derivative by the logits
         */
        public Evaluation(Scalars loss, List<Term> terms) {
            this(loss, terms, Scalars.of(0));
        }
    }

    /** Where a pass writes beside its result. */
    record Outputs(
            PairwiseOps.@Nullable Gradients gradients,
            double scale,
            @Nullable Tensor hardestNegative) {}

    /**
     * Makes the parameters of a loss.
     *
     * @param ops backend that everything is computed on
     * @param policy of ids and guides
     * @param initialLogScale in [0, ln 100]
     * @param initialBias null for a loss without bias
     * @param learnable whether the log-scale gets a gradient
     * @throws LossOptionException when the log-scale is out of range or the bias is not finite
     */
    protected ContrastiveLoss(
            Ops ops, PairPolicy policy, double initialLogScale, @Nullable Double initialBias, boolean learnable) {
        this(ops, policy, initialLogScale, initialBias == null ? null : "bias", initialBias, learnable);
    }

    /** @param second name of the second parameter: "bias" is added to the logits; null for none */
    ContrastiveLoss(
            Ops ops,
            PairPolicy policy,
            double initialLogScale,
            @Nullable String second,
            @Nullable Double initial,
            boolean learnable) {
        LossOptionException.require(
                initialLogScale >= 0 && initialLogScale <= MAX_LOG_SCALE + ROUNDING,
                "expected a log-scale from 0 to ln 100, a temperature of 1 to 0.01, got " + initialLogScale);
        LossOptionException.require(
                second == null || initial != null && Double.isFinite(initial),
                "expected a finite " + second + ", got " + initial);
        this.ops = ops;
        this.policy = policy;
        this.logScale = new Parameter(ops, "loss.log_scale", ops.parameterTensor(Shape.of(1), initialLogScale), false);
        this.second = second == null || initial == null
                ? null
                : new Parameter(ops, "loss." + second, ops.parameterTensor(Shape.of(1), initial), false);
        this.hasBias = "bias".equals(second);
        logScale.freeze(!learnable);
    }

    /**
     * Computes the value of the loss and its derivative by the logits: the one method that a loss must implement.
     *
     * <p>An implementation asks the field for reductions, in as many passes as it needs, combines the n + m scalars
     * they return by the methods of {@link Scalars}, and describes G_ij as a sum of terms. The mean over rows of
     * softplus(S_ij) over all pairs, for example, whose derivative is sigmoid(S_ij) / n:
     *
     * <pre>{@code
     * Scalars sums = field.reduce(List.of(Reduction.sum(PairFunction.SOFTPLUS, Axis.ROWS, Of.BOTH, Shift.NONE, null)))
     *         .get(0).scalars();
     * double weight = 1.0 / field.pairing().n();
     * return new Evaluation(
     *         sums.sum().times(weight),
     *         List.of(new Term(PairFunction.SIGMOID, Of.BOTH, Shift.NONE, Scalars.of(weight), null)));
     * }</pre>
     *
     * <p>An implementation may also read scalars by {@link Scalars#values} and compute on the host, as long as
     * {@link #isCapturable} returns false.
     *
     * @param field the pairs of the batch
     * @param withTerms whether the terms are read; an implementation may leave them out otherwise
     * @return value and terms
     */
    protected abstract Evaluation evaluate(PairField field, boolean withTerms);

    /**
     * Sets the temperature e^-t, for Sinkhorn the entropic strength.
     *
     * @param temperature 0.01 to 1
     * @param learnable whether the log-scale gets a gradient from now on
     * @throws LossOptionException out of this range, and for a triplet loss: its logits are cosines
     */
    public void startAt(double temperature, boolean learnable) {
        requireTemperature(temperature);
        logScale.value().set(Math.log(1 / temperature));
        logScale.freeze(!learnable);
    }

    static void requireTemperature(double temperature) {
        LossOptionException.require(
                temperature >= 0.01 && temperature <= 1, "expected a temperature of 0.01 to 1, got " + temperature);
    }

    /** Restricts the pairing as the loss defines it, or refuses it. */
    Pairing admit(Pairing pairing) {
        return pairing;
    }

    /** Whether a guide's limits of rows apply. */
    boolean hasRows() {
        return true;
    }

    /** Whether a guide's limits of columns apply. */
    boolean hasColumns() {
        return true;
    }

    final Pairing pairing(int n, int m, PairLabels labels) {
        return admit(policy.pairing(n, m, labels, hasRows(), hasColumns()));
    }

    /**
     * Returns the parameters of the loss.
     *
     * @return log-scale, then the bias or a learnable margin where there is one
     */
    public final List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(logScale));
        if (second != null) {
            all.add(second);
        }
        return all;
    }

    /**
     * Returns the logarithm of the logit scale.
     *
     * @return t, one element
     */
    public final Parameter logScale() {
        return logScale;
    }

    /**
     * Returns the bias of the logits.
     *
     * @return b, one element; null for a loss without one
     */
    public final @Nullable Parameter bias() {
        return hasBias ? second : null;
    }

    final boolean hasBias() {
        return hasBias;
    }

    /** Returns the scale of the logits on the host; waits for a device. */
    final double scale() {
        return Math.exp(logScale.value().toDoubles()[0]);
    }

    /** Returns the scale of the logits. */
    final Scalars scale(Scalars.Scope scope) {
        return scope.read(logScale.value()).exp();
    }

    /** Returns the second parameter; 0 for a loss without one. */
    final Scalars second(Scalars.Scope scope) {
        return second == null ? Scalars.of(0) : scope.read(second.value());
    }

    /** Returns the scope of an evaluation: on the host unless the loss is capturable. */
    final Scalars.Scope scope() {
        return isCapturable() ? ops.pairTiles().scope() : ops.pairTiles().hostScope();
    }

    /**
     * Clamps a trained log-scale as the loss was published, and updates controllers; to be called after each optimiser
     * step. Losses over a softmax keep it in [0, ln 100], as CLIP does; {@code siglip} has no bounds, and published
     * models end at scales of 112.
     *
     * @param result of the step
     */
    public void afterStep(PairwiseOps.Result result) {
        if (!logScale.isFrozen() && largestLogScale < Double.POSITIVE_INFINITY) {
            ops.pointwise().clamp(0, largestLogScale, logScale.value());
        }
    }

    /**
     * Replaces the upper bound of the log-scale. Published SigLIP models have scales above 100.
     *
     * @param largest used by {@link #afterStep} instead of ln 100; infinite for no bounds at all
     */
    public void boundLogScale(double largest) {
        largestLogScale = largest;
    }

    /**
     * Returns scalars beside the parameters that a checkpoint must store.
     *
     * @return values by name; empty for a loss without controllers
     */
    public Map<String, Double> state() {
        return Map.of();
    }

    /**
     * Restores what {@link #state()} returned.
     *
     * @param state of a loss of the same kind
     * @throws LossOptionException when it has other names
     */
    public void restore(Map<String, Double> state) {
        LossOptionException.require(state.isEmpty(), "expected no state for this loss, got " + state.keySet());
    }

    /**
     * Computes value and statistics alone.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param labels which pairs are positive
     * @return value and statistics
     */
    public final Deferred<PairwiseOps.Result> value(Tensor u, Tensor v, PairLabels labels) {
        return compute(u, v, labels, new Outputs(null, 1, null));
    }

    /**
     * Computes value, statistics, and gradients times {@code gradientScale}.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param labels which pairs are positive
     * @param du [n, d], or null; written, may be u
     * @param dv [m, d], or null; written, may be v
     * @param gradientScale multiplied into every gradient, those of log-scale and bias too, which are accumulated
     * @return value and statistics
     */
    public final Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u, Tensor v, PairLabels labels, @Nullable Tensor du, @Nullable Tensor dv, double gradientScale) {
        return valueAndGradient(u, v, labels, du, dv, gradientScale, null);
    }

    final Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            PairLabels labels,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale,
            @Nullable Tensor hardestNegative) {
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1));
                Tensor dSecond = second == null ? null : ops.zeroParameter(Shape.of(1))) {
            PairwiseOps.Gradients gradients = new PairwiseOps.Gradients(du, dv, dLogScale, dSecond);
            Deferred<PairwiseOps.Result> result =
                    compute(u, v, labels, new Outputs(gradients, gradientScale, hardestNegative));
            accumulate(dLogScale, dSecond);
            return result;
        }
    }

    /**
     * Returns whether {@link #valueAndGradient} of diagonal labels runs without host synchronisation, so that a step
     * with this loss can be captured as a CUDA graph.
     *
     * <p>A loss returns true if its {@link #evaluate} computes with {@link Scalars} alone, does the same operations for
     * every batch of a shape, and reads no state that changes from step to step. Its scalars are then kept on the
     * device. Those of other losses are on the host, which synchronises in every pass.
     *
     * @return false unless a loss overrides it
     */
    public boolean isCapturable() {
        return false;
    }

    final void accumulate(Tensor dLogScale, @Nullable Tensor dSecond) {
        if (!logScale.isFrozen()) {
            ops.pointwise().axpy(1, dLogScale, logScale.gradient());
        }
        if (second != null && dSecond != null && !second.isFrozen()) {
            ops.pointwise().axpy(1, dSecond, second.gradient());
        }
    }

    /**
     * Measures the pairs of a batch: accuracies, distributions of the cosines of positives and of negatives, the share
     * of ignored pairs. Cost: two passes over the pairs, no gradient.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param labels which pairs are positive
     * @return the measurements
     */
    public final PairMetrics metrics(Tensor u, Tensor v, PairLabels labels) {
        requireMatrices(u, v);
        try (UnitRows x = new UnitRows(ops, "u", u);
                UnitRows y = new UnitRows(ops, "v", v)) {
            x.requireFinite();
            y.requireFinite();
            Pairs pairs = new Pairs(x.unit(), y.unit(), 1, pairing(u.dim(0), v.dim(0), labels));
            PairTileOps tiles = ops.pairTiles();
            Scalars zero = Scalars.of(0);
            PairStatistics statistics = new WholeField(tiles.hostScope(), pairs, zero, zero).statistics();
            return PairMetrics.of(
                    statistics.result(zero, zero).get(),
                    tiles.histogram(pairs, PairMetrics.BINS).get());
        }
    }

    /**
     * Returns the bytes of tensors that {@link #metrics} allocates while it runs.
     *
     * @param n rows of u
     * @param m rows of v
     * @param d width of both
     * @return bytes
     */
    public final long metricsBytes(int n, int m, int d) {
        return (n + m) * (d + 1L) * ops.parameterDtype().bytes()
                + ops.pairTiles().workspaceBytes(n, m, d);
    }

    /**
     * Returns the bytes of tensors that {@link #valueAndGradient} allocates while it runs.
     *
     * @param n rows of u
     * @param m rows of v
     * @param d width of both
     * @param labels those it is called with, or others in which the same fields are null
     * @return bytes
     */
    public long workspaceBytes(int n, int m, int d, PairLabels labels) {
        return rowBytes(n, m, d) + ops.pairTiles().workspaceBytes(n, m, d) + scopeBytes(n, m);
    }

    /** Bytes of the scalars of an evaluation. */
    final long scopeBytes(int n, int m) {
        return isCapturable() ? ops.pairTiles().scopeBytes(n, m, reductions(), scalars()) : 0;
    }

    /** Returns the largest number of reductions of an evaluation, those of {@link PairStatistics} included. */
    int reductions() {
        return REDUCTIONS;
    }

    /** Returns the largest number of results of the methods of {@link Scalars} in an evaluation. */
    int scalars() {
        return SCALARS;
    }

    /** Bytes of unit rows, their norms, and gradients of the parameters. */
    final long rowBytes(int n, int m, int d) {
        long element = ops.parameterDtype().bytes();
        return (n + m) * (d + 1L) * element + parameters().size() * element;
    }

    /** Gradients by the raw representations and, as dBias, by the second parameter. */
    final Deferred<PairwiseOps.Result> compute(Tensor u, Tensor v, PairLabels labels, Outputs outputs) {
        requireMatrices(u, v);
        try (UnitRows x = new UnitRows(ops, "u", u);
                UnitRows y = new UnitRows(ops, "v", v)) {
            if (!isCapturable()) { // an evaluation on the host is of finite rows only
                x.requireFinite();
                y.requireFinite();
            }
            Deferred<PairwiseOps.Result> result = run(x.unit(), y.unit(), labels, outputs);
            if (outputs.gradients != null) {
                x.backward(outputs.gradients.dx());
                y.backward(outputs.gradients.dy());
            }
            return x.ifFinite(y.ifFinite(finite(result)));
        }
    }

    static void requireMatrices(Tensor u, Tensor v) {
        if (u.shape().rank() != 2 || v.shape().rank() != 2 || u.dim(1) != v.dim(1)) {
            throw new ShapeException("expected representations [n, d] and [m, d], got " + u + " and " + v);
        }
    }

    /** The same from unit rows. */
    Deferred<PairwiseOps.Result> run(Tensor x, Tensor y, PairLabels labels, Outputs outputs) {
        return run(x, y, pairing(x.dim(0), y.dim(0), labels), outputs);
    }

    /** The same for a pairing. */
    Deferred<PairwiseOps.Result> run(Tensor x, Tensor y, Pairing pairing, Outputs outputs) {
        try (Scalars.Scope scope = scope()) {
            Pairs pairs = new Pairs(x, y, scale(scope), pairing);
            Scalars ofSecond = second(scope);
            Scalars bias = hasBias ? ofSecond : Scalars.of(0);
            PairField field = new WholeField(scope, pairs, bias, ofSecond);
            PairwiseOps.Gradients gradients = outputs.gradients;
            Evaluation evaluation = evaluate(field, gradients != null);
            PairStatistics statistics = field.statistics();
            Deferred<PairwiseOps.Result> result = finite(statistics.result(evaluation.loss(), bias));
            if (gradients != null) {
                Tensor dBias = hasBias ? gradients.dBias() : null;
                ops.pairTiles()
                        .gradient(
                                pairs,
                                evaluation.terms(),
                                new PairwiseOps.Gradients(gradients.dx(), gradients.dy(), gradients.dLogScale(), dBias),
                                outputs.scale);
                addSlope(scope, evaluation, gradients.dBias(), outputs.scale);
            }
            if (outputs.hardestNegative != null) {
                outputs.hardestNegative.set(statistics.rowNegative.at());
            }
            return result;
        }
    }

    /** Adds the gradient of a second parameter that is not the bias. */
    final void addSlope(Scalars.Scope scope, Evaluation evaluation, @Nullable Tensor dSecond, double gradientScale) {
        if (!hasBias && second != null && dSecond != null) {
            scope.add(evaluation.slope(), gradientScale, dSecond);
        }
    }

    /** Checks the loss when it is known. */
    final Deferred<PairwiseOps.Result> finite(Deferred<PairwiseOps.Result> result) {
        return result.map(known -> {
            requireFinite(known.loss());
            return known;
        });
    }

    final void requireFinite(double loss) {
        if (!Double.isFinite(loss)) {
            throw new NonFiniteException(
                    "the loss is " + loss + " at log-scale " + logScale.value().toDoubles()[0], -1);
        }
    }

    /** Frees the parameters. */
    @Override
    public void close() {
        parameters().forEach(Parameter::close);
    }
}
