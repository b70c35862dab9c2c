package org.contrastive4j.internal.ptx;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.PairwiseReference;
import org.contrastive4j.tensor.Precision;

/**
 * Prints the errors of the kernels of the loss, of matrix products and of attention against f64, measured on the
 * simulator, as the tables of {@code bench/results/2026-11-errors.md}: run {@code mvn -q test-compile exec:java
 * -Dexec.classpathScope=test -Dexec.mainClass=org.contrastive4j.internal.ptx.ErrorTables}.
 */
public final class ErrorTables {
    private static final int SEEDS = 3;
    private static final String HEAD =
            "\n| n x m, d, s | what | loss | dx | dy | d log s | d bias |\n|---|---|---|---|---|---|---|";

    private ErrorTables() {}

    public static void main(String[] arguments) {
        for (Precision precision : RowLayout.PRECISIONS) {
            System.out.println("\n### " + precision + "\n" + HEAD);
            for (Setting setting : settings()) {
                pairwise(precision, setting).forEach(System.out::println);
            }
        }
        System.out.println("\n## Products and attention\n\n| what | sizes | kernels | plain |\n|---|---|---|---|");
        GemmErrors.lines().forEach(System.out::println);
    }

    /**
     * A kind of batch.
     *
     * @param near weight of the matching column in a row; the rest is random
     * @param shared whether several rows may share a target
     */
    record Setting(int n, int m, int d, double scale, double near, boolean shared, String note) {
        String name() {
            return String.format(
                    Locale.ROOT, "%d x %d, %d, %s%s", n, m, d, scale % 1 == 0 ? "" + (int) scale : "" + scale, note);
        }
    }

    static List<Setting> settings() {
        return List.of(
                new Setting(33, 33, 20, 1, 0, false, ""),
                new Setting(103, 129, 64, 14.3, 0.5, false, ""),
                new Setting(129, 129, 100, 30, 0.5, false, ""),
                new Setting(127, 127, 33, 100, 0.5, false, ""),
                new Setting(65, 65, 128, 12, 0.95, false, ", easy"),
                new Setting(128, 40, 64, 14.3, 0.5, true, ", shared"),
                new Setting(65, 66, 321, 30, 0.5, false, ""));
    }

    /** One batch of rows of any norm. */
    record Batch(Setting of, float[] u, float[] v, int[] targets) {
        static Batch random(Setting of, long seed) {
            Random random = new Random(seed);
            int[] targets = IntStream.range(0, of.n)
                    .map(i -> of.shared ? random.nextInt(of.m) : i)
                    .toArray();
            float[] v = gaussian(random, of.m * of.d);
            float[] u = gaussian(random, of.n * of.d);
            for (int i = 0; i < u.length; i++) {
                u[i] = (float)
                        (of.near * v[targets[i / of.d] * of.d + i % of.d] + Math.sqrt(1 - of.near * of.near) * u[i]);
            }
            return new Batch(of, u, v, targets);
        }

        float logScale() {
            return (float) Math.log(of.scale);
        }
    }

