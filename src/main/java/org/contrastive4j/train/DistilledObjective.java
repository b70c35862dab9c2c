package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.loss.Distillation;
import org.contrastive4j.loss.DistilledContrast;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;

/** {@link DistilledContrast} within the batch, its teacher the momentum encoders. */
final class DistilledObjective implements Objective {
    private final MomentumEncoders momentum;
    private final DistilledContrast loss;
    private final Distillation distillation;
    private final List<ChunkEncoder<TrainBatch>> encoders;
    private final Map<String, Double> details = new LinkedHashMap<>();
    private boolean measured;

    DistilledObjective(Ops ops, TrainConfig config, DualEncoder model) {
        LossConfig settings = config.loss();
        distillation = settings.distillation();
        loss = new DistilledContrast(ops, settings.logScale(), settings.learnsTemperature());
        try {
            momentum = new MomentumEncoders(ops, config, model);
        } catch (RuntimeException noMemory) {
            loss.close();
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
        details.clear();
        if (measured) {
            Objective.describe(loss.metrics(representations.get(0), representations.get(1)), details);
        }
        double alpha = distillation.at(batch.step());
        details.put("distillation", alpha);
        return loss.valueAndGradient(
                representations.get(0),
                representations.get(1),
                representations.get(2),
                representations.get(3),
                alpha,
                gradients.get(0),
                gradients.get(1),
                gradientScale);
    }

    @Override
    public long workspaceBytes(List<Tensor> representations) {
        return loss.workspaceBytes(
                representations.get(0).dim(0), representations.get(0).dim(1));
    }

    /** A batch leaves nothing behind. */
    @Override
    public void beforeUpdate() {}

    @Override
    public void afterStep(PairwiseOps.Result result, int step) {
        loss.afterStep(result);
        momentum.update(step);
    }

    @Override
    public Map<String, Tensor> tensors() {
        return momentum.tensors();
    }

    /** The averages are all there is. */
    @Override
    public void save(ObjectNode state) {}

    @Override
    public void restore(JsonNode state) {
        if (!state.isEmpty()) {
            throw new IllegalArgumentException(
                    "it has none, given " + state.properties().size() + " fields");
        }
    }

    @Override
    public void close() {
        momentum.close();
        loss.close();
    }
}
