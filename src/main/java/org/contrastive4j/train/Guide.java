package org.contrastive4j.train;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.zip.CRC32;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.jspecify.annotations.Nullable;

/**
 * Unit representations of all training samples by the model of another run, computed once without augmentation and
 * dropout. They determine which pairs of the batch are false negatives.
 *
 * <p>Memory: 8 e bytes for each sample on the heap, with representations of width e. Source: Solatorio, GISTEmbed:
 * guided in-sample selection of training negatives, 2024.
 *
 * <p>Tested by {@code LossOptionsTest}.
 */
final class Guide {
    private final Ops ops;
    private final Map<Integer, Integer> rowOf = new HashMap<>();
    private final int width;
    private final float[] pictures;
    private final float[] captions;

    /** Returns the guide of a loss; null if it has none. */
    static @Nullable Guide of(Ops ops, LossConfig loss, PairDataset data, Splits splits) {
        return loss.guide().isEmpty() ? null : new Guide(ops, Path.of(loss.guide()), data, splits.train());
    }

    /**
     * Loads a model and computes the representations.
     *
     * @param run folder of the run whose model is the guide
     * @param samples of the training set
     * @throws CheckpointException when the run has no readable checkpoint
     */
    Guide(Ops ops, Path run, PairDataset data, List<Integer> samples) {
        this.ops = ops;
        samples.forEach(sample -> rowOf.put(sample, rowOf.size()));
        try (TrainedModel model = TrainedModel.load(ops, run)) {
            Embedder embedder = model.embedder(data);
            try (Tensor all = embedder.pictures(samples)) {
                width = all.dim(1);
                pictures = floats(all);
            }
            try (Tensor all = embedder.captions(samples)) {
                captions = floats(all);
            }
        }
    }

    private static float[] floats(Tensor tensor) {
        double[] values = tensor.toDoubles();
        float[] floats = new float[values.length];
        for (int k = 0; k < floats.length; k++) {
            floats[k] = (float) values[k];
        }
        return floats;
    }

    /** Returns the representations [samples, e] of pictures; the caller closes the tensor. */
    Tensor pictures(int[] samples) {
        return rows(pictures, samples);
    }

    /** Returns the representations [samples, e] of captions; the caller closes the tensor. */
    Tensor captions(int[] samples) {
        return rows(captions, samples);
    }

    private Tensor rows(float[] of, int[] samples) {
        double[] rows = new double[samples.length * width];
        for (int i = 0; i < samples.length; i++) {
            int row = Objects.requireNonNull(rowOf.get(samples[i]));
            for (int k = 0; k < width; k++) {
                rows[i * width + k] = of[row * width + k];
            }
        }
        return ops.parameterTensor(Shape.of(samples.length, width), rows);
    }

    /** Returns a CRC-32 of all representations, which identifies the guide and its data in a checkpoint. */
    long checksum() {
        CRC32 sum = new CRC32();
        ByteBuffer bytes = ByteBuffer.allocate(width * Float.BYTES);
        for (float[] side : List.of(pictures, captions)) {
            for (int from = 0; from < side.length; from += width) {
                bytes.asFloatBuffer().put(side, from, width);
                sum.update(bytes.array());
            }
        }
        return sum.getValue();
    }

    /** Returns the bytes that a guide adds to a step of n pairs: both sides, and a stacked copy for four-way losses. */
    long workspaceBytes(int n) {
        return 4L * n * width * ops.parameterDtype().bytes();
    }
}
