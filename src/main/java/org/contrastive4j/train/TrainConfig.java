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

/**
 * Everything that decides a training run: the same configuration on the same data gives the same bits.
 *
 * @param data path of the pairs
 * @param strict refuse bad pairs instead of leaving them out
 * @param heldOutGroup group to test on and not to train on; empty for none
 * @param unseenShare share of the concepts kept out of training
 * @param seed of everything random
 * @param steps optimiser steps
 * @param batch pairs in a batch
 * @param chunk samples encoded at a time; 0 lets the memory budget choose
 * @param memoryBudget most live bytes; activations of chunks are kept while they fit
 * @param learningRate peak
 * @param warmup steps
 * @param clip largest global norm of the gradients, 0 for no clipping
 * @param vocabulary largest number of token ids
 * @param loss null, as in checkpoints of before there was a choice, is InfoNCE
 * @param accumulation null, likewise, is gradient caching
 * @param precision null until a run has begun, and in checkpoints of before there was a choice: that of the backend
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
        @JsonInclude(JsonInclude.Include.NON_NULL) Precision precision,
        @JsonInclude(JsonInclude.Include.NON_NULL) LossScale.Config lossScale) {
    /** How the gradient of a whole batch comes about. */
    public enum Accumulation {
        /** {@link org.contrastive4j.gradcache.GradCache}. */
        GRADCACHE,
        /** {@link org.contrastive4j.gradcache.AccumulatedFeatures}, chunk by chunk. */
        FEATURES
    }

    @JsonCreator
    public TrainConfig {
        loss = loss == null ? LossConfig.named("infonce", batch) : loss;
        accumulation = accumulation == null ? Accumulation.GRADCACHE : accumulation;
        if (steps < 1) {
            throw new IllegalArgumentException("steps is " + steps + ", wanted 1 or more");
        }
        if (chunk < 0) {
            throw new IllegalArgumentException(
                    "chunk is " + chunk + ", wanted 1 or more, or 0 to let the budget choose");
        }
        if (chunk > batch) {
            throw new IllegalArgumentException(
                    "chunk is " + chunk + ", larger than the batch of " + batch + "; choose one of at most " + batch);
        }
        if (accumulation == Accumulation.FEATURES && chunk == 0) {
            throw new IllegalArgumentException(
                    "accumulated features have no plan for a budget, given a chunk of 0; choose one of 1 or more");
        }
        if (loss.name().equals(Losses.QUEUE) && loss.queueSize() < batch) {
            throw new IllegalArgumentException("a queue of " + loss.queueSize() + " keys is smaller than the batch of "
                    + batch + "; choose one of at least " + batch);
        }
        if (memoryBudget < 1 || !(learningRate > 0) || warmup < 0 || clip < 0) {
            throw new IllegalArgumentException("memory budget " + memoryBudget + ", learning rate " + learningRate
                    + ", warm-up " + warmup + ", clip " + clip
                    + ": wanted a positive budget and rate, the others 0 or more");
        }
    }

    /** By gradient caching, in the precision of the backend it will run on. */
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

    /** The same with another way to accumulate. */
    public TrainConfig withAccumulation(Accumulation other) {
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
                other,
                precision,
                lossScale);
    }

    /** The same in this precision, with this loss scaling. */
    public TrainConfig with(Precision otherPrecision, LossScale.Config otherLossScale) {
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
                otherPrecision,
                otherLossScale);
    }

    /**
     * The same in the precision of the backend that it runs on.
     *
     * @throws IllegalArgumentException when it is made for another one
     */
    TrainConfig on(Precision backend) {
        if (precision != null && precision != backend) {
            throw new IllegalArgumentException("the run is in " + precision + " and the backend computes in " + backend
                    + "; open the backend in " + precision);
        }
        return with(backend, lossScale == null && backend == Precision.F16 ? LossScale.Config.USUAL : lossScale);
    }

    /**
     * The default run: the emoji of test-data on two cores, in about two minutes.
     *
     * <p>The text encoder has no transformer block: captions are sets of words, and attention over them learnt pairs of
     * words by heart. Without it R@1 on a new design is some six points higher in the same time, and no lower on new
     * concepts (bench/results/2026-11-emoji-retrieval.md).
     */
    public static TrainConfig emoji() {
        TransformerConfig image = new TransformerConfig(96, 1, 3, 384, PointwiseOps.Gelu.QUICK, 0.1);
        TransformerConfig text = new TransformerConfig(96, 0, 3, 192, PointwiseOps.Gelu.QUICK, 0.1);
        int embedding = 256;
        return new TrainConfig(
                "test-data/emoji",
                false,
                "noto",
                0.1,
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
}
