package org.contrastive4j.device.conformance;

import static org.contrastive4j.device.conformance.KernelFile.POISON;
import static org.contrastive4j.device.conformance.KernelFile.assertWords;
import static org.contrastive4j.device.conformance.KernelFile.poisoned;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Atomic operations: the final memory, and old values that correspond to some order of the threads. */
class AtomicConformanceTest {
    private static final int THREADS = 96;
    private static final int CELLS = 26;
    private static final int FIRST_EXCHANGE = 22;
    private static final int FIRST_CAS = 24;
    private static final int PAIR = 5;
    private static final int INC = 14;
    private static final int DEC = 15;
    private static final int BOUND = 9;
    private static final Set<Integer> WIDE = Set.of(2, 4, 10, 11, 12, 13, 19, 20, 21, 23, 25);
    private static final Set<Integer> ALWAYS_CHANGING = Set.of(0, 1, 2, 3, 4, 18, 21, 22, 23);

    /** Initial contents of the cells; the upper half of a narrow cell must not change. */
    private static final long[] INITIAL = {
        narrow(0xFFFF_FF00),
        narrow(100),
        0x7FFF_0000_0000_0001L,
        narrow(Float.floatToRawIntBits(-50)),
        Double.doubleToRawLongBits(0.5),
        narrow(halves(3, -7)),
        narrow(150),
        narrow(150),
        narrow(-20),
        narrow(-20),
        1L << 38,
        1L << 39,
        -5,
        -1000,
        narrow(3),
        narrow(4),
        narrow(-1),
        narrow(0),
        narrow(0x1234_5678),
        -1,
        0,
        0x1234_5678_9ABC_DEF0L,
        narrow(0),
        0,
        narrow(77),
        77
    };

    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void atom_globalMemory_givesSomeOrder(Supplier<PtxDevice> opened) {
        atomics(opened, "atomics_global", Launch.of(2, THREADS / 2));
    }

    @ParameterizedTest
    @MethodSource("devices")
    void atom_sharedMemory_givesSomeOrder(Supplier<PtxDevice> opened) {
        atomics(opened, "atomics_shared", Launch.of(1, THREADS));
    }

    @ParameterizedTest
    @MethodSource("devices")
    void red_globalMemory_combinesAllThreads(Supplier<PtxDevice> opened) {
        reductions(opened, "reductions_global", Launch.of(2, THREADS / 2));
    }

    @ParameterizedTest
    @MethodSource("devices")
    void red_sharedMemory_combinesAllThreads(Supplier<PtxDevice> opened) {
        reductions(opened, "reductions_shared", Launch.of(1, THREADS));
    }

    private static void reductions(Supplier<PtxDevice> opened, String name, Launch launch) {
        try (PtxDevice device = opened.get()) {
            long[] after = longs(KernelFile.of(device, name).run(launch, ints(INITIAL)));
            for (int cell = 0; cell < CELLS; cell++) {
                long expected = cell < FIRST_EXCHANGE ? last(cell) : INITIAL[cell];
                assertEquals(Long.toHexString(expected), Long.toHexString(after[cell]), "cell " + cell);
            }
        }
    }

    private static void atomics(Supplier<PtxDevice> opened, String name, Launch launch) {
        try (PtxDevice device = opened.get()) {
            KernelFile kernel = KernelFile.of(device, name);
            int[][] results = kernel.runAll(launch, ints(INITIAL), poisoned(2 * CELLS * THREADS));
            long[] after = longs(results[0]);
            long[] rows = longs(results[1]);
            for (int cell = 0; cell < CELLS; cell++) {
                long[] old = new long[THREADS];
                for (int g = 0; g < THREADS; g++) {
                    old[g] = rows[CELLS * g + cell];
                    if (!WIDE.contains(cell)) {
                        assertEquals(POISON, (int) (old[g] >>> 32), "upper half of an old value");
                        old[g] = narrow((int) old[g]);
                    }
                }
                checkOld(cell, old, after[cell]);
                if (cell < FIRST_EXCHANGE) {
                    assertEquals(Long.toHexString(last(cell)), Long.toHexString(after[cell]), "cell " + cell);
                }
            }
        }
    }

