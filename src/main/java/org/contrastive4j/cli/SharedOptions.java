package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.List;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.train.LossConfig;
import org.contrastive4j.train.TrainConfig;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/**
 * Options of every command that trains; the defaults are those of {@link TrainConfig#emoji}.
 *
 * <p>Tested by {@code CommandLineTest}.
 */
final class SharedOptions {
    private static final TrainConfig DEFAULT = TrainConfig.emoji();
    static final String NO_GROUP = "none";

    @Mixin
    BackendOptions backend;

    @Option(
            names = "--loss-scale",
            description = "initial value of dynamic loss scaling, a power of two; "
                    + "default: 32768 in f16, no scaling in other precisions")
    @Nullable
    Double lossScale;

    @Option(
            names = "--data",
            description = "folder with captions.tsv or captions.csv, or WebDataset shards: a folder, a .tar file or a "
                    + "pattern such as \"shards/{00000..00041}.tar\"; the default is looked for in the working folder "
                    + "and in the project of the launcher")
    Path data = DefaultData.RELATIVE;

    @Option(names = "--strict", description = "refuse bad pairs instead of leaving them out")
    boolean strict;

    @Option(
            names = "--held-out-group",
            description = "group to test on and not to train on, \"none\" for none; default: noto for the default "
                    + "data, none for other data")
    @Nullable
    String heldOutGroup;

    @Option(names = "--unseen-share", description = "share of concepts kept out of training")
    double unseenShare = DEFAULT.unseenShare();

    @Option(names = "--steps", description = "optimiser steps of the whole run")
    int steps = DEFAULT.steps();

    @Option(
            names = "--chunk",
            description = "samples encoded at a time, at most the batch; 0 lets the memory budget choose; "
                    + "default: 128, or the batch if that is smaller")
    @Nullable
    Integer chunk;

    @Option(names = "--memory", description = "budget in MiB: activations of chunks are kept while they fit")
    long memory = DEFAULT.memoryBudget() >> 20;

    @Option(names = "--learning-rate", description = "peak learning rate")
    double learningRate = DEFAULT.learningRate();

    @Option(names = "--warmup", description = "steps of warm-up")
    int warmup = DEFAULT.warmup();

    @Option(names = "--clip", description = "largest global gradient norm, 0 for no clipping")
    double clip = DEFAULT.clip();

    @Option(names = "--weight-decay", description = "AdamW's weight decay, applied to weight matrices only")
    double weightDecay = DEFAULT.optimizer().weightDecay();

    @Option(names = "--vocabulary", description = "largest number of token ids")
    int vocabulary = DEFAULT.vocabulary();

    @Option(names = "--dropout", description = "dropout probability of both branches of every transformer block")
    double dropout = DEFAULT.model().image().transformer().dropout();

    @Option(names = "--image-size", description = "side in pixels that pictures are scaled to, a multiple of the patch")
    int imageSize = DEFAULT.model().image().imageSize();

    @Option(names = "--patch", description = "side of a patch of the image encoder in pixels")
    int patch = DEFAULT.model().image().kernel();

    @Option(names = "--image-width", description = "width of a token of the image encoder, a multiple of its heads")
    int imageWidth = DEFAULT.model().image().transformer().width();

    @Option(names = "--image-heads", description = "attention heads of the image encoder")
    int imageHeads = DEFAULT.model().image().transformer().heads();

    @Option(names = "--image-layers", description = "transformer blocks of the image encoder")
    int imageLayers = DEFAULT.model().image().transformer().layers();

    @Option(names = "--text-width", description = "width of a token of the text encoder, a multiple of its heads")
    int textWidth = DEFAULT.model().text().transformer().width();

    @Option(names = "--text-heads", description = "attention heads of the text encoder")
    int textHeads = DEFAULT.model().text().transformer().heads();

    @Option(
            names = "--text-layers",
            description = "transformer blocks of the text encoder; 0 treats captions as bags of words")
    int textLayers = DEFAULT.model().text().transformer().layers();

