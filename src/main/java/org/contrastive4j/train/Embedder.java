package org.contrastive4j.train;

import java.util.List;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.Batch;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/** Computes unit representations of pictures and captions for evaluation: no augmentation, no dropout, in chunks. */
public final class Embedder {
    private static final int CHUNK = 256;

    private final Ops ops;
    private final DualEncoder model;
    private final PairDataset data;
    private final BatchMaker maker;

    /**
     * Creates an embedder.
     *
     * @param ops backend
     * @param model encoders; stays open
     * @param data pairs
     * @param maker decodes and tokenises those pairs
     */
    public Embedder(Ops ops, DualEncoder model, PairDataset data, BatchMaker maker) {
        this.ops = ops;
        this.model = model;
        this.data = data;
        this.maker = maker;
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
        return embed(Encoders.pictures(ops, model), samples);
    }

    /**
     * Embeds captions.
     *
     * @param samples ids of pairs
     * @return [samples, d] unit rows; the caller closes the tensor
     */
    public Tensor captions(List<Integer> samples) {
        Tensor all = ops.allocateParameter(samples.size(), model.config().text().embedding());
        for (int from = 0; from < samples.size(); from += CHUNK) {
            int to = Math.min(samples.size(), from + CHUNK);
            List<String> captions = samples.subList(from, to).stream()
                    .map(id -> data.pair(id).caption())
                    .toList();
            try (TrainBatch chunk = new TrainBatch(ops, maker.texts(captions), 0, -1)) {
                Encoders.captions(ops, model).encode(chunk, 0, to - from, all.rows(from, to));
            }
        }
        return normalised(all);
    }

    /**
     * Embeds texts in one chunk.
     *
     * @param texts not empty
     * @return [texts, d] unit rows; the caller closes the tensor
     */
    public Tensor texts(List<String> texts) {
        try (TrainBatch batch = new TrainBatch(ops, maker.texts(texts), 0, -1)) {
            Tensor all =
                    ops.allocateParameter(texts.size(), model.config().text().embedding());
            Encoders.captions(ops, model).encode(batch, 0, texts.size(), all);
            return normalised(all);
        }
    }

    private Tensor embed(ChunkEncoder<TrainBatch> encoder, List<Integer> samples) {
        Tensor all = ops.allocateParameter(samples.size(), encoder.width());
        for (int from = 0; from < samples.size(); from += CHUNK) {
            int to = Math.min(samples.size(), from + CHUNK);
            int[] ids = samples.subList(from, to).stream()
                    .mapToInt(Integer::intValue)
                    .toArray();
            Batch batch = maker.make(ids, Augmentation.none(), 0);
            try (TrainBatch chunk = new TrainBatch(ops, batch, 0, -1)) {
                encoder.encode(chunk, 0, to - from, all.rows(from, to));
            }
        }
        return normalised(all);
    }

    private Tensor normalised(Tensor all) {
        try (Tensor inverse = ops.allocateParameter(all.dim(0))) {
            ops.norm().l2Normalize(all, all, inverse);
        }
        return all;
    }
}
