package org.contrastive4j.train;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * The model of another run as a guide: its unit representations of all training samples, made once, without
 * augmentation and dropout. Memory: 8 e bytes a sample on the heap.
 *
 * <p>Source: Solatorio, GISTEmbed: guided in-sample selection of training negatives, 2024.
 */
final class Guide {
    private final Ops ops;
    private final Map<Integer, Integer> places = new HashMap<>();
    private final int width;
    private final float[] pictures;
    private final float[] captions;

    /**
     * @param run folder of the guide's run
     * @throws CheckpointException when it has no checkpoint that can be read
     */
    Guide(Ops ops, Path run, PairDataset data, List<Integer> samples) {
        this.ops = ops;
        samples.forEach(sample -> places.put(sample, places.size()));
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

    /** [samples, e]; the caller closes the tensor. */
    Tensor pictures(int[] samples) {
        return rows(pictures, samples);
    }

    /** [samples, e]; the caller closes the tensor. */
    Tensor captions(int[] samples) {
        return rows(captions, samples);
    }

    private Tensor rows(float[] of, int[] samples) {
        double[] rows = new double[samples.length * width];
        for (int k = 0; k < rows.length; k++) {
            rows[k] = of[places.get(samples[k / width]) * width + k % width];
        }
        return ops.parameterTensor(Shape.of(samples.length, width), rows);
    }

    /** Of all its numbers: another guide, or other data, has another one. */
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

    /** Bytes that it adds to those of a step of n pairs: its rows, and once more where a loss puts sides together. */
    long workspaceBytes(int n) {
        return 4L * n * width * ops.parameterDtype().bytes();
    }
}