    static float[] gaussian(Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Loss, dx, dy, d log s, d bias; null for what an implementation does not compute. */
    private record Values(double[]... all) {}

    /** Sums of the errors of one quantity over batches. */
    static final class Errors {
        private double largest;
        private double squares;
        private double size;
        private long count;

        void add(double[] want, double[] got) {
            for (int i = 0; i < want.length; i++) {
                double error = Math.abs(got[i] - want[i]);
                largest = Double.isNaN(error) ? Double.NaN : Math.max(largest, error);
                squares += error * error;
                size += want[i] * want[i];
                count++;
            }
        }

        /**
         * Returns the largest error and the root mean square, absolute or relative to the root mean square of the
         * exact values.
         */
        String cell(boolean absolute) {
            double unit = absolute ? 1 : Math.sqrt(size / count);
            return String.format(Locale.ROOT, "%.1e / %.1e", largest / unit, Math.sqrt(squares / count) / unit);
        }
    }

    /** Returns the lines of one setting. */
    static List<String> pairwise(Precision precision, Setting setting) {
        Map<String, Function<Batch, Values>> implementations = new LinkedHashMap<>();
        try (PtxDevice device = SimDevice.open(SimOptions.defaults().withoutChecks())) {
            PtxNormalize normalize = new PtxNormalize(device);
            PortableInfoNce pairwise = new PortableInfoNce(device, precision, 1 << 20);
            implementations.put("portable", batch -> portable(device, normalize, pairwise, precision, batch));
            if (HopperInfoNceLaunches.PRECISIONS.contains(precision)) {
                HopperInfoNce again = new HopperInfoNce(device, precision, 0);
                implementations.put("sm_90a", batch -> hopper(device, again, batch));
                if (setting.d > 320) { // as wide as that products are kept where there is room
                    HopperInfoNce kept = new HopperInfoNce(device, precision);
                    implementations.put("sm_90a, kept", batch -> hopper(device, kept, batch));
                }
            }
            if (precision.usesTensorCores()) {
                implementations.put("rows rounded", batch -> exact(batch, precision));
            }
            implementations.put("plain", batch -> plain(batch, precision));
            List<Batch> batches = IntStream.range(0, SEEDS)
                    .mapToObj(seed -> Batch.random(setting, seed))
                    .toList();
            List<Values> truths =
                    batches.stream().map(batch -> exact(batch, null)).toList();
            List<String> lines = new ArrayList<>();
            implementations.forEach((name, implementation) -> lines.add("| " + setting.name() + " | " + name + " | "
                    + String.join(
                            " | ",
                            cells(truths, batches.stream().map(implementation).toList())) + " |"));
            return lines;
        }
    }

    private static List<String> cells(List<Values> truths, List<Values> found) {
        List<String> cells = new ArrayList<>();
        for (int quantity = 0; quantity < 5; quantity++) {
            Errors errors = new Errors();
            for (int seed = 0; seed < truths.size(); seed++) {
                if (found.get(seed).all[quantity] != null) {
                    errors.add(truths.get(seed).all[quantity], found.get(seed).all[quantity]);
                }
            }
            cells.add(errors.count == 0 ? "" : errors.cell(quantity == 4));
        }
        return cells;
    }

    /** @param precision that rows are rounded to; null for exact rows */
    private static Values exact(Batch batch, Precision precision) {
        Setting of = batch.of;
        PairwiseReference truth = new PairwiseReference(
                of.n,
                of.m,
                of.d,
                unit(batch.u, of.d, precision),
                unit(batch.v, of.d, precision),
                batch.targets,
                batch.logScale(),
                0,
                0.5,
                0.5);
        return new Values(
                new double[] {truth.loss}, truth.dx, truth.dy, new double[] {truth.dLogScale}, new double[] {truth.dBias
                });
    }

    private static double[] unit(float[] rows, int d, Precision precision) {
        double[] units = new double[rows.length];
        for (int i = 0; i < rows.length; i += d) {
            double squares = 0;
            for (int k = 0; k < d; k++) {
                squares += (double) rows[i + k] * rows[i + k];
            }
            for (int k = 0; k < d; k++) {
                double value = rows[i + k] / Math.sqrt(squares);
                units[i + k] = precision == null ? value : NaiveInfoNce.round(value, precision);
            }
        }
        return units;
    }

    private static Values plain(Batch batch, Precision precision) {
        NaiveInfoNce plain = new NaiveInfoNce(
                precision, batch.of.n, batch.of.m, batch.of.d, batch.u, batch.v, batch.targets, batch.logScale());
        return new Values(
                new double[] {plain.loss}, plain.dx, plain.dy, new double[] {plain.dLogScale}, new double[] {plain.dBias
                });
    }

    private static Values portable(
            PtxDevice device, PtxNormalize normalize, PortableInfoNce pairwise, Precision precision, Batch batch) {
        Setting of = batch.of;
        long row = RowLayout.rowBytes(precision, of.d);
        try (DeviceStorage u = Devices.floats(device, batch.u);
                DeviceStorage v = Devices.floats(device, batch.v);
                DeviceStorage x = device.allocate(of.n * row);
                DeviceStorage y = device.allocate(of.m * row);
                DeviceStorage norms = device.allocate(4L * Math.max(of.n, of.m))) {
            normalize.forward(device.stream(), precision, of.n, of.d, u.address(), x.address(), norms.address());
            normalize.forward(device.stream(), precision, of.m, of.d, v.address(), y.address(), norms.address());
            return run(device, batch, x, y, pairwise.workspaceBytes(of.n, of.m, of.d, true), pairwise::infoNce);
        }
    }

    private static Values hopper(PtxDevice device, HopperInfoNce kernels, Batch batch) {
        try (DeviceStorage u = Devices.floats(device, batch.u);
                DeviceStorage v = Devices.floats(device, batch.v)) {
            Values values = run(
                    device,
                    batch,
                    u,
                    v,
                    kernels.workspaceBytes(batch.of.n, batch.of.m, batch.of.d, true),
                    kernels::infoNce);
            values.all[4] = null; // always 0
            return values;
        }
    }

    private interface Loss {
        void infoNce(
                DeviceStream stream,
                InfoNceKernels.Inputs inputs,
                InfoNceKernels.Gradients gradients,
                long hardest,
                long result,
                long workspace,
                long bytes);
    }

    private static Values run(PtxDevice device, Batch batch, DeviceStorage x, DeviceStorage y, long bytes, Loss loss) {
        int n = batch.of.n;
        int m = batch.of.m;
        int d = batch.of.d;
        try (DeviceStorage targets = Devices.ints(device, batch.targets);
                DeviceStorage logScale = Devices.floats(device, batch.logScale());
                DeviceStorage scalars = Devices.floats(device, 0, 0);
                DeviceStorage dx = device.allocate(4L * n * d);
                DeviceStorage dy = device.allocate(4L * m * d);
                DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES);
                DeviceStorage workspace = device.allocate(bytes)) {
            loss.infoNce(
                    device.stream(),
                    new InfoNceKernels.Inputs(
                            n, m, d, x.address(), y.address(), targets.address(), logScale.address(), 0, 0.5, 0.5),
                    new InfoNceKernels.Gradients(
                            dx.address(), dy.address(), scalars.address(), scalars.address() + 4, 1),
                    0,
                    result.address(),
                    workspace.address(),
                    bytes);
            double[] sums = doubles(scalars);
            return new Values(
                    new double[] {InfoNceCase.toDoubles(result)[0]},
                    doubles(dx),
                    doubles(dy),
                    new double[] {sums[0]},
                    new double[] {sums[1]});
        }
    }

    private static double[] doubles(DeviceStorage floats) {
        float[] values = Devices.toFloats(floats);
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }
}
