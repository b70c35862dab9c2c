package org.contrastive4j.loss;

import static org.contrastive4j.ops.PairTileOps.Axis.ROWS;
import static org.contrastive4j.ops.PairTileOps.Of.NEGATIVES;
import static org.contrastive4j.ops.PairTileOps.Of.POSITIVES;

import java.util.List;
import java.util.Map;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Binary cross-entropy of every pair, a classification of its own: (sum of ln(1 + e^-S_ij) over positives + w sum of
 * ln(1 + e^S_ij) over negatives) / N.
 *
 * <p>Weightings: SUM has the given w and N = n rows, which with w = 1 is SigLIP; BALANCED has w = 1 / (m - 1) and N =
 * n; MEAN has w = 1 and N = the number of pairs that are not ignored. With a {@link NegativesWarmup}, a row has only
 * the k negatives next after its target ({@link Pairing#withWindow}). A row without negatives contributes its
 * positives. One pass for the value. Cost: 8 n m d flops.
 *
 * <p>Source: Zhai et al., Sigmoid loss for language image pre-training, 2023, algorithm 1 (t = ln 10, b = -10 at
 * first).
 *
 * <p>Tested by {@code NegativesWarmupTest}.
 */
final class BinaryLoss extends ContrastiveLoss {
    /** ln 10, the initial log-scale of SigLIP. */
    public static final double INITIAL_LOG_SCALE = Math.log(10);

    private static final String NEGATIVES_KEY = "warmup.negatives";
    private static final String ACCURACY_KEY = "warmup.accuracy";

    /** How negatives are weighted and what the sum is divided by. */
    public enum Weighting {
        SUM,
        BALANCED,
        MEAN
    }

    private final Weighting weighting;
    private final double weight;
    private final NegativesWarmup.@Nullable Controller controller;
    private final @Nullable Tensor window; // the number of negatives for a backend that captures
    private int columns = Integer.MAX_VALUE; // of the last batch: there are no more negatives than this less one

    BinaryLoss(
            Ops ops,
            Weighting weighting,
            double weight,
            @Nullable NegativesWarmup warmup,
            PairPolicy policy,
            double initialBias) {
        super(
                ops,
                LossOptionException.checked(
                        policy,
                        weight > 0 && Double.isFinite(weight),
                        "expected a weight of negatives above 0, got " + weight),
                INITIAL_LOG_SCALE,
                initialBias,
                true);
        this.weighting = weighting;
        this.weight = weight;
        this.controller = warmup == null ? null : new NegativesWarmup.Controller(warmup);
        this.window = controller != null && ops.canCapture() ? ops.ints(Shape.of(1), 1) : null;
    }

    /** Negatives per row at present; all of them, as 0, without a warm-up. */
    public int negatives() {
        return controller == null ? 0 : controller.negatives();
    }

    @Override
    Pairing admit(Pairing pairing) {
        if (controller == null) {
            return pairing;
        }
        columns = pairing.m();
        Pairing limited = pairing.withWindow(controller.negatives());
        return window == null
                ? limited
                : limited.onDevice(new Pairing.OnDevice(null, null, window), Pairing.SameId.IGNORED);
    }

    private void sendWindow() {
        if (window != null && controller != null) {
            ops.send(new int[] {controller.negatives()}, window);
        }
    }

    /** A graph reads the number of negatives of a warm-up from a tensor, which {@link #afterStep} sends. */
    @Override
    public boolean isCapturable() {
        return true;
    }

    @Override
    protected Evaluation evaluate(PairField field, boolean withTerms) {
        Shift ofNegatives = Shift.rows(field.bias());
        Shift ofPositives = new Shift(-1, field.bias().times(-1), null);
        List<Reduced> reduced = field.reduce(List.of(
                Reduction.sum(PairFunction.SOFTPLUS, ROWS, NEGATIVES, ofNegatives, null),
                Reduction.sum(PairFunction.SOFTPLUS, ROWS, POSITIVES, ofPositives, null),
                Reduction.sum(PairFunction.ONE, ROWS, NEGATIVES, Shift.NONE, null)));
        Scalars all = weighting == Weighting.MEAN
                ? field.statistics()
                        .positives
                        .sum()
                        .plus(reduced.get(2).scalars().sum())
                : Scalars.of(field.pairing().n());
        Scalars ofEach = Scalars.of(
                weighting == Weighting.BALANCED
                        ? 1.0 / Math.max(1, field.pairing().m() - 1)
                        : weight);
        Scalars loss = reduced.get(1)
                .scalars()
                .sum()
                .plus(ofEach.times(reduced.get(0).scalars().sum()))
                .over(all);
        List<Term> terms = List.of(
                new Term(PairFunction.SIGMOID, NEGATIVES, ofNegatives, ofEach.over(all), null),
                new Term(
                        PairFunction.SIGMOID,
                        POSITIVES,
                        ofPositives,
                        Scalars.of(-1).over(all),
                        null));
        return new Evaluation(loss, terms);
    }

    @Override
    public void afterStep(PairwiseOps.Result result) {
        super.afterStep(result);
        if (controller != null) {
            controller.step(result.rowAccuracy(), columns - 1);
            sendWindow();
        }
    }

    @Override
    public Map<String, Double> state() {
        return controller == null
                ? super.state()
                : Map.of(NEGATIVES_KEY, controller.exactNegatives(), ACCURACY_KEY, controller.accuracy());
    }

    @Override
    public void restore(Map<String, Double> state) {
        if (controller == null) {
            super.restore(state);
            return;
        }
        Double negatives = state.get(NEGATIVES_KEY);
        Double accuracy = state.get(ACCURACY_KEY);
        if (negatives == null || accuracy == null || state.size() != 2) {
            throw new LossOptionException("state has " + state.keySet() + ", expected " + state().keySet());
        }
        controller.restore(negatives, accuracy);
        sendWindow();
    }

    @Override
    public void close() {
        super.close();
        if (window != null) {
            window.close();
        }
    }
}
