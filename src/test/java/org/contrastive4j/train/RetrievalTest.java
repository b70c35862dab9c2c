package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** Recall by CLIP's protocol, on representations with known answers. */
class RetrievalTest {
    private static final int PICTURES = 400;
    private static final int CAPTIONS = 5;
    private static final int WIDTH = 32;

    private static double[] noise(int rows, long seed) {
        Random random = new Random(seed);
        double[] values = new double[rows * WIDTH];
        for (int row = 0; row < rows; row++) {
            double square = 0;
            for (int k = 0; k < WIDTH; k++) {
                values[row * WIDTH + k] = random.nextGaussian();
                square += values[row * WIDTH + k] * values[row * WIDTH + k];
            }
            for (int k = 0; k < WIDTH; k++) {
                values[row * WIDTH + k] /= Math.sqrt(square);
            }
        }
        return values;
    }

    private static int[] captionLabels() {
        int[] labels = new int[PICTURES * CAPTIONS];
        java.util.Arrays.setAll(labels, k -> k / CAPTIONS);
        return labels;
    }

    private static int[] pictureLabels() {
        int[] labels = new int[PICTURES];
        java.util.Arrays.setAll(labels, k -> k);
        return labels;
    }

    private static Trainer.Recall recall(double[] pictures, double[] captions) {
        try (Ops ops = Backend.open("cpu");
                Tensor p = ops.parameterTensor(Shape.of(PICTURES, WIDTH), pictures);
                Tensor c = ops.parameterTensor(Shape.of(PICTURES * CAPTIONS, WIDTH), captions)) {
            return new Trainer.Recall(
                    Retrieval.of(ops, p, c, pictureLabels(), captionLabels()),
                    Retrieval.of(ops, c, p, captionLabels(), pictureLabels()));
        }
    }

    @Test
    void of_perfectRepresentations_isFullRecallInBothDirections() {
        double[] pictures = noise(PICTURES, 1);
        double[] captions = new double[PICTURES * CAPTIONS * WIDTH];
        for (int k = 0; k < PICTURES * CAPTIONS; k++) {
            System.arraycopy(pictures, k / CAPTIONS * WIDTH, captions, k * WIDTH, WIDTH);
        }
        Trainer.Recall recall = recall(pictures, captions);
        assertEquals(1, recall.imageToText().recall1());
        assertEquals(1, recall.textToImage().recall1());
    }

    @Test
    void of_randomRepresentations_isAtChance() {
        Trainer.Recall recall = recall(noise(PICTURES, 1), noise(PICTURES * CAPTIONS, 2));
        assertEquals(1.0 / PICTURES, recall.imageToText().chance(), 1e-12);
        assertEquals(1.0 / PICTURES, recall.textToImage().chance(), 1e-12);
        assertTrue(recall.imageToText().recall1() <= 5.0 / PICTURES, "" + recall.imageToText());
        assertTrue(recall.textToImage().recall1() <= 4.0 / PICTURES, "" + recall.textToImage());
        assertTrue(recall.textToImage().recall10() <= 40.0 / PICTURES, "" + recall.textToImage());
    }

    @Test
    void of_equalRepresentations_isZero() {
        double[] pictures = new double[PICTURES * WIDTH];
        double[] captions = new double[PICTURES * CAPTIONS * WIDTH];
        for (int k = 0; k < captions.length; k += WIDTH) {
            captions[k] = 1;
            pictures[k % pictures.length] = 1;
        }
        Trainer.Recall recall = recall(pictures, captions);
        assertEquals(0, recall.imageToText().recall10());
        assertEquals(0, recall.textToImage().recall10());
    }

    @Test
    void of_identicalRowsOfOnePicture_countsEachAsAnAnswer() {
        int[] labels = {0, 0, 0, 0, 0, 1};
        assertEquals(0, Retrieval.rank(new double[] {0.9, 0.9, 0.9, 0.9, 0.9, 0.1}, 0, labels));
        assertEquals(1, Retrieval.rank(new double[] {0.9, 0.9, 0.9, 0.9, 0.9, 0.9}, 0, labels));
        assertEquals(5, Retrieval.rank(new double[] {0.9, 0.9, 0.9, 0.9, 0.9, Double.NaN}, 1, labels));
    }
}
