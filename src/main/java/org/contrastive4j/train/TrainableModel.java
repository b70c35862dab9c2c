package org.contrastive4j.train;

import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.BatchMaker.CaptionEncoder;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.nn.DualEncoder;

/** An image and a text encoder for a {@link Trainer}, with the tokenizer of their captions. */
public interface TrainableModel extends AutoCloseable {
    /** The value of {@link #origin} that may differ on resume: the path of the model. */
    String LOCATION = "from";

    /**
     * Returns the encoders.
     *
     * @return owned by this model
     */
    DualEncoder encoder();

    /**
     * Returns the parameters that are trained. Checkpoints contain these; all others come from elsewhere on resume.
     *
     * @return parameters of the encoders, in a fixed order
     */
    List<Parameter> trained();

    /**
     * Returns the factor of a parameter's learning rate.
     *
     * @param parameter one of {@link #trained}
     * @return a positive number
     */
    default double rateFactor(Parameter parameter) {
        return 1;
    }

    /**
     * Returns the tokenizer of captions.
     *
     * @return owned by this model
     */
    CaptionEncoder captions();

    /**
     * Sets the scale and bias of a new loss to those of the model, and freezes them if they are not trained. A model
     * that keeps the initial values of the loss does nothing.
     *
     * @param loss owned by the trainer
     */
    default void prepare(ContrastiveLoss loss) {}

    /**
     * Returns what a resumed run must have in common with this model, such as a fingerprint of the frozen weights.
     * Checkpoints and config.json contain it.
     *
     * @return JSON values by name; empty for a model that a checkpoint contains as a whole
     */
    default Map<String, Object> origin() {
        return Map.of();
    }

    @Override
    void close();
}
