package org.contrastive4j.gradcache;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiConsumer;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;

/**
 * Answers "is the cached gradient that of the whole batch, for my encoder?" on the user's own encoders and data.
 *
 * <p>Three comparisons: gradients of the chunked step against those of one undivided pass; first-pass against
 * second-pass representations, which differ when randomness is not keyed by the sample or an encoder has state; chunked
 * against undivided representations, which differ when a sample's output depends on its chunk, as with batch
 * statistics. A difference in representations is traced to the first layer that shows it.
 *
 * @param <B> the batch
 */
public final class EquivalenceCheck<B> {
    private final Ops ops;
    private final double tolerance;
    private final List<ChunkEncoder<B>> encoders;
    private final RepresentationLoss<B, ?> loss;
    private final List<Parameter> parameters;

    /** @param parameters of the encoders and the loss; their gradients are overwritten */
    public EquivalenceCheck(
            Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, ?> loss, List<Parameter> parameters) {
        this.ops = ops;
        this.tolerance = tolerance(ops.precision());
        this.encoders = List.copyOf(encoders);
        this.loss = loss;
        this.parameters = List.copyOf(parameters);
    }

    /**
     * Largest relative difference that is still rounding. Sums in another order differ by units of f32, which can round
     * an activation or an operand the other way: half a unit in the last place of those.
     */
    public static double tolerance(Precision precision) {
        return switch (precision) {
            case F32, F64 -> 1e-5;
            case TF32, F16 -> 0x1p-11;
            case BF16 -> 0x1p-8;
        };
    }

    /**
     * What was compared.
     *
     * @param gradients relative difference |cached - undivided| / |undivided| of each parameter, by name
     * @param gradient the same over all parameters together
     * @param passes relative difference between first and second pass, per encoder
     * @param chunking relative difference between chunked and undivided representations, per encoder
     * @param culprits per encoder, the first layer that differs and how; absent where nothing differs
     */
    public record Report(
            Map<String, Double> gradients,
            double gradient,
            Map<String, Double> passes,
            Map<String, Double> chunking,
            Map<String, String> culprits) {
        /** Whether everything agrees to {@code tolerance}. */
        public boolean agrees(double tolerance) {
            return gradient <= tolerance
                    && passes.values().stream().allMatch(value -> value <= tolerance)
                    && chunking.values().stream().allMatch(value -> value <= tolerance);
        }

        @Override
        public String toString() {
            StringBuilder text = new StringBuilder();
            text.append(String.format(Locale.ROOT, "gradient, cached against undivided: %.2e%n", gradient));
            passes.forEach((name, value) ->
                    text.append(String.format(Locale.ROOT, "%s: first against second pass: %.2e%n", name, value)));
            chunking.forEach((name, value) -> text.append(
                    String.format(Locale.ROOT, "%s: chunked against undivided representations: %.2e%n", name, value)));
            culprits.forEach((name, layer) ->
                    text.append(name).append(": ").append(layer).append(System.lineSeparator()));
            return text.toString();
        }
    }

    /** Compares chunks of these sizes with the undivided batch, all in one pass, which must fit in memory. */
    public Report run(B batch, List<Integer> chunks) {
        List<Integer> undivided =
                encoders.stream().map(encoder -> encoder.samples(batch)).toList();
        Map<String, double[]> whole = gradients(batch, undivided);
        Map<String, double[]> cached = gradients(batch, chunks);
        Map<String, Double> perParameter = new LinkedHashMap<>();
        double squares = 0;
        double norm = 0;
        for (String name : whole.keySet()) {
            double difference = distance(cached.get(name), whole.get(name));
            double size = distance(whole.get(name), new double[whole.get(name).length]);
            perParameter.put(name, relative(difference, size));
            squares += difference * difference;
            norm += size * size;
        }
        Map<String, Double> passes = new LinkedHashMap<>();
        Map<String, Double> chunking = new LinkedHashMap<>();
        Map<String, String> culprits = new LinkedHashMap<>();
        for (int e = 0; e < encoders.size(); e++) {
            compareEncoder(batch, encoders.get(e), chunks.get(e), passes, chunking, culprits);
        }
        return new Report(perParameter, relative(Math.sqrt(squares), Math.sqrt(norm)), passes, chunking, culprits);
    }

