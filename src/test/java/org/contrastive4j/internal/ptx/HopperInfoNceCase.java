package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.PairwiseReference;
import org.contrastive4j.tensor.Precision;

/** One InfoNCE problem for the sm_90a kernels: its f64 reference from rows rounded to 16 bits, and the comparison. */
final class HopperInfoNceCase {
    final int n;
    final int m;
    final int d;
    final float[] u;
    final float[] v;
    /** Null: row i has the target i. */
    final int[] targets;

    Precision precision = Precision.BF16;
    double scale = 12;
    double rowWeight = 0.5;
    double columnWeight = 0.5;
    double gradientScale = 1;

    HopperInfoNceCase(int n, int m, int d, int[] targets) {
        this(n, m, d, targets, HopperFixture.random(1, n * d), HopperFixture.random(2, m * d));
    }

    HopperInfoNceCase(int n, int m, int d, int[] targets, float[] u, float[] v) {
        this.n = n;
        this.m = m;
        this.d = d;
        this.targets = targets;
        this.u = u;
        this.v = v;
    }

    /**
     * Returns the problem in which every second target is the nearest column of its row, so that some rows are
     * classified correctly.
     */
    HopperInfoNceCase withNeighbours() {
        for (int i = 0; i < n; i += 2) {
            for (int k = 0; k < d; k++) {
                v[column(i) * d + k] = u[i * d + k] + v[column(i) * d + k] * 0.3f * (i % 8);
            }
        }
        return this;
    }

    int column(int row) {
        return targets == null ? row : targets[row];
    }

    /** The outputs of the kernels. */
    record Answer(double[] result, float[] dx, float[] dy, float dLogScale, float dBias, int[] hardest) {
        void same(Answer other) {
            assertArrayEquals(result, other.result);
            assertArrayEquals(hardest, other.hardest);
            assertArrayEquals(dx, other.dx);
            assertArrayEquals(dy, other.dy);
            assertEquals(dLogScale, other.dLogScale);
        }
    }

    /**
     * Runs the kernels. Outputs are poisoned with NaN and the workspace is fresh; dLogScale and dBias start at 2 and
     * 4.
     */
    Answer ask(PtxDevice device, HopperInfoNce loss) {
        long bytes = loss.workspaceBytes(n, m, d, true);
        List<DeviceStorage> open = new ArrayList<>();
        try (DeviceStream stream = device.newStream()) {
            DeviceStorage x = keep(open, Devices.floats(device, u));
            DeviceStorage y = keep(open, Devices.floats(device, v));
            DeviceStorage t = keep(open, Devices.ints(device, targets == null ? new int[1] : targets));
            DeviceStorage scalars = keep(open, Devices.floats(device, (float) Math.log(scale), 0.25f, 2, 4));
            DeviceStorage dx = keep(open, poisoned(device, n * d));
            DeviceStorage dy = keep(open, poisoned(device, m * d));
            DeviceStorage hardest = keep(open, poisoned(device, n));
            DeviceStorage result = keep(open, poisoned(device, InfoNceKernels.RESULT_BYTES / 4));
            DeviceStorage workspace = keep(open, device.allocate(bytes));
            long at = scalars.address();
            InfoNceKernels.Inputs inputs = new InfoNceKernels.Inputs(
                    n,
                    m,
                    d,
                    x.address(),
                    y.address(),
                    targets == null ? 0 : t.address(),
                    at,
                    at + 4,
                    rowWeight,
                    columnWeight);
            loss.infoNce(
                    stream,
                    inputs,
                    new InfoNceKernels.Gradients(dx.address(), dy.address(), at + 8, at + 12, gradientScale),
                    hardest.address(),
                    result.address(),
                    workspace.address(),
                    bytes);
            stream.synchronize();
            float[] after = Devices.toFloats(scalars);
            return new Answer(
                    InfoNceCase.toDoubles(result),
                    Devices.toFloats(dx),
                    Devices.toFloats(dy),
                    after[2] - 2,
                    after[3] - 4,
                    Devices.toInts(hardest));
        } finally {
            open.forEach(DeviceStorage::close);
        }
    }

    private static DeviceStorage keep(List<DeviceStorage> open, DeviceStorage storage) {
        open.add(storage);
        return storage;
    }

    private static DeviceStorage poisoned(PtxDevice device, int count) {
        int[] poison = new int[count];
        Arrays.fill(poison, Float.floatToRawIntBits(Float.NaN));
        return Devices.ints(device, poison);
    }

    /** Returns the rows as the kernels round them. */
    private double[] rounded(PtxDevice device, float[] rows, int count) {
        try (DeviceStorage in = Devices.floats(device, rows);
                DeviceStorage image = device.allocate(HopperInfoNceLaunches.packedBytes(count, d))) {
            new HopperInfoNceLaunches(device, precision)
                    .normalize(device.stream(), in.address(), count, d, image.address(), 0);
            return Arrays.stream(HopperOperandTiles.of(precision, image, d).rows(count, d))
                    .flatMapToDouble(Arrays::stream)
                    .toArray();
        }
    }

