package org.contrastive4j.train;

import java.util.List;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Provides unit representations of pictures and captions for evaluation: computed by a model without augmentation and
 * dropout, or stored before.
 *
 * <p>Memory: pictures are decoded and encoded in chunks of 256.
 *
 * <p>Tested by {@code SearchTest}.
 */
public final class Embedder {
    private static final int CHUNK = 256;

    private final Ops ops;
    private final PairDataset data;
    private final Source source;

    /** Where representations come from; they need not be normalised. */
    private interface Source {
        Tensor pictures(List<Integer> samples);

        Tensor captions(List<Integer> samples);

        Tensor texts(List<String> texts);
    }

    /**
     * Creates an embedder with a model.
     *
     * @param ops backend
     * @param model encoders; stays open
     * @param data pairs
     * @param maker decodes and tokenises those pairs
     */
    public Embedder(Ops ops, DualEncoder model, PairDataset data, BatchMaker maker) {
        this(ops, data, new Encoded(ops, model, data, maker));
    }

    private Embedder(Ops ops, PairDataset data, Source source) {
        this.ops = ops;
        this.data = data;
        this.source = source;
    }

    /**
     * Creates an embedder of stored representations.
     *
     * @param ops backend
     * @param data pairs whose ids are their rows
     * @param pictures rows of all pictures, one after the other
     * @param captions rows of all captions, one after the other
     * @param model embeds texts that are no captions, with rows of the same width; null where no such text is needed
     * @return the embedder
     */
    public static Embedder stored(
            Ops ops, PairDataset data, float[] pictures, float[] captions, @Nullable Embedder model) {
        return new Embedder(ops, data, new Stored(ops, data.pairs().size(), pictures, captions, model));
    }

    PairDataset data() {
        return data;
    }

    /**
     * Embeds pictures. An unreadable picture is replaced by a grey one, see {@link PairDataset#isUnreadable}.
     *
     * @param samples ids of pairs
     * @return [samples, d] unit rows; the caller closes the tensor
     */
    public Tensor pictures(List<Integer> samples) {
        return normalised(source.pictures(samples));
    }

    /**
     * Embeds captions.
     *
     * @param samples ids of pairs
     * @return [samples, d] unit rows; the caller closes the tensor
     */
    public Tensor captions(List<Integer> samples) {
        return normalised(source.captions(samples));
    }

    /**
     * Embeds texts in one chunk.
     *
     * @param texts not empty
     * @return [texts, d] unit rows; the caller closes the tensor
     * @throws IllegalArgumentException for stored representations without a model
     */
    public Tensor texts(List<String> texts) {
        return normalised(source.texts(texts));
    }

    private Tensor normalised(Tensor all) {
        try (Tensor inverse = ops.allocateParameter(all.dim(0))) {
            ops.norm().l2Normalize(all, all, inverse);
        }
        return all;
    }

    /** Encodes with a model. */
    private record Encoded(Ops ops, DualEncoder model, PairDataset data, BatchMaker maker) implements Source {
        @Override
        public Tensor pictures(List<Integer> samples) {
            return chunks(
                    Encoders.pictures(ops, model),
                    samples,
                    ids -> new TrainBatch(
                            ops,
                            maker.make(ids.stream().mapToInt(Integer::intValue).toArray(), Augmentation.none(), 0),
                            0,
                            -1));
        }

        @Override
        public Tensor captions(List<Integer> samples) {
            return chunks(
                    Encoders.captions(ops, model),
                    samples,
                    ids -> batch(ids.stream().map(id -> data.pair(id).caption()).toList()));
        }

        @Override
        public Tensor texts(List<String> texts) {
            ChunkEncoder<TrainBatch> encoder = Encoders.captions(ops, model);
            try (TrainBatch batch = batch(texts)) {
                Tensor all = ops.allocateParameter(texts.size(), encoder.width());
                encoder.encode(batch, 0, texts.size(), all);
                return all;
            }
        }

        private TrainBatch batch(List<String> texts) {
            return new TrainBatch(ops, maker.texts(texts), 0, -1);
        }

        private interface Batches {
            TrainBatch of(List<Integer> samples);
        }

        private Tensor chunks(ChunkEncoder<TrainBatch> encoder, List<Integer> samples, Batches batches) {
            Tensor all = ops.allocateParameter(samples.size(), encoder.width());
            for (int from = 0; from < samples.size(); from += CHUNK) {
                int to = Math.min(samples.size(), from + CHUNK);
                try (TrainBatch chunk = batches.of(samples.subList(from, to))) {
                    encoder.encode(chunk, 0, to - from, all.rows(from, to));
                }
            }
            return all;
        }
    }

    /** Copies stored rows. */
    private record Stored(
            Ops ops,
            int rows,
            float[] ofPictures,
            float[] ofCaptions,
            @Nullable Embedder model) implements Source {
        Stored {
            if (rows == 0 || ofPictures.length % rows != 0 || ofCaptions.length != ofPictures.length) {
                throw new IllegalArgumentException("stored representations of " + rows + " pairs with "
                        + ofPictures.length + " values of pictures and " + ofCaptions.length
                        + " of captions: expected equal numbers of rows");
            }
        }

        private Tensor select(List<Integer> samples, float[] values) {
            int width = values.length / rows;
            double[] selected = new double[samples.size() * width];
            for (int k = 0; k < samples.size(); k++) {
                for (int i = 0; i < width; i++) {
                    selected[k * width + i] = values[samples.get(k) * width + i];
                }
            }
            return ops.parameterTensor(Shape.of(samples.size(), width), selected);
        }

        @Override
        public Tensor pictures(List<Integer> samples) {
            return select(samples, ofPictures);
        }

        @Override
        public Tensor captions(List<Integer> samples) {
            return select(samples, ofCaptions);
        }

        @Override
        public Tensor texts(List<String> texts) {
            if (model == null) {
                throw new IllegalArgumentException(
                        "stored representations have no texts of classes; name the model that made them");
            }
            Tensor embedded = model.texts(texts);
            int width = ofPictures.length / rows;
            if (embedded.dim(1) != width) {
                embedded.close();
                throw new IllegalArgumentException("the model embeds texts in " + embedded.dim(1)
                        + " values, the stored representations have " + width + "; name the model that made them");
            }
            return embedded;
        }
    }
}
