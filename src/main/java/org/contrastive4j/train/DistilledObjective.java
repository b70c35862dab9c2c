package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.DistilledContrast;
import org.contrastive4j.loss.DistilledContrast.Distillation;
import org.contrastive4j.loss.PairMetrics;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Minimises {@link DistilledContrast} within the batch, with the momentum encoders as teacher. Where steps are
 * captured, the share of distillation is computed on the device from the step.
 *
 * <p>Tested by {@code LossStepOnKernelsTest}.
 */
final class DistilledObjective extends Objective {
    private final MomentumEncoders momentum;
    private final DistilledContrast loss;
    private final Distillation distillation;
    private final LossOverEncoders<TrainBatch> overEncoders;

    private DistilledObjective(Ops ops, TrainConfig config, MomentumEncoders momentum, DistilledContrast loss) {
        super(ops, config.batch(), momentum.encoders(), 2);
        this.momentum = momentum;
        this.loss = loss;
        distillation = config.loss().distillation();
        overEncoders = ops.canCapture()
                ? LossOverEncoders.of(loss, distillation, TrainBatch::clock)
                : LossOverEncoders.of(loss, batch -> distillation.at(batch.step()));
    }

    static DistilledObjective of(Ops ops, TrainConfig config, DualEncoder model) {
        LossConfig settings = config.loss();
        DistilledContrast loss = new DistilledContrast(ops, settings.logScale(), settings.learnsTemperature());
        MomentumEncoders momentum = null;
        try {
            momentum = new MomentumEncoders(ops, config, model);
            return new DistilledObjective(ops, config, momentum, loss);
        } catch (RuntimeException noMemory) {
            loss.close();
            if (momentum != null) {
                momentum.close();
            }
            throw noMemory;
        }
    }

    @Override
    public boolean isCapturable() {
        return overEncoders.isCapturable();
    }

    @Override
    List<Parameter> parameters() {
        return loss.parameters();
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
        return loss.metrics(last(0), last(1));
    }

    @Override
    long metricsBytes(int pairs) {
        return loss.metricsBytes(pairs, last(0).dim(1));
    }

    @Override
    void describe(TrainBatch batch, Map<String, Double> details) {
        details.put("distillation", distillation.at(batch.step()));
    }

    @Override
    void afterStep(PairwiseOps.Result result, int step) {
        loss.afterStep(result);
        momentum.update(step);
    }

    @Override
    Map<String, Tensor> tensors() {
        return momentum.tensors();
    }

    /** Writes nothing: the averaged weights are the only state. */
    @Override
    void save(ObjectNode state) {}

    @Override
    void restore(JsonNode state) {
        if (!state.isEmpty()) {
            throw new IllegalArgumentException(
                    "expected no state, got " + state.properties().size() + " fields");
        }
    }

    @Override
    public void close() {
        super.close();
        momentum.close();
        loss.close();
    }
}
