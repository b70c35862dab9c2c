package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.PairStatistics.Outcome;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * A loss over all pairs of raw representations: u and v are L2-normalised to x and y, logits are S_ij = e^t &lt;x_i,
 * y_j&gt; + b with log-scale t and, where the loss has one, bias b. Never n x m memory.
 *
 * <p>Gradients are exact for u, v, t and b, whatever the chunking above. A row of norm 0 has no direction: its logits
 * are b and it gets no gradient. Memory: unit copies of u and v, {@link PairTileOps#workspaceBytes}, and numbers per
 * row and column. Every method refuses a representation that is not finite with {@link NonFiniteException}, and shapes
 * that do not fit with {@link ShapeException}.
 */
public abstract sealed class ContrastiveLoss implements AutoCloseable
        permits SoftmaxLoss, FourWayLoss, BinaryLoss, TripletLoss, SinkhornLoss {
    /** ln 100: log-scales are kept in [0, ln 100]. */
    public static final double MAX_LOG_SCALE = Math.log(100);

    final Ops ops;
    private final PairPolicy policy;
    private final Parameter logScale;
    private final Parameter second; // the bias, or another number of which the engine knows nothing
    private final boolean hasBias;

    ContrastiveLoss(Ops ops, PairPolicy policy, double initialLogScale, Double initialBias, boolean learnable) {
        this(ops, policy, initialLogScale, initialBias == null ? null : "bias", initialBias, learnable);
    }

    /** @param second name of the second parameter: the bias of the logits, or another; null for none */
    ContrastiveLoss(
            Ops ops, PairPolicy policy, double initialLogScale, String second, Double initial, boolean learnable) {
        LossOptionException.require(
                initialLogScale >= 0 && initialLogScale <= MAX_LOG_SCALE + 1e-12,
                "log-scale is " + initialLogScale + ", wanted 0 to ln 100: a temperature of 1 to 0.01");
        LossOptionException.require(second == null || Double.isFinite(initial), second + " is " + initial);
        this.ops = ops;
        this.policy = policy;
        this.logScale = new Parameter(ops, "loss.log_scale", ops.parameterTensor(Shape.of(1), initialLogScale), false);
        this.second = second == null
                ? null
                : new Parameter(ops, "loss." + second, ops.parameterTensor(Shape.of(1), initial), false);
        this.hasBias = "bias".equals(second);
        logScale.freeze(!learnable);
    }

    /** Symmetric InfoNCE as CLIP has it. */
    public static ContrastiveLoss infoNce(Ops ops) {
        return Losses.named(ops, "infonce");
    }

    /** InfoNCE with label smoothing in [0, 1), several positives and ignored negatives; see {@link SoftmaxLoss}. */
    public static ContrastiveLoss infoNce(
            Ops ops, InfoNce.Direction direction, double labelSmoothing, PairPolicy policy) {
        return new SoftmaxLoss(ops, direction, labelSmoothing, policy, InfoNce.INITIAL_LOG_SCALE, true);
    }

    /** InfoNCE of each row over all columns. */
    public static ContrastiveLoss infoNceRows(Ops ops) {
        return Losses.named(ops, "infonce-rows");
    }

    /** Symmetric InfoNCE with a label smoothing of 0.1. */
    public static ContrastiveLoss infoNceSmoothed(Ops ops) {
        return Losses.named(ops, "infonce-smoothed");
    }

    /** Symmetric InfoNCE in which pairs of equal ids are positives. */
    public static ContrastiveLoss infoNceMultiPositive(Ops ops) {
        return Losses.named(ops, "infonce-multipositive");
    }

    /** InfoNCE in all four directions: x-y, y-x, x-x and y-y; see {@link FourWayLoss}. */
    public static ContrastiveLoss infoNceFourWay(Ops ops) {
        return Losses.named(ops, "infonce-fourway");
    }

    /** The same with label smoothing in [0, 1) and ignored negatives. */
    public static ContrastiveLoss infoNceFourWay(Ops ops, double labelSmoothing, PairPolicy policy) {
        return new FourWayLoss(ops, labelSmoothing, policy, InfoNce.INITIAL_LOG_SCALE, true);
    }

    /** The sigmoid loss of SigLIP, from t = ln 10 and b = -10. */
    public static ContrastiveLoss sigLip(Ops ops) {
        return Losses.named(ops, "siglip");
    }

    /** Mean of the binary cross-entropy over all pairs; from t = ln 10 and b = 0. */
    public static ContrastiveLoss bce(Ops ops) {
        return Losses.named(ops, "bce");
    }

    /** Binary cross-entropy whose m - 1 negatives of a row weigh as much as its positive. */
    public static ContrastiveLoss bceBalanced(Ops ops) {
        return Losses.named(ops, "bce-balanced");
    }

    /** Binary cross-entropy whose negatives weigh {@code weight} each, more than 0. */
    public static ContrastiveLoss bceWeighted(Ops ops, double weight) {
        return new BinaryLoss(ops, BinaryLoss.Weighting.SUM, weight, null, PairPolicy.DEFAULT, 0);
    }

    /** Binary cross-entropy over few negatives at first and more as they get easy, as {@link NegativesWarmup} says. */
    public static ContrastiveLoss bceWarmup(Ops ops) {
        return Losses.named(ops, "bce-warmup");
    }

    /** The same with a controller of one's own. */
    public static ContrastiveLoss bceWarmup(Ops ops, NegativesWarmup warmup) {
        return new BinaryLoss(ops, BinaryLoss.Weighting.SUM, 1, warmup, PairPolicy.DEFAULT, 0);
    }

    /** Hinges of the cosines of all negatives, both ways, margin 0.2. */
    public static ContrastiveLoss triplet(Ops ops) {
        return Losses.named(ops, "triplet");
    }

    /** The same of the hardest negative alone. */
    public static ContrastiveLoss tripletHardest(Ops ops) {
        return Losses.named(ops, "triplet-hardest");
    }

    /** The same of the hardest negative that is below the positive. */
    public static ContrastiveLoss tripletSemiHard(Ops ops) {
        return Losses.named(ops, "triplet-semihard");
    }

    /** Hinges with a fixed margin in (0, 2]; {@link TripletLoss#learnableMargin} learns one. */
    public static ContrastiveLoss triplet(Ops ops, TripletLoss.Negatives negatives, double margin) {
        return new TripletLoss(ops, negatives, margin, PairPolicy.DEFAULT);
    }

    /** Matching under a doubly stochastic plan of 5 Sinkhorn iterations. */
    public static ContrastiveLoss sinkhorn(Ops ops) {
        return Losses.named(ops, "sinkhorn");
    }

    /** Matching under a doubly stochastic plan; {@link SinkhornLoss#converged} iterates to the fixed point. */
    public static ContrastiveLoss sinkhorn(Ops ops, int iterations) {
        return new SinkhornLoss(ops, iterations, PairPolicy.DEFAULT, true);
    }

    /** The mean of both orders of rows and columns, of 5 iterations each. */
    public static ContrastiveLoss sinkhornSymmetric(Ops ops) {
        return Losses.named(ops, "sinkhorn-symmetric");
    }

    /**
     * Sets the temperature e^-t, for Sinkhorn the entropic strength, to start from or to stay at.
     *
     * @param temperature 0.01 to 1
     * @param learnable whether the log-scale gets a gradient
     * @throws LossOptionException out of this range, and for a triplet loss: its logits are cosines
     */
    public void startAt(double temperature, boolean learnable) {
        requireTemperature(temperature);
        logScale.value().set(Math.log(1 / temperature));
        logScale.freeze(!learnable);
    }

    static void requireTemperature(double temperature) {
        LossOptionException.require(
                temperature >= 0.01 && temperature <= 1, "temperature is " + temperature + ", wanted 0.01 to 1");
    }

    /** Value and terms from passes over the field; {@code bias} is 0 where there is none. */
    abstract Outcome evaluate(PairField field, double bias, boolean wantTerms);

    /** Narrows the pairing by what the loss itself knows, or refuses it. */
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

    /** Log-scale, and the bias or a learnable margin where there is one. */
    public final List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(logScale));
        if (second != null) {
            all.add(second);
        }
        return all;
    }

    public final Parameter logScale() {
        return logScale;
    }

    /** The bias, or null. */
    public final Parameter bias() {
        return hasBias ? second : null;
    }

    final boolean hasBias() {
        return hasBias;
    }

    final double scale() {
        return Math.exp(logScale.value().toDoubles()[0]);
    }

    final double biasValue() {
        return hasBias ? second.value().toDoubles()[0] : 0;
    }

    /**
     * After each optimiser step: puts the log-scale back into [0, ln 100] and moves controllers on.
     *
     * @param result of the step
     */
    public void afterStep(PairwiseOps.Result result) {
        ops.pointwise().clamp(0, MAX_LOG_SCALE, logScale.value());
    }

    /** Numbers beside the parameters that a checkpoint must keep, by name; empty for a loss without controllers. */
    public Map<String, Double> state() {
        return Map.of();
    }

    /** Takes back what {@link #state()} gave. */
    public void restore(Map<String, Double> state) {
        LossOptionException.require(state.isEmpty(), "this loss has no state, given " + state.keySet());
    }

    /** Value and statistics alone. */
    public final PairwiseOps.Result value(Tensor u, Tensor v, PairLabels labels) {
        return compute(u, v, labels, null, 1);
    }

    /**
     * Value, statistics, and gradients times {@code gradientScale}.
     *
     * @param u [n, d] raw representations; read
     * @param v [m, d] raw representations; read
     * @param du [n, d], null when not wanted; written, may be u
     * @param dv [m, d], null when not wanted; written, may be v
     * @param gradientScale multiplied into every gradient, those of log-scale and bias too, which are accumulated
     */
    public final PairwiseOps.Result valueAndGradient(
            Tensor u, Tensor v, PairLabels labels, Tensor du, Tensor dv, double gradientScale) {
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1));
                Tensor dSecond = second == null ? null : ops.zeroParameter(Shape.of(1))) {
            PairwiseOps.Gradients gradients = new PairwiseOps.Gradients(du, dv, dLogScale, dSecond);
            PairwiseOps.Result result = compute(u, v, labels, gradients, gradientScale);
            accumulate(dLogScale, dSecond);
            return result;
        }
    }

    /**
     * Whether this loss can give its result {@link #valueAndGradientLater later} where row i belongs to column i:
     * {@link SoftmaxLoss} without label smoothing. All others, and any loss with other labels, form numbers on the host
     * from those of a first pass, which they wait for.
     */
    public boolean canBeLater() {
        return false;
    }

    /**
     * {@link #valueAndGradient} where row i belongs to column i, without waiting for its result where the backend has a
     * queue: nothing is looked at on the way, so that the operations can be recorded. What is not finite is found when
     * the result is asked for: get() throws {@link NonFiniteException}.
     *
     * @throws UnsupportedOperationException unless {@link #canBeLater}
     */
    public final Deferred<PairwiseOps.Result> valueAndGradientLater(
            Tensor u, Tensor v, Tensor du, Tensor dv, double gradientScale) {
        requireMatrices(u, v);
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1));
                UnitRows x = UnitRows.unchecked(ops, "u", u);
                UnitRows y = UnitRows.unchecked(ops, "v", v)) {
            PairwiseOps.Gradients gradients = new PairwiseOps.Gradients(du, dv, dLogScale, null);
            Deferred<PairwiseOps.Result> result = runLater(x.unit(), y.unit(), gradients, gradientScale);
            x.back(du);
            y.back(dv);
            accumulate(dLogScale, null);
            return () -> {
                x.requireFinite();
                y.requireFinite();
                PairwiseOps.Result now = result.get();
                requireFinite(now.loss());
                return now;
            };
        }
    }

    /** Bytes of tensors allocated by {@link #valueAndGradientLater} while it runs. */
    public final long laterBytes(int n, int m, int d) {
        long element = ops.parameterDtype().bytes();
        return (n + m) * (d + 1L) * element + element + ops.pairwise().workspaceBytes(n, m, d, true);
    }

    /** Of unit rows; what {@link #canBeLater} promises. */
    Deferred<PairwiseOps.Result> runLater(Tensor x, Tensor y, PairwiseOps.Gradients gradients, double gradientScale) {
        throw new UnsupportedOperationException("this loss waits for numbers on the way; ask for its result at once");
    }

    final void accumulate(Tensor dLogScale, Tensor dSecond) {
        if (!logScale.isFrozen()) {
            ops.pointwise().axpy(1, dLogScale, logScale.gradient());
        }
        if (second != null && !second.isFrozen()) {
            ops.pointwise().axpy(1, dSecond, second.gradient());
        }
    }

    /**
     * How the pairs of a batch lie: accuracy, the distributions of cosines of positives and of negatives, the share of
     * ignored pairs; one more pass over them, with no gradient.
     */
    public final PairMetrics metrics(Tensor u, Tensor v, PairLabels labels) {
        requireMatrices(u, v);
        try (UnitRows x = new UnitRows(ops, "u", u);
                UnitRows y = new UnitRows(ops, "v", v)) {
            Pairing pairing = pairing(u.dim(0), v.dim(0), labels);
            Pairs pairs = new Pairs(x.unit(), y.unit(), 1, pairing);
            PairTileOps tiles = ops.pairTiles();
            PairStatistics statistics = PairStatistics.of(new WholeField(tiles, pairs), List.of());
            return PairMetrics.of(
                    statistics.result(0, 0),
                    tiles.histogram(pairs, PairMetrics.BINS).get());
        }
    }

    /** Bytes of tensors allocated by {@link #metrics} while it runs. */
    public final long metricsBytes(int n, int m, int d) {
        return (n + m) * (d + 1L) * ops.parameterDtype().bytes()
                + ops.pairTiles().workspaceBytes(n, m, d);
    }

    /** Bytes of tensors allocated by {@link #valueAndGradient} while it runs. */
    public long workspaceBytes(int n, int m, int d) {
        long element = ops.parameterDtype().bytes();
        return (n + m) * (d + 1L) * element
                + parameters().size() * element
                + ops.pairTiles().workspaceBytes(n, m, d);
    }

    /**
     * Gradients go where the caller says, none when null, dBias being that of the second parameter; du and dv are
     * with respect to the raw representations.
     */
    final PairwiseOps.Result compute(
            Tensor u, Tensor v, PairLabels labels, PairwiseOps.Gradients gradients, double gradientScale) {
        requireMatrices(u, v);
        try (UnitRows x = new UnitRows(ops, "u", u);
                UnitRows y = new UnitRows(ops, "v", v)) {
            Pairing pairing = pairing(u.dim(0), v.dim(0), labels);
            PairwiseOps.Result result = run(x.unit(), y.unit(), pairing, gradients, gradientScale);
            if (gradients != null) {
                x.back(gradients.dx());
                y.back(gradients.dy());
            }
            return result;
        }
    }

    static void requireMatrices(Tensor u, Tensor v) {
        if (u.shape().rank() != 2 || v.shape().rank() != 2 || u.dim(1) != v.dim(1)) {
            throw new ShapeException("representations are " + u + " and " + v + ", wanted [n, d] and [m, d]");
        }
    }

    /** The same from unit rows. */
    PairwiseOps.Result run(Tensor x, Tensor y, Pairing pairing, PairwiseOps.Gradients gradients, double gradientScale) {
        Pairs pairs = new Pairs(x, y, scale(), pairing);
        Outcome outcome = evaluate(new WholeField(ops.pairTiles(), pairs), biasValue(), gradients != null);
        requireFinite(outcome.loss());
        if (gradients != null) {
            Tensor dBias = hasBias ? gradients.dBias() : null;
            ops.pairTiles()
                    .gradient(
                            pairs,
                            outcome.terms(),
                            new PairwiseOps.Gradients(gradients.dx(), gradients.dy(), gradients.dLogScale(), dBias),
                            gradientScale);
            addSlope(outcome, gradients.dBias(), gradientScale);
        }
        return outcome.statistics().result(outcome.loss(), biasValue());
    }

    /** Where the second parameter is no bias, its gradient is known without the engine; null when not wanted. */
    final void addSlope(Outcome outcome, Tensor dSecond, double gradientScale) {
        if (!hasBias && second != null && dSecond != null) {
            dSecond.set(dSecond.toDoubles()[0] + gradientScale * outcome.slope());
        }
    }

    final void requireFinite(double loss) {
        if (!Double.isFinite(loss)) {
            throw new NonFiniteException(
                    "the loss is " + loss + " at log-scale " + logScale.value().toDoubles()[0], -1);
        }
    }

    /** All pairs of one matrix of rows and one of columns. */
    record WholeField(PairTileOps tiles, Pairs pairs) implements PairField {
        @Override
        public Pairing pairing() {
            return pairs.pairing();
        }

        @Override
        public List<PairTileOps.Reduced> reduce(List<PairTileOps.Reduction> reductions) {
            return tiles.reduce(pairs, reductions).get();
        }
    }

    @Override
    public void close() {
        parameters().forEach(Parameter::close);
    }
}
