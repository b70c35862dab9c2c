package org.contrastive4j.train;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.Pooling;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.tensor.Precision;
import org.jspecify.annotations.Nullable;

/**
 * Everything that decides the result of a training run: the same configuration on the same data gives the same bits.
 *
 * @param data path of the pairs
 * @param strict whether a bad pair is an error; otherwise it is left out and counted
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
 * @param optimizer settings of AdamW
 * @param model sizes of both encoders
 * @param loss null, as in checkpoints written before losses could be chosen, stands for InfoNCE
 * @param accumulation null, likewise, stands for gradient caching
 * @param precision null until a run has begun, and in checkpoints written before precisions could be chosen: that of
 *     the backend
 * @param lossScale null for none; without one, a run in f16 takes {@link LossScale.Config#USUAL}
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
        /** One loss for each chunk, see {@link org.contrastive4j.gradcache.AccumulatedFeatures}. */
        FEATURES
    }

    /**
     * Checks the settings that no other type checks.
     *
     * @throws IllegalArgumentException naming the setting, the value that was given and those that are allowed
     */
    @JsonCreator
    public TrainConfig {
        loss = loss == null ? LossConfig.named("infonce", batch) : loss;
        accumulation = accumulation == null ? Accumulation.GRADCACHE : accumulation;
        require(steps >= 1, "steps is " + steps + ", expected 1 or more");
        require(chunk >= 0, "chunk is " + chunk + ", expected 1 or more, or 0 to let the budget choose");
        require(
                chunk <= batch,
                "chunk is " + chunk + ", larger than the batch of " + batch + "; choose one of at most " + batch);
        require(
                accumulation == Accumulation.GRADCACHE || chunk > 0,
                "accumulated features cannot be planned for a budget, got a chunk of 0; choose one of 1 or more");
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

    /** Padding, the unknown token and one piece of a word. */
    private static final int SMALLEST_VOCABULARY = 3;

    private static void require(boolean condition, String message) {
        if (!condition) {
            throw new IllegalArgumentException(message);
        }
    }

    /** Creates a configuration with gradient caching, in the precision of the backend it will run on. */
    public TrainConfig(
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
        this(
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
                optimizer,
                model,
                loss,
                Accumulation.GRADCACHE,
                null,
                null);
    }

    /**
     * Checks that a run can go on with this configuration: it differs from that of the run in no more than the number
     * of steps, the learning rate, the memory budget and the path of the data.
     *
     * @param run configuration that the run had so far
     * @param step number of steps it has made
     * @throws IllegalArgumentException when it differs in more, or ends before {@code step}
     */
    void requireContinues(TrainConfig run, int step) {
        require(steps >= step, "the run has made " + step + " steps, expected that many or more, got " + steps);
        TrainConfig unchanged = toBuilder()
                .steps(run.steps)
                .learningRate(run.learningRate)
                .memoryBudget(run.memoryBudget)
                .data(run.data)
                .build();
        require(
                unchanged.equals(run),
                "a resumed run can change its steps, learning rate, memory budget and path of the data, got "
                        + unchanged + ", the run has " + run);
    }

    /** Returns a builder that starts from this configuration. */
    public Builder toBuilder() {
        return new Builder(this);
    }

    /**
     * Returns this configuration in the precision of the backend that it runs on.
     *
     * @throws IllegalArgumentException when it is made for another precision
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
     * Returns the default run: the emoji of test-data, about two minutes on two cores.
     *
     * <p>The text encoder has no transformer block: captions are sets of words, and attention over them memorised pairs
     * of words. Without it R@1 on a new design is some six points higher in the same time, and no lower on new concepts
     * (bench/results/2026-11-emoji-retrieval.md).
     */
    public static TrainConfig emoji() {
        TransformerConfig image = new TransformerConfig(96, 1, 3, 384, PointwiseOps.Gelu.QUICK, 0.1);
        TransformerConfig text = new TransformerConfig(96, 0, 3, 192, PointwiseOps.Gelu.QUICK, 0.1);
        int embedding = 256;
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
                new Augmentation(0.08, 0.12, 8, 0.15, 0.4, 0.4),
                new AdamW.Config(0.9, 0.98, 1e-8, 1.5),
                new DualEncoder.Config(
                        new VisionTransformer.Config(32, 8, 8, 0, image, Pooling.FLATTEN, embedding),
                        new TextTransformer.Config(8000, 16, text, false, Pooling.MEAN, embedding)),
                LossConfig.named("infonce", 1024));
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
            optimizer = from.optimizer;
            model = from.model;
            loss = from.loss;
            accumulation = from.accumulation;
            precision = from.precision;
            lossScale = from.lossScale;
        }

        /** Sets {@link TrainConfig#data}. */
        public Builder data(String value) {
            data = value;
            return this;
        }

        /** Sets {@link TrainConfig#strict}. */
        public Builder strict(boolean value) {
            strict = value;
            return this;
        }

        /** Sets {@link TrainConfig#heldOutGroup}. */
        public Builder heldOutGroup(String value) {
            heldOutGroup = value;
            return this;
        }

        /** Sets {@link TrainConfig#unseenShare}. */
        public Builder unseenShare(double value) {
            unseenShare = value;
            return this;
        }

        /** Sets {@link TrainConfig#seed}. */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /** Sets {@link TrainConfig#steps}. */
        public Builder steps(int value) {
            steps = value;
            return this;
        }

        /** Sets {@link TrainConfig#batch}. */
        public Builder batch(int value) {
            batch = value;
            return this;
        }

        /** Sets {@link TrainConfig#chunk}. */
        public Builder chunk(int value) {
            chunk = value;
            return this;
        }

        /** Sets {@link TrainConfig#memoryBudget}. */
        public Builder memoryBudget(long value) {
            memoryBudget = value;
            return this;
        }

        /** Sets {@link TrainConfig#learningRate}. */
        public Builder learningRate(double value) {
            learningRate = value;
            return this;
        }

        /** Sets {@link TrainConfig#warmup}. */
        public Builder warmup(int value) {
            warmup = value;
            return this;
        }

        /** Sets {@link TrainConfig#clip}. */
        public Builder clip(double value) {
            clip = value;
            return this;
        }

        /** Sets {@link TrainConfig#vocabulary}. */
        public Builder vocabulary(int value) {
            vocabulary = value;
            return this;
        }

        /** Sets {@link TrainConfig#augmentation}. */
        public Builder augmentation(Augmentation value) {
            augmentation = value;
            return this;
        }

        /** Sets {@link TrainConfig#optimizer}. */
        public Builder optimizer(AdamW.Config value) {
            optimizer = value;
            return this;
        }

        /** Sets {@link TrainConfig#model}. */
        public Builder model(DualEncoder.Config value) {
            model = value;
            return this;
        }

        /** Sets {@link TrainConfig#loss}. */
        public Builder loss(LossConfig value) {
            loss = value;
            return this;
        }

        /** Sets {@link TrainConfig#accumulation}. */
        public Builder accumulation(Accumulation value) {
            accumulation = value;
            return this;
        }

        /** Sets {@link TrainConfig#precision}. */
        public Builder precision(@Nullable Precision value) {
            precision = value;
            return this;
        }

        /** Sets {@link TrainConfig#lossScale}. */
        public Builder lossScale(LossScale.@Nullable Config value) {
            lossScale = value;
            return this;
        }

        /**
         * Returns the changed configuration.
         *
         * @throws IllegalArgumentException when the settings do not go together
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
                    optimizer,
                    model,
                    loss,
                    accumulation,
                    precision,
                    lossScale);
        }
    }
}
