package org.contrastive4j.train;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.List;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.internal.batch.Representations;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.jspecify.annotations.Nullable;

/**
 * The model of the newest checkpoint of a run: weights, configuration and tokenizer.
 *
 * <p>Tested by {@code SixteenBitTrainingTest}.
 */
public final class TrainedModel implements AutoCloseable {
    private static final String BIAS = "loss.bias";

    private final Ops ops;
    private final TrainConfig config;
    private final NewModel model;
    private final double logitScale;
    private final double logitBias;

    private TrainedModel(Ops ops, TrainConfig config, NewModel model, double logitScale, double logitBias) {
        this.ops = ops;
        this.config = config;
        this.model = model;
        this.logitScale = logitScale;
        this.logitBias = logitBias;
    }

    /**
     * Loads the newest checkpoint of a run folder.
     *
     * @param ops backend
     * @param run folder of the run
     * @return the model; the caller closes it
     * @throws CheckpointException when the run has no checkpoint, or it is damaged
     */
    public static TrainedModel load(Ops ops, Path run) {
        Path checkpoint = new Checkpoint(run.resolve("checkpoints"), 1)
                .latest()
                .orElseThrow(() -> new CheckpointException(
                        "no checkpoint in " + run + "; train first, or name the run folder with --run"));
        TrainerState state = TrainerState.read(checkpoint);
        TrainConfig config = state.config();
        if (!state.origin().isEmpty()) {
            throw new CheckpointException(run + " fine-tunes a pretrained model, so its checkpoints lack the frozen"
                    + " weights; open the result with --from " + run.resolve("model") + ", or --from "
                    + state.origin().get(TrainableModel.LOCATION) + " --adapter " + run.resolve("adapter"));
        }
        NewModel model = NewModel.of(ops, config, state.tokenizer());
        try (Objective trainedWith = Objective.of(ops, config, model.encoder(), id -> id, null)) {
            Checkpoint.restore(
                    checkpoint, TrainerState.weights(Trainer.parameters(model.trained(), trainedWith)), null);
            return new TrainedModel(ops, config, model, value(trainedWith, "loss.log_scale"), value(trainedWith, BIAS));
        } catch (RuntimeException failure) {
            model.close();
            throw failure;
        }
    }

    /** Returns a parameter of a loss; 0 if it has none of that name. */
    private static double value(Objective objective, String name) {
        return objective.parameters().stream()
                .filter(parameter -> parameter.name().equals(name))
                .mapToDouble(parameter -> parameter.value().toDoubles()[0])
                .findFirst()
                .orElse(0);
    }

    /**
     * Returns the natural logarithm of the factor of cosines.
     *
     * @return a finite number
     */
    public double logitScale() {
        return logitScale;
    }

    /**
     * Returns the number that the loss added to scaled cosines.
     *
     * @return 0 for a loss without a bias
     */
    public double logitBias() {
        return logitBias;
    }

    /**
     * Computes unit representations of pictures.
     *
     * @param pictures decoded
     * @return [pictures, d]; the caller closes the tensor
     */
    public Tensor embedPictures(List<BufferedImage> pictures) {
        return Representations.ofPictures(ops, model.encoder(), config.preprocessing(), pictures);
    }

    /**
     * Computes unit representations of texts.
     *
     * @param texts not empty
     * @return [texts, d]; the caller closes the tensor
     */
    public Tensor embedTexts(List<String> texts) {
        return Representations.ofTexts(ops, model.encoder(), model.captions(), texts);
    }

    /**
     * Returns the tokenizer of the text encoder.
     *
     * @return the tokenizer
     */
    public Tokenizer tokenizer() {
        return model.captions();
    }

    /**
     * Returns the configuration that the model was trained with.
     *
     * @return the configuration
     */
    public TrainConfig config() {
        return config;
    }

    /**
     * Opens pairs.
     *
     * @param path of the pairs; null for the pairs of the run
     * @return the pairs
     */
    public PairDataset data(@Nullable Path path) {
        return PairDataset.open(path == null ? Path.of(config.data()) : path, config.strict());
    }

    /**
     * Returns the splits that the run was trained with.
     *
     * @param data pairs of the run
     * @return training and test splits
     */
    public Splits splits(PairDataset data) {
        return Splits.of(data, config.heldOutGroup(), config.unseenShare(), config.seed());
    }

    /**
     * Returns an embedder with this model.
     *
     * @param data pairs to embed
     * @return an embedder, valid until the model is closed
     */
    public Embedder embedder(PairDataset data) {
        return new Embedder(
                ops,
                model.encoder(),
                data,
                new BatchMaker(
                        data,
                        model.captions(),
                        config.preprocessing(),
                        config.model().text().maxTokens(),
                        config.seed()));
    }

    @Override
    public void close() {
        model.close();
    }
}
