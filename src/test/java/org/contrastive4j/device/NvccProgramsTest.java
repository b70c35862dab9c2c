package org.contrastive4j.device;

import static org.contrastive4j.device.NvccProgram.EPS;
import static org.contrastive4j.device.NvccProgram.close;
import static org.contrastive4j.device.NvccProgram.gaussian;
import static org.contrastive4j.device.NvccProgram.integers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.device.PtxModule.Launch.Dim;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Algorithms compiled by nvcc, on every device, compared with Java: integers exactly, floats within a bound that each
 * test derives.
 */
class NvccProgramsTest {
    private static final String ALL = "org.contrastive4j.support.Devices#all";

    @ParameterizedTest
    @MethodSource(ALL)
    void reduction_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 1003;
        int blocks = 3;
        int threads = 128;
        float[] x = gaussian(1, n);
        int[] y = integers(2, n);
        try (NvccProgram program = new NvccProgram(device, "reduction")) {
            DeviceStorage sums = program.output(4 * blocks);
            DeviceStorage peaks = program.output(4 * blocks);
            program.launch(
                    Launch.of(blocks, threads).shared(4 * threads), program.floats(x), n, sums, peaks, program.ints(y));
            for (int b = 0; b < blocks; b++) {
                double sum = 0;
                double size = 0;
                int peak = Integer.MIN_VALUE;
                for (int i = 0; i < n; i++) {
                    if (i / threads % blocks == b) {
                        sum += x[i];
                        size += Math.abs(x[i]);
                        peak = Math.max(peak, y[i]);
                    }
                }
                // an element takes part in at most n / (blocks * threads) + 1 additions of its thread and 7 of the tree
                close(sum, program.result(sums).asFloatBuffer().get(b), 12 * EPS * size, "sum of block " + b);
                assertEquals(peak, program.result(peaks).asIntBuffer().get(b), "peak of block " + b);
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void scan_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 807;
        int blocks = 4;
        int[] x = integers(3, n);
        try (NvccProgram program = new NvccProgram(device, "scan")) {
            DeviceStorage inclusive = program.output(4 * n);
            DeviceStorage totals = program.output(4 * blocks);
            program.launch(Launch.of(blocks, 128), program.ints(x), n, inclusive, totals);
            IntBuffer got = program.result(inclusive).asIntBuffer();
            int sum = 0;
            for (int i = 0; i < n; i++) {
                sum = i % 256 == 0 ? x[i] : sum + x[i];
                assertEquals(sum, got.get(i), "prefix " + i);
                if (i % 256 == 255 || i == n - 1) {
                    assertEquals(sum, program.result(totals).asIntBuffer().get(i / 256), "total of segment " + i / 256);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void transpose_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int rows = 103;
        int cols = 33;
        float[] x = gaussian(4, rows * cols);
        try (NvccProgram program = new NvccProgram(device, "transpose")) {
            DeviceStorage y = program.output(4 * rows * cols);
            program.launch(Launch.of(new Dim(2, 4, 1), new Dim(32, 8, 1)), program.floats(x), y, rows, cols);
            FloatBuffer got = program.result(y).asFloatBuffer();
            for (int i = 0; i < rows * cols; i++) {
                assertEquals(x[i], got.get(i % cols * rows + i / cols), "element " + i);
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void matmul_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int m = 33;
        int n = 31;
        int k = 50;
        float[] a = gaussian(5, m * k);
        float[] b = gaussian(6, k * n);
        float[] c = gaussian(7, m * n);
        for (float beta : new float[] {0, -0.5f}) {
            try (NvccProgram program = new NvccProgram(device, "matmul")) {
                DeviceStorage out = program.output(4 * m * n);
                if (beta != 0) {
                    out.upload(0, Devices.download(program.floats(c)));
                }
                Launch launch = Launch.of(new Dim(2, 3, 1), new Dim(16, 16, 1));
                program.launch(launch, program.floats(a), program.floats(b), out, m, n, k, 1.5f, beta);
                FloatBuffer got = program.result(out).asFloatBuffer();
                for (int i = 0; i < m * n; i++) {
                    double sum = 0;
                    double size = 0;
                    for (int j = 0; j < k; j++) {
                        double product = (double) a[i / n * k + j] * b[j * n + i % n];
                        sum += product;
                        size += Math.abs(product);
                    }
                    // k steps, then alpha and beta: at most 2 k + 4 roundings of values of at most this size
                    double bound = (2 * k + 4) * EPS * (1.5 * size + Math.abs(beta * c[i]));
                    close(1.5 * sum + beta * c[i], got.get(i), bound, "element " + i + ", beta " + beta);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void histogram_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 2001;
        byte[] x = new byte[n];
        float[] weight = new float[n];
        Random random = new Random(8);
        int[] bins = new int[256];
        float[] mass = new float[256];
        long total = 0;
        int widest = 0;
        int least = Integer.MAX_VALUE;
        for (int i = 0; i < n; i++) {
            x[i] = (byte) (100 + 40 * random.nextGaussian());
            weight[i] = random.nextInt(100);
            int value = x[i] & 255;
            bins[value] += 1;
            mass[value] += weight[i]; // integers below 2^24: exact in any order
            total += value;
            least = Math.min(least, x[i]);
            widest = i % 2 == 1 ? Math.max(widest, value << 8 | x[i - 1] & 255) : widest;
        }
        try (NvccProgram program = new NvccProgram(device, "histogram")) {
            DeviceStorage counted = program.ints(new int[256]);
            DeviceStorage weighed = program.floats(new float[256]);
            DeviceStorage sum = program.longs(0);
            DeviceStorage ends = program.ints(0, Integer.MAX_VALUE);
            program.launch(
                    Launch.of(3, 160),
                    program.bytes(x),
                    program.floats(weight),
                    n,
                    counted,
                    weighed,
                    sum,
                    ends.view(0, 4),
                    ends.view(4, 4));
            for (int i = 0; i < 256; i++) {
                assertEquals(bins[i], Devices.toInts(counted)[i], "count of " + i);
                assertEquals(mass[i], Devices.toFloats(weighed)[i], "mass of " + i);
            }
            assertEquals(total, Devices.toLongs(sum)[0]);
            assertEquals(
                    List.of(widest, least),
                    Arrays.stream(Devices.toInts(ends)).boxed().toList());
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void bitonic_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 150;
        Random random = new Random(9);
        int[] keys = random.ints(n, -9, 9).toArray();
        int[] values = random.ints(n).toArray();
        keys[n - 1] = Integer.MIN_VALUE;
        try (NvccProgram program = new NvccProgram(device, "bitonic")) {
            DeviceStorage sortedKeys = program.ints(keys);
            DeviceStorage sortedValues = program.ints(values);
            program.launch(Launch.of(3, 64), sortedKeys, sortedValues, n);
            for (int from = 0; from < n; from += 32) {
                Comparator<int[]> byKey = Comparator.comparingInt(pair -> pair[0]);
                List<int[]> run = new ArrayList<>();
                for (int i = from; i < Math.min(n, from + 32); i++) {
                    run.add(new int[] {keys[i], values[i]});
                }
                run.sort(byKey.thenComparing(pair -> pair[1], Integer::compareUnsigned));
                for (int i = 0; i < run.size(); i++) {
                    assertEquals(run.get(i)[0], Devices.toInts(sortedKeys)[from + i], "key " + (from + i));
                    assertEquals(run.get(i)[1], Devices.toInts(sortedValues)[from + i], "value " + (from + i));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void softmax_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int rows = 5;
        for (int cols : new int[] {1, 31, 129}) {
            float[] x = gaussian(10, rows * cols);
            for (int i = 0; i < x.length; i++) {
                x[i] *= 10;
            }
            try (NvccProgram program = new NvccProgram(device, "softmax")) {
                DeviceStorage y = program.output(4 * x.length);
                program.launch(Launch.of(rows, 64), program.floats(x), y, cols);
                FloatBuffer got = program.result(y).asFloatBuffer();
                for (int r = 0; r < rows; r++) {
                    double max = Double.NEGATIVE_INFINITY;
                    for (int i = 0; i < cols; i++) {
                        max = Math.max(max, x[r * cols + i]);
                    }
                    double sum = 0;
                    for (int i = 0; i < cols; i++) {
                        sum += Math.exp(x[r * cols + i] - max);
                    }
                    for (int i = 0; i < cols; i++) {
                        double depth = x[r * cols + i] - max;
                        double expected = Math.exp(depth) / sum;
                        // in units of EPS: 4 for expf, here and in the sum; |depth| for rounding its argument, in the
                        // sum the mean of that, at most log cols < 5; 9 additions in a row; 1 division
                        close(
                                expected,
                                got.get(r * cols + i),
                                (24 + 2 * Math.abs(depth)) * EPS * expected,
                                "row " + r + ", " + i);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void wmma_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int m = 33;
        int n = 50;
        int k = 41;
        // multiples of 1/8 below 8: products are multiples of 1/64 below 64, sums below 2^24 / 64, exact in any order
        double[] a = new Random(11)
                .ints((long) m * k, -63, 64)
                .mapToDouble(i -> i / 8.0)
                .toArray();
        double[] b = new Random(12)
                .ints((long) k * n, -63, 64)
                .mapToDouble(i -> i / 8.0)
                .toArray();
        try (NvccProgram program = new NvccProgram(device, "wmma")) {
            DeviceStorage c = program.output(4 * m * n);
            program.launch(
                    Launch.of(new Dim(4, 3, 1), new Dim(32, 1, 1)), program.halves(a), program.halves(b), c, m, n, k);
            FloatBuffer got = program.result(c).asFloatBuffer();
            for (int i = 0; i < m * n; i++) {
                double sum = 0;
                for (int j = 0; j < k; j++) {
                    sum += a[i / n * k + j] * b[j * n + i % n];
                }
                assertEquals(sum, got.get(i), "element " + i);
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void pipeline_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int blocks = 2;
        for (int n : new int[] {1, 255, 770, 2049, 2051}) {
            int[] x = integers(13, n);
            int[] y = integers(14, n);
            int[] expected = new int[blocks];
            for (int i = 0; i < n; i++) {
                int tile = i / 256;
                int mirror = tile * 256 + 255 - i % 256;
                expected[tile % blocks] += mirror < n ? x[i] * y[mirror] : 0;
            }
            try (NvccProgram program = new NvccProgram(device, "pipeline")) {
                DeviceStorage out = program.output(4 * blocks);
                program.launch(Launch.of(blocks, 64), program.ints(x), program.ints(y), n, out);
                IntBuffer got = program.result(out).asIntBuffer();
                for (int b = 0; b < blocks; b++) {
                    assertEquals(expected[b], got.get(b), n + " elements, block " + b);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void lastblock_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 1999;
        int blocks = 37;
        int[] x = new Random(15).ints(n).toArray();
        long sum = Arrays.stream(x).asLongStream().sum();
        try (NvccProgram program = new NvccProgram(device, "lastblock")) {
            DeviceStorage count = program.ints(0);
            DeviceStorage input = program.ints(x);
            for (int turn = 0; turn < 2; turn++) {
                DeviceStorage partial = program.output(8 * blocks);
                DeviceStorage total = program.output(8);
                DeviceStorage inverse = program.output(4);
                program.launch(Launch.of(blocks, 96), input, n, partial, count, total, inverse);
                assertEquals(sum, program.result(total).asLongBuffer().get(0), "turn " + turn);
                assertEquals(1f / sum, program.result(inverse).asFloatBuffer().get(0), "turn " + turn);
                assertEquals(0, Devices.toInts(count)[0], "turn " + turn);
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void cluster_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 777;
        int blocks = 8;
        int[] x = integers(16, n);
        int[][] bins = new int[blocks / 4][64];
        for (int i = 0; i < n; i++) {
            bins[i / 64 % blocks / 4][x[i] & 63]++;
        }
        try (NvccProgram program = new NvccProgram(device, "cluster")) {
            assumeTrue(program.architecture() >= 90, "blocks form clusters from sm_90 on");
            DeviceStorage counted = program.output(4 * 64 * blocks / 4);
            DeviceStorage turned = program.output(4 * 64 * blocks);
            program.launch(Launch.of(blocks, 64), program.ints(x), n, counted, turned);
            IntBuffer counts = program.result(counted).asIntBuffer();
            for (int i = 0; i < counts.limit(); i++) {
                assertEquals(bins[i / 64][i % 64], counts.get(i), "bin " + i % 64 + " of cluster " + i / 64);
            }
            IntBuffer others = program.result(turned).asIntBuffer();
            for (int i = 0; i < others.limit(); i++) {
                int block = i / 64;
                int next = block / 4 * 4 + (block + 1) % 4;
                assertEquals(next * 1000 + 63 - i % 64, others.get(i), "thread " + i % 64 + " of block " + block);
            }
        }
    }
}
