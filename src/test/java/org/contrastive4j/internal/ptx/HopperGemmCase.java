package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.ptx.HopperGemm.Activation;
import org.contrastive4j.internal.ptx.HopperGemm.Product;
import org.contrastive4j.internal.ptx.HopperGemm.Result;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.Precision;

/** Products of packed operands by {@link HopperGemm}: inputs, outputs, and the comparison with f64. */
final class HopperGemmCase {
    static final double ALPHA = 1.5;

    private HopperGemmCase() {}

    /**
     * Operands in their stored layout, and the other inputs; C and the packed result start as NaN where they are not
     * read.
     */
    record Inputs(
            Product product,
            float[] a,
            float[] b,
            float[] c,
            float[] bias,
            double alpha,
            double beta,
            boolean stored,
            boolean sixteen,
            Activation activation) {
        /** @param activation applied before packing; null for no packed result */
        static Inputs of(long seed, Product p, boolean biased, double beta, boolean stored, Activation activation) {
            float[] c = HopperFixture.random(seed + 3, p.batch() * p.m() * p.n());
            if (beta == 0) {
                Arrays.fill(c, Float.NaN);
            }
            return new Inputs(
                    p,
                    HopperFixture.random(seed + 1, p.batch() * p.m() * p.k()),
                    HopperFixture.random(seed + 2, p.batch() * p.k() * p.n()),
                    c,
                    biased ? HopperFixture.random(seed + 4, p.n()) : null,
                    ALPHA,
                    beta,
                    stored,
                    false,
                    activation);
        }

        /** C in the type of the operands, with whole numbers where it is read. */
        Inputs inSixteenBits() {
            float[] small = new float[c.length];
            for (int i = 0; i < c.length; i++) {
                small[i] = Math.round(3 * c[i]);
            }
            return new Inputs(product, a, b, beta == 0 ? c : small, bias, alpha, beta, true, true, activation);
        }
    }

    /** The packed operands of all matrices, and the results. */
    record Outputs(Precision precision, short[] a, short[] b, float[] c, short[] image) {
        static double at(Precision precision, short[] bits, int matrix, int rows, int columns, int row, int column) {
            int blocks = Math.max(1, (columns + 63) / 64);
            int block = (matrix * Math.max(1, (rows + 127) / 128) + row / 128) * blocks + column / 64;
            int chunk = column % 64 / 8 ^ row % 8;
            return decode(precision, bits[block * 8192 + row % 128 * 64 + chunk * 8 + column % 8]);
        }

        /** Returns the rows of op(A). */
        double[][] rows(Product p, int z) {
            double[][] rows = new double[p.m()][p.k()];
            for (int i = 0; i < p.m(); i++) {
                for (int k = 0; k < p.k(); k++) {
                    rows[i][k] = p.transA()
                            ? at(precision, a, z, p.k(), p.m(), k, i)
                            : at(precision, a, z, p.m(), p.k(), i, k);
                }
            }
            return rows;
        }

        /** Returns the columns of op(B). */
        double[][] columns(Product p, int z) {
            double[][] columns = new double[p.n()][p.k()];
            for (int j = 0; j < p.n(); j++) {
                for (int k = 0; k < p.k(); k++) {
                    columns[j][k] = p.transB()
                            ? at(precision, b, z, p.n(), p.k(), j, k)
                            : at(precision, b, z, p.k(), p.n(), k, j);
                }
            }
            return columns;
        }

        double image(Product p, int z, int i, int j) {
            return at(precision, image, z, p.m(), p.n(), i, j);
        }
    }

    /** Encodes a number that 16 bits represent exactly. */
    private static short encode(Precision precision, float value) {
        int bits = Float.floatToIntBits(value);
        if (precision == Precision.BF16) {
            return (short) (bits >>> 16);
        }
        int exponent = Float.isNaN(value) ? 31 : value == 0 ? 0 : (bits >>> 23 & 255) - 112;
        return (short) (bits >>> 16 & 0x8000 | exponent << 10 | bits >>> 13 & 1023);
    }

