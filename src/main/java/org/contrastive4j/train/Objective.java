package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
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
 * What a run minimises over the representations of a model, and what a checkpoint must store of it. The model is not
 * owned.
 *
 * <p>Every step copies its representations: cosines are measured from them, and keys enqueued, once the step is done.
 * So a step is the same whether it is measured or not, and whether it is captured or not.
 */
abstract class Objective implements RepresentationLoss<TrainBatch, PairwiseOps.Result>, AutoCloseable {
    final Ops ops;
    private final List<ChunkEncoder<TrainBatch>> encoders;
    private final List<Tensor> last = new ArrayList<>();

    /**
     * @param encoders pictures and captions come first
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
     * @param model trained
     * @param conceptOf id of a sample's concept: samples that share it are never each other's negatives
     * @param guide of the configuration, or null
     */
    static Objective of(
            Ops ops, TrainConfig config, DualEncoder model, IntUnaryOperator conceptOf, @Nullable Guide guide) {
        return switch (config.loss().name()) {
            case Losses.QUEUE -> QueueObjective.of(ops, config, model, conceptOf);
            case Losses.DISTILLED -> DistilledObjective.of(ops, config, model);
            default -> BatchObjective.of(ops, config, model, guide);
        };
    }

    /** Log-scale, and the loss's second parameter where there is one. */
    abstract List<Parameter> parameters();

    /** The loss itself; as {@link #valueAndGradient}. */
    abstract Deferred<PairwiseOps.Result> compute(
            TrainBatch batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale);

    /** Distributions of cosines in the last batch; reads {@link #last}. */
    abstract PairMetrics metrics(TrainBatch batch);

    /** Bytes that {@link #metrics} allocates while it runs. */
    abstract long metricsBytes(int pairs);

    /** Adds what the loss reports of itself beside its result, by name. */
    abstract void describe(TrainBatch batch, Map<String, Double> details);

    /** What is encoded; pictures and captions come first. */
    final List<ChunkEncoder<TrainBatch>> encoders() {
        return encoders;
    }

    /** A copy of an encoder's representations of the last batch. */
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
     * Returns what the last batch reports beside the loss's result, by name; called once that result is there and
     * before {@link #beforeUpdate}.
     *
     * @param measured whether cosines are measured too: two passes over the pairs
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
     * Stores what the batch leaves behind: before the optimiser's step, once all gradients are known to be finite. The
     * last call of a step that may allocate; when it fails nothing has changed.
     */
    void beforeUpdate() {}

    /**
     * Updates the state of the loss after the optimiser's step; allocates nothing, so that a step is taken whole or not
     * at all.
     *
     * @param step optimiser steps made before it
     */
    abstract void afterStep(PairwiseOps.Result result, int step);

    /** Tensors beside the parameters that a checkpoint stores, by name; live: a restore writes into them. */
    Map<String, Tensor> tensors() {
        return Map.of();
    }

    /** Writes everything else that a checkpoint stores. */
    abstract void save(ObjectNode state);

    /**
     * Restores what {@link #save} wrote; the tensors have been read by then.
     *
     * @throws IllegalArgumentException when it is of another objective
     */
    abstract void restore(JsonNode state);

    @Override
    public void close() {
        last.forEach(Tensor::close);
    }
}
