package org.contrastive4j.gradcache;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiConsumer;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;

/**
 * Checks on given encoders and data that gradient caching computes the gradient of the whole batch.
 *
 * <p>The check makes three comparisons:
 *
 * <ul>
 *   <li>gradients of the chunked step and of one step with the whole batch as a single chunk;
 *   <li>representations of the first and of the second pass, which differ when randomness is not keyed by the sample or
 *       when an encoder has state;
 *   <li>representations encoded in chunks and as a whole, which differ when the output of a sample depends on its
 *       chunk, for example through batch statistics.
 * </ul>
 *
 * <p>If representations differ, the report names the first layer whose output differs.
 *
 * @param <B> the batch
 */
public final class EquivalenceCheck<B> {
    private final Ops ops;
    private final double tolerance;
    private final List<ChunkEncoder<B>> encoders;
    private final RepresentationLoss<B, ?> loss;
    private final List<Parameter> parameters;

    /**
     * Creates a check.
     *
     * @param ops backend
     * @param encoders to check
     * @param loss over their representations
     * @param parameters of the encoders and the loss; their gradients are overwritten
     */
    public EquivalenceCheck(
            Ops ops, List<ChunkEncoder<B>> encoders, RepresentationLoss<B, ?> loss, List<Parameter> parameters) {
        this.ops = ops;
        this.tolerance = tolerance(ops.precision());
        this.encoders = List.copyOf(encoders);
        this.loss = loss;
        this.parameters = List.copyOf(parameters);
    }

    /**
     * Returns the largest relative difference that rounding explains. Sums in a different order differ by rounding in
     * f32. With 16-bit or TF32 operands, this can change the rounded value of an operand or activation by one unit in
     * its last place, a relative error of up to half a unit.
     *
     * @param precision of the backend
     * @return the tolerance
     */
    public static double tolerance(Precision precision) {
        return switch (precision) {
            case F32, F64 -> 1e-5;
            case TF32, F16 -> 0x1p-11;
            case BF16 -> 0x1p-8;
        };
    }

    /**
     * Results of the three comparisons.
     *
     * @param gradients relative difference |chunked - whole| / |whole| of the gradient of each parameter, by name
     * @param gradient relative difference of all gradients taken as one vector
     * @param passes relative difference between the representations of the first and second pass, by encoder
     * @param chunking relative difference between representations encoded in chunks and as a whole, by encoder
     * @param culprits the first layer that differs and the likely cause, by encoder; only for encoders that differ
     */
    public record Report(
            Map<String, Double> gradients,
            double gradient,
            Map<String, Double> passes,
            Map<String, Double> chunking,
            Map<String, String> culprits) {
        /**
         * Whether all differences are within a tolerance.
         *
         * @param tolerance maximum relative difference
         * @return true if the check passed
         */
        public boolean agrees(double tolerance) {
            return gradient <= tolerance
                    && passes.values().stream().allMatch(value -> value <= tolerance)
                    && chunking.values().stream().allMatch(value -> value <= tolerance);
        }

        @Override
        public String toString() {
            StringBuilder text = new StringBuilder();
            text.append(String.format(Locale.ROOT, "gradient, chunked against whole batch: %.2e%n", gradient));
            passes.forEach((name, value) ->
                    text.append(String.format(Locale.ROOT, "%s: first pass against second pass: %.2e%n", name, value)));
            chunking.forEach((name, value) -> text.append(String.format(
                    Locale.ROOT, "%s: representations, chunked against whole batch: %.2e%n", name, value)));
            culprits.forEach((name, layer) ->
                    text.append(name).append(": ").append(layer).append(System.lineSeparator()));
            return text.toString();
        }
    }

    /**
     * Compares chunked encoding with encoding of the whole batch at once, which must fit in memory.
     *
     * @param batch to encode
     * @param chunks chunk size of each encoder
     * @return the differences
     */
    public Report run(B batch, List<Integer> chunks) {
        List<Integer> wholeBatch =
                encoders.stream().map(encoder -> encoder.samples(batch)).toList();
        Map<String, double[]> whole = gradients(batch, wholeBatch);
        Map<String, double[]> chunked = gradients(batch, chunks);
        Map<String, Double> perParameter = new LinkedHashMap<>();
        double squares = 0;
        double norm = 0;
        for (Map.Entry<String, double[]> entry : whole.entrySet()) {
            String name = entry.getKey();
            double difference = distance(Objects.requireNonNull(chunked.get(name), name), entry.getValue());
            double size = distance(entry.getValue(), new double[entry.getValue().length]);
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
                culprit = "first and second pass differ, first in " + first.firstDifference(second, 0, to - from)
                        + ": its randomness is not keyed by the sample, or it has state";
            }
            if (culprit == null && chunked > tolerance) {
                culprit = "the output of a sample depends on its chunk, first in "
                        + first.firstDifference(whole, from, samples)
                        + ": it uses batch statistics, or its randomness is keyed by the position in the chunk";
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

    /** Outputs of all layers in one pass, in the order of computation. */
    private final class Trace implements BiConsumer<String, Tensor> {
        private final int samples;
        private final List<String> names = new ArrayList<>();
        private final List<double[]> values = new ArrayList<>();
        private double[] output = {};

        Trace(int samples) {
            this.samples = samples;
        }

        @Override
        public void accept(String name, Tensor value) {
            names.add(name);
            values.add(value.toDoubles());
        }

        /**
         * Returns the relative difference between these representations and the rows from {@code from} on of another
         * pass over {@code total} samples.
         */
        double outputDifference(Trace other, int from, int total) {
            return difference(output, other.output, from, total);
        }

        /** Returns the first layer whose output differs; "the encoder" if it reports no layers. */
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

        private double difference(double[] actual, double[] expected, int from, int total) {
            int row = expected.length / total;
            double squares = 0;
            double norm = 0;
            for (int i = 0; i < actual.length; i++) {
                double other = expected[from * row + i];
                squares += (actual[i] - other) * (actual[i] - other);
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