    private Map<String, double[]> gradients(B batch, List<Integer> chunks) {
        parameters.forEach(Parameter::zeroGradient);
        GradCache.ofChunks(ops, encoders, loss, chunks).step(batch, 1).get();
        Map<String, double[]> all = new LinkedHashMap<>();
        for (Parameter parameter : parameters) {
            if (!parameter.isFrozen()) {
                all.put(parameter.name(), parameter.gradient().toDoubles());
            }
        }
        parameters.forEach(Parameter::zeroGradient);
        return all;
    }

    private void compareEncoder(
            B batch,
            ChunkEncoder<B> encoder,
            int chunk,
            Map<String, Double> passes,
            Map<String, Double> chunking,
            Map<String, String> culprits) {
        int samples = encoder.samples(batch);
        Trace whole = trace(batch, encoder, 0, samples, false);
        double worstPass = 0;
        double worstChunk = 0;
        String culprit = null;
        for (int from = 0; from < samples; from += chunk) {
            int to = Math.min(samples, from + chunk);
            Trace first = trace(batch, encoder, from, to, false);
            Trace second = trace(batch, encoder, from, to, true);
            double pass = first.outputDifference(second, 0, to - from);
            double chunked = first.outputDifference(whole, from, samples);
            worstPass = Math.max(worstPass, pass);
            worstChunk = Math.max(worstChunk, chunked);
            if (culprit == null && pass > tolerance) {
                culprit = "passes differ first in " + first.firstDifference(second, 0, to - from)
                        + ": its randomness is not keyed by the sample, or it keeps state";
            }
            if (culprit == null && chunked > tolerance) {
                culprit = "a sample's output depends on its chunk, first in "
                        + first.firstDifference(whole, from, samples)
                        + ": batch statistics, or randomness keyed by position";
            }
        }
        passes.put(encoder.name(), worstPass);
        chunking.put(encoder.name(), worstChunk);
        if (culprit != null) {
            culprits.put(encoder.name(), culprit);
        }
    }

    private Trace trace(B batch, ChunkEncoder<B> encoder, int from, int to, boolean forBackward) {
        Trace trace = new Trace(to - from);
        encoder.observe(trace);
        try (Tensor into = ops.allocateParameter(to - from, encoder.width())) {
            if (forBackward) {
                encoder.encodeForBackward(batch, from, to, into).close();
            } else {
                encoder.encode(batch, from, to, into);
            }
            trace.output = into.toDoubles();
            return trace;
        } finally {
            encoder.observe(null);
        }
    }

    /** Values of every layer's output in one pass, in order. */
    private final class Trace implements BiConsumer<String, Tensor> {
        private final int samples;
        private final List<String> names = new ArrayList<>();
        private final List<double[]> values = new ArrayList<>();
        private double[] output;

        Trace(int samples) {
            this.samples = samples;
        }

        @Override
        public void accept(String name, Tensor value) {
            names.add(name);
            values.add(value.toDoubles());
        }

        /**
         * Relative difference of the representations from rows [from, ...) of another pass over {@code total} samples.
         */
        double outputDifference(Trace other, int from, int total) {
            return difference(output, other.output, from, total);
        }

        /** Name of the first layer that differs; "the encoder" when it shows no layers. */
        String firstDifference(Trace other, int from, int total) {
            for (int k = 0; k < Math.min(values.size(), other.values.size()); k++) {
                boolean perSample = values.get(k).length % samples == 0
                        && other.values.get(k).length / total == values.get(k).length / samples;
                if (perSample && difference(values.get(k), other.values.get(k), from, total) > tolerance) {
                    return names.get(k);
                }
            }
            return "the encoder";
        }

        private double difference(double[] mine, double[] theirs, int from, int total) {
            int row = theirs.length / total;
            double squares = 0;
            double norm = 0;
            for (int i = 0; i < mine.length; i++) {
                double other = theirs[from * row + i];
                squares += (mine[i] - other) * (mine[i] - other);
                norm += other * other;
            }
            return relative(Math.sqrt(squares), Math.sqrt(norm));
        }
    }

    private static double distance(double[] a, double[] b) {
        double squares = 0;
        for (int i = 0; i < a.length; i++) {
            squares += (a[i] - b[i]) * (a[i] - b[i]);
        }
        return Math.sqrt(squares);
    }

    private static double relative(double difference, double size) {
        return difference == 0 ? 0 : difference / Math.max(size, Double.MIN_NORMAL);
    }
}
