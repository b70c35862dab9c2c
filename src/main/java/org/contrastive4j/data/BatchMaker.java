package org.contrastive4j.data;

import java.util.concurrent.atomic.AtomicLong;

/** Makes batches of given samples: decoded, augmented, tokenized. Any thread may ask; the answer depends only on the arguments. */
public final class BatchMaker {
    private static final long CACHED_BYTES = 256L << 20;

    private final PairDataset data;
    private final Tokenizer tokenizer;
    private final int imageSize;
    private final int maxTokens;
    private final DataRandom random;
    private final byte[][] decoded;
    private final AtomicLong room = new AtomicLong(CACHED_BYTES);

    public BatchMaker(PairDataset data, Tokenizer tokenizer, int imageSize, int maxTokens, long seed) {
        this.data = data;
        this.tokenizer = tokenizer;
        this.imageSize = imageSize;
        this.maxTokens = maxTokens;
        this.random = new DataRandom(seed);
        this.decoded = new byte[data.samples().size()][];
    }

    /** Decoded pictures stay while there is room: of a small data set, all. */
    private byte[] picture(int id) {
        byte[] picture = decoded[id];
        if (picture == null) {
            picture = data.picture(id, imageSize);
            if (room.addAndGet(-picture.length) >= 0) {
                decoded[id] = picture;
            }
        }
        return picture;
    }

    /** @param epoch chooses the augmentation, with the seed and each sample id */
    public Batch make(int[] sampleIds, Augmentation augmentation, int epoch) {
        int values = imageSize * imageSize * 3;
        float[] pictures = new float[sampleIds.length * values];
        int[][] tokens = new int[sampleIds.length][];
        int longest = 1;
        for (int k = 0; k < sampleIds.length; k++) {
            int id = sampleIds[k];
            augmentation.picture(picture(id), imageSize, random, id, epoch, pictures, k * values);
            tokens[k] = tokenizer.encode(augmentation.caption(data.sample(id).caption(), random, id, epoch), maxTokens);
            longest = Math.max(longest, tokens[k].length);
        }
        int[] padded = new int[sampleIds.length * longest];
        int[] lengths = new int[sampleIds.length];
        for (int k = 0; k < tokens.length; k++) {
            System.arraycopy(tokens[k], 0, padded, k * longest, tokens[k].length);
            lengths[k] = tokens[k].length;
        }
        return new Batch(sampleIds, imageSize, pictures, longest, padded, lengths);
    }
}