    /** Checks that some order of the threads gives these old values. */
    private static void checkOld(int cell, long[] old, long after) {
        String what = "cell " + cell;
        if (ALWAYS_CHANGING.contains(cell)) {
            Map<Long, Integer> threads = new HashMap<>();
            for (int g = 0; g < THREADS; g++) {
                assertNull(threads.put(old[g], g), what + ", two threads saw " + Long.toHexString(old[g]));
            }
            long value = INITIAL[cell];
            for (int turn = 0; turn < THREADS; turn++) {
                Integer g = threads.remove(value);
                assertNotNull(g, what + ", nobody saw " + Long.toHexString(value));
                value = combine(cell, value, operand(cell, g));
            }
            assertEquals(value, after, what);
        } else if (cell == PAIR) {
            checkOldHalves(3, LongStream.of(old).mapToInt(bits -> half((int) bits)), 1);
            checkOldHalves(-7, LongStream.of(old).mapToInt(bits -> half((int) bits >>> 16)), 2);
        } else if (cell == INC || cell == DEC) {
            long[] expected = new long[THREADS];
            expected[0] = INITIAL[cell];
            for (int turn = 1; turn < THREADS; turn++) {
                expected[turn] = combine(cell, expected[turn - 1], BOUND);
            }
            assertArrayEquals(
                    LongStream.of(expected).sorted().toArray(),
                    LongStream.of(old).sorted().toArray(),
                    what);
        } else if (cell >= FIRST_CAS) {
            int[] winners = IntStream.range(0, THREADS)
                    .filter(g -> old[g] == INITIAL[cell])
                    .toArray();
            assertEquals(1, winners.length, what + ", winners");
            long won = combine(cell, INITIAL[cell], operand(cell, winners[0]));
            assertEquals(won, after, what);
            IntStream.range(0, THREADS).filter(g -> g != winners[0]).forEach(g -> assertEquals(won, old[g], what));
        } else {
            boolean first = false;
            for (long value : old) {
                first |= value == INITIAL[cell];
                assertEquals(after, combine(cell, after, value), what + ", comes before the last value");
                assertEquals(value, combine(cell, value, INITIAL[cell]), what + ", comes after the first value");
            }
            assertTrue(first, what + ", somebody is first");
        }
    }

    /** Checks the halves of a pair separately, because only each half is atomic. */
    private static void checkOldHalves(int first, IntStream old, int step) {
        int[] expected =
                IntStream.range(0, THREADS).map(turn -> first + step * turn).toArray();
        assertArrayEquals(expected, old.sorted().toArray(), "old values of a half");
    }

    private static long last(int cell) {
        long value = INITIAL[cell];
        for (int g = 0; g < THREADS; g++) {
            value = combine(cell, value, operand(cell, g));
        }
        return value;
    }

    /** Returns the operand of thread g, computed as in the kernels. */
    private static long operand(int cell, int g) {
        int v = 3 * g + 1;
        int mix = v * 0x9E37_79B1;
        return switch (cell) {
            case 1, 8 -> -v;
            case 2, 10, 11, 23, 25 -> v * 65_537L * 65_536L;
            case PAIR -> halves(1, 2);
            case 9 -> 5 * g - 200;
            case 12, 13 -> -(long) v;
            case INC, DEC -> BOUND;
            case 16 -> ~(1 << g % 32);
            case 17 -> 1 << g % 32;
            case 18 -> mix;
            case 19 -> ~(1L << g % 64);
            case 20 -> 1L << g % 64;
            case 21 -> Integer.toUnsignedLong(mix) * Integer.toUnsignedLong(mix);
            default -> v;
        };
    }

    /** Applies the operation of a cell to two values. */
    private static long combine(int cell, long a, long b) {
        int x = (int) a;
        int y = (int) b;
        return switch (cell) {
            case 0, 1 -> narrow(x + y);
            case 2 -> a + b;
            case 3 -> narrow(Float.floatToRawIntBits(Float.intBitsToFloat(x) + y));
            case 4 -> Double.doubleToRawLongBits(Double.longBitsToDouble(a) + b);
            case PAIR -> narrow(halves(half(x) + half(y), half(x >>> 16) + half(y >>> 16)));
            case 6 -> narrow(Integer.compareUnsigned(x, y) < 0 ? x : y);
            case 7 -> narrow(Integer.compareUnsigned(x, y) > 0 ? x : y);
            case 8 -> narrow(Math.min(x, y));
            case 9 -> narrow(Math.max(x, y));
            case 10 -> Long.compareUnsigned(a, b) < 0 ? a : b;
            case 11 -> Long.compareUnsigned(a, b) > 0 ? a : b;
            case 12 -> Math.min(a, b);
            case 13 -> Math.max(a, b);
            case INC -> narrow(Integer.compareUnsigned(x, y) >= 0 ? 0 : x + 1);
            case DEC -> narrow(x == 0 || Integer.compareUnsigned(x, y) > 0 ? y : x - 1);
            case 16 -> narrow(x & y);
            case 17 -> narrow(x | y);
            case 18 -> narrow(x ^ y);
            case 19 -> a & b;
            case 20 -> a | b;
            case 21 -> a ^ b;
            case 22, 24 -> narrow(y);
            case 23, 25 -> b;
            default -> throw new IllegalArgumentException("cell " + cell);
        };
    }

