package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/**
 * Classifies pictures by words of their captions: from prompts without training (zero-shot), and by logistic regression
 * on the picture encoder's representations (linear probe).
 *
 * <p>Names of classes are compared word by word, ignoring case, punctuation and blanks.
 */
public final class Classification {
    private static final double[] LAMBDAS = {1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2};
    private static final int VALIDATION = 5; // every fifth training picture

    /**
     * Accuracy on labelled pictures.
     *
     * @param accuracy share of pictures whose class has the largest score; a tie counts as wrong
     * @param top5 share whose class is among the five largest scores
     * @param pictures number of pictures that have a class
     * @param unlabelled number of pictures without a class, which are left out
     * @param largestClass share of the most frequent class, which is the accuracy of always predicting it
     */
    public record Result(double accuracy, double top5, int pictures, int unlabelled, double largestClass) {}

    /**
     * A linear probe.
     *
     * @param result on the test pictures
     * @param lambda of the penalty, chosen on a fifth of the training pictures
     */
    public record Probe(Result result, double lambda) {}

    private record Labelled(List<Integer> samples, int[] labels, int unlabelled) {}

    private final Ops ops;
    private final PairDataset data;
    private final Embedder embedder;
    private final List<String> classes;
    private final List<List<String>> words;
    private final List<String> prompts;

    /**
     * Creates a classification.
     *
     * @param ops backend
     * @param data pairs
     * @param embedder of the model
     * @param classes two or more names
     * @param prompts texts of a class, each with {} for its name; their representations are averaged
     * @throws IllegalArgumentException when fewer than two classes, an ambiguous class, or no usable prompt is given
     */
    public Classification(Ops ops, PairDataset data, Embedder embedder, List<String> classes, List<String> prompts) {
        this.words = classes.stream().map(Tokenizer::words).toList();
        if (new HashSet<>(words).size() < Math.max(2, classes.size()) || words.contains(List.<String>of())) {
            throw new IllegalArgumentException(
                    "classification into " + classes + ": expected at least two different classes, each with a word");
        }
        prompts.stream().filter(prompt -> !prompt.contains("{}")).findFirst().ifPresent(prompt -> {
            throw new IllegalArgumentException("prompt \"" + prompt + "\" has no {} for the class name");
        });
        if (prompts.isEmpty()) {
            throw new IllegalArgumentException("classification without prompts: expected at least one, such as \"{}\"");
        }
        this.ops = ops;
        this.data = data;
        this.embedder = embedder;
        this.classes = List.copyOf(classes);
        this.prompts = List.copyOf(prompts);
    }

    /** Assigns each picture the first class whose words occur contiguously in its caption. */
    private Labelled label(List<Integer> samples) {
        List<Integer> kept = new ArrayList<>();
        List<Integer> labels = new ArrayList<>();
        Set<String> pictures = new HashSet<>();
        int unlabelled = 0;
        for (int sample : samples) {
            if (data.isUnreadable(sample) || pictures.contains(data.pair(sample).picture())) {
                continue;
            }
            int label = classOf(data.pair(sample).caption());
            if (label < 0) {
                unlabelled++;
            } else {
                pictures.add(data.pair(sample).picture());
                kept.add(sample);
                labels.add(label);
            }
        }
        return new Labelled(kept, labels.stream().mapToInt(Integer::intValue).toArray(), unlabelled);
    }

    private int classOf(String caption) {
        List<String> spoken = Tokenizer.words(caption);
        for (int c = 0; c < words.size(); c++) {
            if (Collections.indexOfSubList(spoken, words.get(c)) >= 0) {
                return c;
            }
        }
        return -1;
    }

    /**
     * Returns the classes that occur in no caption.
     *
     * @param samples ids of pairs
     * @return names as given
     */
    public List<String> unmatched(List<Integer> samples) {
        int[] labels = label(samples).labels();
        List<String> missing = new ArrayList<>();
        for (int c = 0; c < classes.size(); c++) {
            int searched = c;
            if (Arrays.stream(labels).noneMatch(label -> label == searched)) {
                missing.add(classes.get(c));
            }
        }
        return missing;
    }

    private Labelled labelled(List<Integer> samples) {
        Labelled labelled = label(samples);
        if (labelled.samples().isEmpty()) {
            throw new IllegalArgumentException(
                    "no caption contains one of the classes " + classes + "; name other --classes");
        }
        return labelled;
    }

