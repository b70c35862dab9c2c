package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.PairwiseReference;
import org.contrastive4j.tensor.Precision;

/** One InfoNCE problem: its f64 reference, a run of the kernels, and the comparison. */
final class InfoNceCase {
    /** Precisions that round rows and the gradient matrix. */
    static final List<Precision> ROUNDED = List.of(Precision.TF32, Precision.BF16, Precision.F16);

    final int n;
    final int m;
    final int d;
    final float[] x;
    final float[] y;
    final int[] targets;
    final boolean diagonal;
    float logScale = (float) Math.log(14.3);
    float bias = 0.25f;
    double rowWeight = 0.5;
    double columnWeight = 0.5;
    double gradientScale = 1;
    /** Added to the addresses of x and y, in floats: 1 misaligns them for 16-byte copies. */
    int shift;

    /** @param diagonal whether row i has the target i and no targets are given; else targets are random */
    InfoNceCase(int n, int m, int d, boolean diagonal, long seed) {
        this.n = n;
        this.m = m;
        this.d = d;
        this.diagonal = diagonal;
        Random random = new Random(seed);
        x = unit(n, d, random);
        y = unit(m, d, random);
        targets =
                IntStream.range(0, n).map(i -> diagonal ? i : random.nextInt(m)).toArray();
        for (int i = 0; d > 1 && i < n; i += 2) { // so that some rows find their targets and others do not
            for (int k = 0; k < d; k++) {
                y[targets[i] * d + k] = x[i * d + (k + i % 4 / 2) % d];
            }
        }
    }

    /** The same problem with other rows. */
    private InfoNceCase(InfoNceCase of, float[] x, float[] y) {
        n = of.n;
        m = of.m;
        d = of.d;
        diagonal = of.diagonal;
        targets = of.targets;
        logScale = of.logScale;
        bias = of.bias;
        rowWeight = of.rowWeight;
        columnWeight = of.columnWeight;
        gradientScale = of.gradientScale;
        shift = of.shift;
        this.x = x;
        this.y = y;
    }

    /**
     * All columns are one vector, and rows alternate between it and its opposite: log-sums differ by up to twice the
     * scale.
     */
    static InfoNceCase opposites(int n, int m, int d, double scale) {
        InfoNceCase c = new InfoNceCase(n, m, d, n <= m, 3);
        for (int i = 0; i < n * d; i++) {
            c.x[i] = i / d % 2 == 0 ? c.x[i % d] : -c.x[i % d];
        }
        for (int i = 0; i < m * d; i++) {
            c.y[i] = c.x[i % d];
        }
        c.logScale = (float) Math.log(scale);
        return c;
    }

    private static float[] unit(int rows, int d, Random random) {
        float[] values = new float[rows * d];
        double[] row = new double[d];
        for (int r = 0; r < rows; r++) {
            double squares = 0;
            for (int k = 0; k < d; k++) {
                row[k] = random.nextGaussian();
                squares += row[k] * row[k];
            }
            for (int k = 0; k < d; k++) {
                values[r * d + k] = (float) (row[k] / Math.sqrt(squares));
            }
        }
        return values;
    }

    static double[] doubles(float[] values) {
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }

    PairwiseReference truth() {
        return new PairwiseReference(n, m, d, doubles(x), doubles(y), targets, logScale, bias, rowWeight, columnWeight);
    }

    /** The outputs of the kernels. */
    record Answer(double[] result, float[] dx, float[] dy, float dLogScale, float dBias, int[] hardest) {
        double loss() {
            return result[0];
        }
    }

    private DeviceStorage shifted(PtxDevice device, float[] values) {
        float[] all = new float[values.length + shift];
        System.arraycopy(values, 0, all, shift, values.length);
        return Devices.floats(device, all);
    }

