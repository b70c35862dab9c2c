package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.ContrastOverEncoders;
import org.contrastive4j.gradcache.RepresentationLoss;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;

/**
 * A {@link ContrastiveLoss} within the batch, with or without a guide. A batch never holds a concept twice, so its
 * labels are the diagonal.
 */
final class BatchObjective implements Objective {
    private static final String GUIDE = "guide";

    private final Ops ops;
    private final ContrastiveLoss loss;
    private final Guide guide;
    private final List<ChunkEncoder<TrainBatch>> encoders;
    private final List<Tensor> last = new ArrayList<>(); // representations of a step that was not waited for
    private final Map<String, Double> details = new LinkedHashMap<>();
    private boolean measured;
    private boolean measuresLast;

    /** @param guide null for none */
    BatchObjective(Ops ops, TrainConfig config, DualEncoder model, Guide guide) {
        this.ops = ops;
        this.guide = guide;
        loss = Losses.named(ops, config.loss().name(), config.loss().options());
        encoders = Encoders.of(ops, model);
        if (ops.canCapture() && canBeLater()) {
            try {
                for (ChunkEncoder<TrainBatch> encoder : encoders) {
                    last.add(ops.allocateParameter(config.batch(), encoder.width()));
                }
            } catch (RuntimeException noMemory) {
                close();
                throw noMemory;
            }
        }
    }

    private boolean canBeLater() {
        return guide == null && loss.canBeLater();
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
        if (measuresLast) {
            Objective.describe(loss.metrics(last.get(0), last.get(1), PairLabels.DIAGONAL), details);
            measuresLast = false;
        }
        return details;
    }

    /** {@inheritDoc} Keeps a copy of all representations: their cosines are measured when the step is done. */
    @Override
    public RepresentationLoss<TrainBatch, Deferred<PairwiseOps.Result>> later() {
        return last.isEmpty() ? null : new WithoutWaiting();
    }

    private final class WithoutWaiting implements RepresentationLoss<TrainBatch, Deferred<PairwiseOps.Result>> {
        @Override
        public Deferred<PairwiseOps.Result> valueAndGradient(
                TrainBatch batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
            for (int side = 0; side < 2; side++) {
                ops.pointwise().copy(representations.get(side), last.get(side));
            }
            return loss.valueAndGradientLater(
                            representations.get(0),
                            representations.get(1),
                            gradients.get(0),
                            gradients.get(1),
                            gradientScale)
                    .map(result -> {
                        details.clear();
                        measuresLast = measured;
                        return result;
                    });
        }

        @Override
        public long workspaceBytes(List<Tensor> representations) {
            return loss.laterBytes(
                    representations.get(0).dim(0),
                    representations.get(1).dim(0),
                    representations.get(0).dim(1));
        }
    }

    @Override
    public long bytesAfter(int pairs) {
        return last.isEmpty() ? 0 : loss.metricsBytes(pairs, pairs, last.get(0).dim(1));
    }

    @Override
    public PairwiseOps.Result valueAndGradient(
            TrainBatch batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
        details.clear();
        int[] samples = batch.sampleIds();
        try (Tensor rows = guide == null ? null : guide.pictures(samples);
                Tensor columns = guide == null ? null : guide.captions(samples)) {
            PairLabels labels = guide == null ? PairLabels.DIAGONAL : PairLabels.guide(rows, columns);
            if (measured) {
                Objective.describe(loss.metrics(representations.get(0), representations.get(1), labels), details);
            }
            details.putAll(loss.state());
            return new ContrastOverEncoders<TrainBatch>(loss, same -> labels)
                    .valueAndGradient(batch, representations, gradients, gradientScale);
        }
    }

    @Override
    public long workspaceBytes(List<Tensor> representations) {
        return ContrastOverEncoders.<TrainBatch>pairs(loss).workspaceBytes(representations)
                + (guide == null
                        ? 0
                        : guide.workspaceBytes(representations.get(0).dim(0)));
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
        if (guide != null) {
            state.put(GUIDE, guide.checksum());
        }
    }

    @Override
    public void restore(JsonNode state) {
        Map<String, Double> numbers = new LinkedHashMap<>();
        state.properties()
                .forEach(field -> numbers.put(field.getKey(), field.getValue().doubleValue()));
        Double checksum = numbers.remove(GUIDE);
        if (guide != null && (checksum == null || checksum != guide.checksum())) {
            throw new IllegalArgumentException("its guide is not the model it was; put that back");
        }
        loss.restore(numbers);
    }

    @Override
    public void close() {
        last.forEach(Tensor::close);
        loss.close();
    }
}
