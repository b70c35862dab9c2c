package org.contrastive4j.device.conformance;

import static org.contrastive4j.device.conformance.KernelFile.assertWords;
import static org.contrastive4j.device.conformance.KernelFile.poisoned;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Matrix products of a warp and the loads and stores of their fragments, by the fragment tables of the PTX
 * documentation. Values are small integers, so every sum is exact in any order.
 */
class MmaConformanceTest {
    private static final long SEED = 31_337;
    private static final int ROWS = 16;
    private static final int COLUMNS = 8;

    /** Parameters of a product: kernel, k, format of A and B, format of C and D. */
    private record Product(String kernel, int depth, SmallFloat in, SmallFloat sum) {
        @Override
        public String toString() {
            return kernel;
        }
    }

    private static final List<Product> PRODUCTS = List.of(
            new Product("mma_m16n8k16_f16_f32", 16, SmallFloat.F16, SmallFloat.F32),
            new Product("mma_m16n8k16_bf16_f32", 16, SmallFloat.BF16, SmallFloat.F32),
            new Product("mma_m16n8k16_f16_f16", 16, SmallFloat.F16, SmallFloat.F16),
            new Product("mma_m16n8k8_f16_f32", 8, SmallFloat.F16, SmallFloat.F32),
            new Product("mma_m16n8k8_bf16_f32", 8, SmallFloat.BF16, SmallFloat.F32),
            new Product("mma_m16n8k8_f16_f16", 8, SmallFloat.F16, SmallFloat.F16),
            new Product("mma_m16n8k8_tf32_f32", 8, SmallFloat.TF32, SmallFloat.F32),
            new Product("mma_m16n8k4_tf32_f32", 4, SmallFloat.TF32, SmallFloat.F32));

    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    static Stream<Arguments> products() {
        return devices().flatMap(device -> PRODUCTS.stream().map(product -> Arguments.of(device, product)));
    }

