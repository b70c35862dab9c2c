package org.contrastive4j.device.conformance;

import static org.contrastive4j.device.conformance.KernelFile.assertWords;
import static org.contrastive4j.device.conformance.KernelFile.poisoned;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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

/** Asynchronous copies between global and shared memory, and the instructions that wait for them. */
class AsyncCopyConformanceTest {
    private static final long SEED = 424_242;

    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cpAsync_everySize_fillsTheRestWithZeros(Supplier<PtxDevice> opened) {
        // offset in shared memory, offset in global memory, bytes written, bytes read
        int[][] copies = {
            {0, 0, 4, 4},
            {8, 8, 8, 8},
            {16, 16, 16, 16},
            {32, 32, 16, 16},
            {48, 48, 16, 11},
            {64, 64, 8, 6},
            {72, 72, 4, 1},
            {76, 76, 4, 0},
            {80, 80, 16, 0},
            {96, 100, 4, 4}
        };
        for (int threads : new int[] {1, 31, 32}) {
            int[] in = new Random(SEED).ints(32L * threads).toArray();
            ByteBuffer source = ByteBuffer.allocate(128 * threads).order(ByteOrder.LITTLE_ENDIAN);
            source.asIntBuffer().put(in);
            byte[] target = new byte[128 * threads];
            Arrays.fill(target, (byte) -1);
            for (int t = 0; t < threads; t++) {
                for (int[] copy : copies) {
                    for (int i = 0; i < copy[2]; i++) {
                        target[128 * t + copy[0] + i] = i < copy[3] ? source.get(128 * t + copy[1] + i) : 0;
                    }
                }
            }
            int[] expected = new int[32 * threads];
            ByteBuffer.wrap(target).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(expected);
            try (PtxDevice device = opened.get()) {
                assertWords(
                        expected,
                        KernelFile.of(device, "async_copies").run(Launch.of(1, threads), poisoned(32 * threads), in),
                        32);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cpAsyncWaitGroup_severalGroups_completeInOrder(Supplier<PtxDevice> opened) {
        for (int threads : new int[] {32, 64, 128}) {
            int[] in = new Random(SEED).ints(7L * threads).toArray();
            int[] expected = IntStream.range(0, in.length)
                    .map(i -> in[i / threads * threads + (i + 1) % threads])
                    .toArray();
            try (PtxDevice device = opened.get()) {
                assertWords(
                        expected,
                        KernelFile.of(device, "async_groups").run(Launch.of(1, threads), poisoned(in.length), in),
                        i -> "round " + i / threads + ", thread " + i % threads);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cpAsyncMbarrierArrive_afterCopies_completesThePhase(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(192).toArray();
        int[] expected =
                IntStream.range(0, 192).map(i -> in[i / 64 * 64 + 63 - i % 64]).toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "async_arrivals").run(Launch.of(1, 64), poisoned(192), in),
                    i -> "phase " + i / 64 + ", thread " + i % 64);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cpAsyncBulk_severalCopies_completeOnePhase(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(2048).toArray();
        int[] expected = IntStream.range(0, 2048)
                .map(i -> in[i / 1024 * 1024 + 1023 - i % 1024])
                .toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "bulk_load").run(Launch.of(1, 128), poisoned(2048), in),
                    i -> "phase " + i / 1024 + ", word " + i % 1024);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cpAsyncBulk_toGlobalMemory_readsTheSourceBeforeTheWaitReturns(Supplier<PtxDevice> opened) {
        int[] expected =
                IntStream.range(0, 1536).map(i -> 10_000 * (i / 512) + i % 512).toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "bulk_store").run(Launch.of(1, 128), poisoned(1536)),
                    i -> "tile " + i / 512 + ", word " + i % 512);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cpReduceAsyncBulk_manyBlocks_addsAllContributions(Supplier<PtxDevice> opened) {
        int blocks = 5;
        ByteBuffer before = ByteBuffer.allocate(1280).order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer after = ByteBuffer.allocate(1280).order(ByteOrder.LITTLE_ENDIAN);
        for (int t = 0; t < 64; t++) {
            long sum = 0;
            int largest = -20 - t;
            before.putFloat(4 * t, t - 7).putInt(256 + 4 * t, -t).putLong(512 + 8 * t, -1L << t);
            before.putInt(1024 + 4 * t, largest);
            for (int b = 0; b < blocks; b++) {
                sum += 100 * b + t;
                largest = Math.max(largest, -7 * (t ^ b));
            }
            after.putFloat(4 * t, t - 7 + sum).putInt(256 + 4 * t, (int) sum - t);
            after.putLong(512 + 8 * t, (-1L << t) + sum * 0x1000_1000L).putInt(1024 + 4 * t, largest);
        }
        try (PtxDevice device = opened.get()) {
            assertWords(
                    words(after),
                    KernelFile.of(device, "bulk_reduce").run(Launch.of(blocks, 64), words(before)),
                    i -> "word " + i);
        }
    }

    private static int[] words(ByteBuffer bytes) {
        int[] words = new int[bytes.capacity() / 4];
        bytes.rewind().order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(words);
        return words;
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cpAsyncBulk_multicast_writesBothBlocks(Supplier<PtxDevice> opened) {
        int blocks = 6;
        int[] in = new Random(SEED).ints(256L * blocks / 2).toArray();
        int[] expected = IntStream.range(0, 256 * blocks)
                .map(i -> in[256 * (i / 512) + i / 128 % 2 * 128 + 127 - i % 128])
                .toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "bulk_multicast").run(Launch.of(blocks, 64), poisoned(256 * blocks), in),
                    i -> "block " + i / 256 + ", phase " + i / 128 % 2 + ", word " + i % 128);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cpAsyncBulk_toAnotherBlock_writesItsSharedMemory(Supplier<PtxDevice> opened) {
        int blocks = 4;
        int[] expected = IntStream.range(0, 64 * blocks)
                .map(i -> 1000 * (i / 64 ^ 1) + 3 * (i % 64))
                .toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "bulk_peer").run(Launch.of(blocks, 64), poisoned(64 * blocks)),
                    i -> "block " + i / 64 + ", word " + i % 64);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void stAsync_toAnotherBlock_completesItsBarrier(Supplier<PtxDevice> opened) {
        int[] expected = IntStream.range(0, 128)
                .map(i -> 1000 * (1 - i / 64) + i % 64 + (i % 64 == 63 ? 5 : 0))
                .toArray();
        try (PtxDevice device = opened.get()) {
            assertWords(
                    expected,
                    KernelFile.of(device, "store_async").run(Launch.of(2, 64), poisoned(128)),
                    i -> "block " + i / 64 + ", word " + i % 64);
        }
    }
}
