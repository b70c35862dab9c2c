package org.contrastive4j.cli;

import org.contrastive4j.train.LossConfig;
import org.contrastive4j.train.TrainConfig;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that make a {@link TrainConfig} of one run. */
final class TrainOptions {
    private static final TrainConfig DEFAULT = TrainConfig.emoji();

    @Mixin
    SharedOptions shared;

    @Option(names = "--seed", description = "of everything random")
    long seed = DEFAULT.seed();

    @Option(names = "--batch", description = "pairs in a batch")
    int batch = DEFAULT.batch();

    @Option(names = "--loss", description = "what is minimised, one of the names below")
    String loss = DEFAULT.loss().name();

    @Option(names = "--queue-size",
            description = "keys in each queue of --loss queue, at least a batch; without it 1024, or the batch if larger")
    Integer queueSize;

    @Option(names = "--momentum", description = "of the momentum encoders of --loss queue, in [0, 1); without it "
            + LossConfig.DEFAULT_MOMENTUM)
    Double momentum;

    TrainConfig config() {
        LossConfig usual = LossConfig.named(loss, batch);
        return shared.config(seed, batch, new LossConfig(loss, queueSize == null ? usual.queueSize() : queueSize,
                momentum == null ? usual.momentum() : momentum));
    }
}
