package org.contrastive4j.train;

import java.nio.file.Path;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;

/** A model as its newest checkpoint has it: weights, configuration, tokenizer. */
public final class TrainedModel implements AutoCloseable {
    private final Ops ops;
    private final TrainConfig config;
    private final Tokenizer tokenizer;
    private final DualEncoder model;

    private TrainedModel(Ops ops, TrainConfig config, Tokenizer tokenizer, DualEncoder model) {
        this.ops = ops;
        this.config = config;
        this.tokenizer = tokenizer;
        this.model = model;
    }

    /**
     * Loads the newest checkpoint of a run folder.
     *
     * @throws CheckpointException when there is none, or it is damaged
     */
    public static TrainedModel load(Ops ops, Path run) {
        Path checkpoint = new Checkpoint(run.resolve("checkpoints"), 1)
                .latest()
                .orElseThrow(() -> new CheckpointException(
                        "no checkpoint in " + run + "; train first, or name the run folder with --run"));
        TrainerState state = TrainerState.read(checkpoint);
        TrainConfig config = state.config();
        Tokenizer tokenizer = state.tokenizer();
        DualEncoder.Config sizes = config.model();
        DualEncoder model = new DualEncoder(
                ops,
                new DualEncoder.Config(sizes.image(), sizes.text().withVocabulary(tokenizer.size())),
                config.seed());
        try (Objective trainedWith = Objective.of(ops, config, model, id -> id, null)) {
            Checkpoint.restore(checkpoint, Trainer.weights(model, trainedWith), null);
        } catch (RuntimeException failure) {
            model.close();
            throw failure;
        }
        return new TrainedModel(ops, config, tokenizer, model);
    }

    /** Returns the tokenizer of the text encoder. */
    public Tokenizer tokenizer() {
        return tokenizer;
    }

    /** Returns the configuration that the model was trained with. */
    public TrainConfig config() {
        return config;
    }

    /** The pairs at {@code path}, those of the run when null. */
    public PairDataset data(Path path) {
        return PairDataset.open(path == null ? Path.of(config.data()) : path, config.strict());
    }

    /** The splits that the run was trained with. */
    public Splits splits(PairDataset data) {
        return Splits.of(data, config.heldOutGroup(), config.unseenShare(), config.seed());
    }

    public Embedder embedder(PairDataset data) {
        return new Embedder(
                ops,
                model,
                data,
                new BatchMaker(
                        data,
                        tokenizer,
                        config.model().image().imageSize(),
                        config.model().text().maxTokens(),
                        config.seed()));
    }

    @Override
    public void close() {
        model.close();
    }
}