    /**
     * Compares the answer with the definition: gradients up to a rounding of each G, everything else up to the error
     * of f32 logits.
     *
     * @param ofG relative error of an element of G beyond its rounding
     */
    void check(PtxDevice device, Answer got, double ofG) {
        int[] columns = IntStream.range(0, n).map(this::column).toArray();
        double logScale = (float) Math.log(scale);
        double[] x = rounded(device, u, n);
        double[] y = rounded(device, v, m);
        PairwiseReference truth =
                new PairwiseReference(n, m, d, x, y, columns, logScale, 0.25, rowWeight, columnWeight);
        double unit = 0x1p-20 * (scale + 2);
        assertEquals(truth.loss, got.result[0], unit * Math.max(truth.loss, 1e-200), this + ": loss");
        assertEquals(truth.rowAccuracy, got.result[1], 1e-12, this + ": row accuracy");
        assertEquals(truth.columnAccuracy, got.result[2], 1e-12, this + ": column accuracy");
        assertEquals(
                truth.meanPositive, got.result[3], unit * (1 + Math.abs(truth.meanPositive)), this + ": mean positive");
        assertArrayEquals(truth.hardest, got.hardest, this + ": hardest negatives");
        double relative = HopperFixture.roundOff(precision) * 1.002 + ofG + 2 * unit;
        double[][] sizes = sizes(x, y, columns, Math.exp(logScale));
        close("dx", truth.dx, got.dx, sizes[0], relative);
        close("dy", truth.dy, got.dy, sizes[1], relative);
        assertEquals(
                gradientScale * truth.dLogScale,
                got.dLogScale,
                gradientScale * (unit + ofG) * (1e-3 + sizes[2][0]) + 0x1p-22,
                this + ": dLogScale");
        assertEquals(0, got.dBias, this + ": dBias");
        assertEquals(0, truth.dBias, 1e-12, this + ": the true dBias");
    }

    private void close(String name, double[] expected, float[] got, double[] sizes, double relative) {
        int off = 0;
        double worst = 0;
        for (int i = 0; i < expected.length; i++) {
            double bound = gradientScale * (relative * sizes[i] + scale * 0x1p-24);
            double error = Math.abs(gradientScale * expected[i] - got[i]);
            if (!(error <= bound)) {
                off++;
                worst = Math.max(worst, Double.isNaN(error) ? Double.POSITIVE_INFINITY : error / bound);
            }
        }
        int count = off;
        double most = worst;
        assertTrue(
                off == 0,
                () -> this + ": " + count + " of " + expected.length + " elements of " + name + " are off by up to "
                        + most + " times the bound");
    }

    /**
     * Returns the sums of |s G_ij y_jk| over j for each element of dx, of |s G_ij x_ik| over i for each of dy, and of
     * |s G_ij| over all pairs.
     */
    private double[][] sizes(double[] x, double[] y, int[] columns, double s) {
        double[][] logits = new double[n][m];
        int[] belonging = new int[m];
        for (int i = 0; i < n; i++) {
            belonging[columns[i]]++;
            for (int j = 0; j < m; j++) {
                for (int k = 0; k < d; k++) {
                    logits[i][j] += s * x[i * d + k] * y[j * d + k];
                }
            }
        }
        double[] ofRows = new double[n];
        double[] ofColumns = new double[m];
        for (int i = 0; i < n; i++) {
            ofRows[i] = logSum(Arrays.stream(logits[i]).toArray());
        }
        for (int j = 0; j < m; j++) {
            int column = j;
            ofColumns[j] = logSum(
                    IntStream.range(0, n).mapToDouble(i -> logits[i][column]).toArray());
        }
        double[][] sizes = {new double[n * d], new double[m * d], new double[1]};
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                int own = columns[i] == j ? 1 : 0;
                double g = s
                        / n
                        * Math.abs(rowWeight * (Math.exp(logits[i][j] - ofRows[i]) - own)
                                + columnWeight * (belonging[j] * Math.exp(logits[i][j] - ofColumns[j]) - own));
                sizes[2][0] += g;
                for (int k = 0; k < d; k++) {
                    sizes[0][i * d + k] += g * Math.abs(y[j * d + k]);
                    sizes[1][j * d + k] += g * Math.abs(x[i * d + k]);
                }
            }
        }
        return sizes;
    }

    private static double logSum(double[] values) {
        double largest = Arrays.stream(values).max().orElseThrow();
        return largest
                + Math.log(Arrays.stream(values)
                        .map(value -> Math.exp(value - largest))
                        .sum());
    }

    @Override
    public String toString() {
        return n + " x " + m + " of " + d + " in " + precision + ", scale " + scale;
    }
}
