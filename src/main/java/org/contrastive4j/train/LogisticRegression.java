package org.contrastive4j.train;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Multinomial logistic regression with an L2 penalty, fitted by L-BFGS in f64 on the host.
 *
 * <p>Minimises the mean cross-entropy plus lambda / 2 times the squared norm of the weights; the bias has no penalty.
 * Source: Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.5.
 */
final class LogisticRegression {
    private static final int MEMORY = 10;
    private static final int MOST_STEPS = 300;
    private static final double TOLERANCE = 1e-6; // of the gradient's largest entry
    private static final double SUFFICIENT = 1e-4; // of the decrease that the slope promises
    private static final int ROWS = 256; // of one parallel task

    private final double[] x;
    private final int[] labels;
    private final int width;
    private final int classes;
    private final double lambda;

    /**
     * @param x [n, width] features, row by row
     * @param labels n classes, each in [0, classes)
     * @param lambda of the penalty
     */
    LogisticRegression(double[] x, int[] labels, int width, int classes, double lambda) {
        this.x = x;
        this.labels = labels;
        this.width = width;
        this.classes = classes;
        this.lambda = lambda;
    }

    /** A value of the objective and its gradient. */
    private record Point(double[] at, double value, double[] gradient) {}

    private record Correction(double[] s, double[] y, double inverse) {}

    /** Returns [width + 1, classes] weights, the bias last. */
    double[] fit() {
        Point point = evaluate(new double[(width + 1) * classes]);
        Deque<Correction> memory = new ArrayDeque<>();
        for (int step = 0; step < MOST_STEPS && largest(point.gradient) > TOLERANCE; step++) {
            double[] direction = direction(point.gradient, memory);
            Point next = search(point, direction);
            if (next == null) {
                break; // no smaller value can be told from this one
            }
            double[] s = difference(next.at, point.at);
            double[] y = difference(next.gradient, point.gradient);
            double product = dot(s, y);
            if (product > 1e-12 * dot(y, y)) {
                memory.addLast(new Correction(s, y, 1 / product));
                if (memory.size() > MEMORY) {
                    memory.removeFirst();
                }
            }
            point = next;
        }
        return point.at;
    }

    private @Nullable Point search(Point point, double[] direction) {
        double slope = dot(point.gradient, direction);
        for (double size = 1; size > 1e-10; size /= 2) {
            double[] at = point.at.clone();
            for (int i = 0; i < at.length; i++) {
                at[i] += size * direction[i];
            }
            Point next = evaluate(at);
            if (next.value <= point.value + SUFFICIENT * size * slope) {
                return next;
            }
        }
        return null;
    }

    /** The two-loop recursion. */
    private static double[] direction(double[] gradient, Deque<Correction> memory) {
        double[] q = gradient.clone();
        List<Double> factors = new ArrayList<>();
        memory.descendingIterator().forEachRemaining(c -> {
            double factor = c.inverse * dot(c.s, q);
            factors.add(factor);
            add(q, -factor, c.y);
        });
        double scale =
                memory.isEmpty() ? 1 : 1 / (memory.getLast().inverse * dot(memory.getLast().y, memory.getLast().y));
        for (int i = 0; i < q.length; i++) {
            q[i] *= scale;
        }
        int k = factors.size();
        for (Correction c : memory) {
            add(q, factors.get(--k) - c.inverse * dot(c.y, q), c.s);
        }
        for (int i = 0; i < q.length; i++) {
            q[i] = -q[i];
        }
        return q;
    }

    private Point evaluate(double[] weights) {
        int n = labels.length;
        int tasks = (n + ROWS - 1) / ROWS;
        double[][] gradients = new double[tasks][];
        double[] values = new double[tasks];
        IntStream.range(0, tasks).parallel().forEach(task -> {
            gradients[task] = new double[weights.length];
            values[task] = rows(weights, task * ROWS, Math.min(n, (task + 1) * ROWS), gradients[task]);
        });
        double[] gradient = new double[weights.length];
        double value = 0;
        for (int task = 0; task < tasks; task++) { // in order, so that the result does not depend on the threads
            value += values[task];
            add(gradient, 1, gradients[task]);
        }
        for (int i = 0; i < width * classes; i++) {
            value += lambda / 2 * weights[i] * weights[i];
            gradient[i] += lambda * weights[i];
        }
        return new Point(weights, value, gradient);
    }

    private double rows(double[] weights, int from, int to, double[] gradient) {
        double value = 0;
        for (int row = from; row < to; row++) {
            double[] scores = scores(x, row, width, classes, weights);
            double largest = Double.NEGATIVE_INFINITY;
            for (double score : scores) {
                largest = Math.max(largest, score);
            }
            double sum = 0;
            for (double score : scores) {
                sum += Math.exp(score - largest);
            }
            value += (largest + Math.log(sum) - scores[labels[row]]) / labels.length;
            for (int c = 0; c < classes; c++) {
                double share = Math.exp(scores[c] - largest) / sum - (c == labels[row] ? 1 : 0);
                scores[c] = share / labels.length;
                gradient[width * classes + c] += scores[c];
            }
            for (int k = 0; k < width; k++) {
                double feature = x[row * width + k];
                for (int c = 0; c < classes; c++) {
                    gradient[k * classes + c] += feature * scores[c];
                }
            }
        }
        return value;
    }

    /** Returns the scores of all classes for one row of features. */
    static double[] scores(double[] x, int row, int width, int classes, double[] weights) {
        double[] scores = new double[classes];
        System.arraycopy(weights, width * classes, scores, 0, classes);
        for (int k = 0; k < width; k++) {
            double feature = x[row * width + k];
            for (int c = 0; c < classes; c++) {
                scores[c] += feature * weights[k * classes + c];
            }
        }
        return scores;
    }

    private static double largest(double[] values) {
        double largest = 0;
        for (double value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    private static void add(double[] to, double factor, double[] values) {
        for (int i = 0; i < to.length; i++) {
            to[i] += factor * values[i];
        }
    }

    private static double[] difference(double[] a, double[] b) {
        double[] result = a.clone();
        add(result, -1, b);
        return result;
    }
}
