package org.contrastive4j.data;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Makes batches of given samples: decoded, augmented, tokenised. Pictures are decoded on the threads of the pool that
 * the caller runs in, or of the common pool; the result depends only on the arguments and the data.
 *
 * <p>Tested by {@code BatchesTest}.
 */
public final class BatchMaker {
    private static final long MOST_CACHED_BYTES = 256L << 20;

    private final PairDataset data;
    private final CaptionEncoder tokenizer;
    private final Preprocessing preprocessing;
    private final int maxTokens;
    private final DataRandom random;
    private final Map<Integer, byte[]> cache = new ConcurrentHashMap<>();
    private final AtomicLong freeBytes =
            new AtomicLong(Math.min(MOST_CACHED_BYTES, Runtime.getRuntime().maxMemory() / 16));

    /**
     * Makes batches with {@link Preprocessing#symmetric}.
     *
     * @param data pairs
     * @param tokenizer of the captions
     * @param imageSize side of a picture
     * @param maxTokens that captions are cut at
     * @param seed of the augmentation
     */
    public BatchMaker(PairDataset data, CaptionEncoder tokenizer, int imageSize, int maxTokens, long seed) {
        this(data, tokenizer, Preprocessing.symmetric(imageSize), maxTokens, seed);
    }

    /**
     * Makes batches.
     *
     * @param data pairs
     * @param tokenizer of the captions
     * @param preprocessing of the pictures
     * @param maxTokens that captions are cut at
     * @param seed of the augmentation
     */
    public BatchMaker(
            PairDataset data, CaptionEncoder tokenizer, Preprocessing preprocessing, int maxTokens, long seed) {
        this.data = data;
        this.tokenizer = tokenizer;
        this.preprocessing = preprocessing;
        this.maxTokens = maxTokens;
        this.random = new DataRandom(seed);
    }

    /** Preprocessed pictures are kept until the cache is full: all of a small data set. */
    private byte @Nullable [] picture(int id) {
        byte[] picture = cache.get(id);
        if (picture == null) {
            RgbPicture decoded = data.decoded(id);
            if (decoded == null) {
                return null;
            }
            picture = preprocessing.square(decoded);
            if (freeBytes.addAndGet(-picture.length) >= 0) {
                cache.put(id, picture);
            }
        }
        return picture;
    }

    /**
     * Makes a planned batch. A pair whose picture cannot be read is replaced by the next spare one.
     *
     * @param planned samples and epoch
     * @param augmentation of pictures and captions
     * @return the batch; its ids are those of the pairs in it
     * @throws DataException when there are too few spares
     */
    public Batch make(BatchOrder.Planned planned, Augmentation augmentation) {
        int[] ids = planned.samples().clone();
        float[] pictures = new float[ids.length * values()];
        boolean[] failed = draw(ids, augmentation, planned.epoch(), pictures);
        int spare = 0;
        for (int k = 0; k < ids.length; k++) {
            while (failed[k]) {
                if (spare == planned.spares().length) {
                    Pair pair = data.pair(planned.samples()[k]);
                    throw new DataException("cannot read the picture " + pair.picture() + " of " + pair.source()
                            + ", and no other pair can take its place in a batch of " + ids.length
                            + "; correct it, remove it, or choose a smaller batch");
                }
                ids[k] = planned.spares()[spare++];
                failed[k] = !draw(ids[k], augmentation, planned.epoch(), pictures, k);
            }
        }
        return batch(ids, augmentation, planned.epoch(), pictures);
    }

    /**
     * Makes a batch of given samples. A picture that cannot be read is grey, see {@link PairDataset#isUnreadable}.
     *
     * @param sampleIds of the pairs
     * @param augmentation of pictures and captions
     * @param epoch chooses the augmentation, with the seed and each sample id
     * @return the batch
     */
    public Batch make(int[] sampleIds, Augmentation augmentation, int epoch) {
        float[] pictures = new float[sampleIds.length * values()];
        draw(sampleIds, augmentation, epoch, pictures);
        return batch(sampleIds, augmentation, epoch, pictures);
    }

    private int values() {
        return preprocessing.size() * preprocessing.size() * 3;
    }

    /** Returns which pictures could not be read. */
    private boolean[] draw(int[] ids, Augmentation augmentation, int epoch, float[] pictures) {
        boolean[] failed = new boolean[ids.length];
        IntStream.range(0, ids.length)
                .parallel()
                .forEach(k -> failed[k] = !draw(ids[k], augmentation, epoch, pictures, k));
        return failed;
    }

    private boolean draw(int id, Augmentation augmentation, int epoch, float[] pictures, int k) {
        PictureAugmentation changes = new PictureAugmentation(augmentation, preprocessing, random);
        byte[] square;
        if (changes.needsOriginal()) {
            RgbPicture original = data.decoded(id);
            square = original == null ? null : changes.cropped(original, id, epoch);
        } else {
            square = picture(id);
        }
        if (square == null) {
            return false;
        }
        changes.apply(square, id, epoch, pictures, k * values());
        return true;
    }

    private Batch batch(int[] ids, Augmentation augmentation, int epoch, float[] pictures) {
        int[][] tokens = new int[ids.length][];
        for (int k = 0; k < ids.length; k++) {
            String caption = data.pair(ids[k]).caption();
            tokens[k] = tokenizer.encode(augmentation.caption(caption, random, ids[k], epoch), maxTokens);
        }
        return padded(ids, preprocessing.size(), pictures, tokens);
    }

    /**
     * Makes a batch of texts without pictures (side 0), as they are.
     *
     * @param texts not empty
     * @return the batch; all ids are 0
     */
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

    /** Turns captions into token ids: a {@link Tokenizer}, or that of a pretrained model. Any thread may use it. */
    public interface CaptionEncoder {
        /**
         * Returns the ids of a caption.
         *
         * @param caption any text
         * @param maxTokens largest number of ids
         * @return 1 to maxTokens ids
         */
        int[] encode(String caption, int maxTokens);

        /**
         * Returns the share of tokens that stand for characters the encoder does not know.
         *
         * @param captions texts
         * @param maxTokens that captions are cut at
         * @return 0 to 1; 0 for an encoder that knows every byte
         */
        default double unknownShare(Iterable<String> captions, int maxTokens) {
            return 0;
        }
    }
}
