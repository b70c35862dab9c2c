package org.contrastive4j.train;

import java.util.Arrays;
import java.util.function.Supplier;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.loss.Losses.NotConvergedException;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.tensor.Precision;

/** Adds the number of the step and its samples to exceptions of losses and gradients. */
final class StepFailures {
    private final PairDataset data;
    private final TrainConfig config;

    StepFailures(PairDataset data, TrainConfig config) {
        this.data = data;
        this.config = config;
    }

    /**
     * Returns the result of a part of a step.
     *
     * @param step counted from 1
     * @throws Trainer.TrainingStoppedException when a value is not finite or a loss did not converge
     */
    <T> T explained(int step, TrainBatch batch, Supplier<T> work) {
        try {
            return work.get();
        } catch (NonFiniteException e) {
            String advice =
                    config.precision() == Precision.F16 ? "; the largest f16 is 65504, bf16 has the range of f32" : "";
            throw stopped(step, which(batch, e.row()) + ": " + e.getMessage() + advice, batch, e);
        } catch (GlobalNorm.NonFiniteGradientException | NotConvergedException e) {
            throw stopped(step, ": " + e.getMessage(), batch, e);
        }
    }

    private String which(TrainBatch batch, int row) {
        if (row < 0) {
            return "";
        }
        int sample = batch.sampleIds()[row];
        return ", sample " + sample + " (" + data.pair(sample).picture() + ")";
    }

    private static Trainer.TrainingStoppedException stopped(
            int step, String reason, TrainBatch batch, RuntimeException cause) {
        return new Trainer.TrainingStoppedException(
                "stopped at step " + step + reason + "; the samples of the batch are "
                        + Arrays.toString(batch.sampleIds()),
                cause);
    }
}
