package org.contrastive4j.device.conformance;

import static org.contrastive4j.device.conformance.KernelFile.POISON;
import static org.contrastive4j.device.conformance.KernelFile.assertWords;
import static org.contrastive4j.device.conformance.KernelFile.poisoned;

import java.util.Arrays;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Barriers of a block and of a cluster, mbarriers, and the memory that threads see after them. */
class BarrierConformanceTest {
    private static final long SEED = 99_100;

    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void barSync_wholeBlock_ordersSharedMemory(Supplier<PtxDevice> opened) {
        for (int threads : new int[] {1, 31, 32, 33, 103, 127, 128, 129, 1024}) {
            int[] in = new Random(SEED).ints(threads).toArray();
            int[] expected =
                    IntStream.range(0, threads).map(t -> in[(t + 5) % threads]).toArray();
            try (PtxDevice device = opened.get()) {
                assertWords(
                        expected,
                        KernelFile.of(device, "block_barrier").run(Launch.of(1, threads), poisoned(threads), in),
                        1);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void barArrive_producersAndConsumers_orderSharedMemory(Supplier<PtxDevice> opened) {
        int[] expected = IntStream.range(0, 256)
                .map(i -> 100 * (i / 64) + 3 * (63 - i % 64))
                .toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "barrier_producers").run(Launch.of(1, 128), poisoned(256)),
                    i -> "round " + i / 64 + ", word " + i % 64);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void barSync_twoNamedBarriers_synchroniseHalves(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(128).toArray();
        int[] expected = IntStream.range(0, 128)
                .map(t -> in[t / 64 * 64 + (t + (t < 64 ? 1 : 7)) % 64])
                .toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(expected, KernelFile.of(device, "barrier_groups").run(Launch.of(1, 128), poisoned(128), in), 1);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void barRed_predicates_reducesOverTheBlock(Supplier<PtxDevice> opened) {
        Random random = new Random(SEED);
        try (PtxDevice device = opened.get()) {
            KernelFile kernel = KernelFile.of(device, "barrier_reductions");
            for (int kind = 0; kind < 4; kind++) {
                int[] in = new int[128];
                for (int t = 0; t < 128; t++) {
                    in[t] = switch (kind) {
                        case 0 -> 0;
                        case 1 -> t + 1;
                        case 2 -> t == 70 ? 0 : -1;
                        default -> random.nextInt(3) - 1;
                    };
                }
                int[] expected = new int[6 * 128];
                for (int t = 0; t < 128; t++) {
                    int all = count(in, 0, 128);
                    int half = count(in, t / 64 * 64, 64);
                    int[] words = {all, all == 128 ? 1 : 0, all > 0 ? 1 : 0, 128 - all, half, half == 64 ? 1 : 0};
                    System.arraycopy(words, 0, expected, 6 * t, 6);
                }
                assertWords(expected, kernel.run(Launch.of(1, 128), poisoned(6 * 128), in), 6);
            }
        }
    }

    private static int count(int[] in, int from, int length) {
        return (int) Arrays.stream(in, from, from + length).filter(v -> v != 0).count();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void specialRegisters_gridOfClusters_numberBlocks(Supplier<PtxDevice> opened) {
        Launch.Dim grid = new Launch.Dim(6, 2, 3);
        int[] expected = new int[16 * 36];
        for (int b = 0; b < 36; b++) {
            int x = b % 6;
            int rank = x % 2;
            int[] words = {rank, 2, rank, 0, 0, 2, 1, 1, x / 2, b / 6 % 2, b / 12, 3, 2, 3, 1, 1 - rank};
            System.arraycopy(words, 0, expected, 16 * b, 16);
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "cluster_registers")
                            .run(Launch.of(grid, new Launch.Dim(64, 1, 1)), poisoned(16 * 36)),
                    i -> "block " + i / 16 + ", word " + i % 16);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void mapa_blocksOfACluster_accessSharedMemory(Supplier<PtxDevice> opened) {
        int blocks = 4;
        int[] in = new Random(SEED).ints(64 * blocks).toArray();
        int[] expected = new int[130 * blocks];
        for (int b = 0; b < blocks; b++) {
            int other = b ^ 1;
            for (int t = 0; t < 64; t++) {
                expected[130 * b + t] = in[64 * other + t] + 1;
                expected[130 * b + 64 + t] = 5 * t + other;
            }
            expected[130 * b + 128] = 64 * 65 / 2;
            expected[130 * b + 129] = POISON;
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "cluster_exchange").run(Launch.of(blocks, 64), poisoned(130 * blocks), in),
                    i -> "block " + i / 130 + ", word " + i % 130);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void mbarrier_severalPhases_alternates(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(64).toArray();
        int[] expected =
                Arrays.copyOf(IntStream.range(0, 64).map(t -> in[(t + 6) % 64]).toArray(), 71);
        System.arraycopy(new int[] {5, 4, 2, 0, 1, 1, 4}, 0, expected, 64, 7);
        try (PtxDevice device = opened.get()) {
            assertWords(expected, KernelFile.of(device, "mbarrier_phases").run(Launch.of(1, 64), poisoned(71), in), 71);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void mbarrier_ringBetweenWarps_passesTiles(Supplier<PtxDevice> opened) {
        int[] expected =
                IntStream.range(0, 512).map(i -> 1000 * (i / 64) + i % 64).toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "mbarrier_ring").run(Launch.of(1, 96), poisoned(512)),
                    i -> "tile " + i / 64 + ", word " + i % 64);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void mbarrierExpectTx_copiedBytes_completesThePhase(Supplier<PtxDevice> opened) {
        try (PtxDevice device = opened.get()) {
            assertWords(
                    new int[] {0, 0, 0, 1, 0, 1, 0, 1},
                    KernelFile.of(device, "mbarrier_transactions").run(Launch.of(1, 1), poisoned(8)),
                    8);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void mbarrierArrive_ofAnotherBlock_completesThePhase(Supplier<PtxDevice> opened) {
        int blocks = 6;
        int[] expected = IntStream.range(0, 192 * blocks)
                .map(i -> 1000 * (i / 64 % 3) + 10 * (i % 64) + (i / 192 ^ 1))
                .toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "mbarrier_cluster").run(Launch.of(blocks, 64), poisoned(192 * blocks)),
                    i -> "block " + i / 192 + ", phase " + i / 64 % 3 + ", word " + i % 64);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void setmaxnreg_twoWarpgroups_computesTheSame(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(256).toArray();
        int[] expected = IntStream.range(0, 256)
                .map(t -> t < 128 ? in[t] + 1000 : 3 * in[t])
                .toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected, KernelFile.of(device, "register_budget").run(Launch.of(1, 256), poisoned(256), in), 1);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void griddepcontrol_dependentLaunch_seesEarlierWrites(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(103).toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    Arrays.stream(in).map(v -> v + 1).toArray(),
                    KernelFile.of(device, "dependent_launch").run(Launch.of(1, 103), poisoned(103), in),
                    1);
        }
    }
}
