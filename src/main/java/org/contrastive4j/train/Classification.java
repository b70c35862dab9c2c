package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * Classifying pictures by words of their captions: from prompts without training (zero-shot), and by logistic
 * regression on the picture encoder's representations (linear probe).
 */
public final class Classification {
    private static final int PROBE_STEPS = 300;
    private static final double PROBE_RATE = 0.05;
    private static final double PROBE_SCALE = 10; // of unit representations, so that the softmax can become sharp

    /** @param largestClass share of the most frequent class: what always guessing it would give */
    public record Result(double accuracy, int pictures, double largestClass) {}

    private record Labelled(List<Integer> samples, int[] labels) {}

    private final Ops ops;
    private final PairDataset data;
    private final Embedder embedder;
    private final List<String> classes;
    private final String prompt;

    /** @param prompt text of a class, with {} for its name */
    public Classification(Ops ops, PairDataset data, Embedder embedder, List<String> classes, String prompt) {
        if (classes.size() < 2) {
            throw new IllegalArgumentException("classification into " + classes + ": wanted at least two classes");
        }
        if (!prompt.contains("{}")) {
            throw new IllegalArgumentException("prompt \"" + prompt + "\" has no {} for the class name");
        }
        this.ops = ops;
        this.data = data;
        this.embedder = embedder;
        this.classes = List.copyOf(classes);
        this.prompt = prompt;
    }

    /** A picture belongs to the first class that is a word of its caption; pictures of no class are left out. */
    private Labelled label(List<Integer> samples) {
        List<Integer> kept = new ArrayList<>();
        List<Integer> labels = new ArrayList<>();
        for (int sample : samples) {
            List<String> words = Tokenizer.words(data.pair(sample).caption());
            for (int c = 0; c < classes.size(); c++) {
                if (words.contains(classes.get(c))) {
                    kept.add(sample);
                    labels.add(c);
                    break;
                }
            }
        }
        if (kept.isEmpty()) {
            throw new IllegalArgumentException("no caption has a word of " + classes + "; name other --classes");
        }
        return new Labelled(kept, labels.stream().mapToInt(Integer::intValue).toArray());
    }

    /** Share of pictures whose class's prompt is the most similar. */
    public Result zeroShot(List<Integer> samples) {
        Labelled labelled = label(samples);
        try (Tensor pictures = embedder.pictures(labelled.samples());
                Tensor prompts = embedder.texts(
                        classes.stream().map(name -> prompt.replace("{}", name)).toList());
                Tensor scores = ops.allocateParameter(labelled.labels().length, classes.size())) {
            ops.matrix().gemm(false, true, 1, pictures, prompts, 0, scores);
            return result(scores, labelled.labels());
        }
    }

    /** Multinomial logistic regression trained on {@code train}, measured on {@code test}. */
    public Result linearProbe(List<Integer> train, List<Integer> test) {
        Labelled from = label(train);
        Labelled to = label(test);
        try (Tensor x = embedder.pictures(from.samples());
                Tensor tested = embedder.pictures(to.samples());
                Tensor w = ops.zeroParameter(Shape.of(x.dim(1), classes.size()));
                Tensor scores = ops.allocateParameter(to.labels().length, classes.size())) {
            fit(x, from.labels(), w);
            ops.matrix().gemm(false, false, PROBE_SCALE, tested, w, 0, scores);
            return result(scores, to.labels());
        }
    }

    /** Full-batch Adam on the mean cross-entropy. */
    private void fit(Tensor x, int[] labels, Tensor w) {
        try (Tensor logits = ops.allocateParameter(labels.length, classes.size());
                Tensor gradient = ops.allocateParameter(w.shape());
                Tensor m = ops.zeroParameter(w.shape());
                Tensor v = ops.zeroParameter(w.shape())) {
            for (int step = 1; step <= PROBE_STEPS; step++) {
                ops.matrix().gemm(false, false, PROBE_SCALE, x, w, 0, logits);
                logits.set(crossEntropyGradient(logits.toDoubles(), labels));
                ops.matrix().gemm(true, false, PROBE_SCALE, x, logits, 0, gradient);
                ops.update().adamW(new UpdateOps.AdamW(PROBE_RATE, 0.9, 0.999, 1e-8, 1e-3, 1, step), w, gradient, m, v);
            }
        }
    }

    private double[] crossEntropyGradient(double[] logits, int[] labels) {
        int count = classes.size();
        for (int i = 0; i < labels.length; i++) {
            double largest = Double.NEGATIVE_INFINITY;
            for (int c = 0; c < count; c++) {
                largest = Math.max(largest, logits[i * count + c]);
            }
            double sum = 0;
            for (int c = 0; c < count; c++) {
                logits[i * count + c] = Math.exp(logits[i * count + c] - largest);
                sum += logits[i * count + c];
            }
            for (int c = 0; c < count; c++) {
                logits[i * count + c] = (logits[i * count + c] / sum - (c == labels[i] ? 1 : 0)) / labels.length;
            }
        }
        return logits;
    }

    private Result result(Tensor scores, int[] labels) {
        double[] values = scores.toDoubles();
        int count = classes.size();
        int right = 0;
        int[] frequency = new int[count];
        for (int i = 0; i < labels.length; i++) {
            int best = 0;
            for (int c = 1; c < count; c++) {
                best = values[i * count + c] > values[i * count + best] ? c : best;
            }
            right += best == labels[i] ? 1 : 0;
            frequency[labels[i]]++;
        }
        int largest = 0;
        for (int f : frequency) {
            largest = Math.max(largest, f);
        }
        return new Result((double) right / labels.length, labels.length, (double) largest / labels.length);
    }
}