    @ParameterizedTest
    @MethodSource("products")
    void mma_everyFormat_multiplies(Supplier<PtxDevice> opened, Product product) {
        Random random = new Random(SEED);
        double[][] a = integers(random, ROWS, product.depth);
        double[][] b = integers(random, product.depth, COLUMNS);
        double[][] c = integers(random, ROWS, COLUMNS);
        double[][] d = new double[ROWS][COLUMNS];
        for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < COLUMNS; j++) {
                d[i][j] = c[i][j];
                for (int k = 0; k < product.depth; k++) {
                    d[i][j] += a[i][k] * b[k][j];
                }
            }
        }
        try (PtxDevice device = opened.get()) {
            int[] expected = sums(product.sum, d);
            int[] actual = KernelFile.of(device, product.kernel)
                    .run(
                            Launch.of(1, 32),
                            poisoned(expected.length),
                            left(product.in, a),
                            right(product.in, b),
                            sums(product.sum, c));
            assertWords(expected, actual, expected.length / 32);
        }
    }

    private static double[][] integers(Random random, int rows, int columns) {
        double[][] values = new double[rows][columns];
        for (double[] row : values) {
            Arrays.setAll(row, j -> (1 + random.nextInt(8)) * (random.nextBoolean() ? 1 : -1));
        }
        return values;
    }

    /** Registers of A: lane l has rows l / 4 and l / 4 + 8; pairs of halves, or single words, at columns of l mod 4. */
    private static int[] left(SmallFloat format, double[][] a) {
        int each = 32 / format.width();
        int registers = ROWS * a[0].length / 32 / each;
        int[] words = new int[32 * registers];
        for (int i = 0; i < words.length; i++) {
            int lane = i / registers;
            int register = i % registers;
            int row = lane / 4 + 8 * (register % 2);
            int column = each * (lane % 4) + 4 * each * (register / 2);
            words[i] = pack(format, Arrays.copyOfRange(a[row], column, column + each));
        }
        return words;
    }

    /** Registers of B: lane l has column l / 4; pairs of halves, or single words, at rows of l mod 4. */
    private static int[] right(SmallFloat format, double[][] b) {
        int each = 32 / format.width();
        int registers = COLUMNS * b.length / 32 / each;
        int[] words = new int[32 * registers];
        for (int i = 0; i < words.length; i++) {
            int lane = i / registers;
            int row = each * (lane % 4) + 4 * each * (i % registers);
            words[i] = pack(
                    format,
                    IntStream.range(row, row + each)
                            .mapToDouble(k -> b[k][lane / 4])
                            .toArray());
        }
        return words;
    }

    /** Registers of C and D: lane l has columns 2 (l mod 4) and the next one of rows l / 4 and l / 4 + 8. */
    private static int[] sums(SmallFloat format, double[][] c) {
        int each = 32 / format.width();
        int registers = 4 / each;
        int[] words = new int[32 * registers];
        for (int i = 0; i < words.length; i++) {
            int lane = i / registers;
            int first = each * (i % registers);
            int row = lane / 4 + 8 * (first / 2);
            int column = 2 * (lane % 4) + first % 2;
            words[i] = pack(format, Arrays.copyOfRange(c[row], column, column + each));
        }
        return words;
    }

    private static int pack(SmallFloat format, double[] values) {
        int word = 0;
        for (int i = 0; i < values.length; i++) {
            word |= format.bits(values[i]) << format.width() * i;
        }
        return word;
    }

    static Stream<Arguments> matrices() {
        return devices()
                .flatMap(device -> Stream.of(1, 2, 4)
                        .flatMap(count -> Stream.of(false, true).map(across -> Arguments.of(device, count, across))));
    }

    @ParameterizedTest(name = "{0}, {1} matrices, transposed {2}")
    @MethodSource("matrices")
    void ldmatrix_everyCount_loadsTheFragments(Supplier<PtxDevice> opened, int count, boolean across) {
        short[] rows = halves();
        int[] named = shuffledRows();
        int[] expected = new int[32 * count];
        for (int i = 0; i < expected.length; i++) {
            int lane = i / count;
            int matrix = i % count;
            for (int e = 0; e < 2; e++) {
                int row = across ? 2 * (lane % 4) + e : lane / 4;
                int column = across ? lane / 4 : 2 * (lane % 4) + e;
                expected[i] |= (rows[8 * named[8 * matrix + row] + column] & 0xFFFF) << 16 * e;
            }
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "ldmatrix_x" + count + (across ? "_trans" : ""))
                            .run(Launch.of(1, 32), poisoned(expected.length), words(rows), named),
                    count);
        }
    }

    @ParameterizedTest(name = "{0}, {1} matrices, transposed {2}")
    @MethodSource("matrices")
    void stmatrix_everyCount_storesTheFragments(Supplier<PtxDevice> opened, int count, boolean across) {
        int[] in = Arrays.copyOf(words(halves()), 32 * count);
        int[] named = shuffledRows();
        short[] expected = new short[256];
        Arrays.fill(expected, (short) -1);
        for (int i = 0; i < in.length; i++) {
            int lane = i / count;
            int matrix = i % count;
            for (int e = 0; e < 2; e++) {
                int row = across ? 2 * (lane % 4) + e : lane / 4;
                int column = across ? lane / 4 : 2 * (lane % 4) + e;
                expected[8 * named[8 * matrix + row] + column] = (short) (in[i] >>> 16 * e);
            }
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    words(expected),
                    KernelFile.of(device, "stmatrix_x" + count + (across ? "_trans" : ""))
                            .run(Launch.of(1, 32), poisoned(128), in, named),
                    i -> "row " + i / 4 + ", pair " + i % 4);
        }
    }

    private static short[] halves() {
        short[] values = new short[256];
        for (int i = 0; i < values.length; i++) {
            values[i] = (short) (257 * i + 3);
        }
        return values;
    }

    /** Returns a permutation of 0 to 31. */
    private static int[] shuffledRows() {
        return new Random(SEED).ints(0, 32).distinct().limit(32).toArray();
    }

    private static int[] words(short[] halves) {
        return IntStream.range(0, halves.length / 2)
                .map(i -> halves[2 * i] & 0xFFFF | halves[2 * i + 1] << 16)
                .toArray();
    }
}
