package org.contrastive4j.internal.batch;

import java.awt.image.BufferedImage;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.data.Batch;
import org.contrastive4j.data.BatchMaker.CaptionEncoder;
import org.contrastive4j.data.Preprocessing;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/** Computes unit representations of pictures and texts that belong to no data set, in one chunk. */
public final class Representations {
    private Representations() {}

    /** Returns [pictures, d]; the caller closes the tensor. */
    public static Tensor ofPictures(
            Ops ops, DualEncoder encoder, Preprocessing preprocessing, List<BufferedImage> pictures) {
        int values = preprocessing.size() * preprocessing.size() * 3;
        float[] pixels = new float[pictures.size() * values];
        for (int k = 0; k < pictures.size(); k++) {
            preprocessing.apply(pictures.get(k), pixels, k * values);
        }
        int[] ones = new int[pictures.size()];
        Arrays.fill(ones, 1);
        int[] zeros = new int[pictures.size()];
        return unit(ops, encoder, 0, new Batch(zeros, preprocessing.size(), pixels, 1, zeros.clone(), ones));
    }

    /** Returns [texts, d]; the caller closes the tensor. */
    public static Tensor ofTexts(Ops ops, DualEncoder encoder, CaptionEncoder captions, List<String> texts) {
        int context = encoder.config().text().maxTokens();
        int[][] ids = texts.stream().map(text -> captions.encode(text, context)).toArray(int[][]::new);
        int longest = Arrays.stream(ids).mapToInt(each -> each.length).max().orElse(1);
        int[] padded = new int[ids.length * longest];
        int[] lengths = new int[ids.length];
        for (int k = 0; k < ids.length; k++) {
            System.arraycopy(ids[k], 0, padded, k * longest, ids[k].length);
            lengths[k] = ids[k].length;
        }
        return unit(ops, encoder, 1, new Batch(new int[ids.length], 0, new float[0], longest, padded, lengths));
    }

    private static Tensor unit(Ops ops, DualEncoder encoder, int tower, Batch batch) {
        Tensor all =
                ops.allocateParameter(batch.pairs(), encoder.config().image().embedding());
        try (TrainBatch sent = new TrainBatch(ops, batch, 0, -1);
                Tensor inverse = ops.allocateParameter(batch.pairs())) {
            Encoders.of(ops, encoder).get(tower).encode(sent, 0, batch.pairs(), all);
            ops.norm().l2Normalize(all, all, inverse);
            return all;
        } catch (RuntimeException failed) {
            all.close();
            throw failed;
        }
    }
}