    private static DeviceStorage upload(PtxDevice device, Precision precision, float[] values, boolean sixteen) {
        if (!sixteen) {
            return Devices.floats(device, values);
        }
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = encode(precision, values[i]);
        }
        return Devices.shorts(device, bits);
    }

    private static float[] download(Precision precision, DeviceStorage storage, boolean sixteen) {
        if (!sixteen) {
            return Devices.toFloats(storage);
        }
        short[] bits = Devices.toShorts(storage);
        float[] values = new float[bits.length];
        for (int i = 0; i < bits.length; i++) {
            values[i] = (float) decode(precision, bits[i]);
        }
        return values;
    }

    private static double decode(Precision precision, short bits) {
        return HopperOperandTiles.decode(precision == Precision.BF16 ? Precision.BF16 : Precision.F16, bits);
    }

    static Outputs run(PtxDevice device, HopperGemm gemm, Precision precision, Inputs in) {
        Product p = in.product;
        long imageBytes = p.batch() * HopperGemm.imageBytes(p.m(), p.n());
        boolean images = in.activation != null;
        short[] poison = new short[(int) imageBytes / 2];
        Arrays.fill(poison, (short) -1);
        try (DeviceStorage a = Devices.floats(device, in.a.length == 0 ? new float[1] : in.a);
                DeviceStorage b = Devices.floats(device, in.b.length == 0 ? new float[1] : in.b);
                DeviceStorage c = upload(device, precision, in.c, in.sixteen);
                DeviceStorage bias = Devices.floats(device, in.bias == null ? new float[1] : in.bias);
                DeviceStorage imageA = device.allocate(p.batch() * p.imageBytesA());
                DeviceStorage imageB = device.allocate(p.batch() * p.imageBytesB());
                DeviceStorage image = Devices.shorts(device, poison)) {
            Result result = new Result(
                    (float) in.alpha,
                    (float) in.beta,
                    in.stored ? c.address() : 0,
                    in.sixteen,
                    in.bias == null ? 0 : bias.address(),
                    images ? in.activation : Activation.NONE,
                    images ? image.address() : 0);
            long bytes = HopperGemm.workspaceBytes(p, result);
            try (DeviceStorage workspace = device.allocate(Math.max(4, bytes))) {
                DeviceStream stream = device.stream();
                gemm.pack(
                        stream,
                        a.address(),
                        p.batch(),
                        p.transA() ? p.k() : p.m(),
                        p.transA() ? p.m() : p.k(),
                        imageA.address());
                gemm.pack(
                        stream,
                        b.address(),
                        p.batch(),
                        p.transB() ? p.n() : p.k(),
                        p.transB() ? p.k() : p.n(),
                        imageB.address());
                gemm.multiply(stream, p, imageA.address(), imageB.address(), result, workspace.address(), bytes);
                return new Outputs(
                        precision,
                        Devices.toShorts(imageA),
                        Devices.toShorts(imageB),
                        in.stored ? download(precision, c, in.sixteen) : null,
                        images ? Devices.toShorts(image) : null);
            }
        }
    }

    static double activated(Activation activation, double v) {
        return switch (activation) {
            case NONE -> v;
            case GELU -> v * 0.5 * erfc(-v / Math.sqrt(2));
            case QUICK_GELU -> v / (1 + Math.exp(-1.702 * v));
        };
    }

    /** Computes erfc by Simpson's rule on the density, to 1e-12. */
    private static double erfc(double x) {
        int steps = 400;
        double h = x / steps;
        double sum = 1 + Math.exp(-x * x);
        for (int i = 1; i < steps; i++) {
            sum += (i % 2 == 0 ? 2 : 4) * Math.exp(-(i * h) * (i * h));
        }
        return 1 - 2 / Math.sqrt(Math.PI) * sum * h / 3;
    }

    static void check(Inputs in, Outputs got) {
        Product p = in.product;
        double half = got.precision == Precision.BF16 ? 0x1.01p-8 : 0x1.01p-11;
        for (int z = 0; z < p.batch(); z++) {
            double[][] rows = got.rows(p, z);
            double[][] columns = got.columns(p, z);
            checkPacked(in.a, z, p.transA(), rows, half);
            checkPacked(in.b, z, !p.transB(), columns, half);
            for (int i = 0; i < p.m(); i++) {
                for (int j = 0; j < p.n(); j++) {
                    int at = (z * p.m() + i) * p.n() + j;
                    double sum = 0;
                    double size = 0;
                    for (int k = 0; k < p.k(); k++) {
                        double term = rows[i][k] * columns[j][k];
                        sum += term;
                        size += Math.abs(term);
                    }
                    double old = in.beta == 0 ? 0 : in.beta * in.c[at];
                    double added = in.bias == null ? 0 : in.bias[j];
                    double expected = in.alpha * sum + old + added;
                    double bound =
                            0x1p-23 * (in.alpha * size * (4 + p.k() / 16.0) + 2 * (Math.abs(old) + Math.abs(added)));
                    String what = p + ", matrix " + z + ", row " + i + ", column " + j;
                    if (got.c != null) {
                        assertEquals(
                                expected,
                                got.c[at],
                                bound + (in.sixteen ? half * Math.abs(expected) + 0x1p-25 : 0),
                                what);
                    }
                    if (got.image != null) {
                        double active = activated(in.activation, expected);
                        assertEquals(
                                active,
                                got.image(p, z, i, j),
                                1.2 * bound + half * Math.abs(active) + 0x1p-21,
                                "image of " + what);
                    }
                }
            }
        }
        if (got.image != null) {
            checkZerosBeyond(p, got);
        }
    }

    /** @param x matrix that was packed, transposed or not; null if it was not packed */
    private static void checkPacked(float[] x, int matrix, boolean transposed, double[][] got, double half) {
        for (int i = 0; x != null && i < got.length; i++) {
            for (int k = 0; k < got[i].length; k++) {
                int first = matrix * got.length * got[i].length;
                double expected = x[first + (transposed ? k * got.length + i : i * got[i].length + k)];
                assertEquals(
                        expected,
                        got[i][k],
                        Math.max(half * Math.abs(expected), 0x1p-25),
                        "packed element " + i + ", " + k);
            }
        }
    }

    private static void checkZerosBeyond(Product p, Outputs got) {
        for (int z = 0; z < p.batch(); z++) {
            for (int i = 0; i < (p.m() + 127) / 128 * 128; i++) {
                for (int j = i < p.m() ? p.n() : 0; j < (p.n() + 63) / 64 * 64; j++) {
                    assertEquals(0, got.image(p, z, i, j), "image of " + p + " at row " + i + ", column " + j);
                }
            }
        }
    }
}
