package org.contrastive4j.cli;

import java.nio.file.Path;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.train.LossConfig;
import org.contrastive4j.train.TrainConfig;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options of every command that trains; what is not given is as in {@link TrainConfig#emoji}. */
final class SharedOptions {
    private static final TrainConfig DEFAULT = TrainConfig.emoji();

    @Mixin
    BackendOptions backend;

    @Option(
            names = "--loss-scale",
            description = "where dynamic loss scaling begins, a power of two; "
                    + "without it 32768 in f16 and no scaling in other precisions")
    Double lossScale;

    @Option(names = "--data", description = "folder with captions.tsv or captions.csv, or WebDataset shards")
    Path data = Path.of(DEFAULT.data());

    @Option(names = "--strict", description = "refuse bad pairs instead of leaving them out")
    boolean strict;

    @Option(
            names = "--held-out-group",
            description = "group to test on and not to train on, \"none\" for none; noto for the default data, "
                    + "else none")
    String heldOutGroup;

    @Option(names = "--unseen-share", description = "share of concepts kept out of training")
    double unseenShare = DEFAULT.unseenShare();

    @Option(names = "--steps", description = "optimiser steps")
    int steps = DEFAULT.steps();

    @Option(names = "--chunk", description = "samples encoded at a time, 0 lets the memory budget choose")
    int chunk = DEFAULT.chunk();

    @Option(names = "--memory", description = "budget in MiB: activations of chunks are kept while they fit")
    long memory = DEFAULT.memoryBudget() >> 20;

    @Option(names = "--learning-rate", description = "peak learning rate")
    double learningRate = DEFAULT.learningRate();

    @Option(names = "--warmup", description = "steps of warm-up")
    int warmup = DEFAULT.warmup();

    @Option(names = "--clip", description = "largest global gradient norm, 0 for no clipping")
    double clip = DEFAULT.clip();

    @Option(names = "--weight-decay", description = "AdamW's, on weight matrices only")
    double weightDecay = DEFAULT.optimizer().weightDecay();

    @Option(names = "--vocabulary", description = "largest number of token ids")
    int vocabulary = DEFAULT.vocabulary();

    @Option(names = "--dropout", description = "on both branches of every transformer block")
    double dropout = DEFAULT.model().image().transformer().dropout();

    @Option(names = "--image-layers", description = "transformer blocks of the image encoder")
    int imageLayers = DEFAULT.model().image().transformer().layers();

    @Option(
            names = "--text-layers",
            description = "transformer blocks of the text encoder; 0 takes captions as bags of words")
    int textLayers = DEFAULT.model().text().transformer().layers();

    @Option(names = "--no-augmentation", description = "train on pictures and captions as they are")
    boolean noAugmentation;

    TrainConfig config(long seed, int batch, LossConfig loss) {
        AdamW.Config adam = DEFAULT.optimizer();
        String heldOut = heldOutGroup != null
                ? heldOutGroup
                : data.toString().equals(DEFAULT.data()) ? DEFAULT.heldOutGroup() : "none";
        return new TrainConfig(
                        data.toString(),
                        strict,
                        heldOut.equals("none") ? "" : heldOut,
                        unseenShare,
                        seed,
                        steps,
                        batch,
                        chunk,
                        memory << 20,
                        learningRate,
                        warmup,
                        clip,
                        vocabulary,
                        noAugmentation ? Augmentation.none() : DEFAULT.augmentation(),
                        new AdamW.Config(adam.beta1(), adam.beta2(), adam.epsilon(), weightDecay),
                        model(),
                        loss)
                .with(
                        backend.precision,
                        lossScale == null ? null : new LossScale.Config(lossScale, LossScale.Config.USUAL.growEvery()));
    }

    private DualEncoder.Config model() {
        VisionTransformer.Config image = DEFAULT.model().image();
        TextTransformer.Config text = DEFAULT.model().text();
        return new DualEncoder.Config(
                new VisionTransformer.Config(
                        image.imageSize(),
                        image.kernel(),
                        image.stride(),
                        image.padding(),
                        sized(image.transformer(), imageLayers),
                        image.pooling(),
                        image.embedding()),
                new TextTransformer.Config(
                        text.vocabulary(),
                        text.maxTokens(),
                        sized(text.transformer(), textLayers),
                        text.causal(),
                        text.pooling(),
                        text.embedding()));
    }

    private TransformerConfig sized(TransformerConfig config, int layers) {
        return new TransformerConfig(config.width(), layers, config.heads(), config.mlpWidth(), config.gelu(), dropout);
    }
}
