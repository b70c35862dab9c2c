package org.contrastive4j.device.conformance;

import static org.contrastive4j.device.conformance.KernelFile.assertWords;
import static org.contrastive4j.device.conformance.KernelFile.poisoned;
import static org.junit.jupiter.api.Assertions.assertEquals;

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

/** Loads, stores, state spaces and addresses against plain byte buffers. */
class MemoryConformanceTest {
    private static final long SEED = 20_240_607;
    private static final int WIDTH_WORDS = 62;

    static Stream<Named<Supplier<PtxDevice>>> devices() {
        return Devices.all();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void loadStore_everyWidthInGlobalMemory_movesTheBytes(Supplier<PtxDevice> opened) {
        everyWidth(opened, "widths_global");
    }

    @ParameterizedTest
    @MethodSource("devices")
    void loadStore_everyWidthInSharedMemory_movesTheBytes(Supplier<PtxDevice> opened) {
        everyWidth(opened, "widths_shared");
    }

    @ParameterizedTest
    @MethodSource("devices")
    void loadStore_everyWidthInLocalMemory_movesTheBytes(Supplier<PtxDevice> opened) {
        everyWidth(opened, "widths_local");
    }

    @ParameterizedTest
    @MethodSource("devices")
    void loadStore_everyWidthByGenericAddress_movesTheBytes(Supplier<PtxDevice> opened) {
        everyWidth(opened, "widths_generic");
    }

    private static void everyWidth(Supplier<PtxDevice> opened, String name) {
        for (int threads : new int[] {1, 31, 32}) {
            int[] in = new Random(SEED + threads).ints(8L * threads).toArray();
            int[] expected = new int[WIDTH_WORDS * threads];
            for (int t = 0; t < threads; t++) {
                int[] words = widths(Arrays.copyOfRange(in, 8 * t, 8 * t + 8));
                System.arraycopy(words, 0, expected, WIDTH_WORDS * t, WIDTH_WORDS);
            }
            try (PtxDevice device = opened.get()) {
                int[] actual = KernelFile.of(device, name)
                        .run(Launch.of(1, threads), poisoned(expected.length), in, poisoned(24 * threads));
                assertWords(expected, actual, WIDTH_WORDS);
            }
        }
    }

    /** Returns the expected words of a thread of the widths kernels, from the bytes of its input. */
    private static int[] widths(int[] w) {
        ByteBuffer bytes = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(w);
        ByteBuffer out = ByteBuffer.allocate(4 * WIDTH_WORDS).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(bytes.get(3) & 0xFF).putInt(bytes.get(5));
        out.putInt(bytes.getShort(6) & 0xFFFF).putInt(bytes.getShort(10));
        out.putInt(w[3]).putInt(w[1]);
        out.putLong(bytes.getLong(8)).putLong(bytes.getLong(16)).putLong(bytes.get(7));
        out.putInt(bytes.get(2) & 0xFF).putInt(bytes.get(3) & 0xFF);
        IntStream.range(20, 24).forEach(i -> out.putInt(bytes.get(i)));
        out.putInt(bytes.getShort(24)).putInt(bytes.getShort(26));
        IntStream.range(4, 8).forEach(i -> out.putInt(bytes.getShort(2 * i) & 0xFFFF));
        out.putInt(w[4]).putInt(w[5]);
        IntStream.range(4, 8).forEach(i -> out.putInt(w[i]));
        out.putLong(bytes.getLong(0)).putLong(bytes.getLong(8));
        out.putInt(w[3]).putInt(w[0] & 0xFFFF).putLong(bytes.getLong(24));
        IntStream.range(4, 8).forEach(i -> out.putInt(w[i]));
        out.putInt(w[2]).putInt(w[3]);
        out.putLong(bytes.getLong(0)).putLong(bytes.getLong(8));
        for (int i : new int[] {7, 6, 5, 4, 3, 2, 1, 0, 0, 1}) {
            out.putInt(w[i]);
        }
        out.putInt(w[2] & 0xFFFF).putInt(w[6]).putInt(w[2]).putInt(w[5]);
        assertEquals(0, out.remaining());
        int[] words = new int[WIDTH_WORDS];
        out.rewind().asIntBuffer().get(words);
        return words;
    }

    @ParameterizedTest
    @MethodSource("devices")
    void moduleVariables_initialised_haveTheirValues(Supplier<PtxDevice> opened) {
        int[] words = {3, -1, 1_000_000_007, 0, 0x80000000, 0, 0, 0};
        byte[] bytes = {1, 127, (byte) 128, (byte) 255, 0, (byte) 200, 42, 7};
        short[][] grid = {{-1, 2, -32768}, {32767, -500, 6}};
        float[] weights = {1, 0.5f, -0.25f, Float.MAX_VALUE, Float.MIN_VALUE, 1.5f, -2, 0};
        double[] doubles = {1.5, -Math.PI};
        int[] expected = new int[12 * 32];
        for (int t = 0; t < 32; t++) {
            int at = 12 * t;
            expected[at] = words[t % 8];
            expected[at + 1] = bytes[t % 8];
            expected[at + 2] = grid[t % 2][t % 3];
            expected[at + 3] = grid[t % 2][t % 3] & 0xFFFF;
            expected[at + 4] = Float.floatToRawIntBits(weights[t % 8]);
            expected[at + 5] = expected[at + 4];
            long bits = Double.doubleToRawLongBits(doubles[t % 2]);
            expected[at + 6] = (int) bits;
            expected[at + 7] = (int) (bits >>> 32);
            System.arraycopy(words, 0, expected, at + 8, 4);
        }
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "const_tables").run(Launch.of(1, 32), poisoned(expected.length));
            assertWords(expected, actual, 12);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void moduleVariables_betweenLaunches_keepTheirValues(Supplier<PtxDevice> opened) {
        try (PtxDevice device = opened.get()) {
            KernelFile kernel = KernelFile.of(device, "global_state");
            assertWords(new int[] {40, 0}, kernel.run(Launch.of(1, 1), poisoned(2)), 2);
            assertWords(new int[] {41, 7 * 41}, kernel.run(Launch.of(1, 1), poisoned(2)), 2);
            assertWords(new int[] {42, 7 * 42}, kernel.run(Launch.of(1, 1), poisoned(2)), 2);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void ldParam_everyKind_returnsTheArgument(Supplier<PtxDevice> opened) {
        byte[] box = new byte[40];
        new Random(SEED).nextBytes(box);
        box[1] = -77;
        ByteBuffer boxed = ByteBuffer.wrap(box).order(ByteOrder.LITTLE_ENDIAN);
        int[] words = {-5, 0x01C30203, 1 << 30};
        ByteBuffer wordBytes = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
        wordBytes.asIntBuffer().put(words);
        long big = 0x8123_4567_89AB_CDEFL;
        ByteBuffer out = ByteBuffer.allocate(96).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(200).putInt(-1234).putFloat(-1.25f).putInt(-77);
        IntStream.range(0, 8).forEach(i -> out.putInt(boxed.getInt(4 * i)));
        out.putInt(boxed.getShort(32) & 0xFFFF)
                .putInt(boxed.getShort(34) & 0xFFFF)
                .putInt(boxed.getInt(36));
        out.putInt(words[0]).putInt(words[1]).putInt(words[2]);
        out.putDouble(Math.E).putLong(big).putInt((int) (big >>> 32)).putInt(0xC3);
        int[] expected = new int[24];
        out.rewind().asIntBuffer().get(expected);
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "param_arrays")
                    .run(
                            Launch.of(1, 1),
                            poisoned(24),
                            (byte) 200,
                            (short) -1234,
                            -1.25f,
                            box,
                            Math.E,
                            wordBytes.array(),
                            big);
            assertWords(expected, actual, 24);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void isspacep_genericAddresses_returnsTheirSpace(Supplier<PtxDevice> opened) {
        int[] expected = new int[8 * 32];
        for (int t = 0; t < 32; t++) {
            int[] words = {100, 200 + t, 300 + t, 400, 1000 + 2 * t, 0, 1, 0};
            words[5] = 1 | 1 << 5 | 1 << 10 | 1 << 15;
            System.arraycopy(words, 0, expected, 8 * t, 8);
        }
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "generic_addressing").run(Launch.of(1, 32), poisoned(256));
            for (int t = 0; t < 32; t++) {
                // isspacep may count constant memory as global memory
                actual[8 * t + 5] &= ~(1 << 12);
            }
            assertWords(expected, actual, 8);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void loadStore_everyCacheOperatorAndSemantics_movesTheSameValue(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(32).toArray();
        int flavours = 44;
        int[] expected = new int[32 * flavours];
        for (int i = 0; i < expected.length; i++) {
            expected[i] = in[i % 32] + i / 32;
        }
        try (PtxDevice device = opened.get()) {
            int[] actual =
                    KernelFile.of(device, "load_store_flavours").run(Launch.of(1, 32), poisoned(expected.length), in);
            assertWords(expected, actual, i -> "flavour " + i / 32 + ", thread " + i % 32);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void ldGlobalNc_everyWidth_returnsTheBytes(Supplier<PtxDevice> opened) {
        int[] in = new Random(SEED).ints(12 * 33).toArray();
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "noncoherent_vectors").run(Launch.of(1, 33), poisoned(in.length), in);
            assertWords(in, actual, 12);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void releaseAcquire_betweenBlocks_passesWords(Supplier<PtxDevice> opened) {
        int[] expected = IntStream.range(0, 256).map(i -> 7 * (i % 64) + 1000).toArray();
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, "message_passing")
                    .run(Launch.of(2, 64).asCooperative(), poisoned(256), poisoned(64), new int[2]);
            assertWords(expected, actual, i -> "round " + i / 64 + ", word " + i % 64);
        }
    }
}
