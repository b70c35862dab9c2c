package org.contrastive4j.train;

import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;

/**
 * Encoders of a {@link TrainConfig} with random weights, and a tokenizer.
 *
 * @param encoder all of it is trained
 * @param captions stored in checkpoints
 */
record NewModel(DualEncoder encoder, Tokenizer captions) implements TrainableModel {
    private static final int TOKENIZER_CAPTIONS = 1_000_000;

    /** Trains a tokenizer on the captions of the training split. */
    static NewModel start(Ops ops, TrainConfig config, PairDataset data) {
        Splits splits = Splits.of(data, config.heldOutGroup(), config.unseenShare(), config.seed());
        return of(ops, config, Tokenizer.train(splits.trainingCaptions(TOKENIZER_CAPTIONS), config.vocabulary(), 2));
    }

    /** Creates the encoders for a tokenizer. */
    static NewModel of(Ops ops, TrainConfig config, Tokenizer tokenizer) {
        DualEncoder.Config sizes = config.model();
        DualEncoder encoder = new DualEncoder(
                ops,
                new DualEncoder.Config(sizes.image(), sizes.text().withVocabulary(tokenizer.size())),
                config.seed());
        return new NewModel(encoder, tokenizer);
    }

    @Override
    public List<Parameter> trained() {
        return encoder.parameters();
    }

    @Override
    public void close() {
        encoder.close();
    }
}
