package org.contrastive4j.train;

import java.util.Arrays;
import org.contrastive4j.data.Batch;
import org.contrastive4j.nn.Randomness;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** A batch as tensors of a backend, with what dropout needs; closing frees them. */
public final class TrainBatch implements AutoCloseable {
    private final Ops ops;
    private final Batch batch;
    private final long seed;
    private final int step;
    private final Tensor pictures;
    private final Tensor sampleIds;

    /** @param step of the optimiser; negative for evaluation, which drops nothing */
    public TrainBatch(Ops ops, Batch batch, long seed, int step) {
        this.ops = ops;
        this.batch = batch;
        this.seed = seed;
        this.step = step;
        this.pictures = ops.allocateParameter(batch.pairs(), batch.imageSize(), batch.imageSize(), 3);
        try {
            this.pictures.set(batch.pictures());
            this.sampleIds = ops.ints(Shape.of(batch.pairs()), batch.sampleIds());
        } catch (RuntimeException noMemory) {
            pictures.close();
            throw noMemory;
        }
    }

    public int pairs() {
        return batch.pairs();
    }

    /** Of the optimiser; negative for evaluation. */
    public int step() {
        return step;
    }

    public int[] sampleIds() {
        return batch.sampleIds();
    }

    Tensor pictures(int from, int to) {
        return pictures.rows(from, to);
    }

    /** Null for evaluation. */
    Randomness randomness(int from, int to) {
        return step < 0 ? null : new Randomness(seed, step, sampleIds.rows(from, to));
    }

    /** Token ids of captions [from, to), padded to the longest of them; the caller closes the tensor. */
    Tensor tokens(int from, int to) {
        int longest = 1;
        for (int k = from; k < to; k++) {
            longest = Math.max(longest, batch.lengths()[k]);
        }
        int[] ids = new int[(to - from) * longest];
        for (int k = from; k < to; k++) {
            System.arraycopy(batch.tokens(), k * batch.maxTokens(), ids, (k - from) * longest, longest);
        }
        return ops.ints(Shape.of(to - from, longest), ids);
    }

    /** Lengths of captions [from, to); the caller closes the tensor. */
    Tensor lengths(int from, int to) {
        return ops.ints(Shape.of(to - from), Arrays.copyOfRange(batch.lengths(), from, to));
    }

    @Override
    public void close() {
        pictures.close();
        sampleIds.close();
    }
}
