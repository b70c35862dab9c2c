package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.RepresentationLoss;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.PairMetrics;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;

/** What a run minimises over the representations of a model, which it does not own, and what a checkpoint must keep. */
interface Objective extends RepresentationLoss<TrainBatch, PairwiseOps.Result>, AutoCloseable {
    /**
     * The objective of a run.
     *
     * @param model trained
     * @param conceptOf id of a sample's concept: samples that share it are never each other's negatives
     * @param guide of the configuration, or null
     */
    static Objective of(Ops ops, TrainConfig config, DualEncoder model, IntUnaryOperator conceptOf, Guide guide) {
        return switch (config.loss().name()) {
            case Losses.QUEUE -> new QueueObjective(ops, config, model, conceptOf);
            case Losses.DISTILLED -> new DistilledObjective(ops, config, model);
            default -> new BatchObjective(ops, config, model, guide);
        };
    }

    /** Puts metrics among the details of a step. */
    static void describe(PairMetrics metrics, Map<String, Double> details) {
        describe("positives", metrics.positives(), details);
        describe("negatives", metrics.negatives(), details);
        details.put("ignoredShare", metrics.ignoredShare());
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
     * The same without waiting for its result, for steps that are recorded; null for an objective that cannot: its loss
     * forms numbers on the host from those of a first pass, or it keeps numbers of every batch there. InfoNCE with no
     * label smoothing and no guide can, in both directions, one, or with several positives; every other loss cannot.
     */
    default RepresentationLoss<TrainBatch, Deferred<PairwiseOps.Result>> later() {
        return null;
    }

    /** Bytes that {@link #details} allocates while it runs, when a step that was not waited for is done. */
    default long bytesAfter(int pairs) {
        return 0;
    }

    /** Log-scale, and the loss's second parameter where there is one. */
    List<Parameter> parameters();

    /** What is encoded; pictures and captions come first. */
    List<ChunkEncoder<TrainBatch>> encoders();

    /** Measures the distribution of cosines in the coming batches too, or no longer: one more pass over the pairs. */
    void measure(boolean wanted);

    /** What the last batch measured beside the loss's own result, by name; to be asked for once its result is there. */
    Map<String, Double> details();

    /**
     * Before the optimiser's step, once all gradients are known to be finite: takes in what the batch leaves behind.
     * The last thing in a step that may allocate; when it fails nothing has changed.
     */
    void beforeUpdate();

    /**
     * After the optimiser's step; allocates nothing, so that a step is taken whole or not at all.
     *
     * @param step optimiser steps made before it
     */
    void afterStep(PairwiseOps.Result result, int step);

    /** Tensors beside the parameters that a checkpoint keeps, by name; live: a restore writes into them. */
    Map<String, Tensor> tensors();

    /** Everything else that a checkpoint keeps. */
    void save(ObjectNode state);

    /**
     * Takes back what {@link #save} wrote; the tensors have been read by then.
     *
     * @throws IllegalArgumentException when it is of another objective
     */
    void restore(JsonNode state);

    @Override
    void close();
}
