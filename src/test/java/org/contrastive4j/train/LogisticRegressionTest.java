package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** The optimum of logistic regression has a gradient of 0; separable classes are separated. */
class LogisticRegressionTest {
    private static final int N = 600;
    private static final int WIDTH = 7;
    private static final int CLASSES = 4;

    private final double[] x = new double[N * WIDTH];
    private final int[] labels = new int[N];

    LogisticRegressionTest() {
        Random random = new Random(3);
        for (int i = 0; i < N; i++) {
            labels[i] = i % CLASSES;
            for (int k = 0; k < WIDTH; k++) {
                x[i * WIDTH + k] = random.nextGaussian() + (k == labels[i] ? 1.5 : 0);
            }
        }
    }

    private double objective(double[] weights, double lambda) {
        double value = 0;
        for (int i = 0; i < N; i++) {
            double[] scores = LogisticRegression.scores(x, i, WIDTH, CLASSES, weights);
            double sum = 0;
            for (double score : scores) {
                sum += Math.exp(score);
            }
            value += (Math.log(sum) - scores[labels[i]]) / N;
        }
        for (int i = 0; i < WIDTH * CLASSES; i++) {
            value += lambda / 2 * weights[i] * weights[i];
        }
        return value;
    }

    @Test
    void fit_endsAtAZeroGradientByCentralDifferences() {
        double[] weights = new LogisticRegression(x, labels, WIDTH, CLASSES, 1e-2).fit();
        for (int i = 0; i < weights.length; i++) {
            double[] up = weights.clone();
            double[] down = weights.clone();
            up[i] += 1e-4;
            down[i] -= 1e-4;
            assertEquals(0, (objective(up, 1e-2) - objective(down, 1e-2)) / 2e-4, 5e-6, "weight " + i);
        }
    }

    @Test
    void fit_isMoreAccurateThanTheLargestClass() {
        double[] weights = new LogisticRegression(x, labels, WIDTH, CLASSES, 1e-4).fit();
        int right = 0;
        for (int i = 0; i < N; i++) {
            double[] scores = LogisticRegression.scores(x, i, WIDTH, CLASSES, weights);
            int best = 0;
            for (int c = 1; c < CLASSES; c++) {
                best = scores[c] > scores[best] ? c : best;
            }
            right += best == labels[i] ? 1 : 0;
        }
        assertTrue(right > N * 0.7, right + " of " + N);
    }
}