    /**
     * Classifies pictures by their similarity to each class, which is represented by the normalised mean of the unit
     * representations of its prompts.
     *
     * @param samples ids of pairs; a picture with several captions counts once
     * @return accuracy
     */
    public Result zeroShot(List<Integer> samples) {
        Labelled labelled = labelled(samples);
        int count = classes.size();
        try (Tensor pictures = embedder.pictures(labelled.samples())) {
            int width = pictures.dim(1);
            double[] means = new double[count * width];
            for (String prompt : prompts) {
                try (Tensor texts = embedder.texts(
                        classes.stream().map(name -> prompt.replace("{}", name)).toList())) {
                    double[] values = texts.toDoubles();
                    for (int i = 0; i < means.length; i++) {
                        means[i] += values[i];
                    }
                }
            }
            normalise(means, width);
            double[] x = pictures.toDoubles();
            double[] scores = new double[labelled.labels().length * count];
            for (int i = 0; i < labelled.labels().length; i++) {
                for (int c = 0; c < count; c++) {
                    for (int k = 0; k < width; k++) {
                        scores[i * count + c] += x[i * width + k] * means[c * width + k];
                    }
                }
            }
            return result(scores, labelled);
        }
    }

    private static void normalise(double[] rows, int width) {
        for (int from = 0; from < rows.length; from += width) {
            double square = 0;
            for (int k = 0; k < width; k++) {
                square += rows[from + k] * rows[from + k];
            }
            for (int k = 0; k < width; k++) {
                rows[from + k] /= Math.max(Math.sqrt(square), Double.MIN_NORMAL);
            }
        }
    }

    /**
     * Fits a logistic regression on the representations of {@code train} and measures it on {@code test}. The penalty
     * with the best accuracy on a fifth of the training pictures is chosen, and all training pictures are then fitted.
     *
     * @param train ids of pairs
     * @param test ids of pairs
     * @return accuracy and penalty
     */
    public Probe linearProbe(List<Integer> train, List<Integer> test) {
        Labelled from = labelled(train);
        Labelled to = labelled(test);
        try (Tensor fitted = embedder.pictures(from.samples());
                Tensor tested = embedder.pictures(to.samples())) {
            int width = fitted.dim(1);
            double[] x = fitted.toDoubles();
            double lambda = chooseLambda(x, from.labels(), width);
            double[] weights = new LogisticRegression(x, from.labels(), width, classes.size(), lambda).fit();
            return new Probe(result(scores(tested.toDoubles(), to.labels().length, width, weights), to), lambda);
        }
    }

    private double chooseLambda(double[] x, int[] labels, int width) {
        List<Integer> fit = new ArrayList<>();
        List<Integer> validation = new ArrayList<>();
        for (int i = 0; i < labels.length; i++) {
            (i % VALIDATION == VALIDATION - 1 ? validation : fit).add(i);
        }
        if (validation.isEmpty()) {
            return LAMBDAS[LAMBDAS.length / 2];
        }
        double best = -1;
        double chosen = LAMBDAS[0];
        int[] validationLabels = select(labels, validation);
        for (double lambda : LAMBDAS) {
            double[] weights = new LogisticRegression(
                            select(x, fit, width), select(labels, fit), width, classes.size(), lambda)
                    .fit();
            double[] scores = scores(select(x, validation, width), validation.size(), width, weights);
            double accuracy = result(scores, new Labelled(validation, validationLabels, 0))
                    .accuracy();
            if (accuracy >= best) { // the largest penalty among the best ones
                best = accuracy;
                chosen = lambda;
            }
        }
        return chosen;
    }

    private static int[] select(int[] values, List<Integer> rows) {
        return rows.stream().mapToInt(row -> values[row]).toArray();
    }

    private static double[] select(double[] values, List<Integer> rows, int width) {
        double[] selected = new double[rows.size() * width];
        for (int k = 0; k < rows.size(); k++) {
            System.arraycopy(values, rows.get(k) * width, selected, k * width, width);
        }
        return selected;
    }

    private double[] scores(double[] x, int rows, int width, double[] weights) {
        double[] scores = new double[rows * classes.size()];
        for (int row = 0; row < rows; row++) {
            double[] ofRow = LogisticRegression.scores(x, row, width, classes.size(), weights);
            System.arraycopy(ofRow, 0, scores, row * ofRow.length, ofRow.length);
        }
        return scores;
    }

    private Result result(double[] scores, Labelled labelled) {
        int count = classes.size();
        int[] labels = labelled.labels();
        int first = 0;
        int five = 0;
        int[] frequency = new int[count];
        for (int i = 0; i < labels.length; i++) {
            int before = 0;
            for (int c = 0; c < count; c++) {
                if (c != labels[i] && !(scores[i * count + c] < scores[i * count + labels[i]])) {
                    before++;
                }
            }
            first += before == 0 ? 1 : 0;
            five += before < 5 ? 1 : 0;
            frequency[labels[i]]++;
        }
        return new Result(
                (double) first / labels.length,
                (double) five / labels.length,
                labels.length,
                labelled.unlabelled(),
                (double) Arrays.stream(frequency).max().orElse(0) / labels.length);
    }
}