    @ParameterizedTest
    @MethodSource("devices")
    void atomAdd_f16x2_addsEachHalf(Supplier<PtxDevice> opened) {
        int pair = halves(4, -9);
        int low = SmallFloat.F16.bits(5) | 0xABCD_0000;
        int[] in = poisoned(6 + THREADS);
        int[] expected = in.clone();
        for (int i = 0; i < 6; i++) {
            in[i] = i % 3 == 2 ? low : pair;
            expected[i] =
                    i % 3 == 2 ? SmallFloat.F16.bits(5 + THREADS) | 0xABCD_0000 : halves(4 + THREADS, -9 + 2 * THREADS);
        }
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "atomics_sixteen_bits").run(Launch.of(1, THREADS), in);
            checkOldHalves(4, IntStream.range(6, in.length).map(i -> half(actual[i])), 1);
            checkOldHalves(-9, IntStream.range(6, in.length).map(i -> half(actual[i] >>> 16)), 2);
            assertWords(Arrays.copyOf(expected, 6), Arrays.copyOf(actual, 6), 6);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void atomAdd_bf16_addsEachHalf(Supplier<PtxDevice> opened) {
        int pair = pair(4, -9);
        int low = SmallFloat.BF16.bits(5) | 0xABCD_0000;
        int[] in = poisoned(5 + THREADS);
        int[] expected = in.clone();
        for (int i = 0; i < 5; i++) {
            in[i] = i == 2 ? low : pair;
            expected[i] =
                    i == 2 ? SmallFloat.BF16.bits(5 + THREADS) | 0xABCD_0000 : pair(4 + THREADS, -9 + 2 * THREADS);
        }
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "atomics_bf16").run(Launch.of(1, THREADS), in);
            checkOldHalves(4, IntStream.range(5, in.length).map(i -> brain(actual[i])), 1);
            checkOldHalves(-9, IntStream.range(5, in.length).map(i -> brain(actual[i] >>> 16)), 2);
            assertWords(Arrays.copyOf(expected, 5), Arrays.copyOf(actual, 5), 5);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void atomCas_inALoop_updatesAtomically(Supplier<PtxDevice> opened) {
        int product = 7;
        for (int t = 0; t < THREADS; t++) {
            product *= 3;
        }
        int[] expected = {product, 0xABCD_0001 + 5 * THREADS, 11 + THREADS * (THREADS - 1) / 2};
        try (PtxDevice device = opened.get()) {
            assertWords(expected, KernelFile.of(device, "cas_loops").run(Launch.of(1, THREADS), poisoned(3)), 3);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void atomInc_lastBlock_seesAllPartialSums(Supplier<PtxDevice> opened) {
        int blocks = 7;
        int[] in = new Random(5).ints(64 * blocks, -1000, 1000).toArray();
        int[] expected = new int[2 + blocks];
        for (int i = 0; i < in.length; i++) {
            expected[0] += in[i];
            expected[2 + i / 64] += in[i];
        }
        expected[1] = blocks - 1;
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "last_block")
                    .run(Launch.of(blocks, 64), poisoned(2 + blocks), in, new int[1]);
            assertWords(expected, actual, 2 + blocks);
        }
    }

    private static long narrow(int value) {
        return Integer.toUnsignedLong(value) | (long) POISON << 32;
    }

    private static int halves(int low, int high) {
        return SmallFloat.F16.bits(low) | SmallFloat.F16.bits(high) << 16;
    }

    private static int half(int bits) {
        return (int) SmallFloat.F16.value(bits & 0xFFFF);
    }

    private static int brain(int bits) {
        return (int) SmallFloat.BF16.value(bits & 0xFFFF);
    }

    private static int pair(int low, int high) {
        return SmallFloat.BF16.bits(low) | SmallFloat.BF16.bits(high) << 16;
    }

    private static int[] ints(long[] values) {
        return IntStream.range(0, 2 * values.length)
                .map(i -> (int) (values[i / 2] >>> 32 * (i % 2)))
                .toArray();
    }

    private static long[] longs(int[] words) {
        long[] values = new long[words.length / 2];
        for (int i = 0; i < values.length; i++) {
            values[i] = Integer.toUnsignedLong(words[2 * i]) | (long) words[2 * i + 1] << 32;
        }
        return values;
    }
}
