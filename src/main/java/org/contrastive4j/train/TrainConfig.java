package org.contrastive4j.train;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.Preprocessing;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.tensor.Precision;
import org.jspecify.annotations.Nullable;

/**
 * The configuration of a training run. The same configuration on the same data gives the same bits.
 *
 * <p>Tested by {@code TrainerTest}.
 *
 * @param data path of the pairs
 * @param strict whether an invalid pair is an error; otherwise it is left out and counted
 * @param heldOutGroup group to test on and not to train on; empty for none
 * @param unseenShare share of the concepts kept out of training, in [0, 1)
 * @param seed of everything random
 * @param steps optimiser steps of the whole run
 * @param batch pairs in a batch
 * @param chunk samples encoded at a time; 0 lets the memory budget choose
 * @param memoryBudget largest number of live bytes; activations of chunks are kept while they fit
 * @param learningRate peak of the schedule
 * @param warmup steps until the peak
 * @param clip largest global norm of the gradients, 0 for no clipping
 * @param vocabulary largest number of token ids
 * @param augmentation random changes of pictures and captions
 * @param preprocessing from a picture to the input of the image encoder; null, as in old checkpoints, stands for {@link
 *     Preprocessing#symmetric}
 * @param optimizer settings of AdamW
 * @param model sizes of both encoders
 * @param loss null, as in old checkpoints, stands for InfoNCE
 * @param accumulation null, as in old checkpoints, stands for gradient caching
 * @param precision null for the precision of the backend, before a run has begun and in old checkpoints
 * @param lossScale null for no loss scaling; a run in f16 then uses {@link LossScale.Config#USUAL}
 */
