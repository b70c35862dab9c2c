package org.contrastive4j.train;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.BatchStep;
import org.contrastive4j.gradcache.CapturedStep;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.GradCache.ChunkPlan;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Ops.CapturedGraph;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.optim.LossScale;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Computes the gradients and updates of a run: zeroes the gradients, runs GradCache with the objective as its loss, and
 * computes the norm of all gradients.
 *
 * <p>If the backend and the objective allow it, each combination of padded length, loss scale and frozen parameters is
 * a {@link CapturedStep}, and the update is a CUDA graph of its own. The host synchronises once a step, for loss, norm
 * and logit scale together, before the update that depends on them. Captured and eager steps give the same bits.
 *
 * <p>Tested by {@code CapturedTrainingTest}.
 */
final class TrainingSteps implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(TrainingSteps.class);

    /**
     * The results of a step on the host.
     *
     * @param loss result of the loss
     * @param norm of all scaled gradients; its get() throws if a gradient is not finite
     * @param logScale the log-scale before the update
     * @param second the second parameter of the loss before the update, by name; empty for a loss without one
     */
    record StepResults(PairwiseOps.Result loss, Deferred<Double> norm, double logScale, Map<String, Double> second) {
        /** Returns the norm of the scaled gradients; NaN if one is not finite and the step must be skipped. */
        double norm(LossScale lossScale) {
            try {
                return norm.get();
            } catch (GlobalNorm.NonFiniteGradientException overflow) {
                if (lossScale.overflowed()) {
                    return Double.NaN;
                }
                throw overflow;
            }
        }
    }

    /** The properties that a graph depends on. */
    private record Shape(TrainBatch.Layout layout, List<Boolean> frozen, Object ofObjective) {}

    private final Ops ops;
    private final TrainConfig config;
    private final Objective objective;
    private final List<Parameter> parameters;
    private final AdamW optimizer;
    private final @Nullable CapturedStep<TrainBatch, StepResults> captured; // null if steps run eagerly
    private @Nullable BatchStep<TrainBatch, PairwiseOps.Result> gradient; // null before the plan
    private @Nullable ChunkPlan plan;
    private @Nullable List<Boolean> updated; // which parameters were frozen in the last update
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
            gradient = BatchStep.accumulatingFeatures(
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
        return new Shape(batch.layout(), frozen(), objective.graphKey());
    }

    private long budget(long reserved) {
        return config.memoryBudget() - reserved;
    }

    /** Returns whether {@link #run} can be called; otherwise call {@link #plan} first. */
    boolean isReady() {
        return gradient != null;
    }

    /**
     * Returns the bytes of each stage. They are computed once, after everything that outlives a step was allocated. The
     * budget of a captured step includes the fragmentation of its arena and the measurement of cosines outside it.
     *
     * @param largest a batch of the largest layout
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when not even the smallest chunk fits; nothing has
     *     changed
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

    /**
     * Returns the bytes that steps need, by purpose.
     *
     * @param largest a batch of the largest layout
     * @param all parameters, including frozen ones that {@link #TrainingSteps} was not given
     */
    MemoryPlan memoryPlan(TrainBatch largest, List<Parameter> all) {
        ChunkPlan stages = plan(largest);
        return new MemoryPlan(
                MemoryPlan.bytes(all.stream().map(Parameter::value)),
                MemoryPlan.bytes(parameters.stream()
                        .filter(parameter -> !parameter.isFrozen())
                        .map(Parameter::gradient)),
                MemoryPlan.bytes(optimizer.state().values().stream()),
                largest.bytes(),
                ops.canCapture() ? 2 : 1,
                ops.memory().keptBytes(),
                fragmentationBytes(),
                measurementBytes(),
                stages);
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
     * Computes the gradients of a batch, which replace the previous gradients.
     *
     * @param prefetch called once: after the launch of a captured step, or before an eager step, which blocks the host
     */
    Deferred<StepResults> run(TrainBatch batch, double scale, Runnable prefetch) {
        objective.prepare(batch);
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
        Deferred<PairwiseOps.Result> loss =
                Objects.requireNonNull(gradient, "plan first").step(batch, scale);
        Deferred<Double> norm = GlobalNorm.deferred(ops, parameters);
        List<Parameter> own = objective.parameters();
        Deferred<double[]> logScale = ops.values(own.get(0).value());
        if (own.size() == 1) {
            return loss.map(result -> new StepResults(result, norm, logScale.get()[0], Map.of()));
        }
        Deferred<double[]> second = ops.values(own.get(1).value());
        String name = own.get(1).name();
        String label = name.substring(name.indexOf('.') + 1);
        return loss.map(result -> new StepResults(result, norm, logScale.get()[0], Map.of(label, second.get()[0])));
    }

    private List<Boolean> frozen() {
        return parameters.stream().map(Parameter::isFrozen).toList();
    }

    /**
     * Updates the parameters from the gradients; see {@link AdamW#step}. It does not synchronise on a backend that
     * captures graphs. An update that fails, such as for lack of memory for a graph, is not counted.
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
        if (!ops.canCapture() || !now.equals(updated)) { // the first update runs eagerly, which loads its kernels
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

    /** Returns the number of captured steps that exist now. */
    int graphs() {
        return captured == null ? 0 : captured.graphs();
    }

    /** Returns the planned fragmentation of the arena of captured steps in bytes; 0 if steps run eagerly. */
    long fragmentationBytes() {
        ChunkPlan planned = Objects.requireNonNull(plan, "plan first");
        long step = planned.peak() - planned.base();
        return captured == null ? 0 : CapturedStep.arenaFor(step) - step;
    }

    /**
     * Returns the bytes that measuring cosines needs in addition to the step itself. An eager step has freed its memory
     * by then, which suffices for the measurement.
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
