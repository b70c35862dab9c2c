package org.contrastive4j.pretrained;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.Batch;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.ChunkPlan;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;

/**
 * Optimiser steps on a {@link PretrainedModel} with the exact gradient of a whole batch, encoded in chunks.
 *
 * <p>What is frozen when this is made has no gradients and no optimiser state, and encoders record nothing that only
 * frozen weights would need. A model with low-rank adapters keeps its logit scale and bias, as with PEFT.
 */
public final class FineTuner implements AutoCloseable {
    /**
     * Settings of a run.
     *
     * @param chunk samples encoded at a time; 0 lets the budget choose
     * @param memoryBudget most live bytes; activations of chunks are kept while they fit
     * @param clip largest global norm of the gradients, 0 for no clipping
     * @param optimizer settings of AdamW
     * @param seed of dropout
     */
    public record Settings(int chunk, long memoryBudget, double clip, AdamW.Config optimizer, long seed) {}

    private final PretrainedModel model;
    private final ContrastiveLoss loss;
    private final Settings settings;
    private final GradCache<TrainBatch, PairwiseOps.Result> cache;
    private final List<Parameter> trained = new ArrayList<>();
    private final Map<AdamW, Double> optimizers = new LinkedHashMap<>();
    private final Ops ops;
    private final boolean adapts;
    private int step;

    /**
     * Prepares to train what is not frozen.
     *
     * @param ops backend of the model
     * @param model with its frozen parameters or adapters set; stays the caller's
     * @param tuning rates of the layers; its locks must have been applied
     * @param settings of the run
     * @throws PretrainedException when everything is frozen
     */
    public FineTuner(Ops ops, PretrainedModel model, FineTuning tuning, Settings settings) {
        this.ops = ops;
        this.model = model;
        this.settings = settings;
        Map<Double, List<Parameter>> groups = tuning.groups(model.encoder());
        if (groups.isEmpty()) {
            throw new PretrainedException("every parameter of both towers is frozen: nothing is left to train");
        }
        adapts = model.encoder().parameters().stream()
                .anyMatch(parameter -> parameter.name().contains(".lora_"));
        loss = model.loss();
        List<ChunkEncoder<TrainBatch>> encoders = Encoders.of(ops, model.encoder());
        cache = settings.chunk() == 0
                ? GradCache.ofBudget(ops, encoders, LossOverEncoders.of(loss), settings.memoryBudget())
                : GradCache.ofChunks(
                        ops,
                        encoders,
                        LossOverEncoders.of(loss),
                        Collections.nCopies(encoders.size(), settings.chunk()),
                        settings.memoryBudget());
        try {
            groups.forEach((factor, parameters) -> {
                optimizers.put(new AdamW(ops, parameters, settings.optimizer()), factor);
                trained.addAll(parameters);
            });
            if (adapts) {
                loss.parameters().forEach(parameter -> parameter.freeze(true)); // adapter files do not hold them
            } else {
                optimizers.put(new AdamW(ops, loss.parameters(), settings.optimizer()), 1.0);
                trained.addAll(loss.parameters());
            }
            trained.forEach(Parameter::gradient); // allocated before the plan of the memory
        } catch (RuntimeException noMemory) {
            close();
            throw noMemory;
        }
    }

    /**
     * Returns the trained parameters; without adapters these include the scale and bias of the loss.
     *
     * @return in a fixed order
     */
    public List<Parameter> trained() {
        return List.copyOf(trained);
    }

    /**
     * Returns the loss, which has the current scale and bias.
     *
     * @return a loss of this family, to be closed
     */
    public ContrastiveLoss loss() {
        return loss;
    }

    /**
     * Returns the bytes of each stage of a step on batches of this size, without running a step.
     *
     * @param batch pictures and captions of one step
     * @return a table of bytes
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when not even the smallest chunk fits
     */
    public ChunkPlan plan(Batch batch) {
        try (TrainBatch sent = new TrainBatch(ops, batch, settings.seed(), step)) {
            return cache.plan(sent);
        }
    }

    /**
     * Updates the trained parameters once.
     *
     * @param batch pictures and captions of one step
     * @param learningRate of this step
     * @return the loss before the update, and statistics
     */
    public PairwiseOps.Result step(Batch batch, double learningRate) {
        trained.forEach(Parameter::zeroGradient);
        PairwiseOps.Result result;
        try (TrainBatch sent = new TrainBatch(ops, batch, settings.seed(), step)) {
            result = cache.step(sent, 1).get();
        }
        double scale = GlobalNorm.clip(GlobalNorm.of(ops, trained), settings.clip());
        optimizers.forEach((optimizer, factor) -> optimizer.step(learningRate * factor, scale));
        if (!adapts && model.config().family() == PretrainedConfig.Family.CLIP) {
            loss.afterStep(result); // SigLIP is published with scales above the bound of CLIP
        }
        model.adoptScale(loss);
        step++;
        return result;
    }

    @Override
    public void close() {
        optimizers.keySet().forEach(AdamW::close);
        loss.close();
    }
}
