package org.contrastive4j.support;

import org.contrastive4j.data.Augmentation;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.train.LossConfig;
import org.contrastive4j.train.TrainConfig;

/** Configurations of test runs. */
public final class Configs {
    private Configs() {}

    /** Returns a configuration with gradient caching in the precision of the backend. */
    public static TrainConfig of(
            String data,
            boolean strict,
            String heldOutGroup,
            double unseenShare,
            long seed,
            int steps,
            int batch,
            int chunk,
            long memoryBudget,
            double learningRate,
            int warmup,
            double clip,
            int vocabulary,
            Augmentation augmentation,
            AdamW.Config optimizer,
            DualEncoder.Config model,
            LossConfig loss) {
        return new TrainConfig(
                data,
                strict,
                heldOutGroup,
                unseenShare,
                seed,
                steps,
                batch,
                chunk,
                memoryBudget,
                learningRate,
                warmup,
                clip,
                vocabulary,
                augmentation,
                null,
                optimizer,
                model,
                loss,
                null,
                null,
                null);
    }
}
