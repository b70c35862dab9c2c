package org.contrastive4j.device.conformance;

import static org.contrastive4j.device.conformance.KernelFile.assertWords;
import static org.contrastive4j.device.conformance.KernelFile.poisoned;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.function.IntBinaryOperator;
import java.util.function.IntPredicate;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Branches, special registers, and communication between the lanes of a warp. */
class WarpConformanceTest {
    private static final long SEED = 7_654_321;
    private static final int ALL = -1;

    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void branches_nestedAndDivergent_reconverge(Supplier<PtxDevice> opened) {
        for (int threads : new int[] {1, 31, 32, 33, 103}) {
            int[] in = new Random(SEED).ints(threads, -9, 60).toArray();
            int[] expected = new int[threads];
            for (int t = 0; t < threads; t++) {
                int v = in[t];
                int way = v < 0 ? 10 * v : v % 2 == 1 ? 2 * v + 1 : v % 4 == 0 ? v / 4 : v + 100;
                expected[t] = way + (t % 32 < 16 ? 1000 : 0);
            }
            try (PtxDevice device = opened.get()) {
                assertWords(
                        expected,
                        KernelFile.of(device, "branches").run(Launch.of(1, threads), poisoned(threads), in),
                        1);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void loops_differentTripCounts_countPerLane(Supplier<PtxDevice> opened) {
        int threads = 103;
        int[] in = new Random(SEED).ints(threads, 1, 1000).toArray();
        int[] expected = new int[2 * threads];
        for (int t = 0; t < threads; t++) {
            for (int n = in[t]; n != 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1) {
                expected[2 * t]++;
            }
            for (int i = 0; i < in[t] % 7; i++) {
                expected[2 * t + 1] += i + t % 32 % 3;
            }
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected, KernelFile.of(device, "loops").run(Launch.of(1, threads), poisoned(2 * threads), in), 2);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void exit_someLanes_leavesTheOthersRunning(Supplier<PtxDevice> opened) {
        int threads = 96;
        int[] expected = new int[threads];
        for (int t = 0; t < threads; t++) {
            int first = t / 32 * 32;
            int votes = mask(lane -> lane % 2 == 0 && (first + lane) % 3 == 0);
            expected[t] = t % 2 == 1 ? 1 : t % 8 == 4 ? 2 * t : votes;
        }
        try (PtxDevice device = opened.get()) {
            assertWords(expected, KernelFile.of(device, "early_exit").run(Launch.of(1, threads), poisoned(threads)), 1);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void brxIdx_perLaneIndex_jumpsToTheTarget(Supplier<PtxDevice> opened) {
        int threads = 103;
        int[] in = new Random(SEED).ints(threads, 0, 5).toArray();
        int[] expected = new int[threads];
        for (int t = 0; t < threads; t++) {
            expected[t] = 5 + new int[] {t + 1, 3 * t, t * t, 77, 3 * t}[in[t]];
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "branch_table").run(Launch.of(1, threads), poisoned(threads), in),
                    1);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void specialRegisters_threeDimensions_numberThreads(Supplier<PtxDevice> opened) {
        Launch.Dim grid = new Launch.Dim(3, 2, 2);
        for (Launch.Dim block : new Launch.Dim[] {new Launch.Dim(5, 3, 7), new Launch.Dim(64, 2, 1)}) {
            int threads = (int) block.count();
            try (PtxDevice device = opened.get()) {
                int[] actual = KernelFile.of(device, "special_registers")
                        .run(Launch.of(grid, block), poisoned((int) (22 * grid.count() * threads)));
                for (int i = 0; i < grid.count() * threads; i++) {
                    checkRegisters(actual, i, i / threads, i % threads, grid, block);
                }
                for (int b = 0; b < grid.count(); b++) {
                    checkWarps(actual, b * threads, threads);
                }
            }
        }
    }

    private static void checkRegisters(int[] actual, int i, int b, int t, Launch.Dim grid, Launch.Dim block) {
        int lane = t % 32;
        int[] expected = {
            t % block.x(),
            t / block.x() % block.y(),
            t / (block.x() * block.y()),
            block.x(),
            block.y(),
            block.z(),
            b % grid.x(),
            b / grid.x() % grid.y(),
            b / (grid.x() * grid.y()),
            grid.x(),
            grid.y(),
            grid.z(),
            lane,
            mask(l -> l == lane),
            mask(l -> l <= lane),
            mask(l -> l < lane),
            mask(l -> l >= lane),
            mask(l -> l > lane)
        };
        for (int r = 0; r < expected.length; r++) {
            int register = r;
            assertEquals(expected[r], actual[22 * i + r], () -> "thread " + i + ", register " + register);
        }
        assertTrue(actual[22 * i + 18] >= 0 && actual[22 * i + 18] < actual[22 * i + 19], "warpid below nwarpid");
        assertTrue(actual[22 * i + 20] >= 0 && actual[22 * i + 20] < actual[22 * i + 21], "smid below nsmid");
    }

    /** Checks that the lanes of a warp read the same warp id and multiprocessor, and warps of a block different ids. */
    private static void checkWarps(int[] actual, int first, int threads) {
        Set<Integer> seen = new HashSet<>();
        for (int t = 0; t < threads; t++) {
            int at = 22 * (first + t);
            int leader = 22 * (first + t / 32 * 32);
            assertEquals(actual[leader + 18], actual[at + 18], "warp id within a warp");
            assertEquals(actual[22 * first + 20], actual[at + 20], "multiprocessor within a block");
            seen.add(actual[at + 18]);
        }
        assertEquals((threads + 31) / 32, seen.size(), "warp ids of a block");
    }

    @ParameterizedTest
    @MethodSource("devices")
    void shfl_everyModeAndSegment_followsTheDocumentation(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(64).toArray();
        try (PtxDevice device = opened.get()) {
            KernelFile kernel = KernelFile.of(device, "shuffles");
            for (int mode = 0; mode < 4; mode++) {
                for (int b : new int[] {0, 1, 2, 5, 16, 31, 33}) {
                    for (int width : new int[] {32, 16, 8, 4, 1}) {
                        int segment = 32 - width << 8;
                        checkShuffle(kernel, in, mode, b, 0, segment | (mode == 0 ? 0 : 31));
                        checkShuffle(kernel, in, mode, b, 7, segment | (mode == 0 ? 0 : 31));
                    }
                    checkShuffle(kernel, in, mode, b, 3, 9);
                    checkShuffle(kernel, in, mode, b, 0, 0x1800 | 5);
                }
            }
        }
    }

    /** Compares with the pseudocode of the PTX documentation. */
    private static void checkShuffle(KernelFile kernel, int[] in, int mode, int b, int factor, int c) {
        int[] expected = new int[2 * in.length];
        for (int t = 0; t < in.length; t++) {
            int lane = t % 32;
            int by = b + factor * lane & 31;
            int segment = c >> 8 & 31;
            int clamp = c & 31;
            int last = lane & segment | clamp & ~segment;
            int first = lane & segment;
            int from =
                    switch (mode) {
                        case 0 -> lane - by;
                        case 1 -> lane + by;
                        case 2 -> lane ^ by;
                        default -> first | by & ~segment;
                    };
            boolean inside = mode == 0 ? from >= last : from <= last;
            expected[2 * t] = in[t - lane + (inside ? from : lane)];
            expected[2 * t + 1] = inside ? 1 : 0;
        }
        int[] actual = kernel.run(Launch.of(1, in.length), poisoned(2 * in.length), in, mode, b, factor, c);
        assertWords(
                expected,
                actual,
                i -> "mode " + mode + ", b " + b + " + " + factor + " lane, c " + c + ", thread " + i / 2 + ", word "
                        + i % 2);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void shfl_insideABranch_exchangesTheActiveLanes(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(96).toArray();
        int[] expected = new int[96];
        for (int t = 0; t < 96; t++) {
            int warp = t / 32 * 32;
            expected[t] = (t % 2 == 0 ? in[t ^ 2] : in[warp + 31]) + in[warp + 5];
        }
        try (PtxDevice device = opened.get()) {
            assertWords(expected, KernelFile.of(device, "shuffle_parts").run(Launch.of(1, 96), poisoned(96), in), 1);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void vote_everyMode_reducesPredicates(Supplier<PtxDevice> opened) {
        Random random = new Random(SEED);
        int[] in = new int[32 * 8];
        for (int t = 0; t < in.length; t++) {
            int warp = t / 32;
            in[t] = warp == 0
                    ? 0
                    : warp == 1
                            ? -1
                            : warp == 2
                                    ? (t % 32 < 11 ? 3 : 0)
                                    : warp == 3 ? (t % 32 == 17 ? 1 : 0) : random.nextInt(2) << random.nextInt(31);
        }
        try (PtxDevice device = opened.get()) {
            KernelFile kernel = KernelFile.of(device, "votes");
            for (int apart = 0; apart < 2; apart++) {
                int[] expected = new int[4 * in.length];
                for (int t = 0; t < in.length; t++) {
                    int voters = apart == 0 ? ALL : t % 32 < 11 ? 0x7FF : ~0x7FF;
                    int warp = t / 32 * 32;
                    int yes = voters & mask(lane -> in[warp + lane] != 0);
                    int no = voters & ~yes;
                    int uniform = yes == 0 || no == 0 ? 1 : 0;
                    expected[4 * t] = (no == 0 ? 1 : 0)
                            | (yes != 0 ? 2 : 0)
                            | uniform << 2
                            | (yes == 0 ? 8 : 0)
                            | (no != 0 ? 16 : 0)
                            | uniform << 5;
                    expected[4 * t + 1] = yes;
                    expected[4 * t + 2] = no;
                }
                assertWords(expected, kernel.run(Launch.of(1, in.length), poisoned(expected.length), in, apart), 4);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void match_anyAndAll_returnsEqualLanes(Supplier<PtxDevice> opened) {
        Random random = new Random(SEED);
        int[] in = new int[32 * 4];
        for (int t = 0; t < in.length; t++) {
            in[t] = t < 32 ? 9 : t < 64 ? (t % 32 < 20 ? 1 : random.nextInt(2)) : random.nextInt(t < 96 ? 3 : 1000);
        }
        int[] expected = new int[6 * in.length];
        for (int t = 0; t < in.length; t++) {
            int members = t % 32 < 20 ? 0xFFFFF : ~0xFFFFF;
            int warp = t / 32 * 32;
            int value = in[t];
            int same = members & mask(lane -> in[warp + lane] == value);
            int all = same == members ? members : 0;
            int[] words = {same, same, all, all, all != 0 ? 1 : 0, all != 0 ? 1 : 0};
            System.arraycopy(words, 0, expected, 6 * t, 6);
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "matches").run(Launch.of(1, in.length), poisoned(expected.length), in),
                    6);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void redux_everyOperation_reducesOverTheMask(Supplier<PtxDevice> opened) {
        IntBinaryOperator[] operators = {
            Integer::sum,
            Integer::sum,
            (a, b) -> Integer.compareUnsigned(a, b) < 0 ? a : b,
            Math::min,
            (a, b) -> Integer.compareUnsigned(a, b) > 0 ? a : b,
            Math::max,
            (a, b) -> a & b,
            (a, b) -> a | b,
            (a, b) -> a ^ b
        };
        int[] in = new Random(SEED).ints(96).toArray();
        for (int t = 32; t < 64; t++) {
            in[t] = in[t] & 0x00FFFF0F | 0x01000001;
        }
        try (PtxDevice device = opened.get()) {
            KernelFile kernel = KernelFile.of(device, "warp_reductions");
            for (int apart = 0; apart < 2; apart++) {
                int parts = apart;
                int[] expected = new int[9 * in.length];
                for (int i = 0; i < expected.length; i++) {
                    int t = i / 9;
                    expected[i] = IntStream.range(t / 32 * 32, t / 32 * 32 + 32)
                            .filter(u -> parts == 0 || (u % 32 % 3 == 0) == (t % 32 % 3 == 0))
                            .map(u -> in[u])
                            .reduce(operators[i % 9])
                            .getAsInt();
                }
                assertWords(expected, kernel.run(Launch.of(1, in.length), poisoned(expected.length), in, apart), 9);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void activemask_insideABranch_containsOnlyThatSide(Supplier<PtxDevice> opened) {
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "active_masks").run(Launch.of(1, 64), poisoned(128));
            for (int t = 0; t < 64; t++) {
                int side = t & 4;
                int allowed = mask(lane -> (lane & 4) == side);
                assertNotEquals(0, actual[2 * t] & 1 << t, "thread " + t + ", together");
                assertNotEquals(0, actual[2 * t + 1] & 1 << t, "thread " + t + ", own side");
                assertEquals(0, actual[2 * t + 1] & ~allowed, "thread " + t + ", other side");
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void barWarpSync_sharedMemory_ordersLanes(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(1024).toArray();
        int[] expected = in.clone();
        for (int t = 0; t < in.length; t++) {
            expected[t] += t % 32 == 0 ? 0 : expected[t - 1];
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected, KernelFile.of(device, "warp_exchange").run(Launch.of(1, 1024), poisoned(1024), in), 1);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void elect_activeLanes_electsOne(Supplier<PtxDevice> opened) {
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "elected").run(Launch.of(1, 64), poisoned(256));
            for (int t = 0; t < 64; t++) {
                int lane = t % 32;
                boolean inside = lane >= 12 && lane < 20;
                int all = actual[4 * t];
                int part = actual[4 * t + 2];
                assertTrue(all >= 0 && all < 32, "elected " + all);
                assertTrue(part >= 0 && part < 32 && inside == (part >= 12 && part < 20), "elected " + part);
                assertEquals(actual[4 * (t - lane)], all, "the whole warp agrees");
                assertEquals(actual[4 * (t - lane + (inside ? 12 : 0)) + 2], part, "the part agrees");
                assertEquals(lane == all ? 1 : 0, actual[4 * t + 1], "thread " + t + " of all");
                assertEquals(lane == part ? 1 : 0, actual[4 * t + 3], "thread " + t + " of its part");
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void clock_successiveReads_neverDecrease(Supplier<PtxDevice> opened) {
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "clocks").run(Launch.of(1, 1), poisoned(6));
            assertTrue(actual[0] >= 0, "clock grows by " + actual[0]);
            assertTrue(actual[1] >= 0, "clock64 is ahead of clock by " + actual[1]);
            assertTrue(actual[3] == 0 && actual[2] > 0, "clock64 grows by " + actual[2]);
            assertTrue(actual[5] == 0 && actual[4] >= 0, "globaltimer grows by " + actual[4]);
        }
    }

    private static int mask(IntPredicate lanes) {
        return IntStream.range(0, 32).filter(lanes).map(lane -> 1 << lane).reduce(0, (a, b) -> a | b);
    }
}
