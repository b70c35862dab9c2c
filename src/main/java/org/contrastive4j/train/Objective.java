package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.RepresentationLoss;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.PairMetrics;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The loss of a run over the representations of a model, with its state in checkpoints. Does not own the model.
 *
 * <p>Every step copies its representations. When the step is done, cosines are measured from the copies and keys are
 * enqueued from them. A step therefore gives the same bits measured or not, captured or not.
 *
 * <p>Tested by {@code LossStepOnKernelsTest}.
 */
abstract class Objective implements RepresentationLoss<TrainBatch, PairwiseOps.Result>, AutoCloseable {
    final Ops ops;
    private final List<ChunkEncoder<TrainBatch>> encoders;
    private final List<Tensor> last = new ArrayList<>();

    /**
     * @param encoders of pictures, of captions, then others
     * @param copied number of encoders whose representations are copied
     */
    Objective(Ops ops, int batch, List<ChunkEncoder<TrainBatch>> encoders, int copied) {
        this.ops = ops;
        this.encoders = encoders;
        try {
            for (ChunkEncoder<TrainBatch> encoder : encoders.subList(0, copied)) {
                last.add(ops.zeroParameter(Shape.of(batch, encoder.width())));
            }
        } catch (RuntimeException noMemory) {
            last.forEach(Tensor::close);
            throw noMemory;
        }
    }

    /**
     * Creates the objective of a run.
     *
     * @param model trained by the run
     * @param conceptOf labels of concepts
     * @param guide of the configuration; null for no guide
     */
    static Objective of(Ops ops, TrainConfig config, DualEncoder model, SampleLabels conceptOf, @Nullable Guide guide) {
        return switch (config.loss().name()) {
            case Losses.QUEUE -> QueueObjective.of(ops, config, model, conceptOf);
            case Losses.DISTILLED -> DistilledObjective.of(ops, config, model);
            default -> BatchObjective.of(ops, config, model, guide);
        };
    }

    /** Returns the log-scale, and the second parameter if the loss has one. */
    abstract List<Parameter> parameters();

    /** Sends what the loss reads of a batch beside its tensors. Called before each step, which may be captured. */
    void prepare(TrainBatch batch) {}

    /** Returns the state that a captured graph has as constants; a graph is valid for an equal one. */
    Object graphKey() {
        return 0;
    }

    /** Sets scale and bias to those of a model, for a loss that pretrained models have. */
    void prepare(TrainableModel model) {}

    /** Computes the loss; see {@link #valueAndGradient}. */
    abstract Deferred<PairwiseOps.Result> compute(
            TrainBatch batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale);

    /** Returns distributions of cosines in the last batch; reads {@link #last}. */
    abstract PairMetrics metrics(TrainBatch batch);

    /** Returns the bytes that {@link #metrics} allocates temporarily. */
    abstract long metricsBytes(int pairs);

    /** Adds measurements of the loss other than its result, by name. */
    abstract void describe(TrainBatch batch, Map<String, Double> details);

    /** Returns the encoders: pictures and captions come first. */
    final List<ChunkEncoder<TrainBatch>> encoders() {
        return encoders;
    }

    /** Returns a copy of an encoder's representations of the last batch. */
    final Tensor last(int encoder) {
        return last.get(encoder);
    }

    @Override
    public final Deferred<PairwiseOps.Result> valueAndGradient(
            TrainBatch batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale) {
        for (int k = 0; k < last.size(); k++) {
            ops.pointwise().copy(representations.get(k), last.get(k));
        }
        return compute(batch, representations, gradients, gradientScale);
    }

    /**
     * Returns measurements of the last batch other than the loss, by name. Called after the result of the loss is
     * available and before {@link #beforeUpdate}.
     *
     * @param measured whether to measure cosines too, in two passes over the pairs
     */
    final Map<String, Double> details(TrainBatch batch, boolean measured) {
        Map<String, Double> details = new LinkedHashMap<>();
        if (measured) {
            PairMetrics metrics = metrics(batch);
            describe("positives", metrics.positives(), details);
            describe("negatives", metrics.negatives(), details);
            details.put("ignoredShare", metrics.ignoredShare());
        }
        describe(batch, details);
        return details;
    }

    private static void describe(String which, PairMetrics.Distribution cosines, Map<String, Double> details) {
        if (cosines.count() > 0) {
            details.put(which + ".mean", cosines.mean());
            details.put(which + ".p05", cosines.p05());
            details.put(which + ".p50", cosines.p50());
            details.put(which + ".p95", cosines.p95());
        }
    }

    /**
     * Stores keys of the batch. Called before the optimiser's step, after all gradients were found finite. This is the
     * last call of a step that may allocate; when it fails, nothing has changed.
     */
    void beforeUpdate() {}

    /**
     * Updates the state of the loss after the optimiser's step. It must not allocate, so that a step either completes
     * or changes nothing.
     *
     * @param step number of optimiser steps before this one
     */
    abstract void afterStep(PairwiseOps.Result result, int step);

    /** Returns the live tensors, other than parameters, that a checkpoint stores, by name. A restore writes to them. */
    Map<String, Tensor> tensors() {
        return Map.of();
    }

    /** Writes the state that is not in tensors. */
    abstract void save(ObjectNode state);

    /**
     * Restores the state that {@link #save} wrote. Called after the tensors were read.
     *
     * @throws IllegalArgumentException when the state belongs to another objective
     */
    abstract void restore(JsonNode state);

    @Override
    public void close() {
        last.forEach(Tensor::close);
    }
}