    /**
     * Runs the kernels. Outputs are poisoned with NaN and the workspace is fresh; dLogScale and dBias start at 2 and
     * 4.
     */
    Answer ask(PtxDevice device, InfoNceKernels pairwise) {
        long bytes = pairwise.workspaceBytes(n, m, d, true);
        int[] poison = new int[Math.max(n, m) * d];
        Arrays.fill(poison, Float.floatToRawIntBits(Float.NaN));
        try (DeviceStorage xs = shifted(device, x);
                DeviceStorage ys = shifted(device, y);
                DeviceStorage ts = Devices.ints(device, targets);
                DeviceStorage scale = Devices.floats(device, logScale);
                DeviceStorage b = Devices.floats(device, bias);
                DeviceStorage dx = Devices.ints(device, Arrays.copyOf(poison, n * d));
                DeviceStorage dy = Devices.ints(device, Arrays.copyOf(poison, m * d));
                DeviceStorage dLogScale = Devices.floats(device, 2);
                DeviceStorage dBias = Devices.floats(device, 4);
                DeviceStorage hardest = Devices.ints(device, Arrays.copyOf(poison, n));
                DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES);
                DeviceStorage workspace = device.allocate(bytes)) {
            pairwise.infoNce(
                    device.stream(),
                    new InfoNceKernels.Inputs(
                            n,
                            m,
                            d,
                            xs.address() + 4L * shift,
                            ys.address() + 4L * shift,
                            diagonal ? 0 : ts.address(),
                            scale.address(),
                            b.address(),
                            rowWeight,
                            columnWeight),
                    new InfoNceKernels.Gradients(
                            dx.address(), dy.address(), dLogScale.address(), dBias.address(), gradientScale),
                    hardest.address(),
                    result.address(),
                    workspace.address(),
                    bytes);
            return new Answer(
                    toDoubles(result),
                    Devices.toFloats(dx),
                    Devices.toFloats(dy),
                    Devices.toFloats(dLogScale)[0] - 2,
                    Devices.toFloats(dBias)[0] - 4,
                    Devices.toInts(hardest));
        }
    }

    /**
     * Rounds the rows by the normalisation kernel and compares them; then compares value and gradients with the
     * reference on the rounded rows.
     */
    Answer checkValue(PtxDevice device, PortableInfoNce pairwise, PtxNormalize normalize, Precision precision) {
        long bytes = pairwise.workspaceBytes(n, m, d, true);
        int[] poison = new int[Math.max(n, m) * d];
        Arrays.fill(poison, Float.floatToRawIntBits(Float.NaN));
        try (DeviceStorage xs = Devices.floats(device, x);
                DeviceStorage ys = Devices.floats(device, y);
                DeviceStorage dx = Devices.ints(device, Arrays.copyOf(poison, n * d));
                DeviceStorage dy = Devices.ints(device, Arrays.copyOf(poison, m * d));
                DeviceStorage scalars = Devices.floats(device, 2, 4);
                DeviceStorage ts = Devices.ints(device, targets);
                DeviceStorage xUnit = device.allocate(n * RowLayout.rowBytes(precision, d));
                DeviceStorage yUnit = device.allocate(m * RowLayout.rowBytes(precision, d));
                DeviceStorage r = device.allocate(4L * Math.max(n, m));
                DeviceStorage scale = Devices.floats(device, logScale);
                DeviceStorage b = Devices.floats(device, bias);
                DeviceStorage hardest = device.allocate(4L * n);
                DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES);
                DeviceStorage workspace = device.allocate(bytes)) {
            normalize.forward(device.stream(), precision, n, d, xs.address(), xUnit.address(), r.address());
            normalize.forward(device.stream(), precision, m, d, ys.address(), yUnit.address(), r.address());
            take(x, n, xUnit, precision);
            take(y, m, yUnit, precision);
            pairwise.infoNce(
                    device.stream(),
                    new InfoNceKernels.Inputs(
                            n,
                            m,
                            d,
                            xUnit.address(),
                            yUnit.address(),
                            diagonal ? 0 : ts.address(),
                            scale.address(),
                            b.address(),
                            rowWeight,
                            columnWeight),
                    new InfoNceKernels.Gradients(
                            dx.address(), dy.address(), scalars.address(), scalars.address() + 4, gradientScale),
                    hardest.address(),
                    result.address(),
                    workspace.address(),
                    bytes);
            compareValue(toDoubles(result), Devices.toInts(hardest));
            compareGradients(precision, Devices.toFloats(dx), Devices.toFloats(dy), Devices.toFloats(scalars));
            return new Answer(
                    toDoubles(result),
                    Devices.toFloats(dx),
                    Devices.toFloats(dy),
                    Devices.toFloats(scalars)[0],
                    Devices.toFloats(scalars)[1],
                    Devices.toInts(hardest));
        }
    }

    /** Returns the largest relative rounding error. */
    private static double half(Precision precision) {
        return precision == Precision.BF16 ? 0x1p-8 : 0x1p-11;
    }

    /**
     * Compares 16-bit kernels with the reference on the unrounded rows, by norms of gradients.
     *
     * @param most relative error of a gradient
     */
    void checkNear(PtxDevice device, InfoNceKernels pairwise, double most) {
        PairwiseReference truth = truth();
        Answer answer = ask(device, pairwise);
        double scale = Math.exp(logScale);
        assertEquals(truth.loss, answer.result[0], scale * most, this + ": loss");
        assertEquals(truth.meanPositive, answer.result[3], scale * most, this + ": mean positive");
        near(truth.dx, answer.dx, most, "dx");
        near(truth.dy, answer.dy, most, "dy");
        assertEquals(
                gradientScale * truth.dLogScale, answer.dLogScale, gradientScale * scale * most, this + ": dLogScale");
    }

    private void near(double[] expected, float[] got, double most, String name) {
        double error = 0;
        double size = 0;
        for (int i = 0; i < expected.length; i++) {
            error += Math.pow(got[i] - gradientScale * expected[i], 2);
            size += Math.pow(gradientScale * expected[i], 2);
        }
        double relative = Math.sqrt(error / size);
        assertTrue(
                relative <= most, this + ": relative error of " + name + " " + relative + ", expected at most " + most);
    }

    /**
     * Returns the error bounds of the elements of dx and dy, of d log-scale and d bias for exact rows. G is rounded:
     * an element of dx carries that share of the sizes of its terms, and the error of f32 sums.
     */
    double[][] bounds(Precision precision) {
        double scale = Math.exp(logScale);
        double half = precision == Precision.F32 ? 0 : 0x1.04p0 * half(precision);
        double unit = unit(scale) * scale / n;
        double[][] bounds = sizes(scale);
        for (double[] ofElements : bounds) {
            for (int i = 0; i < ofElements.length; i++) {
                ofElements[i] = gradientScale * (half * ofElements[i] + 4 * unit);
            }
        }
        return new double[][] {
            bounds[0],
            bounds[1],
            {4 * unit(scale) * (1 + scale * gradientScale)},
            {4 * unit(scale) * (1 + gradientScale)}
        };
    }

    private void compareGradients(Precision precision, float[] dx, float[] dy, float[] scalars) {
        PairwiseReference truth = truth();
        double[][] bounds = bounds(precision);
        for (int i = 0; i < dx.length; i++) {
            assertEquals(gradientScale * truth.dx[i], dx[i], bounds[0][i], this + ": dx[" + i + "]");
        }
        for (int i = 0; i < dy.length; i++) {
            assertEquals(gradientScale * truth.dy[i], dy[i], bounds[1][i], this + ": dy[" + i + "]");
        }
        assertEquals(gradientScale * truth.dLogScale, scalars[0] - 2, bounds[2][0], this + ": dLogScale");
        assertEquals(gradientScale * truth.dBias, scalars[1] - 4, bounds[3][0], this + ": dBias");
    }

    /** Returns the sums of |s G_ij y_jk| over j for each element of dx, and of |s G_ij x_ik| over i for each of dy. */
    private double[][] sizes(double scale) {
        double[][] e = new double[n][m];
        double[] rows = new double[n];
        double[] columns = new double[m];
        int[] belonging = new int[m];
        for (int i = 0; i < n; i++) {
            belonging[targets[i]]++;
            for (int j = 0; j < m; j++) {
                for (int k = 0; k < d; k++) {
                    e[i][j] += scale * x[i * d + k] * y[j * d + k];
                }
                e[i][j] = Math.exp(e[i][j]);
                rows[i] += e[i][j];
                columns[j] += e[i][j];
            }
        }
        double[] ofX = new double[n * d];
        double[] ofY = new double[m * d];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) {
                int own = j == targets[i] ? 1 : 0;
                double g = scale
                        / n
                        * Math.abs(rowWeight * (e[i][j] / rows[i] - own)
                                + columnWeight * (belonging[j] * e[i][j] / columns[j] - own));
                for (int k = 0; k < d; k++) {
                    ofX[i * d + k] += g * Math.abs(y[j * d + k]);
                    ofY[j * d + k] += g * Math.abs(x[i * d + k]);
                }
            }
        }
        return new double[][] {ofX, ofY};
    }

    /** Replaces the rows by their rounded values; elements beyond d must be zeros. */
    private void take(float[] rows, int count, DeviceStorage units, Precision precision) {
        int pitch = RowLayout.pitch(precision, d);
        float[] values = values(units, precision);
        for (int i = 0; i < count * pitch; i++) {
            String what = precision + " of row " + i / pitch;
            int column = i % pitch;
            if (column >= d) {
                assertEquals(0, Float.floatToRawIntBits(values[i]), "padding, " + what);
            } else {
                int at = i / pitch * d + column;
                assertEquals(
                        rows[at], values[i], Math.max(0x1p-25, 0x1.01p0 * half(precision) * Math.abs(rows[at])), what);
                rows[at] = values[i];
            }
        }
    }

    private static float[] values(DeviceStorage units, Precision precision) {
        if (precision == Precision.TF32) {
            float[] values = Devices.toFloats(units);
            for (float value : values) {
                assertEquals(0, Float.floatToRawIntBits(value) & 0x1FFF, "bits that tf32 has not, of " + value);
            }
            return values;
        }
        short[] bits = Devices.toShorts(units);
        float[] values = new float[bits.length];
        for (int i = 0; i < bits.length; i++) {
            values[i] = precision == Precision.BF16 ? Float.intBitsToFloat(bits[i] << 16) : half(bits[i]);
        }
        return values;
    }

    private static float half(short bits) {
        int exponent = bits >> 10 & 31;
        int mantissa = bits & 1023;
        double size = exponent == 0 ? mantissa * 0x1p-24 : (1024 + mantissa) * Math.scalb(1.0, exponent - 25);
        return (float) (bits < 0 ? -size : size);
    }

    /** Checks that nothing is written between the buffers of the workspace or behind it. */
    void checkGaps(PtxDevice device, PortableInfoNce pairwise, long stripeBytes) {
        PortableInfoNcePlan plan = new PortableInfoNcePlan(n, m, false, stripeBytes, Precision.F32);
        byte[] before = new byte[(int) plan.bytes + 256];
        Arrays.fill(before, (byte) 0x7B);
        long[][] parts = {
            {plan.scalars, PortableInfoNcePlan.SCALARS_BYTES},
            {plan.running, 8L * m},
            {plan.positive, 4L * n},
            {plan.rowSums, 8L * n},
            {plan.column, 16L * m},
            {plan.bar, 4L * m},
            {plan.row, 8L * n},
            {plan.tileRows, plan.bytes - plan.tileRows}
        };
        try (DeviceStorage xs = Devices.floats(device, x);
                DeviceStorage ys = Devices.floats(device, y);
                DeviceStorage scale = Devices.floats(device, logScale);
                DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES);
                DeviceStorage workspace = device.allocate(before.length)) {
            workspace.upload(0, ByteBuffer.wrap(before));
            pairwise.infoNce(
                    device.stream(),
                    new InfoNceKernels.Inputs(n, m, d, xs.address(), ys.address(), 0, scale.address(), 0, 1, 1),
                    null,
                    0,
                    result.address(),
                    workspace.address(),
                    plan.bytes);
            byte[] after = new byte[before.length];
            Devices.download(workspace).get(after);
            for (long[] part : parts) {
                Arrays.fill(after, (int) part[0], (int) (part[0] + part[1]), (byte) 0x7B);
            }
            assertArrayEquals(before, after, "between the parts of the workspace");
        }
    }

    static double[] toDoubles(DeviceStorage storage) {
        ByteBuffer bytes = Devices.download(storage).order(ByteOrder.nativeOrder());
        double[] values = new double[bytes.remaining() / 8];
        bytes.asDoubleBuffer().get(values);
        return values;
    }

    void check(PtxDevice device, PortableInfoNce pairwise) {
        compare(ask(device, pairwise));
    }

    /** Returns the same problem with the rows as those kernels round them. */
    InfoNceCase seenBy(InfoNceKernelSet set, PtxDevice device, Kernels kernels) {
        return new InfoNceCase(this, set.seen(device, kernels, x, n), set.seen(device, kernels, y, m));
    }

    /** Compares with the reference on the rows as those kernels round them. */
    void compare(PtxDevice device, Kernels kernels, InfoNceKernelSet set, Answer answer) {
        InfoNceCase seen = seenBy(set, device, kernels);
        if (set.precision == Precision.F32) {
            seen.compare(answer);
            return;
        }
        seen.compareValue(answer.result, answer.hardest);
        seen.compareGradients(
                set.precision, answer.dx, answer.dy, new float[] {answer.dLogScale + 2, answer.dBias + 4});
    }

    void compare(Answer answer) {
        PairwiseReference truth = compareValue(answer.result, answer.hardest);
        double scale = Math.exp(logScale);
        double unit = unit(scale);
        String what = this + ": ";
        close(what + "dx", truth.dx, answer.dx, unit, scale / n);
        close(what + "dy", truth.dy, answer.dy, unit, scale / n);
        double size = scale * gradientScale;
        assertEquals(gradientScale * truth.dLogScale, answer.dLogScale, 4 * unit * (1 + size), what + "dLogScale");
        assertEquals(gradientScale * truth.dBias, answer.dBias, 4 * unit * (1 + gradientScale), what + "dBias");
    }

    /** A logit of size s is accurate to s ulps of 1. */
    private static double unit(double scale) {
        return 4e-7 * Math.max(1, scale / 4);
    }

    private PairwiseReference compareValue(double[] result, int[] hardest) {
        PairwiseReference truth = truth();
        double scale = Math.exp(logScale);
        String what = this + ": ";
        assertEquals(truth.loss, result[0], unit(scale) * (1 + truth.loss), what + "loss");
        assertEquals(truth.rowAccuracy, result[1], 1e-12, what + "row accuracy");
        assertEquals(truth.columnAccuracy, result[2], 1e-12, what + "column accuracy");
        assertEquals(truth.meanPositive, result[3], unit(scale) * (1 + scale), what + "mean positive");
        assertArrayEquals(truth.hardest, hardest, what + "hardest negatives");
        return truth;
    }

    /**
     * Compares each element; a gradient is a sum of terms of up to {@code term} that may cancel, and carries their
     * rounding errors.
     */
    private void close(String what, double[] want, float[] got, double unit, double term) {
        double largest = Arrays.stream(want).map(Math::abs).max().orElse(0);
        for (int i = 0; i < want.length; i++) {
            double expected = gradientScale * want[i];
            String where = what + "[" + i / d + ", " + i % d + "]: " + got[i] + ", expected " + expected;
            assertTrue(Math.abs(got[i] - expected) <= gradientScale * unit * (largest + term), where);
        }
    }

    @Override
    public String toString() {
        return "n " + n + " m " + m + " d " + d + (diagonal ? " diagonal" : " targets") + " scale " + Math.exp(logScale)
                + " weights " + rowWeight + ", " + columnWeight + " shift " + shift;
    }
}
