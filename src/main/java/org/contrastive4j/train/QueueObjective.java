package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.QueueOverEncoders;
import org.contrastive4j.loss.Distillation;
import org.contrastive4j.loss.KeyQueue;
import org.contrastive4j.loss.PairPolicy;
import org.contrastive4j.loss.QueueContrast;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** {@link QueueContrast} against keys of momentum encoders. Past keys of a query's concept are ignored. */
final class QueueObjective implements Objective {
    private final Ops ops;
    private final QueueContrast loss;
    private final MomentumEncoders momentum;
    private final Distillation distillation;
    private final IntUnaryOperator conceptOf;
    private final List<ChunkEncoder<TrainBatch>> encoders;
    private final List<Tensor> keys = new ArrayList<>(); // of the last batch, pictures' and captions'
    private final Map<String, Double> details = new LinkedHashMap<>();
    private int[] ids;
    private boolean measured;

    QueueObjective(Ops ops, TrainConfig config, DualEncoder model, IntUnaryOperator conceptOf) {
        this.ops = ops;
        this.conceptOf = conceptOf;
        LossConfig settings = config.loss();
        distillation = settings.distillation();
        momentum = new MomentumEncoders(ops, config, model);
        try {
            int width = model.config().text().embedding();
            keys.add(ops.zeroParameter(Shape.of(config.batch(), width)));
            keys.add(ops.zeroParameter(Shape.of(config.batch(), width)));
            loss = new QueueContrast(
                    ops,
                    settings.queueSize(),
                    width,
                    PairPolicy.DEFAULT,
                    settings.logScale(),
                    settings.learnsTemperature());
        } catch (RuntimeException noMemory) {
            momentum.close();
            keys.forEach(Tensor::close);
            throw noMemory;
        }
        encoders = momentum.encoders();
    }

    @Override
    public List<Parameter> parameters() {
        return loss.parameters();
    }

    @Override
    public List<ChunkEncoder<TrainBatch>> encoders() {
        return encoders;
    }

    @Override
    public void measure(boolean wanted) {
        measured = wanted;
    }

    @Override
    public Map<String, Double> details() {
        return details;
    }

    @Override
    public PairwiseOps.Result valueAndGradient(
            TrainBatch batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
        ids = Arrays.stream(batch.sampleIds()).map(conceptOf).toArray();
        for (int side = 0; side < 2; side++) {
            ops.pointwise().copy(representations.get(2 + side), keys.get(side));
        }
        details.clear();
        double alpha = distillation.at(batch.step());
        if (distillation.alpha() > 0) {
            details.put("distillation", alpha);
        }
        details.put("queue.keys", (double) loss.queueOfU().size());
        try (Tensor concepts = ops.ints(Shape.of(ids.length), ids)) {
            if (measured) {
                Objective.describe(
                        loss.metrics(
                                representations.get(0),
                                representations.get(1),
                                representations.get(2),
                                representations.get(3),
                                concepts),
                        details);
            }
            return new QueueOverEncoders<TrainBatch>(loss, same -> concepts, () -> alpha)
                    .valueAndGradient(batch, representations, gradients, gradientScale);
        }
    }

    @Override
    public long workspaceBytes(List<Tensor> representations) {
        return new QueueOverEncoders<TrainBatch>(loss, same -> null).workspaceBytes(representations)
                + (long) representations.get(0).dim(0) * Integer.BYTES;
    }

    @Override
    public void beforeUpdate() {
        try (Tensor concepts = ops.ints(Shape.of(ids.length), ids)) {
            loss.enqueue(keys.get(0), keys.get(1), concepts);
        }
    }

    @Override
    public void afterStep(PairwiseOps.Result result, int step) {
        loss.afterStep(result);
        momentum.update(step);
    }

    @Override
    public Map<String, Tensor> tensors() {
        Map<String, Tensor> all = momentum.tensors();
        all.put("queue.image", loss.queueOfU().places());
        all.put("queue.text", loss.queueOfV().places());
        return all;
    }

    /** Both queues take the same samples at the same time: one list of ids stands for both. */
    @Override
    public void save(ObjectNode state) {
        KeyQueue.State queue = loss.queueOfU().state();
        state.put("next", queue.next());
        state.put("size", queue.size());
        ArrayNode concepts = state.putArray("ids");
        Arrays.stream(queue.ids()).forEach(concepts::add);
    }

    @Override
    public void restore(JsonNode state) {
        if (!state.path("next").isInt()
                || !state.path("size").isInt()
                || !state.path("ids").isArray()) {
            throw new IllegalArgumentException("a queue wants next, size and ids, given "
                    + state.properties().size() + " other fields");
        }
        int[] concepts = new int[state.get("ids").size()];
        Arrays.setAll(concepts, k -> state.get("ids").get(k).intValue());
        for (KeyQueue queue : List.of(loss.queueOfU(), loss.queueOfV())) {
            queue.restore(new KeyQueue.State(
                    queue.places().toDoubles(),
                    concepts,
                    state.get("next").intValue(),
                    state.get("size").intValue()));
        }
    }

    @Override
    public void close() {
        momentum.close();
        keys.forEach(Tensor::close);
        loss.close();
    }
}
