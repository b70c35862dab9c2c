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
import org.contrastive4j.gradcache.TapeEncoder;
import org.contrastive4j.loss.KeyQueue;
import org.contrastive4j.loss.Momentum;
import org.contrastive4j.loss.QueueContrast;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * {@link QueueContrast} against keys of momentum encoders, which begin as copies of the trained ones and see the same
 * pictures and captions without dropout. Past keys of a query's concept are ignored.
 */
final class QueueObjective implements Objective {
    private final Ops ops;
    private final DualEncoder model;
    private final DualEncoder averaged;
    private final QueueContrast loss;
    private final Momentum momentum;
    private final IntUnaryOperator conceptOf;
    private final List<ChunkEncoder<TrainBatch>> encoders;
    private final List<Tensor> keys = new ArrayList<>(); // of the last batch, pictures' and captions'
    private int[] ids;

    QueueObjective(Ops ops, TrainConfig config, DualEncoder model, IntUnaryOperator conceptOf) {
        this.ops = ops;
        this.model = model;
        this.conceptOf = conceptOf;
        LossConfig settings = config.loss();
        momentum = new Momentum(settings.momentum(), 0);
        averaged = new DualEncoder(ops, model.config(), config.seed());
        try {
            averaged.parameters().forEach(parameter -> parameter.freeze(true));
            int width = model.config().text().embedding();
            keys.add(ops.zeroParameter(Shape.of(config.batch(), width)));
            keys.add(ops.zeroParameter(Shape.of(config.batch(), width)));
            loss = new QueueContrast(ops, settings.queueSize(), width);
        } catch (RuntimeException noMemory) {
            averaged.close();
            keys.forEach(Tensor::close);
            throw noMemory;
        }
        encoders = new ArrayList<>(Encoders.of(ops, model));
        encoders.add(new TapeEncoder<>(ops, "image keys", model.config().image().embedding(), TrainBatch::pairs,
                averaged.image().parameters(), (tape, batch, from, to) -> averaged.image().forward(
                        tape, tape.constant("pictures", batch.pictures(from, to)), null)));
        encoders.add(new TapeEncoder<>(ops, "text keys", model.config().text().embedding(), TrainBatch::pairs,
                averaged.text().parameters(), (tape, batch, from, to) -> averaged.text().forward(
                        tape, tape.hold(batch.tokens(from, to)), tape.hold(batch.lengths(from, to)), null)));
    }

    @Override
    public List<Parameter> parameters() {
        return loss.parameters();
    }

    @Override
    public List<ChunkEncoder<TrainBatch>> encoders() {
        return encoders;
    }

    /** There is nothing to measure: the distribution of cosines is of a batch, and most keys are not in it. */
    @Override
    public void measure(boolean wanted) {}

    @Override
    public Map<String, Double> details() {
        return Map.of("queue.keys", (double) loss.queueOfU().size());
    }

    @Override
    public PairwiseOps.Result valueAndGradient(
            TrainBatch batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
        ids = Arrays.stream(batch.sampleIds()).map(conceptOf).toArray();
        for (int side = 0; side < 2; side++) {
            ops.pointwise().copy(representations.get(2 + side), keys.get(side));
        }
        try (Tensor concepts = ops.ints(Shape.of(ids.length), ids)) {
            return new QueueOverEncoders<TrainBatch>(loss, same -> concepts)
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
        momentum.update(ops, step, model.parameters(), averaged.parameters());
    }

    @Override
    public Map<String, Tensor> tensors() {
        Map<String, Tensor> all = new LinkedHashMap<>();
        averaged.parameters().forEach(parameter -> all.put("momentum." + parameter.name(), parameter.value()));
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
        if (!state.path("next").isInt() || !state.path("size").isInt() || !state.path("ids").isArray()) {
            throw new IllegalArgumentException("a queue wants next, size and ids, given " + state.properties().size()
                    + " other fields");
        }
        int[] concepts = new int[state.get("ids").size()];
        Arrays.setAll(concepts, k -> state.get("ids").get(k).intValue());
        for (KeyQueue queue : List.of(loss.queueOfU(), loss.queueOfV())) {
            queue.restore(new KeyQueue.State(
                    queue.places().toDoubles(), concepts, state.get("next").intValue(), state.get("size").intValue()));
        }
    }

    @Override
    public void close() {
        averaged.close();
        keys.forEach(Tensor::close);
        loss.close();
    }
}
