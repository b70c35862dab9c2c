package org.contrastive4j.data;

import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Makes batches of given samples: decoded, augmented, tokenized. Any thread may ask; the answer depends
 * only on the arguments.
 */
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
        this.decoded = new byte[data.pairs().size()][];
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
        for (int k = 0; k < sampleIds.length; k++) {
            int id = sampleIds[k];
            augmentation.picture(picture(id), imageSize, random, id, epoch, pictures, k * values);
            tokens[k] = tokenizer.encode(augmentation.caption(data.pair(id).caption(), random, id, epoch), maxTokens);
        }
        return padded(sampleIds, imageSize, pictures, tokens);
    }

    /** Texts without pictures (side 0), as they are. */
    public Batch texts(List<String> texts) {
        int[][] tokens = new int[texts.size()][];
        for (int k = 0; k < tokens.length; k++) {
            tokens[k] = tokenizer.encode(texts.get(k), maxTokens);
        }
        return padded(new int[tokens.length], 0, new float[0], tokens);
    }

    private static Batch padded(int[] sampleIds, int imageSize, float[] pictures, int[][] tokens) {
        int longest = 1;
        int[] lengths = new int[tokens.length];
        for (int k = 0; k < tokens.length; k++) {
            lengths[k] = tokens[k].length;
            longest = Math.max(longest, lengths[k]);
        }
        int[] ids = new int[tokens.length * longest];
        for (int k = 0; k < tokens.length; k++) {
            System.arraycopy(tokens[k], 0, ids, k * longest, lengths[k]);
        }
        return new Batch(sampleIds, imageSize, pictures, longest, ids, lengths);
    }
}
