package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.ContrastOverEncoders;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.loss.PairMetrics;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;

/** A {@link ContrastiveLoss} within the batch. A batch never holds a concept twice, so its labels are the diagonal. */
final class BatchObjective implements Objective {
    private final ContrastiveLoss loss;
    private final ContrastOverEncoders<TrainBatch> pairs;
    private final List<ChunkEncoder<TrainBatch>> encoders;
    private final Map<String, Double> details = new LinkedHashMap<>();
    private boolean measured;

    BatchObjective(Ops ops, String name, DualEncoder model) {
        loss = Losses.named(ops, name);
        pairs = ContrastOverEncoders.pairs(loss);
        encoders = Encoders.of(ops, model);
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
        details.clear();
        if (measured) {
            PairMetrics metrics = loss.metrics(representations.get(0), representations.get(1), PairLabels.DIAGONAL);
            put("positives", metrics.positives());
            put("negatives", metrics.negatives());
            details.put("ignoredShare", metrics.ignoredShare());
        }
        details.putAll(loss.state());
        return pairs.valueAndGradient(batch, representations, gradients, gradientScale);
    }

    private void put(String which, PairMetrics.Distribution cosines) {
        if (cosines.count() > 0) {
            details.put(which + ".mean", cosines.mean());
            details.put(which + ".p05", cosines.p05());
            details.put(which + ".p50", cosines.p50());
            details.put(which + ".p95", cosines.p95());
        }
    }

    @Override
    public long workspaceBytes(List<Tensor> representations) {
        return pairs.workspaceBytes(representations);
    }

    @Override
    public void beforeUpdate() {}

    @Override
    public void afterStep(PairwiseOps.Result result, int step) {
        loss.afterStep(result);
    }

    @Override
    public Map<String, Tensor> tensors() {
        return Map.of();
    }

    @Override
    public void save(ObjectNode state) {
        loss.state().forEach(state::put);
    }

    @Override
    public void restore(JsonNode state) {
        Map<String, Double> numbers = new LinkedHashMap<>();
        state.properties().forEach(field -> numbers.put(field.getKey(), field.getValue().doubleValue()));
        loss.restore(numbers);
    }

    @Override
    public void close() {
        loss.close();
    }
}
