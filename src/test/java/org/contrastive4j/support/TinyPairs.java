package org.contrastive4j.support;

import java.util.Random;
import org.contrastive4j.data.Batch;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.TextTransformer;
import org.contrastive4j.nn.TransformerConfig;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.VisionTransformer;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.train.TrainConfig;

/** A model with a few thousand weights, and random pairs for it. */
public final class TinyPairs {
    private static final int VOCABULARY = 23;
    private static final int IMAGE = 8;

    private TinyPairs() {}

    public static DualEncoder.Config model(double dropout) {
        TransformerConfig image = new TransformerConfig(8, 2, 2, 12, PointwiseOps.Gelu.EXACT, dropout);
        TransformerConfig text = new TransformerConfig(6, 1, 2, 10, PointwiseOps.Gelu.QUICK, dropout);
        return new DualEncoder.Config(
                new VisionTransformer.Config(IMAGE, 4, 4, 0, image, Pooling.MEAN, 5),
                new TextTransformer.Config(VOCABULARY, 6, text, false, Pooling.MEAN, 5));
    }

    public static Batch batch(int pairs, long seed) {
        return batch(pairs, IMAGE, VOCABULARY, seed);
    }

    public static Batch batch(int pairs, int imageSize, int vocabulary, long seed) {
        Random random = new Random(seed);
        float[] pictures = new float[pairs * imageSize * imageSize * 3];
        for (int i = 0; i < pictures.length; i++) {
            pictures[i] = (float) random.nextGaussian();
        }
        int tokens = 6;
        int[] ids = new int[pairs * tokens];
        int[] lengths = new int[pairs];
        int[] sampleIds = new int[pairs];
        for (int k = 0; k < pairs; k++) {
            lengths[k] = 1 + random.nextInt(tokens);
            sampleIds[k] = 1000 + 3 * k;
            for (int t = 0; t < lengths[k]; t++) {
                ids[k * tokens + t] = 2 + random.nextInt(vocabulary - 2);
            }
        }
        return new Batch(sampleIds, imageSize, pictures, tokens, ids, lengths);
    }

    /** Returns the configuration of the default model of a training run. */
    public static DualEncoder.Config emojiModel() {
        return TrainConfig.emoji().model();
    }
}
