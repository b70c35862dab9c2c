package org.contrastive4j.train;

import java.util.Collections;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.AccumulatedFeatures;
import org.contrastive4j.gradcache.BatchStep;
import org.contrastive4j.gradcache.CapturedStep;
import org.contrastive4j.gradcache.ChunkPlan;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.RepresentationLoss;
import org.contrastive4j.ops.CapturedGraph;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.tensor.Tensor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gradients and updates of a run, step after step.
 *
 * <p>Where the backend records, the update is recorded, and with an objective that waits for nothing ({@link
 * Objective#later}) all that comes before it: zeroed gradients, both passes of every chunk, the loss and the norm are one
 * {@link CapturedStep} for each length that captions are padded to, each loss scale and each set of frozen parameters.
 * The host then waits once in a step, for the loss, the norm and the logit scale together, before the update that
 * depends on them. Recorded or not, a step has the same bits.
 */
final class TrainingSteps implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(TrainingSteps.class);

    /** What a step leaves for the host; to be asked for in this order. */
    record Given(Deferred<PairwiseOps.Result> result, Deferred<Double> norm, Deferred<double[]> logScale) {}

    /** What a recording is good for. */
    private record Shape(TrainBatch.Layout layout, List<Boolean> frozen) {}

    private final Ops ops;
    private final TrainConfig config;
    private final Objective objective;
    private final List<Parameter> parameters;
    private final AdamW optimizer;
    private final boolean waits;
    private final RepresentationLoss<TrainBatch, Deferred<PairwiseOps.Result>> loss;
    private BatchStep<TrainBatch, Deferred<PairwiseOps.Result>> gradient; // by caching: null before there is a plan
    private ChunkPlan plan;
    private CapturedStep<TrainBatch, Given> recorded;
    private List<Boolean> updated; // the frozen parameters of the last update
    private CapturedGraph update;

    /** @param parameters of the encoders and the objective */
    TrainingSteps(Ops ops, TrainConfig config, Objective objective, List<Parameter> parameters, AdamW optimizer) {
        this.ops = ops;
        this.config = config;
        this.objective = objective;
        this.parameters = parameters;
        this.optimizer = optimizer;
        RepresentationLoss<TrainBatch, Deferred<PairwiseOps.Result>> later =
                ops.canCapture() ? objective.later() : null;
        waits = later == null;
        loss = waits ? atOnce(objective) : later;
        if (config.accumulation() == TrainConfig.Accumulation.FEATURES) {
            gradient = new AccumulatedFeatures<>(
                    ops,
                    objective.encoders(),
                    loss,
                    objective.parameters(),
                    (config.batch() + config.chunk() - 1) / config.chunk());
        }
        if (ops.canCapture()) {
            LOG.info(
                    waits
                            ? "steps on {} are given operation by operation: loss {} waits for numbers on the way"
                            : "steps on {} with loss {} are recorded and run again as one piece",
                    ops.name(),
                    config.loss().name());
        }
    }

    private static RepresentationLoss<TrainBatch, Deferred<PairwiseOps.Result>> atOnce(Objective objective) {
        return new RepresentationLoss<>() {
            @Override
            public Deferred<PairwiseOps.Result> valueAndGradient(
                    TrainBatch batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
                PairwiseOps.Result result =
                        objective.valueAndGradient(batch, representations, gradients, gradientScale);
                return () -> result;
            }

            @Override
            public long workspaceBytes(List<Tensor> representations) {
                return objective.workspaceBytes(representations);
            }
        };
    }

    /** Whether {@link #give} can be called; otherwise it wants a plan first. */
    boolean isReady() {
        return gradient != null;
    }

    /** Whether {@link #give} comes back when its work is done, not when it is given. */
    boolean waits() {
        return waits;
    }

    /**
     * Bytes of each stage, made once: all that a step keeps must be there. The budget is for a recorded step with the
     * gaps in its scratch and with what measures its cosines after it.
     *
     * @param largest a batch as large as they get
     * @throws org.contrastive4j.memory.OutOfBudgetException when not even the smallest chunk fits; nothing was changed
     */
    ChunkPlan plan(TrainBatch largest) {
        if (plan == null) {
            parameters.stream().filter(parameter -> !parameter.isFrozen()).forEach(Parameter::gradient);
            GradCache<TrainBatch, Deferred<PairwiseOps.Result>> cache =
                    cache(config.memoryBudget() - objective.bytesAfter(largest.pairs()));
            cache = waits ? cache : cache.recorded();
            plan = cache.plan(largest);
            gradient = gradient == null ? cache : gradient;
        }
        return plan;
    }

    private GradCache<TrainBatch, Deferred<PairwiseOps.Result>> cache(long budget) {
        return config.chunk() == 0
                ? GradCache.ofBudget(ops, objective.encoders(), loss, budget)
                : GradCache.ofChunks(
                        ops,
                        objective.encoders(),
                        loss,
                        Collections.nCopies(objective.encoders().size(), config.chunk()),
                        budget);
    }

    /**
     * Gradients of a batch in the place of those before; where nothing {@link #waits}, the work is given and not waited
     * for.
     */
    Given give(TrainBatch batch, double scale) {
        if (waits) {
            return directly(batch, scale);
        }
        if (recorded == null) {
            recorded = new CapturedStep<>(
                    ops,
                    this::directly,
                    of -> new Shape(of.layout(), frozen()),
                    config.memoryBudget() - objective.bytesAfter(batch.pairs()));
        }
        return recorded.step(batch, scale);
    }

    private Given directly(TrainBatch batch, double scale) {
        parameters.forEach(Parameter::zeroGradient);
        Deferred<PairwiseOps.Result> result = gradient.step(batch, scale);
        return new Given(
                result,
                GlobalNorm.deferred(ops, parameters),
                ops.values(objective.parameters().get(0).value()));
    }

    private List<Boolean> frozen() {
        return parameters.stream().map(Parameter::isFrozen).toList();
    }

    /**
     * One update from the gradients; see {@link AdamW#step}. Waits for nothing where the backend records. When it fails,
     * such as for want of memory for a recording, it was not counted.
     */
    void update(double rate, double gradientScale) {
        int before = optimizer.steps();
        optimizer.advance(rate, gradientScale);
        try {
            applyUpdate();
        } catch (RuntimeException | Error failed) {
            optimizer.restoreSteps(before);
            throw failed;
        }
    }

    private void applyUpdate() {
        List<Boolean> now = frozen();
        if (!ops.canCapture() || !now.equals(updated)) { // done directly once, that all is loaded
            optimizer.apply();
            closeUpdate();
            updated = now;
            return;
        }
        if (update == null) {
            update = ops.capture(optimizer::apply, null);
        }
        update.run();
    }

    /** Recorded kinds of steps there are now. */
    int recordings() {
        return recorded == null ? 0 : recorded.recordings();
    }

    /** Of the scratch of recorded steps for this plan; 0 where none are recorded. */
    long gapBytes() {
        long step = plan.peak() - plan.base();
        return waits ? 0 : CapturedStep.scratchFor(step) - step;
    }

    private void closeUpdate() {
        if (update != null) {
            update.close();
            update = null;
        }
    }

    /** Drops what was recorded and its memory; a later step records again. */
    @Override
    public void close() {
        closeUpdate();
        if (recorded != null) {
            recorded.close();
        }
    }
}
