package org.contrastive4j.train;

import java.util.Collections;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.AccumulatedFeatures;
import org.contrastive4j.gradcache.BatchStep;
import org.contrastive4j.gradcache.CapturedStep;
import org.contrastive4j.gradcache.ChunkPlan;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.ops.CapturedGraph;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gradients and updates of a run, step after step: zero the gradients, GradCache with the objective as its loss, the
 * norm of all gradients.
 *
 * <p>Where device and objective allow it, that is one {@link CapturedStep} for each length that captions are padded to,
 * each loss scale and each set of frozen parameters, and the update is a graph of its own. The host then synchronises
 * once a step, for loss, norm and logit scale together, before the update that depends on them. Captured or not, a step
 * has the same bits.
 */
final class TrainingSteps implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(TrainingSteps.class);

    /**
     * What a step returns to the host.
     *
     * @param norm of all gradients as they are, scaled; its get() throws when one is not finite
     * @param logScale that the loss was computed with
     */
    record StepResults(PairwiseOps.Result loss, Deferred<Double> norm, double logScale) {}

    /** What a graph is valid for. */
    private record Shape(TrainBatch.Layout layout, List<Boolean> frozen) {}

    private final Ops ops;
    private final TrainConfig config;
    private final Objective objective;
    private final List<Parameter> parameters;
    private final AdamW optimizer;
    private final @Nullable CapturedStep<TrainBatch, StepResults> captured; // null: steps run eagerly
    private @Nullable BatchStep<TrainBatch, PairwiseOps.Result> gradient; // null before there is a plan
    private @Nullable ChunkPlan plan;
    private @Nullable List<Boolean> updated; // the frozen parameters of the last update
    private @Nullable CapturedGraph update;

    /** @param parameters of the encoders and the objective */
    TrainingSteps(Ops ops, TrainConfig config, Objective objective, List<Parameter> parameters, AdamW optimizer) {
        this.ops = ops;
        this.config = config;
        this.objective = objective;
        this.parameters = parameters;
        this.optimizer = optimizer;
        captured = ops.canCapture() && objective.isCapturable()
                ? new CapturedStep<>(ops, this::runEagerly, this::shape, budget(objective.metricsBytes(config.batch())))
                : null;
        if (config.accumulation() == TrainConfig.Accumulation.FEATURES) {
            gradient = new AccumulatedFeatures<>(
                    ops,
                    objective.encoders(),
                    objective,
                    objective.parameters(),
                    (config.batch() + config.chunk() - 1) / config.chunk());
        }
        if (ops.canCapture()) {
            LOG.info(
                    captured == null
                            ? "steps on {} with loss {} run eagerly: the loss forms scalars on the host"
                            : "steps on {} with loss {} are captured as CUDA graphs",
                    ops.name(),
                    config.loss().name());
        }
    }

    private Shape shape(TrainBatch batch) {
        return new Shape(batch.layout(), frozen());
    }

    private long budget(long reserved) {
        return config.memoryBudget() - reserved;
    }

    /** Whether {@link #run} can be called; otherwise {@link #plan} comes first. */
    boolean isReady() {
        return gradient != null;
    }

    /**
     * Returns bytes of each stage, computed once: everything that a step keeps must be allocated by then. The budget of
     * a captured step includes the fragmentation of its arena, and the measurement of cosines beside that arena.
     *
     * @param largest a batch as large as they get
     * @throws org.contrastive4j.memory.OutOfBudgetException when not even the smallest chunk fits; nothing was changed
     */
    ChunkPlan plan(TrainBatch largest) {
        if (plan == null) {
            parameters.stream().filter(parameter -> !parameter.isFrozen()).forEach(Parameter::gradient);
            GradCache<TrainBatch, PairwiseOps.Result> cache = cache(budget(measurementBytes()));
            cache = captured == null ? cache : cache.forCapture();
            plan = cache.plan(largest);
            gradient = gradient == null ? cache : gradient;
        }
        return plan;
    }

    private GradCache<TrainBatch, PairwiseOps.Result> cache(long budget) {
        return config.chunk() == 0
                ? GradCache.ofBudget(ops, objective.encoders(), objective, budget)
                : GradCache.ofChunks(
                        ops,
                        objective.encoders(),
                        objective,
                        Collections.nCopies(objective.encoders().size(), config.chunk()),
                        budget);
    }

    /**
     * Computes the gradients of a batch, which replace those of the batch before.
     *
     * @param prefetch called once: when a captured step was launched, or before an eager one, which blocks the host
     */
    Deferred<StepResults> run(TrainBatch batch, double scale, Runnable prefetch) {
        if (captured == null) {
            prefetch.run();
            return runEagerly(batch, scale);
        }
        Deferred<StepResults> results = captured.step(batch, scale);
        prefetch.run();
        return results;
    }

    private Deferred<StepResults> runEagerly(TrainBatch batch, double scale) {
        parameters.forEach(Parameter::zeroGradient);
        Deferred<PairwiseOps.Result> loss = gradient.step(batch, scale);
        Deferred<Double> norm = GlobalNorm.deferred(ops, parameters);
        Deferred<double[]> logScale = ops.values(objective.parameters().get(0).value());
        return loss.map(result -> new StepResults(result, norm, logScale.get()[0]));
    }

    private List<Boolean> frozen() {
        return parameters.stream().map(Parameter::isFrozen).toList();
    }

    /**
     * Makes one update from the gradients; see {@link AdamW#step}. It does not synchronise on a device that captures.
     * When it fails, such as for want of memory for a graph, it was not counted.
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
        if (!ops.canCapture() || !now.equals(updated)) { // eagerly once, which loads its kernels
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

    /** Graphs of steps that exist now. */
    int graphs() {
        return captured == null ? 0 : captured.graphs();
    }

    /** Bytes of fragmentation that the plan allows the arena of captured steps; 0 when steps run eagerly. */
    long fragmentationBytes() {
        long step = plan.peak() - plan.base();
        return captured == null ? 0 : CapturedStep.arenaFor(step) - step;
    }

    /**
     * Bytes that measuring the cosines of a step takes in addition to the step's own. An eager step's own are free by
     * then, and are no fewer.
     */
    long measurementBytes() {
        return captured == null ? 0 : objective.metricsBytes(config.batch());
    }

    private void closeUpdate() {
        if (update != null) {
            update.close();
            update = null;
        }
    }

    /** Frees all graphs and their memory; a later step captures again. */
    @Override
    public void close() {
        closeUpdate();
        if (captured != null) {
            captured.close();
        }
    }
}
