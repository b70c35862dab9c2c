package org.contrastive4j.bench.device;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;
import org.contrastive4j.bench.device.PairwiseCase.Kind;
import org.contrastive4j.device.DeviceStream;

/**
 * Compares the results of the kernels with f64 on sampled rows before they are timed.
 *
 * <p>Each direction alone is compared with f64 over all rows of the other side (dX of rows, dY of columns); both
 * together must be the mean of the two; and precisions are compared with each other.
 */
final class Agreement {
    private static final int SAMPLES = 16;

    private record Values(double loss, double[][] dx, double[][] dy) {}

    private final double scale;
    private final int[] samples;
    private final SampledReference rows;
    private final SampledReference columns;
    private final Map<Kind, Values> seen = new EnumMap<>(Kind.class);

    Agreement(Features features, double scale) {
        int n = features.u().length;
        int count = Math.min(n, SAMPLES);
        this.scale = scale;
        samples = IntStream.range(0, count)
                .map(i -> (int) ((long) i * (n - 1) / Math.max(1, count - 1)))
                .toArray();
        rows = SampledReference.of(features.u(), features.v(), samples, scale);
        columns = SampledReference.of(features.v(), features.u(), samples, scale);
    }

    private Values values(
            PairwiseCase loss,
            PairwiseCase.Launches launches,
            DeviceStream stream,
            double rowWeight,
            double columnWeight) {
        loss.poison(stream);
        launches.run(stream, rowWeight, columnWeight);
        stream.synchronize();
        return new Values(loss.loss(), loss.dx(samples), loss.dy(samples));
    }

    /**
     * Runs the case three times and returns its errors; "agrees" is false if an error exceeds its bound or
     * is NaN.
     */
    Map<String, Object> check(Kind kind, PairwiseCase loss, PairwiseCase.Launches launches, DeviceStream stream) {
        Values ofRows = values(loss, launches, stream, 1, 0);
        Values ofColumns = values(loss, launches, stream, 0, 1);
        Values both = values(loss, launches, stream, 0.5, 0.5);
        Map<String, Object> errors = new LinkedHashMap<>();
        errors.put("sampled", samples.length);
        errors.put("loss", both.loss);
        boolean agrees =
                within(errors, "dxToF64", SampledReference.difference(ofRows.dx, rows.gradients()), kind.tolerance);
        agrees &= within(
                errors, "dyToF64", SampledReference.difference(ofColumns.dy, columns.gradients()), kind.tolerance);
        agrees &= within(
                errors,
                "dxToMeanOfDirections",
                SampledReference.difference(both.dx, mean(ofRows.dx, ofColumns.dx)),
                kind.tolerance);
        agrees &= within(
                errors,
                "dyToMeanOfDirections",
                SampledReference.difference(both.dy, mean(ofRows.dy, ofColumns.dy)),
                kind.tolerance);
        double lossTolerance = scale * Math.min(kind.tolerance, 0x1p-8);
        agrees &= within(
                errors,
                "lossToMeanOfDirections",
                Math.abs(both.loss - (ofRows.loss + ofColumns.loss) / 2),
                lossTolerance);
        for (Map.Entry<Kind, Values> other : seen.entrySet()) {
            double tolerance = Math.max(kind.tolerance, other.getKey().tolerance);
            String to = "To" + other.getKey().name();
            agrees &= within(
                    errors,
                    "loss" + to,
                    Math.abs(both.loss - other.getValue().loss),
                    scale * Math.min(tolerance, 0x1p-8));
            agrees &=
                    within(errors, "dx" + to, SampledReference.difference(both.dx, other.getValue().dx), 2 * tolerance);
            agrees &=
                    within(errors, "dy" + to, SampledReference.difference(both.dy, other.getValue().dy), 2 * tolerance);
        }
        seen.put(kind, both);
        errors.put("agrees", agrees);
        return errors;
    }

    /** Returns whether the outputs of the case have the bits of the last check of its kind. */
    boolean sameBits(Kind kind, PairwiseCase loss) {
        Values before = seen.get(kind);
        return before.loss == loss.loss()
                && Arrays.deepEquals(before.dx, loss.dx(samples))
                && Arrays.deepEquals(before.dy, loss.dy(samples));
    }

    private static boolean within(Map<String, Object> errors, String name, double error, double most) {
        errors.put(name, error);
        return error <= most; // false for NaN
    }

    private static double[][] mean(double[][] a, double[][] b) {
        double[][] mean = new double[a.length][a[0].length];
        for (int i = 0; i < a.length; i++) {
            for (int k = 0; k < a[i].length; k++) {
                mean[i][k] = (a[i][k] + b[i][k]) / 2;
            }
        }
        return mean;
    }
}
