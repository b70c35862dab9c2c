package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.DistilledContrast.Distillation;
import org.contrastive4j.loss.PairMetrics;
import org.contrastive4j.loss.PairPolicy;
import org.contrastive4j.loss.QueueContrast;
import org.contrastive4j.loss.QueueContrast.KeyQueue;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Minimises {@link QueueContrast} with keys of momentum encoders. Past keys of a query's concept are ignored. Where
 * steps are captured, they read the concepts and the step from tensors; each number of keys needs a graph, until the
 * queues are full.
 *
 * <p>Tested by {@code LossStepOnKernelsTest}.
 */
final class QueueObjective extends Objective {
    private final QueueContrast loss;
    private final MomentumEncoders momentum;
    private final Distillation distillation;
    private final SampleLabels conceptOf;
    private final int[] queued; // sample of each slot of the queues; KeyQueue.NO_ID where it is unknown
    private final Tensor concepts; // of the last batch, [n] I32
    private final LossOverEncoders<TrainBatch> overEncoders;
    private int next; // slot of the next key
    private int[] samples = {};

    private QueueObjective(
            Ops ops, TrainConfig config, MomentumEncoders momentum, QueueContrast loss, SampleLabels conceptOf) {
        super(ops, config.batch(), momentum.encoders(), 4);
        this.momentum = momentum;
        this.loss = loss;
        this.conceptOf = conceptOf;
        distillation = config.loss().distillation();
        queued = new int[loss.queueOfU().capacity()];
        Arrays.fill(queued, KeyQueue.NO_ID);
        concepts = ops.ints(Shape.of(config.batch()), new int[config.batch()]);
        overEncoders = ops.canCapture()
                ? LossOverEncoders.of(loss, batch -> concepts, distillation, TrainBatch::clock)
                : LossOverEncoders.of(loss, batch -> concepts, batch -> distillation.at(batch.step()));
    }

    static QueueObjective of(Ops ops, TrainConfig config, DualEncoder model, SampleLabels conceptOf) {
        LossConfig settings = config.loss();
        MomentumEncoders momentum = new MomentumEncoders(ops, config, model);
        QueueContrast loss = null;
        try {
            loss = new QueueContrast(
                    ops,
                    settings.queueSize(),
                    model.config().text().embedding(),
                    PairPolicy.DEFAULT,
                    settings.logScale(),
                    settings.learnsTemperature());
            return new QueueObjective(ops, config, momentum, loss, conceptOf);
        } catch (RuntimeException noMemory) {
            momentum.close();
            if (loss != null) {
                loss.close();
            }
            throw noMemory;
        }
    }

    @Override
    List<Parameter> parameters() {
        return loss.parameters();
    }

    @Override
    public boolean isCapturable() {
        return overEncoders.isCapturable();
    }

    /** Labels the samples of the batch, and of the queue where labels hold among given samples alone. */
    @Override
    void prepare(TrainBatch batch) {
        samples = batch.sampleIds();
        int size = loss.queueOfU().size();
        int[] all = Arrays.copyOf(samples, samples.length + size);
        System.arraycopy(queued, 0, all, samples.length, size);
        int[] labels = conceptOf.labels(all);
        if (labels == null) {
            ops.send(Arrays.stream(samples).map(conceptOf::label).toArray(), concepts);
            return;
        }
        ops.send(Arrays.copyOf(labels, samples.length), concepts);
        int[] ofQueue = Arrays.copyOfRange(labels, samples.length, all.length);
        loss.queueOfU().relabel(ofQueue);
        loss.queueOfV().relabel(ofQueue);
    }

    /** A graph is valid for one number of keys. */
    @Override
    Object graphKey() {
        return loss.queueOfU().size();
    }

    @Override
    Deferred<PairwiseOps.Result> compute(
            TrainBatch batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale) {
        return overEncoders.valueAndGradient(batch, representations, gradients, gradientScale);
    }

    @Override
    public long workspaceBytes(TrainBatch batch, List<Tensor> representations) {
        return overEncoders.workspaceBytes(batch, representations);
    }

    @Override
    PairMetrics metrics(TrainBatch batch) {
        return loss.metrics(last(0), last(1), last(2), last(3), concepts);
    }

    @Override
    long metricsBytes(int pairs) {
        return loss.metricsBytes(pairs, last(0).dim(1));
    }

    @Override
    void describe(TrainBatch batch, Map<String, Double> details) {
        if (distillation.alpha() > 0) {
            details.put("distillation", distillation.at(batch.step()));
        }
        details.put("queue.keys", (double) loss.queueOfU().size());
    }

    @Override
    void beforeUpdate() {
        loss.enqueue(last(2), last(3), concepts);
        for (int sample : samples) {
            queued[next] = sample;
            next = (next + 1) % queued.length;
        }
    }

    @Override
    void afterStep(PairwiseOps.Result result, int step) {
        loss.afterStep(result);
        momentum.update(step);
    }

    @Override
    Map<String, Tensor> tensors() {
        Map<String, Tensor> all = momentum.tensors();
        all.put("queue.image", loss.queueOfU().slots());
        all.put("queue.text", loss.queueOfV().slots());
        return all;
    }

    /** Writes one list of labels and samples: both queues hold the same samples in the same order. */
    @Override
    void save(ObjectNode state) {
        KeyQueue.State queue = loss.queueOfU().state();
        state.put("next", queue.next());
        state.put("size", queue.size());
        ArrayNode ids = state.putArray("ids");
        Arrays.stream(queue.ids()).forEach(ids::add);
        ArrayNode slots = state.putArray("samples");
        Arrays.stream(queued).forEach(slots::add);
    }

    @Override
    void restore(JsonNode state) {
        if (!state.path("next").isInt()
                || !state.path("size").isInt()
                || !state.path("ids").isArray()) {
            throw new IllegalArgumentException("expected next, size and ids of a queue, got "
                    + state.properties().size() + " other fields");
        }
        int[] ids = new int[state.get("ids").size()];
        Arrays.setAll(ids, k -> state.get("ids").get(k).intValue());
        for (KeyQueue queue : List.of(loss.queueOfU(), loss.queueOfV())) {
            queue.restore(new KeyQueue.State(
                    queue.slots().toDoubles(),
                    ids,
                    state.get("next").intValue(),
                    state.get("size").intValue()));
        }
        next = state.get("next").intValue();
        JsonNode slots = state.path("samples"); // older checkpoints have none
        Arrays.setAll(queued, k -> slots.path(k).asInt(KeyQueue.NO_ID));
    }

    @Override
    public void close() {
        super.close();
        concepts.close();
        momentum.close();
        loss.close();
    }
}
