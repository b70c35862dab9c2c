package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.TapeEncoder;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.DistilledContrast.Momentum;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/**
 * Momentum encoders: a copy of the model whose weights are an exponential moving average of the trained weights. They
 * start with the same weights and encode the same pictures and captions, without dropout.
 */
final class MomentumEncoders implements AutoCloseable {
    private final Ops ops;
    private final DualEncoder model;
    private final DualEncoder averaged;
    private final Momentum momentum;

    /** @param model the trained model, either newly initialised from the seed, or restored together with this one */
    MomentumEncoders(Ops ops, TrainConfig config, DualEncoder model) {
        this.ops = ops;
        this.model = model;
        momentum = config.loss().momentum();
        averaged = new DualEncoder(ops, model.config(), config.seed());
        averaged.parameters().forEach(parameter -> parameter.freeze(true));
    }

    /** Returns the trained encoders of pictures and captions, then the momentum encoders of pictures and captions. */
    List<ChunkEncoder<TrainBatch>> encoders() {
        List<ChunkEncoder<TrainBatch>> all = new ArrayList<>(Encoders.of(ops, model));
        all.add(new TapeEncoder<>(
                ops,
                "image keys",
                model.config().image().embedding(),
                TrainBatch::pairs,
                averaged.image().parameters(),
                (tape, batch, from, to) ->
                        averaged.image().forward(tape, tape.constant("pictures", batch.pictures(from, to)), null)));
        all.add(new TapeEncoder<>(
                ops,
                "text keys",
                model.config().text().embedding(),
                TrainBatch::pairs,
                averaged.text().parameters(),
                (tape, batch, from, to) -> averaged.text()
                        .forward(tape, tape.hold(batch.tokens(from, to)), tape.hold(batch.lengths(from, to)), null)));
        return all;
    }

    /** Updates the averages with the trained weights. */
    void update(int step) {
        momentum.update(ops, step, model.parameters(), averaged.parameters());
    }

    /** Returns the weights of the momentum encoders by name; a checkpoint reads and writes them. */
    Map<String, Tensor> tensors() {
        Map<String, Tensor> all = new LinkedHashMap<>();
        averaged.parameters().forEach(parameter -> all.put("momentum." + parameter.name(), parameter.value()));
        return all;
    }

    @Override
    public void close() {
        averaged.close();
    }
}
