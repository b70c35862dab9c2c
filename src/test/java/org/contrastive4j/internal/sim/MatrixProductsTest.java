package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tensor-core products of whole numbers, fp8, f64 and sparse matrices, compiled by nvcc, against plain Java. */
final class MatrixProductsTest {
    private static final int LANES = 32;

    private static int[] run(String file, String entry, int results, int[]... inputs) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            DeviceStorage[] given = new DeviceStorage[inputs.length + 1];
            for (int i = 0; i < inputs.length; i++) {
                given[i] = Devices.ints(device, inputs[i]);
            }
            given[inputs.length] = Devices.ints(device, new int[results]);
            try {
                device.module(file, CudaProgram.text(file))
                        .kernel(entry)
                        .launch(device.stream(), Launch.of(1, LANES), (Object[]) given);
                return Devices.toInts(given[inputs.length]);
            } finally {
                Arrays.stream(given).forEach(DeviceStorage::close);
            }
        }
    }

    private static int[] random(int seed, int count) {
        return new Random(seed).ints(count).toArray();
    }

    /** Element of packed registers, each with 32 / bits of them. */
    private static int element(int register, int index, int bits, boolean signed) {
        int shifted = register << 32 - bits * (index + 1);
        return signed ? shifted >> 32 - bits : shifted >>> 32 - bits;
    }

    /** A of 16 (or 8) rows from the registers of the lanes, as the PTX ISA lays them out. */
    private static int[][] rows(int[] registers, int m, int k, int bits, boolean signed) {
        int per = 32 / bits;
        int count = m * k / per / LANES;
        int[][] rows = new int[m][k];
        for (int lane = 0; lane < LANES; lane++) {
            for (int v = 0; v < count; v++) {
                int row = lane / 4 + (m == 16 ? 8 * (v % 2) : 0);
                int block = m == 16 ? v / 2 : v;
                for (int e = 0; e < per; e++) {
                    rows[row][4 * per * block + per * (lane % 4) + e] =
                            element(registers[count * lane + v], e, bits, signed);
                }
            }
        }
        return rows;
    }

    /** B of 8 columns, each as a row. */
    private static int[][] columns(int[] registers, int k, int bits, boolean signed) {
        int per = 32 / bits;
        int count = 8 * k / per / LANES;
        int[][] columns = new int[8][k];
        for (int lane = 0; lane < LANES; lane++) {
            for (int v = 0; v < count; v++) {
                for (int e = 0; e < per; e++) {
                    columns[lane / 4][4 * per * v + per * (lane % 4) + e] =
                            element(registers[count * lane + v], e, bits, signed);
                }
            }
        }
        return columns;
    }

    private interface Product {
        long of(int[] row, int[] column);
    }

    /** Sums by lane: columns 2 q and 2 q + 1 of rows g and g + 8. */
    private static int[] sums(int[][] rows, int[][] columns, int[] c, boolean clamped, Product product) {
        int count = rows.length / 4;
        int[] sums = new int[count * LANES];
        for (int lane = 0; lane < LANES; lane++) {
            for (int v = 0; v < count; v++) {
                int[] row = rows[lane / 4 + 8 * (v / 2)];
                int[] column = columns[2 * (lane % 4) + v % 2];
                long sum = c[count * lane + v] + product.of(row, column);
                sums[count * lane + v] =
                        (int) (clamped ? Math.max(Integer.MIN_VALUE, Math.min(Integer.MAX_VALUE, sum)) : sum);
            }
        }
        return sums;
    }

    private static long dot(int[] row, int[] column) {
        return IntStream.range(0, row.length)
                .mapToLong(i -> (long) row[i] * column[i])
                .sum();
    }

    private static long differing(int[] row, int[] column) {
        return IntStream.range(0, row.length).filter(i -> row[i] != column[i]).count();
    }

    @ParameterizedTest
    @CsvSource({
        "mma_s8,16,32,8,true,true",
        "mma_u8_s8,16,32,8,false,true",
        "mma_s8_clamped,16,32,8,true,true",
        "mma_s4,16,64,4,true,true",
        "mma_u4,16,64,4,false,false",
        "mma_b1_xor,16,256,1,false,false",
        "mma_b1_and,16,256,1,false,false",
        "mma_m8_u8,8,16,8,false,false",
        "mma_m8_s4,8,32,4,true,true",
        "mma_m8_b1,8,128,1,false,false"
    })
    void mma_ofWholeNumbers_isExact(String entry, int m, int k, int bits, boolean signedA, boolean signedB) {
        int perA = m * k * bits / 32 / LANES;
        int perB = 8 * k * bits / 32 / LANES;
        int[] a = random(1, perA * LANES);
        int[] b = random(2, perB * LANES);
        boolean clamped = entry.endsWith("clamped");
        int[] c = random(3, m / 4 * LANES);
        if (clamped) {
            Arrays.setAll(c, i -> i % 2 == 0 ? Integer.MAX_VALUE : Integer.MIN_VALUE);
        }
        boolean xor = entry.endsWith("xor") || entry.equals("mma_m8_b1");
        int[] expected = sums(
                rows(a, m, k, bits, signedA),
                columns(b, k, bits, signedB),
                c,
                clamped,
                xor ? MatrixProductsTest::differing : MatrixProductsTest::dot);
        assertArrayEquals(expected, run("integermma", entry, m / 4 * LANES, a, b, c));
    }

    @ParameterizedTest
    @CsvSource({"wmma_s8,16,16,8,true,7", "wmma_u4,8,32,4,false,0", "wmma_b1,8,128,1,false,0"})
    void wmma_ofWholeNumbers_isExact(String entry, int m, int k, int bits, boolean signed, int start) {
        int words = m * k * bits / 32;
        int[] a = random(4, words);
        int[] b = random(5, words);
        int[] expected = new int[m * m];
        int per = 32 / bits;
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < m; j++) {
                int sum = start;
                for (int t = 0; t < k; t++) {
                    int x = element(a[(i * k + t) / per], (i * k + t) % per, bits, signed);
                    int y = element(b[(j * k + t) / per], (j * k + t) % per, bits, signed);
                    sum += bits == 1 ? x ^ y : x * y;
                }
                expected[i * m + j] = sum;
            }
        }
        assertArrayEquals(expected, run("integermma", entry, m * m, a, b));
    }

    /** Value of a byte of fp8: a sign, exponent bits and a mantissa. */
    private static double fp8(int bits, int mantissa) {
        int exponent = (bits & 0x7F) >>> mantissa;
        int fraction = bits & (1 << mantissa) - 1;
        int bias = mantissa == 3 ? 7 : 15;
        double value = exponent == 0
                ? Math.scalb(fraction, 1 - bias - mantissa)
                : Math.scalb(fraction + (1 << mantissa), exponent - bias - mantissa);
        return bits >= 128 ? -value : value;
    }

    /** Bytes of small numbers of one sign and size, whose sums tensor cores form without loss. */
    private static int[] smallFp8(int seed, int count, int mantissa) {
        Random random = new Random(seed);
        int one = (mantissa == 3 ? 7 : 15) << mantissa;
        byte[] bytes = new byte[4 * count];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (one + random.nextInt(1 << mantissa) + (random.nextBoolean() ? 128 : 0));
        }
        int[] words = new int[count];
        ByteBuffer.wrap(bytes)
                .order(java.nio.ByteOrder.LITTLE_ENDIAN)
                .asIntBuffer()
                .get(words);
        return words;
    }

    @ParameterizedTest
    @CsvSource({"mma_e4m3,3,3", "mma_e5m2,2,2", "mma_e4m3_e5m2,3,2"})
    void mma_ofFp8_isExactWhereTheSumFits(String entry, int mantissaA, int mantissaB) {
        int[] a = smallFp8(6, 4 * LANES, mantissaA);
        int[] b = smallFp8(7, 2 * LANES, mantissaB);
        int[] c = new int[4 * LANES];
        Arrays.fill(c, Float.floatToRawIntBits(1));
        int[][] rows = rows(a, 16, 32, 8, false);
        int[][] columns = columns(b, 32, 8, false);
        int[] result = run("floatmma", entry, 4 * LANES, a, b, c);
        for (int lane = 0; lane < LANES; lane++) {
            for (int v = 0; v < 4; v++) {
                int[] row = rows[lane / 4 + 8 * (v / 2)];
                int[] column = columns[2 * (lane % 4) + v % 2];
                double sum = 1;
                for (int i = 0; i < 32; i++) {
                    sum += fp8(row[i], mantissaA) * fp8(column[i], mantissaB);
                }
                assertEquals(sum, Float.intBitsToFloat(result[4 * lane + v]), 0, "lane " + lane + ", sum " + v);
            }
        }
    }

    @Test
    void mma_ofF64SixteenRows_isAChainOfFusedMultiplyAdds() {
        Random random = new Random(8);
        double[] a = random.doubles(8 * LANES, -1, 1).toArray();
        double[] b = random.doubles(4 * LANES, -1, 1).toArray();
        double[] c = random.doubles(4 * LANES, -1, 1).toArray();
        double[][] rows = new double[16][16];
        double[][] columns = new double[8][16];
        for (int lane = 0; lane < LANES; lane++) {
            for (int v = 0; v < 8; v++) {
                rows[lane / 4 + 8 * (v % 2)][lane % 4 + 4 * (v / 2)] = a[8 * lane + v];
            }
            for (int v = 0; v < 4; v++) {
                columns[lane / 4][lane % 4 + 4 * v] = b[4 * lane + v];
            }
        }
        long[] bits = new long[4 * LANES];
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage x = Devices.longs(device, bits(a));
                DeviceStorage y = Devices.longs(device, bits(b));
                DeviceStorage z = Devices.longs(device, bits(c));
                DeviceStorage out = Devices.longs(device, bits)) {
            device.module("floatmma", CudaProgram.text("floatmma"))
                    .kernel("mma_f64")
                    .launch(device.stream(), Launch.of(1, LANES), x, y, z, out);
            bits = Devices.toLongs(out);
        }
        for (int lane = 0; lane < LANES; lane++) {
            for (int v = 0; v < 4; v++) {
                double sum = c[4 * lane + v];
                for (int i = 0; i < 16; i++) {
                    sum = Math.fma(rows[lane / 4 + 8 * (v / 2)][i], columns[2 * (lane % 4) + v % 2][i], sum);
                }
                assertEquals(sum, Double.longBitsToDouble(bits[4 * lane + v]), 0, "lane " + lane + ", sum " + v);
            }
        }
    }

    private static long[] bits(double[] values) {
        return Arrays.stream(values).mapToLong(Double::doubleToRawLongBits).toArray();
    }

    /** Four stored columns of each eight, or two of each four, drawn by row; their metadata by lane. */
    private static final class Sparse {
        final int[][] columns;
        final int[] metadata = new int[LANES];

        /** @param bits of an element; tf32 keeps one of two, the others two of four */
        Sparse(int k, int bits, int selector) {
            Random random = new Random(9);
            columns = new int[16][k / 2];
            int group = bits == 32 ? 2 : 4;
            for (int row = 0; row < 16; row++) {
                for (int chunk = 0; chunk < k / group; chunk++) {
                    int first = random.nextInt(group == 2 ? 2 : 3);
                    int second = group == 2 ? 0 : first + 1 + random.nextInt(3 - first);
                    int code = group == 2 ? first == 0 ? 0b0100 : 0b1110 : first | second << 2;
                    columns[row][chunk * group / 2] = chunk * group + first;
                    if (group == 4) {
                        columns[row][chunk * 2 + 1] = chunk * group + second;
                    }
                    int perWord = bits >= 16 ? 4 : 8;
                    int word = chunk / perWord;
                    int thread = bits >= 16 ? 2 * selector + word : row / 8 + 2 * word;
                    int shift = 4 * (chunk % perWord) + (bits >= 16 ? 16 * (row / 8) : 0);
                    metadata[row % 8 * 4 + thread] |= code << shift;
                }
            }
        }

        int[][] dense(int[][] stored, int k) {
            int[][] dense = new int[16][k];
            for (int row = 0; row < 16; row++) {
                for (int i = 0; i < k / 2; i++) {
                    dense[row][columns[row][i]] = stored[row][i];
                }
            }
            return dense;
        }
    }

    @Test
    void sparseMma_ofWholeNumbers_usesTheColumnsOfItsMetadata() {
        int[] a = random(10, 4 * LANES);
        int[] b = random(11, 4 * LANES);
        int[] c = random(12, 4 * LANES);
        Sparse sparse = new Sparse(64, 8, 0);
        int[] expected = sums(
                sparse.dense(rows(a, 16, 32, 8, true), 64), columns(b, 64, 8, true), c, false, MatrixProductsTest::dot);
        assertArrayEquals(expected, run("sparsemma", "sparse_s8", 4 * LANES, a, b, c, sparse.metadata));
    }

    private static int[] smallF16(int seed, int count) {
        Random random = new Random(seed);
        int[] words = new int[count];
        Arrays.setAll(words, i -> half(random) | half(random) << 16);
        return words;
    }

    /** f16 of 1 to 1.75 or the negative of one. */
    private static int half(Random random) {
        return 0x3C00 | random.nextInt(4) << 8 | (random.nextBoolean() ? 0x8000 : 0);
    }

    private static double ofHalf(int bits) {
        double value = 1 + (bits >>> 8 & 3) / 4.0;
        return bits == 0 ? 0 : (bits & 0x8000) != 0 ? -value : value;
    }

    @ParameterizedTest
    @CsvSource({"sparse_f16,0", "sparse_f16_upper,1"})
    void sparseMma_ofF16_takesItsMetadataFromTheSelectedThreads(String entry, int selector) {
        int[] a = smallF16(13, 4 * LANES);
        int[] b = smallF16(14, 4 * LANES);
        Sparse sparse = new Sparse(32, 16, selector);
        int[][] rows = sparse.dense(rows(a, 16, 16, 16, false), 32);
        int[][] columns = columns(b, 32, 16, false);
        int[] result = run("sparsemma", entry, 4 * LANES, a, b, new int[4 * LANES], sparse.metadata);
        checkSums(result, rows, columns, MatrixProductsTest::ofHalf);
    }

    @Test
    void sparseMma_ofTf32_keepsOneOfTwo() {
        int[] a = random(15, 4 * LANES);
        int[] b = random(16, 4 * LANES);
        for (int[] words : new int[][] {a, b}) {
            Arrays.setAll(words, i -> Float.floatToRawIntBits(1 + (words[i] & 3) / 4f));
        }
        Sparse sparse = new Sparse(16, 32, 0);
        int[][] rows = sparse.dense(rows(a, 16, 8, 32, false), 16);
        int[][] columns = columns(b, 16, 32, false);
        int[] result = run("sparsemma", "sparse_tf32", 4 * LANES, a, b, new int[4 * LANES], sparse.metadata);
        checkSums(result, rows, columns, Float::intBitsToFloat);
    }

    @Test
    void sparseMma_ofFp8_usesTheColumnsOfItsMetadata() {
        int[] a = smallFp8(17, 4 * LANES, 3);
        int[] b = smallFp8(18, 4 * LANES, 3);
        Sparse sparse = new Sparse(64, 8, 0);
        int[][] rows = sparse.dense(rows(a, 16, 32, 8, false), 64);
        int[][] columns = columns(b, 64, 8, false);
        int[] result = run("sparsemma", "sparse_e4m3", 4 * LANES, a, b, new int[4 * LANES], sparse.metadata);
        checkSums(result, rows, columns, bits -> fp8(bits, 3));
    }

    private interface Decoder {
        double of(int bits);
    }

    private static void checkSums(int[] result, int[][] rows, int[][] columns, Decoder decoder) {
        for (int lane = 0; lane < LANES; lane++) {
            for (int v = 0; v < 4; v++) {
                int[] row = rows[lane / 4 + 8 * (v / 2)];
                int[] column = columns[2 * (lane % 4) + v % 2];
                double sum = 0;
                for (int i = 0; i < row.length; i++) {
                    sum += decoder.of(row[i]) * decoder.of(column[i]);
                }
                assertEquals(sum, Float.intBitsToFloat(result[4 * lane + v]), 0, "lane " + lane + ", sum " + v);
            }
        }
    }

    @Test
    void sparseMma_metadataThatIsNotIncreasing_isAFault() {
        Fault fault = assertThrows(
                Fault.class,
                () -> run(
                        "sparsemma",
                        "sparse_s8",
                        4 * LANES,
                        new int[4 * LANES],
                        new int[4 * LANES],
                        new int[4 * LANES],
                        new int[LANES]));
        assertEquals(Fault.Kind.ILLEGAL, fault.kind());
        assertTrue(fault.getMessage().contains("metadata of row 0"), fault.getMessage());
    }
}