    @Option(names = "--text-length", description = "tokens of a caption; longer ones are cut")
    int textLength = DEFAULT.model().text().maxTokens();

    @Option(names = "--embedding", description = "width of the representations that are compared")
    int embedding = DEFAULT.model().image().embedding();

    @Mixin
    AugmentationOptions augmentation;

    /** Returns the configuration of a new run. */
    TrainConfig config(long seed, int batch, LossConfig loss) {
        AdamW.Config adam = DEFAULT.optimizer();
        return DEFAULT.toBuilder()
                .data(DefaultData.located(data).toAbsolutePath().normalize().toString())
                .strict(strict)
                .heldOutGroup(heldOut())
                .unseenShare(unseenShare)
                .seed(seed)
                .steps(steps)
                .batch(batch)
                .chunk(chunk(batch))
                .memoryBudget(memory << 20)
                .learningRate(learningRate)
                .warmup(warmup)
                .clip(clip)
                .vocabulary(vocabulary)
                .augmentation(augmentation.augmentation(isDefaultData() ? DEFAULT.augmentation() : Augmentation.clip()))
                .optimizer(new AdamW.Config(adam.beta1(), adam.beta2(), adam.epsilon(), weightDecay))
                .model(model())
                .loss(loss)
                .precision(backend.precision)
                .lossScale(
                        lossScale == null ? null : new LossScale.Config(lossScale, LossScale.Config.USUAL.growEvery()))
                .build();
    }

    private String heldOut() {
        String group = heldOutGroup != null ? heldOutGroup : isDefaultData() ? DEFAULT.heldOutGroup() : NO_GROUP;
        return group.equals(NO_GROUP) ? "" : group;
    }

    private boolean isDefaultData() {
        return data.equals(DefaultData.RELATIVE);
    }

    /** Returns the samples encoded at a time; the default is at most the batch. */
    int chunk(int batch) {
        return chunk != null ? chunk : Math.max(1, Math.min(DEFAULT.chunk(), batch));
    }

    /**
     * Checks that no option of the model is without effect.
     *
     * @throws IllegalArgumentException with the options that size parts that the model does not have
     */
    void refuseIgnored(ParseResult given) {
        if (imageLayers == 0) {
            IgnoredOptions.refuse(given, List.of("--image-heads"), "without effect with --image-layers 0");
        }
        if (textLayers == 0) {
            IgnoredOptions.refuse(given, List.of("--text-heads"), "without effect with --text-layers 0");
        }
        if (imageLayers == 0 && textLayers == 0) {
            IgnoredOptions.refuse(given, List.of("--dropout"), "without effect on encoders without transformer blocks");
        }
    }

    private DualEncoder.Config model() {
        if (patch < 1 || imageSize < 1 || imageSize % patch != 0) {
            throw new IllegalArgumentException(
                    "--image-size " + imageSize + " is not a multiple of --patch " + patch + "; choose a multiple");
        }
        VisionTransformer.Config image = DEFAULT.model().image();
        TextTransformer.Config text = DEFAULT.model().text();
        return new DualEncoder.Config(
                new VisionTransformer.Config(
                        imageSize,
                        patch,
                        patch,
                        image.padding(),
                        sized(image.transformer(), imageWidth, imageHeads, imageLayers),
                        image.pooling(),
                        embedding),
                new TextTransformer.Config(
                        text.vocabulary(),
                        textLength,
                        sized(text.transformer(), textWidth, textHeads, textLayers),
                        text.causal(),
                        text.pooling(),
                        embedding));
    }

    /** Returns a changed configuration; the hidden layer of a block keeps its ratio to the width. */
    private TransformerConfig sized(TransformerConfig usual, int width, int heads, int layers) {
        int hidden = width * (usual.mlpWidth() / usual.width());
        return new TransformerConfig(width, layers, heads, hidden, usual.gelu(), dropout);
    }
}
