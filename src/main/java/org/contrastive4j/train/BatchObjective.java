package org.contrastive4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.loss.PairMetrics;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Minimises a {@link ContrastiveLoss} within the batch, with or without a guide. A batch never holds a concept twice,
 * so the positives are the diagonal.
 *
 * <p>Tested by {@code TrainerTest}.
 */
final class BatchObjective extends Objective {
    private static final String GUIDE = "guide";

    private final ContrastiveLoss loss;
    private final LossOverEncoders<TrainBatch> diagonal;
    private final @Nullable Guide guide;

    private BatchObjective(
            Ops ops, TrainConfig config, DualEncoder model, ContrastiveLoss loss, @Nullable Guide guide) {
        super(ops, config.batch(), Encoders.of(ops, model), 2);
        this.loss = loss;
        this.guide = guide;
        diagonal = LossOverEncoders.of(loss);
    }

    /** @param guide null for no guide */
    static BatchObjective of(Ops ops, TrainConfig config, DualEncoder model, @Nullable Guide guide) {
        ContrastiveLoss loss =
                Losses.named(ops, config.loss().name(), config.loss().options());
        try {
            return new BatchObjective(ops, config, model, loss, guide);
        } catch (RuntimeException noMemory) {
            loss.close();
            throw noMemory;
        }
    }

    @Override
    List<Parameter> parameters() {
        return loss.parameters();
    }

    /** A guide is not captured: its representations and the similarity limits come from the host. */
    @Override
    public boolean isCapturable() {
        return guide == null && diagonal.isCapturable();
    }

    @Override
    void prepare(TrainableModel model) {
        model.prepare(loss);
    }

    @Override
    Deferred<PairwiseOps.Result> compute(
            TrainBatch batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale) {
        return guide == null
                ? diagonal.valueAndGradient(batch, representations, gradients, gradientScale)
                : guided(
                        batch,
                        labels -> LossOverEncoders.<TrainBatch>of(loss, same -> labels)
                                .valueAndGradient(batch, representations, gradients, gradientScale));
    }

    private <T> T guided(TrainBatch batch, Function<PairLabels, T> work) {
        int[] samples = batch.sampleIds();
        Guide used = Objects.requireNonNull(guide);
        try (Tensor rows = used.pictures(samples);
                Tensor columns = used.captions(samples)) {
            return work.apply(PairLabels.guide(rows, columns));
        }
    }

    @Override
    PairMetrics metrics(TrainBatch batch) {
        Function<PairLabels, PairMetrics> measure = labels -> loss.metrics(last(0), last(1), labels);
        return guide == null ? measure.apply(PairLabels.DIAGONAL) : guided(batch, measure);
    }

    @Override
    long metricsBytes(int pairs) {
        return loss.metricsBytes(pairs, pairs, last(0).dim(1)) + (guide == null ? 0 : guide.workspaceBytes(pairs));
    }

    @Override
    public long workspaceBytes(TrainBatch batch, List<Tensor> representations) {
        if (guide == null) {
            return diagonal.workspaceBytes(batch, representations);
        }
        PairLabels likeGuided = PairLabels.guide(representations.get(0), representations.get(1));
        return LossOverEncoders.<TrainBatch>of(loss, same -> likeGuided).workspaceBytes(batch, representations)
                + guide.workspaceBytes(representations.get(0).dim(0));
    }

    @Override
    void describe(TrainBatch batch, Map<String, Double> details) {
        details.putAll(loss.state());
    }

    @Override
    void afterStep(PairwiseOps.Result result, int step) {
        loss.afterStep(result);
    }

    @Override
    void save(ObjectNode state) {
        loss.state().forEach(state::put);
        if (guide != null) {
            state.put(GUIDE, guide.checksum());
        }
    }

    @Override
    void restore(JsonNode state) {
        Map<String, Double> scalars = new LinkedHashMap<>();
        state.properties()
                .forEach(field -> scalars.put(field.getKey(), field.getValue().doubleValue()));
        Double checksum = scalars.remove(GUIDE);
        if (guide != null && (checksum == null || checksum != guide.checksum())) {
            throw new IllegalArgumentException(
                    "the guide has changed since the checkpoint; restore the model of the guide");
        }
        loss.restore(scalars);
    }

    @Override
    public void close() {
        super.close();
        loss.close();
    }
}