public record TrainConfig(
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
        Preprocessing preprocessing,
        AdamW.Config optimizer,
        DualEncoder.Config model,
        LossConfig loss,
        Accumulation accumulation,
        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Precision precision,
        @JsonInclude(JsonInclude.Include.NON_NULL) LossScale.@Nullable Config lossScale) {
    /** How the gradient of a whole batch is computed. */
    public enum Accumulation {
        /** One loss over the whole batch, see {@link org.contrastive4j.gradcache.GradCache}. */
        GRADCACHE,
        /** One loss for each chunk, see {@link org.contrastive4j.gradcache.BatchStep#accumulatingFeatures}. */
        FEATURES
    }

    /**
     * Checks the settings.
     * @param data path of the pairs
     * @param strict whether an invalid pair is an error
     * @param heldOutGroup group to test on and not to train on; empty for none
     * @param unseenShare share of the concepts kept out of training, in [0, 1)
     * @param seed of everything random
     * @param steps optimiser steps of the whole run
     * @param batch pairs in a batch
     * @param chunk samples encoded at a time; 0 lets the memory budget choose
     * @param memoryBudget largest number of live bytes
     * @param learningRate peak of the schedule
     * @param warmup steps until the peak
     * @param clip largest global norm of the gradients, 0 for no clipping
     * @param vocabulary largest number of token ids
     * @param augmentation random changes of pictures and captions
     * @param preprocessing null for {@link Preprocessing#symmetric} of the model's picture size
     * @param optimizer settings of AdamW
     * @param model sizes of both encoders
     * @param loss null for InfoNCE
     * @param accumulation null for gradient caching
     * @param precision null for the precision of the backend
     * @param lossScale null for no loss scaling
     * @throws IllegalArgumentException with the setting, its value and the allowed values
     */
    @JsonCreator
    public TrainConfig {
        require(batch >= 1, "batch is " + batch + ", expected 2 pairs or more");
        loss = loss == null ? LossConfig.named("infonce", batch) : loss;
        accumulation = accumulation == null ? Accumulation.GRADCACHE : accumulation;
        preprocessing =
                preprocessing == null ? Preprocessing.symmetric(model.image().imageSize()) : preprocessing;
        require(
                preprocessing.size() == model.image().imageSize(),
                "preprocessing to " + preprocessing.size() + " pixels for an image encoder of "
                        + model.image().imageSize() + " pixels, expected equal sizes");
        require(steps >= 1, "steps is " + steps + ", expected 1 or more");
        require(chunk >= 0, "chunk is " + chunk + ", expected 1 or more, or 0 to let the budget choose");
        require(
                chunk <= batch,
                "chunk is " + chunk + ", larger than the batch of " + batch + "; choose one of at most " + batch);
        require(
                accumulation == Accumulation.GRADCACHE || chunk > 0,
                "accumulated features need a chunk of 1 or more, got 0; the memory budget cannot choose it");
        require(
                !loss.name().equals(Losses.QUEUE) || loss.queueSize() >= batch,
                "a queue of " + loss.queueSize() + " keys is smaller than the batch of " + batch
                        + "; choose one of at least " + batch);
        require(memoryBudget >= 1, "memory budget is " + memoryBudget + " bytes, expected 1 or more");
        require(
                learningRate > 0 && Double.isFinite(learningRate),
                "learning rate is " + learningRate + ", expected a finite number above 0");
        require(warmup >= 0, "warm-up is " + warmup + " steps, expected 0 or more");
        require(clip >= 0, "clip is " + clip + ", expected a norm above 0, or 0 for no clipping");
        require(
                vocabulary >= SMALLEST_VOCABULARY,
                "vocabulary is " + vocabulary + ", expected " + SMALLEST_VOCABULARY + " token ids or more");
    }

    private static final int SMALLEST_VOCABULARY = 3; // padding, the unknown token and one piece of a word

    private static void require(boolean condition, String message) {
        if (!condition) {
            throw new IllegalArgumentException(message);
        }
    }

    /** {@return a builder that starts from this configuration} */
    public Builder toBuilder() {
        return new Builder(this);
    }

    /**
     * Returns this configuration in the precision of the backend that it runs on.
     *
     * @throws IllegalArgumentException when the configuration has another precision
     */
    TrainConfig on(Precision backend) {
        if (precision != null && precision != backend) {
            throw new IllegalArgumentException("the run is in " + precision + " and the backend computes in " + backend
                    + "; open the backend in " + precision);
        }
        boolean needsScale = lossScale == null && backend == Precision.F16;
        return toBuilder()
                .precision(backend)
                .lossScale(needsScale ? LossScale.Config.USUAL : lossScale)
                .build();
    }

    /**
     * {@return the configuration of the default run, which takes about two minutes on two cores}
     *
     * <p>The text encoder has no transformer block: attention memorised pairs of words. Without it, R@1 on an unseen
     * design is about six points higher (bench/results/2026-11-emoji-retrieval.md).
     */
    public static TrainConfig emoji() {
        TransformerConfig image = new TransformerConfig(96, 1, 3, 384, PointwiseOps.Gelu.QUICK, 0.1);
        TransformerConfig text = new TransformerConfig(96, 0, 3, 192, PointwiseOps.Gelu.QUICK, 0.1);
        return new TrainConfig(
                "test-data/emoji",
                false,
                "noto",
                0.109, // 191 of the 1,911 concepts
                1,
                600,
                1024,
                128,
                2L << 30,
                5e-3,
                25,
                1,
                8000,
                Augmentation.emoji(),
                Preprocessing.symmetric(32),
                new AdamW.Config(0.9, 0.98, 1e-8, 1.5),
                new DualEncoder.Config(
                        new VisionTransformer.Config(32, 8, 8, 0, image, Pooling.FLATTEN, 256),
                        new TextTransformer.Config(8000, 16, text, false, Pooling.MEAN, 256)),
                LossConfig.named("infonce", 1024),
                Accumulation.GRADCACHE,
                null,
                null);
    }

    /** Changes some settings of a configuration and leaves the others. */
    public static final class Builder {
        private String data;
        private boolean strict;
        private String heldOutGroup;
        private double unseenShare;
        private long seed;
        private int steps;
        private int batch;
        private int chunk;
        private long memoryBudget;
        private double learningRate;
        private int warmup;
        private double clip;
        private int vocabulary;
        private Augmentation augmentation;
        private Preprocessing preprocessing;
        private AdamW.Config optimizer;
        private DualEncoder.Config model;
        private LossConfig loss;
        private Accumulation accumulation;
        private @Nullable Precision precision;
        private LossScale.@Nullable Config lossScale;

        private Builder(TrainConfig from) {
            data = from.data;
            strict = from.strict;
            heldOutGroup = from.heldOutGroup;
            unseenShare = from.unseenShare;
            seed = from.seed;
            steps = from.steps;
            batch = from.batch;
            chunk = from.chunk;
            memoryBudget = from.memoryBudget;
            learningRate = from.learningRate;
            warmup = from.warmup;
            clip = from.clip;
            vocabulary = from.vocabulary;
            augmentation = from.augmentation;
            preprocessing = from.preprocessing;
            optimizer = from.optimizer;
            model = from.model;
            loss = from.loss;
            accumulation = from.accumulation;
            precision = from.precision;
            lossScale = from.lossScale;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#data}}
         * @param value to set
         */
        public Builder data(String value) {
            data = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#strict}}
         * @param value to set
         */
        public Builder strict(boolean value) {
            strict = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#heldOutGroup}}
         * @param value to set
         */
        public Builder heldOutGroup(String value) {
            heldOutGroup = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#unseenShare}}
         * @param value to set
         */
        public Builder unseenShare(double value) {
            unseenShare = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#seed}}
         * @param value to set
         */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#steps}}
         * @param value to set
         */
        public Builder steps(int value) {
            steps = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#batch}}
         * @param value to set
         */
        public Builder batch(int value) {
            batch = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#chunk}}
         * @param value to set
         */
        public Builder chunk(int value) {
            chunk = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#memoryBudget}}
         * @param value to set
         */
        public Builder memoryBudget(long value) {
            memoryBudget = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#learningRate}}
         * @param value to set
         */
        public Builder learningRate(double value) {
            learningRate = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#warmup}}
         * @param value to set
         */
        public Builder warmup(int value) {
            warmup = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#clip}}
         * @param value to set
         */
        public Builder clip(double value) {
            clip = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#vocabulary}}
         * @param value to set
         */
        public Builder vocabulary(int value) {
            vocabulary = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#augmentation}}
         * @param value to set
         */
        public Builder augmentation(Augmentation value) {
            augmentation = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#preprocessing}}
         * @param value to set
         */
        public Builder preprocessing(Preprocessing value) {
            preprocessing = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#optimizer}}
         * @param value to set
         */
        public Builder optimizer(AdamW.Config value) {
            optimizer = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#model} and the size of the preprocessing}
         * @param value to set
         */
        public Builder model(DualEncoder.Config value) {
            model = value;
            preprocessing = preprocessing.withSize(value.image().imageSize());
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#loss}}
         * @param value to set
         */
        public Builder loss(LossConfig value) {
            loss = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#accumulation}}
         * @param value to set
         */
        public Builder accumulation(Accumulation value) {
            accumulation = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#precision}}
         * @param value to set
         */
        public Builder precision(@Nullable Precision value) {
            precision = value;
            return this;
        }

        /**
         * {@return this builder, after setting {@link TrainConfig#lossScale}}
         * @param value to set
         */
        public Builder lossScale(LossScale.@Nullable Config value) {
            lossScale = value;
            return this;
        }

        /**
         * {@return the changed configuration}
         * @throws IllegalArgumentException when a setting is out of range or conflicts with another
         */
        public TrainConfig build() {
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
                    preprocessing,
                    optimizer,
                    model,
                    loss,
                    accumulation,
                    precision,
                    lossScale);
        }
    }
}
